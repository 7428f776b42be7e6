"""Asks the DNS, by way of dnspython.

A name that does not exist and a name without records are facts; whatever else goes wrong, a
failing, lame or silent server, is UNKNOWN and never read as "none". Answers are remembered for
as long as their owner says, and queries that are under way are shared.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.resolver
import dns.reversename
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from mta.model.domain import Answer, Finding, Mx, Tlsa, Validation
from mta.model.trouble import NoNameserver

T = TypeVar("T")

RESOLV_CONF = Path("/etc/resolv.conf")

_EDNS_PAYLOAD = 1232  # octets: what passes every path unfragmented
_MAX_TTL = 86_400.0  # seconds; a server may say 68 years
_MAX_NEGATIVE_TTL = 900.0  # RFC 2308 §5 allows hours, but mended domains should be seen soon
_MAX_RECORDS = 500  # of one answer
_MAX_ALIASES = 8  # CNAMEs that we follow ourselves, where the server did not
_MAX_TEXT = 300  # characters of an explanation
_PROOF_TTL = 300.0  # seconds for which a resolver is believed to validate, or not to
_DOCKER = "127.0.0.11"  # passes on what the real resolver says, over whatever path

# dnspython refuses a digest of a wrong length, and with it the whole answer; it is for us to pass
# over such a record and to use the others (RFC 7671 §5).
TLSA._cert_length_by_mtype = {}  # noqa: SLF001 - no public name


OnAnswer = Callable[[str, str, Answer[object]], None]  # a type such as MX, a name, the answer


class DnsLookup:
    """Keeps the flow's promise `Lookup`, and finds texts.

    `nameservers` are IP addresses with their ports; none means those of the system's
    `resolv_conf`. `timeout` bounds a whole lookup, in seconds; `clock` gives Unix seconds;
    at most `remembered` answers of each type are kept. An answer is secure where a resolver says
    so that may be believed by `validation`.
    Names are absolute, no search domain is ever tried. Nothing that a server does raises.

    Raises NoNameserver when there is no server to ask.
    """

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] = (),
        *,
        timeout: float = 10.0,
        clock: Callable[[], float],
        resolv_conf: Path = RESOLV_CONF,
        remembered: int = 10_000,
        on_answer: OnAnswer | None = None,
        validation: Validation = Validation.AUTO,
    ) -> None:
        """`on_answer` hears of each answer that a server gave, or that none did."""
        servers = nameservers or _system_nameservers(resolv_conf)
        is_believed = _is_believed(validation, [address for address, _ in servers])
        asked = [_Server(*server, is_believed=is_believed) for server in servers]
        plain = _Query(asked, timeout, on_answer)
        self._root = _Records(RdataType.SOA, _nothing, plain, clock, 1, longest=_PROOF_TTL)
        is_proof_needed = validation is Validation.AUTO
        query = _DoubtingQuery(plain, self._root) if is_proof_needed else plain
        self._mx = _Records(RdataType.MX, _exchangers, query, clock, remembered)
        self._a = _Records(RdataType.A, _addresses, query, clock, remembered)
        self._aaaa = _Records(RdataType.AAAA, _addresses, query, clock, remembered)
        self._txt = _Records(RdataType.TXT, _texts, query, clock, remembered)
        self._tlsa = _Records(RdataType.TLSA, _associations, query, clock, remembered)
        self._cname = _Records(RdataType.CNAME, _aliases, query, clock, remembered)
        self._ns = _Records(RdataType.NS, _servers, query, clock, remembered)
        self._ptr = _Records(RdataType.PTR, _pointers, query, clock, remembered)

    async def mx(self, domain: str) -> Answer[Mx]:
        """The MX records of a domain in lower-case A-labels."""
        return await self._mx.of(domain)

    async def addresses(self, name: str) -> Answer[str]:
        """The IP addresses of a host, IPv6 and IPv4, in textual form.

        RECORDS if either type has any; UNKNOWN if none was found and one type stayed unknown.
        """
        if name == "localhost" or name.endswith(".localhost"):
            return Answer(Finding.RECORDS, ("::1", "127.0.0.1"))  # RFC 6761 §6.3: never asked for
        return _together(await asyncio.gather(self._aaaa.of(name), self._a.of(name)))

    async def txt(self, name: str) -> Answer[str]:
        """The TXT records of a name, the strings of each joined; what is no UTF-8 is escaped."""
        return await self._txt.of(name)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """The TLSA records of a name, as in "_25._tcp.mx.there.test"."""
        return await self._tlsa.of(name)

    async def alias(self, name: str) -> Answer[str]:
        """What a name is an alias of: one name, of its own CNAME record."""
        return await self._cname.of(name)

    async def is_validating(self) -> bool:
        """Whether the resolvers show that they check signatures: the root's are known to all."""
        return (await self._root.of(".")).is_secure

    async def ns(self, zone: str) -> Answer[str]:
        """The names of the hosts that serve a zone; none for a name that is no zone's top."""
        return await self._ns.of(zone)

    async def pointers(self, address: str) -> Answer[str]:
        """The reverse names of an IP address, in lower case without the final dot."""
        return await self._ptr.of(dns.reversename.from_address(address).to_text())


