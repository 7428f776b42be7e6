"""Does a domain let an address send its mail? (RFC 7208)"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol, TypeVar

from mta.model.domain import Answer, Finding, Mx

from mta.rules.message.spf import (
    BY_QUALIFIER,
    MAX_LOOKUPS,
    SpfError,
    SpfResult,
    Term,
    is_within,
    record_among,
    terms_of,
)

MAX_HOSTS = 10  # of one `mx`, RFC 7208 §4.6.4


class SpfLookup(Protocol):
    """Asks the DNS, in bounded time."""

    async def txt(self, name: str) -> Answer[str]:
        """The TXT records of a name."""

    async def mx(self, domain: str) -> Answer[Mx]:
        """As `Lookup` has it."""

    async def addresses(self, name: str) -> Answer[str]:
        """As `Lookup` has it."""


class _Temporary(Exception):
    """The DNS did not answer."""


class _Macros(Exception):
    """What the record says depends on more than an address."""


async def spf_result(lookup: SpfLookup, domain: str, address: str) -> tuple[SpfResult, str]:
    """What `domain` says of mail from `address`, and in words what is wrong with how it says it."""
    try:
        return await _Walk(lookup, address).result(domain), ""
    except SpfError as error:
        return SpfResult.PERMERROR, str(error)
    except _Temporary as error:
        return SpfResult.TEMPERROR, str(error)
    except _Macros as error:
        return SpfResult.MACROS, str(error)


class _Walk:
    """One evaluation, from record to record."""

    def __init__(self, lookup: SpfLookup, address: str) -> None:
        self._lookup = lookup
        self._address = ip_address(address)
        self._left = MAX_LOOKUPS

    async def result(self, domain: str) -> SpfResult:
        answer = _certain(await self._lookup.txt(domain))
        record = record_among(answer.records)
        if record is None:
            return SpfResult.NONE
        for term in terms_of(record):
            if term.name == "redirect":
                return await self._elsewhere(term)
            if await self._matches(term, domain):
                return BY_QUALIFIER[term.qualifier]
        return SpfResult.NEUTRAL

    async def _elsewhere(self, term: Term) -> SpfResult:
        """What the record says that a redirect or an include leads to."""
        self._count(term)
        found = await self.result(term.value)
        if found is SpfResult.NONE:
            raise SpfError(f"{term.name} leads to {term.value[:80]!r}, which has no SPF record")
        return found

    async def _matches(self, term: Term, domain: str) -> bool:
        match term.name:
            case "all":
                return True
            case "ip4" | "ip6":
                return is_within(term, self._address, of=term.value)
            case "include":
                return await self._elsewhere(term) is SpfResult.PASS
        self._count(term)
        name = term.value or domain
        match term.name:
            case "a":
                return self._is_among(await self._addresses(name), term)
            case "mx":
                exchangers = _certain(await self._lookup.mx(name)).records[:MAX_HOSTS]
                found = [await self._addresses(one.host) for one in exchangers if one.host]
                return any(self._is_among(addresses, term) for addresses in found)
            case "exists":
                return bool(await self._addresses(name))
            case _:  # ptr, which should not be used (RFC 7208 §5.5)
                return False

    def _count(self, term: Term) -> None:
        if term.has_macros:
            raise _Macros(f"{term.name}:{term.value[:80]} has macros")
        self._left -= 1
        if self._left < 0:
            raise SpfError(f"the record needs more than {MAX_LOOKUPS} look-ups (RFC 7208 §4.6.4)")

    def _is_among(self, addresses: Sequence[str], term: Term) -> bool:
        return any(is_within(term, self._address, of=one) for one in addresses)

    async def _addresses(self, name: str) -> Sequence[str]:
        return _certain(await self._lookup.addresses(name)).records


T = TypeVar("T")


def _certain(answer: Answer[T]) -> Answer[T]:
    if answer.finding is Finding.UNKNOWN:
        raise _Temporary(answer.text)
    return answer
