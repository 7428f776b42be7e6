"""What the hosts of a domain must prove by the DNS, where all on the way to them is signed."""

from collections.abc import AsyncIterator

from mta.model.domain import Finding, TlsDemand
from mta.model.outcome import Outcome

from mta.rules.tls.dane import demand_by, name_of_records, undecided

from mta.flow.ports import TlsaLookup


class Dane:
    """Keeps the promise `TlsPolicies`. `port` is where mail exchangers listen."""

    def __init__(self, *, lookup: TlsaLookup, port: int) -> None:
        self._lookup = lookup
        self._port = port

    async def demand(
        self, host: str, domain: str, *, is_secure: bool
    ) -> TlsDemand | Outcome | None:
        """What the TLSA records of `host` ask for, which a signed answer named for `domain`.

        None where there are none, or nothing vouches for them: where the answer that named the
        host or that with its addresses is not signed, they would not be worth more (RFC 7672
        §2.1.1). What cannot be looked up now may ask for everything.
        """
        if not is_secure:
            return None
        async for base in self._bases(host):
            if isinstance(base, Outcome):
                return base
            answer = await self._lookup.tlsa(name_of_records(base, self._port))
            if answer.finding is Finding.UNKNOWN:
                return undecided(host, answer.text)
            if answer.finding is Finding.RECORDS and answer.is_secure:
                return demand_by(answer.records, (base, host, domain))
        return None

    async def _bases(self, host: str) -> AsyncIterator[str | Outcome]:
        """The names below which the records may stand: the end of an alias first (§2.2.2)."""
        addresses = await self._lookup.addresses(host)
        if addresses.finding is Finding.UNKNOWN:
            yield undecided(host, addresses.text)
        elif addresses.is_secure:
            if addresses.alias_of:
                yield addresses.alias_of
            yield host
        elif addresses.alias_of:
            # The name may be signed, and what it leads to not.
            alias = await self._lookup.alias(host)
            if alias.finding is Finding.UNKNOWN:
                yield undecided(host, alias.text)
            elif alias.is_secure:
                yield host
