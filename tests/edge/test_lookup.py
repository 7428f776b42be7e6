"""Lookups, against a real server on loopback that can misbehave."""

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from mta.model.domain import Answer, Finding, Mx, Tlsa, Validation
from mta.model.trouble import NoNameserver

from mta.flow.ports import Lookup

from mta.edge.lookup import DnsLookup, _system_nameservers

from mta.sandbox.dns import NULL_MX, Behaviour, DnsServer, Query, Records

T = TypeVar("T")

LONG_KEY = "v=DKIM1; p=" + "A" * 600

ZONE = {
    "there.test": Records(mx=((20, "MX2.There.test"), (10, "mx1.there.test"))),
    "mx1.there.test": Records(a=("127.0.0.2", "127.0.0.3"), aaaa=("::1",)),
    "four.test": Records(a=("127.0.0.4",)),
    "six.test": Records(aaaa=("2001:db8::6",)),
    "nomail.test": Records(mx=NULL_MX),
    "alias.test": Records(cname="there.test"),
    "to-host.test": Records(cname="four.test"),
    "dangling.test": Records(cname="nowhere.test"),
    "s1._domainkey.there.test": Records(txt=(LONG_KEY,)),
    "4.0.0.127.in-addr.arpa": Records(ptr=("Four.Test",)),
    "1." + "0." * 31 + "ip6.arpa": Records(ptr=("loopback.test", "localhost")),
    "many.test": Records(mx=tuple((n, f"mx{n}.many.test") for n in range(200))),
    "odd.test": Records(mx=((1, r"a\.b.test"), (2, r"\000\255.test"), (3, "192.0.2.1"))),
}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def closed_port() -> tuple[str, int]:
    """A loopback address where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address, port = taken.getsockname()
    return address, port


def ask(
    question: Callable[[DnsLookup], Awaitable[T]],
    zone: Mapping[str, Records] = ZONE,
    *,
    timeout: float = 10.0,
) -> T:
    async def scene() -> T:
        async with DnsServer(zone) as server, asyncio.timeout(20):
            return await question(DnsLookup([server.address], timeout=timeout, clock=Clock()))

    return asyncio.run(scene())


def mx_of(domain: str, behaviour: Behaviour, *, timeout: float = 10.0) -> Answer[Mx]:
    zone = {domain: Records(mx=((10, "mx.test"),), behaviour=behaviour)}
    return ask(lambda lookup: lookup.mx(domain), zone, timeout=timeout)


def test_it_keeps_the_flows_promise() -> None:
    lookup: Lookup = DnsLookup([("127.0.0.1", 53)], clock=time.time)

    assert isinstance(lookup, DnsLookup)


# Facts


def test_the_reverse_names_of_an_address_are_found() -> None:
    assert ask(lambda lookup: lookup.pointers("127.0.0.4")).records == ("four.test",)
    assert set(ask(lambda lookup: lookup.pointers("::1")).records) == {"loopback.test", "localhost"}


def test_an_address_may_have_no_reverse_name() -> None:
    assert ask(lambda lookup: lookup.pointers("127.0.0.5")).finding is Finding.NO_NAME


def test_the_exchangers_of_a_domain_are_found() -> None:
    answer = ask(lambda lookup: lookup.mx("there.test"))

    assert answer.finding is Finding.RECORDS
    assert set(answer.records) == {Mx(10, "mx1.there.test"), Mx(20, "mx2.there.test")}


def test_a_null_mx_is_an_exchanger_without_a_name() -> None:
    assert ask(lambda lookup: lookup.mx("nomail.test")).records == (Mx(0, ""),)


def test_a_domain_that_is_an_alias_has_the_exchangers_of_its_end() -> None:
    assert len(ask(lambda lookup: lookup.mx("alias.test")).records) == 2


def test_odd_names_of_exchangers_come_escaped() -> None:
    answer = ask(lambda lookup: lookup.mx("odd.test"))

    assert {record.host for record in answer.records} == {
        r"a\.b.test",
        r"\000\255.test",
        "192.0.2.1",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mx1.there.test", {"::1", "127.0.0.2", "127.0.0.3"}),
        ("four.test", {"127.0.0.4"}),
        ("six.test", {"2001:db8::6"}),
        ("to-host.test", {"127.0.0.4"}),
    ],
)
def test_the_addresses_of_both_families_are_found(name: str, expected: set[str]) -> None:
    answer = ask(lambda lookup: lookup.addresses(name))

    assert answer.finding is Finding.RECORDS
    assert set(answer.records) == expected


@pytest.mark.parametrize("name", ["localhost", "app.localhost"])
def test_localhost_is_never_asked_for(name: str) -> None:
    answer = ask(lambda lookup: lookup.addresses(name), {})

    assert answer == Answer(Finding.RECORDS, ("::1", "127.0.0.1"))


def test_a_text_comes_in_one_piece() -> None:
    answer = ask(lambda lookup: lookup.txt("s1._domainkey.there.test"))

    assert answer == Answer(Finding.RECORDS, (LONG_KEY,))


@pytest.mark.parametrize("name", ["nowhere.test", "dangling.test"])
def test_a_name_that_does_not_exist_is_a_fact(name: str) -> None:
    mx = ask(lambda lookup: lookup.mx(name))
    addresses = ask(lambda lookup: lookup.addresses(name))

    assert (mx.finding, mx.records) == (Finding.NO_NAME, ())
    assert addresses.finding is Finding.NO_NAME
    assert "does not exist" in mx.text


@pytest.mark.parametrize("name", ["four.test", "to-host.test"])
def test_a_name_without_such_records_is_a_fact(name: str) -> None:
    assert ask(lambda lookup: lookup.mx(name)).finding is Finding.NO_DATA


def test_a_host_without_addresses_is_a_fact() -> None:
    assert ask(lambda lookup: lookup.addresses("nomail.test")).finding is Finding.NO_DATA


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64 + ".test", "x." * 200, "\\", "ü" * 70])
def test_what_cannot_be_a_name_does_not_exist(name: str) -> None:
    answer = ask(lambda lookup: lookup.mx(name), {})

    assert answer.finding is Finding.NO_NAME
    assert answer.text.startswith("no such name can be")


# What is not known


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour.SERVFAIL, "SERVFAIL"),
        (Behaviour.REFUSED, "REFUSED"),
        (Behaviour.REFERRAL, "Does not resolve for us"),
    ],
)
def test_a_server_that_fails_leaves_it_unknown_and_is_named(
    behaviour: Behaviour, reason: str
) -> None:
    answer = mx_of("there.test", behaviour)

    assert answer.finding is Finding.UNKNOWN
    assert answer.text.startswith("127.0.0.1@")
    assert reason in answer.text


@pytest.mark.parametrize("behaviour", [Behaviour.SILENCE, Behaviour.GARBAGE, Behaviour.WRONG_ID])
def test_a_server_that_gives_no_answer_to_believe_leaves_it_unknown(behaviour: Behaviour) -> None:
    answer = mx_of("there.test", behaviour, timeout=0.3)

    assert (answer.finding, answer.text) == (Finding.UNKNOWN, "no answer within 0.3 s")


def test_a_port_where_nobody_listens_leaves_it_unknown() -> None:
    async def scene() -> Answer[Mx]:
        return await DnsLookup([closed_port()], timeout=0.3, clock=Clock()).mx("there.test")

    assert asyncio.run(scene()).finding is Finding.UNKNOWN


@pytest.mark.parametrize("behaviour", [Behaviour.ANSWER, Behaviour.ALIAS_ALONE])
def test_aliases_in_a_circle_leave_it_unknown(behaviour: Behaviour) -> None:
    zone = {
        "round.test": Records(cname="again.test", behaviour=behaviour),
        "again.test": Records(cname="round.test", behaviour=behaviour),
    }

    mx = ask(lambda lookup: lookup.mx("round.test"), zone)
    addresses = ask(lambda lookup: lookup.addresses("round.test"), zone)

    assert mx.finding is Finding.UNKNOWN
    assert addresses.finding is Finding.UNKNOWN
    assert "CNAME" in mx.text or "chain" in mx.text


def test_addresses_are_unknown_where_none_was_found_and_one_type_failed() -> None:
    class HalfSilent(DnsServer):
        def response_to(self, wire: bytes, *, is_tcp: bool) -> bytes | None:
            response = super().response_to(wire, is_tcp=is_tcp)
            return None if self.queries[-1].type == "AAAA" else response

    async def scene() -> tuple[Answer[str], Answer[str]]:
        async with HalfSilent(ZONE) as server:
            lookup = DnsLookup([server.address], timeout=0.3, clock=Clock())
            return await lookup.addresses("nomail.test"), await lookup.addresses("four.test")

    without, with_one = asyncio.run(scene())

    assert without.finding is Finding.UNKNOWN
    assert with_one == Answer(Finding.RECORDS, ("127.0.0.4",))


class Mangling(DnsServer):
    """Flips bits behind the id of whatever it would say, over TCP alone or over both."""

    def __init__(self, zone: Mapping[str, Records], *, over_udp: bool) -> None:
        super().__init__(zone)
        self._over_udp = over_udp
        self._random = random.Random(7)

    def response_to(self, wire: bytes, *, is_tcp: bool) -> bytes | None:
        response = super().response_to(wire, is_tcp=is_tcp)
        if response is None or not (is_tcp or self._over_udp):
            return response
        mangled = bytearray(response)
        for _ in range(self._random.randint(1, 6)):
            mangled[self._random.randrange(2, len(mangled))] ^= 1 << self._random.randrange(8)
        return bytes(mangled[: self._random.choice([len(mangled), len(mangled) - 3, 12])])


@pytest.mark.parametrize("over_udp", [True, False])
def test_no_mangled_response_makes_an_exception_escape(over_udp: bool) -> None:
    behaviour = Behaviour.ANSWER if over_udp else Behaviour.TRUNCATE
    names = [f"name{n}.test" for n in range(150)]
    records = Records(
        mx=((10, "mx.test"),), a=("127.0.0.2",), txt=("some text",), behaviour=behaviour
    )

    async def scene() -> set[Finding]:
        async with Mangling(dict.fromkeys(names, records), over_udp=over_udp) as server:
            lookup = DnsLookup([server.address], timeout=0.5, clock=Clock())
            mx = await asyncio.gather(*map(lookup.mx, names))
            addresses = await asyncio.gather(*map(lookup.addresses, names))
            texts = await asyncio.gather(*map(lookup.txt, names))
            return {answer.finding for answer in (*addresses, *texts)} | {
                answer.finding for answer in mx
            }

    assert Finding.UNKNOWN in asyncio.run(scene())


# Getting through


@pytest.mark.parametrize(
    "behaviour", [Behaviour.SERVFAIL, Behaviour.REFUSED, Behaviour.REFERRAL, Behaviour.SILENCE]
)
def test_the_next_server_is_asked_where_one_fails(behaviour: Behaviour) -> None:
    async def scene() -> Answer[Mx]:
        bad = {"there.test": Records(behaviour=behaviour)}
        async with DnsServer(bad) as first, DnsServer(ZONE) as second, asyncio.timeout(20):
            lookup = DnsLookup([first.address, second.address], clock=Clock())
            return await lookup.mx("there.test")

    assert asyncio.run(scene()).finding is Finding.RECORDS


def test_a_cut_answer_is_fetched_whole_over_tcp() -> None:
    assert len(ask(lambda lookup: lookup.mx("many.test")).records) == 200


def test_an_alias_that_the_server_did_not_follow_is_followed() -> None:
    step = Records(cname="there.test", behaviour=Behaviour.ALIAS_ALONE)

    answer = ask(lambda lookup: lookup.mx("step.test"), ZONE | {"step.test": step})

    assert len(answer.records) == 2


def test_it_works_under_uvloop_too() -> None:
    async def scene() -> tuple[Answer[Mx], Answer[Mx]]:
        async with DnsServer(ZONE) as server:
            lookup = DnsLookup([server.address], clock=Clock())
            return await lookup.mx("nomail.test"), await lookup.mx("many.test")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        over_udp, over_tcp = runner.run(scene())

    assert (len(over_udp.records), len(over_tcp.records)) == (1, 200)


# Memory


class Desk:
    """A lookup, its clock and its server, while the scene lasts."""

    def __init__(self, server: DnsServer) -> None:
        self.clock = Clock()
        self.server = server
        self.lookup = DnsLookup([server.address], clock=self.clock)

    @property
    def queries(self) -> int:
        return len(self.server.queries)


def at_desk(scene: Callable[[Desk], Awaitable[T]], zone: Mapping[str, Records] = ZONE) -> T:
    async def whole() -> T:
        async with DnsServer(zone) as server, asyncio.timeout(20):
            return await scene(Desk(server))

    return asyncio.run(whole())


@pytest.mark.parametrize("name", ["there.test", "four.test", "nowhere.test", "alias.test"])
def test_an_answer_is_remembered_until_its_time_is_over(name: str) -> None:
    async def scene(desk: Desk) -> list[int]:
        counts = []
        for seconds in (0.0, 59.0, 1.0):
            desk.clock.now += seconds
            await desk.lookup.mx(name)
            counts.append(desk.queries)
        return counts

    assert at_desk(scene) == [1, 1, 2]


def test_a_change_is_seen_once_the_old_answer_is_over() -> None:
    async def scene(desk: Desk) -> tuple[str, ...]:
        await desk.lookup.addresses("four.test")
        desk.server.zone["four.test"] = Records(a=("127.0.0.44",))
        desk.clock.now += 61
        return (await desk.lookup.addresses("four.test")).records

    assert at_desk(scene) == ("127.0.0.44",)


@pytest.mark.parametrize(
    ("records", "bound"),
    [
        (Records(mx=NULL_MX, ttl=2**31 - 1), 86_400),
        (Records(a=("127.0.0.2",), ttl=2**31 - 1), 900),
    ],
)
def test_no_answer_is_remembered_for_longer_than_is_good(records: Records, bound: int) -> None:
    async def scene(desk: Desk) -> list[int]:
        counts = []
        for seconds in (0, bound - 1, 1):
            desk.clock.now += seconds
            await desk.lookup.mx("there.test")
            counts.append(desk.queries)
        return counts

    assert at_desk(scene, {"there.test": records}) == [1, 1, 2]


def test_an_answer_without_time_is_not_remembered() -> None:
    async def scene(desk: Desk) -> int:
        await desk.lookup.mx("there.test")
        await desk.lookup.mx("there.test")
        return desk.queries

    assert at_desk(scene, {"there.test": Records(mx=NULL_MX, ttl=0)}) == 2


def test_a_clock_that_steps_back_makes_no_answer_last_for_ever() -> None:
    async def scene(desk: Desk) -> int:
        await desk.lookup.mx("there.test")
        desk.clock.now -= 500_000
        await desk.lookup.mx("there.test")
        return desk.queries

    assert at_desk(scene) == 2


def test_what_is_unknown_is_asked_again() -> None:
    async def scene(desk: Desk) -> tuple[Finding, Finding]:
        desk.server.zone["there.test"] = Records(behaviour=Behaviour.SERVFAIL)
        before = await desk.lookup.mx("there.test")
        desk.server.zone["there.test"] = ZONE["there.test"]
        after = await desk.lookup.mx("there.test")
        return before.finding, after.finding

    assert at_desk(scene) == (Finding.UNKNOWN, Finding.RECORDS)


def test_no_more_names_are_remembered_than_there_is_room_for() -> None:
    async def scene(desk: Desk) -> list[Query]:
        for name in ("there.test", "many.test", "there.test", "nomail.test"):
            await desk.lookup.mx(name)
        desk.server.queries.clear()
        for name in ("there.test", "nomail.test", "many.test"):
            await desk.lookup.mx(name)
        return list(desk.server.queries)

    async def small(desk: Desk) -> list[Query]:
        desk.lookup = DnsLookup([desk.server.address], clock=desk.clock, remembered=2)
        return await scene(desk)

    assert {query.name for query in at_desk(small)} == {"many.test"}


# Sharing


def test_many_that_want_the_same_share_one_query() -> None:
    async def scene(desk: Desk) -> tuple[int, int]:
        answers = await asyncio.gather(*(desk.lookup.mx("there.test") for _ in range(50)))
        return len({answer.finding for answer in answers}), desk.queries

    assert at_desk(scene) == (1, 1)


def test_one_that_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async def scene(desk: Desk) -> Finding:
        first = asyncio.create_task(desk.lookup.mx("there.test"))
        second = asyncio.create_task(desk.lookup.mx("there.test"))
        await asyncio.sleep(0)  # both are under way
        first.cancel()
        return (await second).finding

    assert at_desk(scene) is Finding.RECORDS


# The system's servers


def test_the_systems_servers_are_read_from_its_file(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("# mine\nsearch corp.test\nnameserver 127.0.0.1\nnameserver ::1\n")

    assert _system_nameservers(resolv_conf) == [("127.0.0.1", 53), ("::1", 53)]


@pytest.mark.parametrize("text", ["", "search corp.test\n", "nameserver soon\n", None])
def test_a_system_without_servers_is_an_error_that_names_file_and_cure(
    tmp_path: Path, text: str | None
) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    if text is not None:
        resolv_conf.write_text(text)

    with pytest.raises(NoNameserver) as caught:
        DnsLookup(clock=Clock(), resolv_conf=resolv_conf)

    assert str(resolv_conf) in str(caught.value)
    assert "dns.nameservers" in str(caught.value)


# Signatures

DIGEST = "0123456789abcdef" * 4
SIGNED_ZONE = {
    "there.test": Records(mx=((10, "mx.there.test"),)),
    "mx.there.test": Records(a=("127.0.0.2",), aaaa=("::1",)),
    "_25._tcp.mx.there.test": Records(tlsa=(f"3 1 1 {DIGEST}", r"2 0 0 3000")),
    "short.there.test": Records(tlsa=(r"\# 3 030101", r"\# 22 030101" + "aa" * 19)),
    "bad.there.test": Records(tlsa=(r"\# 1 03",)),
    "alias.there.test": Records(cname="mx.there.test"),
    "outwards.there.test": Records(cname="mx.plain.test"),
    "inwards.plain.test": Records(cname="mx.there.test"),
    "mx.plain.test": Records(a=("127.0.0.2",)),
}


def ask_signed(
    question: Callable[[DnsLookup], Awaitable[T]],
    *,
    validation: Validation = Validation.YES,
    signed: tuple[str, ...] = (".", "there.test"),
    host: str = "127.0.0.1",
    zone: Mapping[str, Records] = SIGNED_ZONE,
) -> T:
    async def scene() -> T:
        async with DnsServer(zone, signed=signed, host=host) as server, asyncio.timeout(20):
            lookup = DnsLookup([server.address], timeout=1.0, clock=Clock(), validation=validation)
            return await question(lookup)

    return asyncio.run(scene())


def test_tlsa_records_are_found() -> None:
    answer = ask_signed(lambda lookup: lookup.tlsa("_25._tcp.mx.there.test"))

    assert answer.is_secure
    assert set(answer.records) == {
        Tlsa(3, 1, 1, bytes.fromhex(DIGEST)),
        Tlsa(2, 0, 0, b"\x30\x00"),
    }


def test_tlsa_records_of_odd_lengths_are_found_as_they_are() -> None:
    answer = ask_signed(lambda lookup: lookup.tlsa("short.there.test"))

    assert {len(record.data) for record in answer.records} == {0, 19}


def test_a_tlsa_record_that_is_none_makes_the_answer_unknown() -> None:
    answer = ask_signed(lambda lookup: lookup.tlsa("bad.there.test"))

    assert answer.finding is Finding.UNKNOWN


def test_what_is_signed_is_secure_be_it_there_or_not() -> None:
    async def questions(lookup: DnsLookup) -> list[bool]:
        return [
            (await lookup.mx("there.test")).is_secure,
            (await lookup.addresses("mx.there.test")).is_secure,
            (await lookup.mx("mx.there.test")).is_secure,
            (await lookup.mx("nowhere.there.test")).is_secure,
            (await lookup.addresses("mx.plain.test")).is_secure,
            (await lookup.mx("nowhere.plain.test")).is_secure,
        ]

    assert ask_signed(questions) == [True, True, True, True, False, False]


def test_an_alias_is_as_secure_as_all_that_it_leads_to() -> None:
    async def questions(lookup: DnsLookup) -> list[tuple[str, bool]]:
        names = ("mx.there.test", "alias.there.test", "outwards.there.test", "inwards.plain.test")
        answers = [await lookup.addresses(name) for name in names]
        return [(answer.alias_of, answer.is_secure) for answer in answers]

    assert ask_signed(questions) == [
        ("", True),
        ("mx.there.test", True),
        ("mx.plain.test", False),
        ("mx.there.test", False),
    ]


def test_the_first_step_of_an_alias_may_be_secure_by_itself() -> None:
    async def questions(lookup: DnsLookup) -> list[Answer[str]]:
        names = ("outwards.there.test", "inwards.plain.test", "mx.there.test")
        return [await lookup.alias(name) for name in names]

    outwards, inwards, none = ask_signed(questions)

    assert (outwards.records, outwards.is_secure) == (("mx.plain.test",), True)
    assert (inwards.records, inwards.is_secure) == (("mx.there.test",), False)
    assert none.finding is Finding.NO_DATA


@pytest.mark.parametrize(
    ("validation", "host", "signed", "is_believed"),
    [
        (Validation.AUTO, "127.0.0.1", (".", "there.test"), True),
        (Validation.AUTO, "127.0.0.1", ("there.test",), False),  # the root's own is not signed
        (Validation.AUTO, "127.0.0.11", (".", "there.test"), False),  # Docker's forwarder
        (Validation.YES, "127.0.0.11", ("there.test",), True),
        (Validation.NO, "127.0.0.1", (".", "there.test"), False),
    ],
)
def test_a_resolver_is_believed_that_is_here_and_shows_that_it_validates(
    validation: Validation, host: str, signed: tuple[str, ...], is_believed: bool
) -> None:
    answer = ask_signed(
        lambda lookup: lookup.mx("there.test"), validation=validation, host=host, signed=signed
    )

    assert answer.finding is Finding.RECORDS
    assert answer.is_secure is is_believed


def test_one_resolver_that_is_elsewhere_makes_all_unbelieved() -> None:
    """What is bogus to the one that validates is asked of the other."""

    async def scene() -> Answer[Mx]:
        async with DnsServer(SIGNED_ZONE, signed=(".", "there.test")) as server:
            servers = [server.address, ("192.0.2.53", 53)]
            return await DnsLookup(servers, timeout=1.0, clock=Clock()).mx("there.test")

    answer = asyncio.run(scene())

    assert answer.finding is Finding.RECORDS
    assert not answer.is_secure


def test_a_resolver_shows_whether_it_validates() -> None:
    assert ask_signed(DnsLookup.is_validating, validation=Validation.AUTO)
    assert not ask_signed(DnsLookup.is_validating, signed=("there.test",))


def test_secure_answers_are_unknown_until_the_resolver_could_show_that_it_validates() -> None:
    """Else who keeps the root from us makes signed names look like others."""
    silent = {**SIGNED_ZONE, ".": Records(behaviour=Behaviour.SERVFAIL)}

    answer = ask_signed(
        lambda lookup: lookup.mx("there.test"), validation=Validation.AUTO, zone=silent
    )

    assert answer.finding is Finding.UNKNOWN
    assert "whether the resolver validates" in answer.text


def test_a_resolver_that_has_shown_it_is_believed_while_the_root_cannot_be_had() -> None:
    async def scene() -> Answer[str]:
        async with DnsServer(SIGNED_ZONE, signed=(".", "there.test")) as server:
            clock = Clock()
            lookup = DnsLookup([server.address], timeout=1.0, clock=clock)
            assert (await lookup.mx("there.test")).is_secure
            server.zone["."] = Records(behaviour=Behaviour.SERVFAIL)
            clock.now += 100_000
            return await lookup.addresses("mx.there.test")

    assert asyncio.run(scene()).is_secure