def _together(answers: Sequence[Answer[str]]) -> Answer[str]:
    found = [answer for answer in answers if answer.records]
    if found:
        return Answer(
            Finding.RECORDS,
            tuple(record for answer in found for record in answer.records),
            is_secure=all(answer.is_secure for answer in found),
            alias_of=found[0].alias_of,
        )
    by_finding = {answer.finding: answer for answer in answers}
    # "No such name" counts only where all agree: some servers say it for want of one type.
    weight = (Finding.UNKNOWN, Finding.NO_DATA, Finding.NO_NAME)
    return next(by_finding[finding] for finding in weight if finding in by_finding)


def _exchangers(records: Iterable[Rdata]) -> Iterator[Mx]:
    return (
        Mx(record.preference, _host(record.exchange))
        for record in records
        if isinstance(record, MX)
    )


def _addresses(records: Iterable[Rdata]) -> Iterator[str]:
    return (record.address for record in records if isinstance(record, A | AAAA))


def _pointers(records: Iterable[Rdata]) -> Iterator[str]:
    return (_host(record.target) for record in records if isinstance(record, PTR))


def _texts(records: Iterable[Rdata]) -> Iterator[str]:
    return (
        b"".join(record.strings).decode("utf-8", "backslashreplace")
        for record in records
        if isinstance(record, TXT)
    )


def _servers(records: Iterable[Rdata]) -> Iterator[str]:
    return (_host(record.target) for record in records if isinstance(record, NS))


def _associations(records: Iterable[Rdata]) -> Iterator[Tlsa]:
    return (
        Tlsa(record.usage, record.selector, record.mtype, record.cert)
        for record in records
        if isinstance(record, TLSA)
    )


def _aliases(records: Iterable[Rdata]) -> Iterator[str]:
    return (_host(record.target) for record in records if isinstance(record, CNAME))


def _nothing(records: Iterable[Rdata]) -> Iterator[None]:
    return iter(())


def _host(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


@dataclass(frozen=True, slots=True)
class _Found:
    """What a query brought, and for how many seconds it holds."""

    finding: Finding
    records: tuple[Rdata, ...] = ()
    text: str = ""
    ttl: float = 0.0
    is_secure: bool = False
    alias_of: str = ""


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[T]):
    answer: Answer[T]
    since: float
    ttl: float

    def holds_at(self, now: float) -> bool:
        return 0 <= now - self.since < self.ttl  # and not for ever when the clock steps back


