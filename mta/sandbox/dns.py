"""A small DNS server on loopback, with characters: for the sandbox and for tests.

It answers for whatever stands in its zone, over UDP and TCP, and says NXDOMAIN to the rest. A
name may be scripted to misbehave as servers on the Internet do.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdataclass import IN
from dns.rdatatype import RdataType

NULL_MX = ((0, "."),)  # RFC 7505

_MAX_CHAIN = 8  # CNAMEs followed in one response
_UDP_SIZE = 512  # octets of a response, where the query has no EDNS (RFC 1035 §4.2.1)
_STRING = 255  # octets of one string in a TXT record (RFC 1035 §3.3)
_IDLE = 10.0  # seconds that a TCP connection may rest
_PORTS_TRIED = 20


class Behaviour(StrEnum):
    """How the server answers queries for a name."""

    ANSWER = "answer"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    REFERRAL = "referral"  # lame: "ask somebody else"
    ALIAS_ALONE = "alias alone"  # gives a CNAME, and does not follow it
    SILENCE = "silence"
    TRUNCATE = "truncate"  # over UDP; the whole answer over TCP
    GARBAGE = "garbage"  # octets that are no DNS message
    WRONG_ID = "wrong id"  # as a blind forger's


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What one name has. `mx` pairs a preference with a host; `ttl` is in seconds.

    A text of any length goes into `txt` in one piece; `tlsa` is in the form of master files.
    """

    mx: tuple[tuple[int, str], ...] = ()
    a: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()
    cname: str | None = None
    txt: tuple[str, ...] = ()
    ns: tuple[str, ...] = ()
    ptr: tuple[str, ...] = ()
    tlsa: tuple[str, ...] = ()
    ttl: int = 60
    behaviour: Behaviour = Behaviour.ANSWER


@dataclass(frozen=True, slots=True)
class Query:
    """A query that came: `name` in lower case without the final dot, `type` as in "MX"."""

    name: str
    type: str
    is_tcp: bool


