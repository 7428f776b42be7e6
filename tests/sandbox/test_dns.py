"""The sandbox's DNS server, asked by a plain client."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest
from dns.message import Message
from dns.rdatatype import RdataType

from mta.sandbox.dns import NULL_MX, Behaviour, DnsServer, Query, Records

LONG_KEY = "v=DKIM1; p=" + "A" * 600

ZONE = {
    "there.test": Records(mx=((10, "mx1.there.test"), (20, "mx2.there.test"))),
    "mx1.there.test": Records(a=("127.0.0.2",), aaaa=("::1",)),
    "alias.test": Records(cname="mx1.there.test"),
    "dangling.test": Records(cname="nowhere.test"),
    "round.test": Records(cname="again.test"),
    "again.test": Records(cname="round.test"),
    "nomail.test": Records(mx=NULL_MX),
    "s1._domainkey.there.test": Records(txt=(LONG_KEY, 'a "b" \\ c')),
    "many.test": Records(mx=tuple((n, f"mx{n}.many.test") for n in range(200))),
}


async def over_udp(server: DnsServer, query: Message) -> Message:
    host, port = server.address
    return await dns.asyncquery.udp(query, host, port=port, timeout=5)


async def over_tcp(server: DnsServer, query: Message) -> Message:
    host, port = server.address
    return await dns.asyncquery.tcp(query, host, port=port, timeout=5)


def ask(
    name: str,
    kind: str,
    *,
    zone: Mapping[str, Records] = ZONE,
    over: Callable[[DnsServer, Message], Awaitable[Message]] = over_udp,
    edns: bool = False,
) -> Message:
    async def scene() -> Message:
        async with DnsServer(zone) as server:
            return await over(server, dns.message.make_query(name, kind, use_edns=edns))

    return asyncio.run(scene())


def answers(message: Message) -> list[str]:
    return [str(record).lower() for rrset in message.answer for record in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("there.test", "MX", ["10 mx1.there.test.", "20 mx2.there.test."]),
        ("THERE.test", "MX", ["10 mx1.there.test.", "20 mx2.there.test."]),
        ("mx1.there.test", "A", ["127.0.0.2"]),
        ("mx1.there.test", "AAAA", ["::1"]),
        ("alias.test", "A", ["mx1.there.test.", "127.0.0.2"]),
        ("alias.test", "CNAME", ["mx1.there.test."]),
        ("nomail.test", "MX", ["0 ."]),
    ],
)
def test_it_answers_with_what_the_zone_has(name: str, kind: str, expected: list[str]) -> None:
    message = ask(name, kind)

    assert message.rcode() == dns.rcode.NOERROR
    assert sorted(answers(message)) == sorted(expected)


def test_it_answers_over_tcp_too() -> None:
    assert answers(ask("mx1.there.test", "A", over=over_tcp)) == ["127.0.0.2"]


def test_a_name_that_is_not_there_has_a_negative_answer_to_remember() -> None:
    message = ask("nowhere.test", "MX")

    assert message.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.rdtype for rrset in message.authority] == [RdataType.SOA]


@pytest.mark.parametrize(
    ("name", "kind"), [("mx1.there.test", "MX"), ("_domainkey.there.test", "A")]
)
def test_a_name_without_such_records_exists_all_the_same(name: str, kind: str) -> None:
    message = ask(name, kind)

    assert message.rcode() == dns.rcode.NOERROR
    assert answers(message) == []
    assert [rrset.rdtype for rrset in message.authority] == [RdataType.SOA]


def test_an_alias_that_leads_nowhere_says_so() -> None:
    message = ask("dangling.test", "A")

    assert message.rcode() == dns.rcode.NXDOMAIN
    assert answers(message) == ["nowhere.test."]


def test_aliases_in_a_circle_end() -> None:
    assert set(answers(ask("round.test", "A"))) == {"again.test.", "round.test."}


def test_an_alias_can_be_given_alone() -> None:
    alone = Records(cname="mx1.there.test", behaviour=Behaviour.ALIAS_ALONE)

    message = ask("alone.test", "A", zone=ZONE | {"alone.test": alone})

    assert answers(message) == ["mx1.there.test."]
    assert message.authority == []


def test_a_long_text_is_published_in_strings() -> None:
    message = ask("s1._domainkey.there.test", "TXT", over=over_tcp)

    strings = [record.strings for record in message.answer[0]]
    assert sorted(b"".join(pieces).decode() for pieces in strings) == sorted(
        [LONG_KEY, 'a "b" \\ c']
    )
    assert max(len(piece) for pieces in strings for piece in pieces) == 255


@pytest.mark.parametrize("edns", [False, True])
def test_what_does_not_fit_a_datagram_is_cut_and_comes_whole_over_tcp(edns: bool) -> None:
    short = ask("many.test", "MX", edns=edns)
    whole = ask("many.test", "MX", edns=edns, over=over_tcp)

    assert short.flags & dns.flags.TC
    assert not whole.flags & dns.flags.TC
    assert len(answers(whole)) == 200


@pytest.mark.parametrize(
    ("behaviour", "rcode"),
    [(Behaviour.SERVFAIL, dns.rcode.SERVFAIL), (Behaviour.REFUSED, dns.rcode.REFUSED)],
)
def test_a_name_can_be_refused(behaviour: Behaviour, rcode: dns.rcode.Rcode) -> None:
    zone = {"there.test": Records(mx=NULL_MX, behaviour=behaviour)}

    message = ask("there.test", "MX", zone=zone)

    assert (message.rcode(), answers(message)) == (rcode, [])


def test_a_name_can_be_cut_over_udp_alone() -> None:
    zone = {"there.test": Records(a=("127.0.0.2",), behaviour=Behaviour.TRUNCATE)}

    cut = ask("there.test", "A", zone=zone)
    whole = ask("there.test", "A", zone=zone, over=over_tcp)

    assert (bool(cut.flags & dns.flags.TC), answers(cut)) == (True, [])
    assert answers(whole) == ["127.0.0.2"]


def scripted(behaviour: Behaviour) -> bytes | None:
    server = DnsServer({"there.test": Records(a=("127.0.0.2",), behaviour=behaviour)})
    return server.response_to(dns.message.make_query("there.test", "A").to_wire(), is_tcp=False)


def test_a_name_can_be_met_with_silence() -> None:
    assert scripted(Behaviour.SILENCE) is None


def test_a_name_can_be_answered_with_garbage() -> None:
    wire = scripted(Behaviour.GARBAGE)

    assert wire is not None
    with pytest.raises(dns.exception.DNSException):
        dns.message.from_wire(wire)


def test_a_name_can_be_answered_under_another_id() -> None:
    query = dns.message.make_query("there.test", "A")
    server = DnsServer({"there.test": Records(behaviour=Behaviour.WRONG_ID)})

    wire = server.response_to(query.to_wire(), is_tcp=False)

    assert wire is not None
    assert dns.message.from_wire(wire).id == query.id ^ 0xFFFF


@pytest.mark.parametrize("wire", [b"", b"\0", b"\xff" * 600])
def test_what_is_no_query_gets_no_answer(wire: bytes) -> None:
    assert DnsServer(ZONE).response_to(wire, is_tcp=False) is None


def test_the_zone_can_change_while_the_server_runs_and_queries_are_kept() -> None:
    async def scene() -> tuple[list[str], list[Query]]:
        async with DnsServer({}) as server:
            server.zone["new.test"] = Records(a=("127.0.0.9",))
            message = await over_udp(server, dns.message.make_query("New.test", "A"))
            return answers(message), list(server.queries)

    assert asyncio.run(scene()) == (["127.0.0.9"], [Query("new.test", "A", is_tcp=False)])


def test_a_client_that_stays_connected_does_not_keep_the_server_from_closing() -> None:
    async def scene() -> bool:
        async with DnsServer(ZONE) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"\x00")
            await writer.drain()
        try:
            async with asyncio.timeout(5):
                return await reader.read() == b""
        except ConnectionResetError:
            return True
        finally:
            writer.close()

    assert asyncio.run(scene())