class _Records(Generic[T]):
    """The records of one type: remembered, and asked for once where many want them."""

    def __init__(
        self,
        kind: RdataType,
        read: Callable[[Iterable[Rdata]], Iterator[T]],
        query: "_Asks",
        clock: Callable[[], float],
        size: int,
        longest: float = _MAX_TTL,
    ) -> None:
        self._size = size
        self._longest = longest
        self._kind = kind
        self._read = read
        self._query = query
        self._clock = clock
        self._memory: OrderedDict[str, _Remembered[T]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Answer[T]]] = {}

    async def of(self, name: str) -> Answer[T]:
        remembered = self._memory.get(name)
        if remembered is not None and remembered.holds_at(self._clock()):
            self._memory.move_to_end(name)
            return remembered.answer
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(self._under_way.get(name) or self._start(name))

    def _start(self, name: str) -> asyncio.Task[Answer[T]]:
        task = asyncio.create_task(self._ask(name), name=f"lookup {self._kind.name} {name}")
        self._under_way[name] = task
        task.add_done_callback(lambda _: self._under_way.pop(name))
        return task

    async def _ask(self, name: str) -> Answer[T]:
        found = await self._query.ask(name, self._kind)
        records = tuple(islice(self._read(found.records), _MAX_RECORDS))
        answer = Answer(found.finding, records, found.text, found.is_secure, found.alias_of)
        self._remember(name, answer, min(found.ttl, self._longest))
        if self._query.on_answer is not None:
            self._query.on_answer(self._kind.name, name, cast("Answer[object]", answer))
        return answer

    def _remember(self, name: str, answer: Answer[T], ttl: float) -> None:
        if ttl <= 0:
            return
        self._memory[name] = _Remembered(answer, self._clock(), ttl)
        self._memory.move_to_end(name)
        if len(self._memory) > self._size:
            self._memory.popitem(last=False)


class _Asks(Protocol):
    @property
    def on_answer(self) -> OnAnswer | None:
        """Who hears of answers."""

    async def ask(self, name: str, kind: RdataType) -> _Found:
        """Never raises."""


class _DoubtingQuery:
    """Asks, and believes that an answer is secure where the root's own is.

    A resolver that does not validate says so of none. What was seen last counts while the root
    cannot be had: otherwise who keeps it from us could make secure answers look like others.
    """

    def __init__(self, query: "_Query", root: "_Records[None]") -> None:
        self.on_answer = query.on_answer
        self._query = query
        self._root = root
        self._is_validating: bool | None = None

    async def ask(self, name: str, kind: RdataType) -> _Found:
        """Never raises."""
        found = await self._query.ask(name, kind)
        if not found.is_secure:
            return found
        root = await self._root.of(".")
        if root.finding is not Finding.UNKNOWN:
            self._is_validating = root.is_secure
        if self._is_validating is None:
            text = f"whether the resolver validates cannot be seen now: {root.text}"
            return _Found(Finding.UNKNOWN, text=text[:_MAX_TEXT])
        return replace(found, is_secure=self._is_validating)


class _Query:
    """Asks servers, one after the other, within a time limit in seconds."""

    def __init__(
        self, servers: "Sequence[_Server]", timeout: float, on_answer: OnAnswer | None
    ) -> None:
        self.on_answer = on_answer
        self._timeout = timeout
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = list(servers)
        self._resolver.use_edns(0, 0, _EDNS_PAYLOAD)
        # AD in a query asks for AD in its answer, and for no signatures (RFC 6840 §5.7).
        self._resolver.set_flags(dns.flags.RD | dns.flags.AD)

    async def ask(self, name: str, kind: RdataType) -> _Found:
        """Never raises."""
        try:
            absolute = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            return _Found(Finding.NO_NAME, text=f"no such name can be: {error}"[:_MAX_TEXT])
        if absolute == dns.name.root and kind != RdataType.SOA:
            return _Found(Finding.NO_NAME, text="no such name can be: it is empty")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(absolute, kind)
        except TimeoutError:
            return _Found(Finding.UNKNOWN, text=f"no answer within {self._timeout:g} s")
        except dns.exception.DNSException as error:
            return _Found(Finding.UNKNOWN, text=_explanation(error))

    async def _follow(self, name: dns.name.Name, kind: RdataType) -> _Found:
        """Ask for a name, and for what it is an alias of where the server did not say."""
        ttl, is_secure, asked = _MAX_TTL, True, name
        for _ in range(_MAX_ALIASES):
            try:
                answer = await self._resolver.resolve(
                    name, kind, raise_on_no_answer=False, search=False, lifetime=self._timeout
                )
            except dns.resolver.NXDOMAIN as denial:
                response = denial.kwargs["responses"][name]
                is_secure = is_secure and _is_secure(response)
                ttl = min(ttl, response.resolve_chaining().minimum_ttl, _MAX_NEGATIVE_TTL)
                text = f"{_host(name)} does not exist"
                return _Found(Finding.NO_NAME, (), text, ttl, is_secure)
            chain = answer.chaining_result
            is_secure = is_secure and _is_secure(answer.response)
            ttl = min(ttl, chain.minimum_ttl)
            if answer.rrset is not None:
                end = chain.canonical_name
                alias_of = "" if end == asked else _host(end)
                return _Found(
                    Finding.RECORDS, tuple(answer.rrset), "", ttl, is_secure, alias_of=alias_of
                )
            if not chain.cnames or _has(answer.response, RdataType.SOA):
                text = f"{_host(name)} has no {kind.name} records"
                ttl = min(ttl, _MAX_NEGATIVE_TTL)
                return _Found(Finding.NO_DATA, (), text, ttl, is_secure)
            # An alias, and no proof that its end has nothing (RFC 2308 §2.2): perhaps a circle.
            name = chain.canonical_name
        return _Found(Finding.UNKNOWN, text="CNAME records go in a circle, or on for too long")