class DnsServer:
    """Answers on one loopback address, over UDP and TCP, while its `async with` block lasts.

    `zone` maps names, in lower case without the final dot, to what they have; it may be changed
    while the server runs. `queries` holds the latest thousand queries. Port 0 takes a free port,
    which `address` tells. What is at or below one of the names `signed` it calls secure, as a
    resolver does that validated it; "." is the root alone.
    """

    def __init__(
        self,
        zone: Mapping[str, Records],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        signed: Collection[str] = (),
    ) -> None:
        self.zone = dict(zone)
        self.signed = set(signed)
        self.queries: deque[Query] = deque(maxlen=1000)
        self.address = (host, port)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        host, port = self.address
        for tries_left in reversed(range(_PORTS_TRIED if port == 0 else 1)):
            self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(host, port)
            )
            bound = self._udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await asyncio.start_server(self._converse, host, bound)
            except OSError:  # free for UDP, taken for TCP
                self._udp.close()
                if not tries_left:
                    raise
            else:
                self.address = (host, bound)
                break
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # lets the closed transports leave the loop

    def response_to(self, wire: bytes, *, is_tcp: bool) -> bytes | None:
        """The octets to answer a query with; None for silence."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if len(query.question) != 1 or query.flags & dns.flags.QR:
            return None
        question = query.question[0]
        name = _text(question.name)
        self.queries.append(Query(name, dns.rdatatype.to_text(question.rdtype), is_tcp))
        records = self.zone.get(name)
        behaviour = records.behaviour if records else Behaviour.ANSWER
        return self._behave(behaviour, query, is_tcp=is_tcp)

    def _behave(
        self, behaviour: Behaviour, query: dns.message.Message, *, is_tcp: bool
    ) -> bytes | None:
        response = dns.message.make_response(query)
        match behaviour:
            case Behaviour.SILENCE:
                return None
            case Behaviour.GARBAGE:
                return response.to_wire()[:2] + b"\xff" * 40
            case Behaviour.SERVFAIL:
                response.set_rcode(dns.rcode.SERVFAIL)
            case Behaviour.REFUSED:
                response.set_rcode(dns.rcode.REFUSED)
            case Behaviour.REFERRAL:
                response.authority.append(_rrset(dns.name.root, "NS", ("a.root.test.",), 60))
            case Behaviour.TRUNCATE if not is_tcp:
                response.flags |= dns.flags.TC
            case _:
                is_secure = self._answer(response)
                if (
                    is_secure and query.flags & dns.flags.AD
                ):  # who says it understands, RFC 6840 §5.7
                    response.flags |= dns.flags.AD
        if behaviour is Behaviour.WRONG_ID:
            response.id ^= 0xFFFF
        max_size = 65_535 if is_tcp else max(query.payload, _UDP_SIZE)
        return response.to_wire(max_size=max_size, prefer_truncation=True)

    def _answer(self, response: dns.message.Message) -> bool:
        """Fill in what the zone has, following CNAMEs, or the proof that it has nothing.

        Gives whether all of it is signed.
        """
        response.flags |= dns.flags.AA | dns.flags.RA
        question = response.question[0]
        name, kind = question.name, question.rdtype
        is_secure = self._is_signed(name)
        for _ in range(_MAX_CHAIN):
            records = self.zone.get(_text(name))
            if records is None or records.cname is None or kind == RdataType.CNAME:
                break
            response.answer.append(_rrset(name, "CNAME", (_absolute(records.cname),), records.ttl))
            if records.behaviour is Behaviour.ALIAS_ALONE:
                return is_secure
            name = dns.name.from_text(records.cname)
            is_secure = is_secure and self._is_signed(name)
        else:
            return is_secure
        if kind == RdataType.SOA and _text(name) in self.signed:
            response.answer.append(_soa(name, 60))
            return is_secure
        records = self.zone.get(_text(name))
        found = tuple(_contents(records, kind)) if records else ()
        if records and found:
            response.answer.append(_rrset(name, dns.rdatatype.to_text(kind), found, records.ttl))
            return is_secure
        if records is None and not self._is_above_others(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(_soa(name, records.ttl if records else 60))
        return is_secure

    def _is_signed(self, name: dns.name.Name) -> bool:
        text = _text(name)
        return text in self.signed or any(
            text.endswith("." + zone) for zone in self.signed if zone != "."
        )

    def _is_above_others(self, name: dns.name.Name) -> bool:
        """Whether the name exists for the sake of those below it (RFC 8020 §2)."""
        return any(other.endswith("." + _text(name)) for other in self.zone)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections.add(task)
        try:
            async with asyncio.timeout(_IDLE):
                while True:
                    size = int.from_bytes(await reader.readexactly(2))
                    response = self.response_to(await reader.readexactly(size), is_tcp=True)
                    if response is not None:
                        writer.write(len(response).to_bytes(2) + response)
                        await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # the client is done, or we are
        finally:
            writer.close()
            self._connections.discard(task)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._server.response_to(data, is_tcp=False)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


def _contents(records: Records, kind: RdataType) -> Iterator[str]:
    """The records of one type, in the text form of master files (RFC 1035 §5.1)."""
    match kind:
        case RdataType.MX:
            yield from (f"{preference} {_absolute(host)}" for preference, host in records.mx)
        case RdataType.A:
            yield from records.a
        case RdataType.AAAA:
            yield from records.aaaa
        case RdataType.TXT:
            yield from map(_in_strings, records.txt)
        case RdataType.NS:
            yield from map(_absolute, records.ns)
        case RdataType.PTR:
            yield from map(_absolute, records.ptr)
        case RdataType.TLSA:
            yield from records.tlsa
        case RdataType.CNAME if records.cname is not None:
            yield _absolute(records.cname)


def _in_strings(text: str) -> str:
    pieces = [text[start : start + _STRING] for start in range(0, len(text), _STRING)] or [""]
    escaped = (piece.replace("\\", "\\\\").replace('"', '\\"') for piece in pieces)
    return " ".join(f'"{piece}"' for piece in escaped)


def _rrset(name: dns.name.Name, kind: str, contents: tuple[str, ...], ttl: int) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, ttl, IN, kind, contents)


def _soa(name: dns.name.Name, ttl: int) -> dns.rrset.RRset:
    """What makes a negative answer one to remember, and for how long (RFC 2308 §3)."""
    top = dns.name.Name(name.labels[-2:])
    above = "" if top == dns.name.root else str(top)
    return _rrset(top, "SOA", (f"ns.{above} hostmaster.{above} 1 3600 600 86400 {ttl}",), ttl)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _absolute(name: str) -> str:
    return name.rstrip(".") + "."