def _is_believed(validation: Validation, addresses: Iterable[str]) -> bool:
    """Whether it counts what the servers at these addresses say of signatures.

    As a rule where they are reached without a network (RFC 4035 §4.9.3): all of them, since what
    is bogus to one is asked of the next.
    """
    if validation is not Validation.AUTO:
        return validation is Validation.YES
    return all(
        address != _DOCKER and ip_address(address.partition("%")[0]).is_loopback
        for address in addresses
    )


def _is_secure(response: dns.message.Message) -> bool:
    return bool(response.flags & dns.flags.AD)


class _Lame(dns.exception.FormError):
    """Does not resolve for us."""


class _Server(dns.nameserver.Do53Nameserver):
    """A DNS server that is to resolve for us, whose "ask somebody else" is no answer.

    What it says of signatures counts where it `is_believed`.
    """

    def __init__(self, address: str, port: int, *, is_believed: bool) -> None:
        super().__init__(address, port)
        self._is_believed = is_believed

    async def async_query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: dns.asyncbackend.Backend,  # type: ignore[name-defined]  # it is, not for mypy
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        response = await super().async_query(
            request,
            timeout,
            source,
            source_port,
            max_size,
            backend,
            one_rr_per_rrset,
            ignore_trailing,
        )
        if _is_referral(response):
            raise _Lame  # on to the next server
        if not self._is_believed:
            response.flags &= ~dns.flags.AD
        return response


def _is_referral(response: dns.message.Message) -> bool:
    return (
        response.rcode() == dns.rcode.NOERROR
        and not response.answer
        and _has(response, RdataType.NS)
        and not _has(response, RdataType.SOA)
    )


def _has(response: dns.message.Message, kind: RdataType) -> bool:
    return any(rrset.rdtype == kind for rrset in response.authority)


def _explanation(error: dns.exception.DNSException) -> str:
    """What each server did, in a line, as in "127.0.0.1@53: SERVFAIL"."""
    each = (
        f"{server.removeprefix('Do53:')}: {what}"
        for server, _tcp, _port, what, _response in error.kwargs.get("errors", ())
    )
    return "; ".join(dict.fromkeys(each))[:_MAX_TEXT] or str(error)[:_MAX_TEXT]


def _system_nameservers(resolv_conf: Path) -> list[tuple[str, int]]:
    resolver = dns.resolver.Resolver(configure=False)
    try:
        resolver.read_resolv_conf(resolv_conf)
    except (dns.resolver.NoResolverConfiguration, ValueError) as error:
        raise NoNameserver(
            f"expected nameserver lines in {resolv_conf}, got: {error}; "
            "add one there, or name servers in dns.nameservers"
        ) from error
    return [(str(address), 53) for address in resolver.nameservers]
