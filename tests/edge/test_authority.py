"""Questions to the servers of a zone themselves, against real ones on loopback."""

import asyncio

import dns.flags
import dns.message
import pytest

from mta.model.domain import Answer, Finding
from mta.model.zone import Alias, Delegation, ZoneAnswer

from mta.flow.keyrecords import Authority as Promise

from mta.edge.authority import Authority, _read

from mta.sandbox.dns import Behaviour, DnsServer, Records

NAME = "s1._domainkey.example.com"
LONG = "v=DKIM1; k=rsa; p=" + "A" * 2000


def asked(records: Records | None, *, timeout: float = 5.0) -> ZoneAnswer:
    async def scene() -> ZoneAnswer:
        async with DnsServer({NAME: records} if records else {}) as server, asyncio.timeout(20):
            host, port = server.address
            promise: Promise = Authority(port=port, timeout=timeout)
            return await promise.texts(host, NAME)

    return asyncio.run(scene())


def test_the_texts_of_a_name_are_given_whole() -> None:
    assert asked(Records(txt=(LONG,))) == Answer(Finding.RECORDS, (LONG,))


def test_a_name_that_is_not_there_is_a_fact() -> None:
    assert asked(None) == Answer(Finding.NO_NAME)
    assert asked(Records(a=("127.0.0.1",))) == Answer(Finding.NO_DATA)


def test_an_alias_whose_end_the_server_has_is_followed_there() -> None:
    async def scene() -> ZoneAnswer:
        zone = {NAME: Records(cname="keys.test"), "keys.test": Records(txt=("x",))}
        async with DnsServer(zone) as server:
            return await Authority(port=server.address[1]).texts("127.0.0.1", NAME)

    assert asyncio.run(scene()) == Answer(Finding.RECORDS, ("x",))


def test_an_alias_that_leads_elsewhere_is_given() -> None:
    alone = Records(cname="Keys.Provider.test", behaviour=Behaviour.ALIAS_ALONE)

    assert asked(alone) == Alias("keys.provider.test")


def test_a_referral_names_the_servers_of_the_zone_below() -> None:
    assert asked(Records(behaviour=Behaviour.REFERRAL)) == Delegation(("a.root.test",))


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.SERVFAIL,
        Behaviour.REFUSED,
        Behaviour.GARBAGE,
        Behaviour.SILENCE,
        Behaviour.WRONG_ID,
    ],
)
def test_whatever_else_a_server_does_is_unknown(behaviour: Behaviour) -> None:
    found = asked(Records(txt=("x",), behaviour=behaviour), timeout=0.3)

    assert isinstance(found, Answer)
    assert found.finding is Finding.UNKNOWN
    assert found.text


def test_nobody_listening_is_unknown() -> None:
    found = asyncio.run(Authority(port=1, timeout=0.3).texts("127.0.0.1", NAME))

    assert isinstance(found, Answer)
    assert found.finding is Finding.UNKNOWN


def test_an_address_that_is_none_is_unknown() -> None:
    found = asyncio.run(Authority(port=1, timeout=0.3).texts("no address", NAME))

    assert isinstance(found, Answer)
    assert found.finding is Finding.UNKNOWN


def test_an_answer_from_somebody_s_memory_does_not_count() -> None:
    query = dns.message.make_query(NAME, "TXT")
    response = dns.message.make_response(query)
    response.flags &= ~dns.flags.AA

    assert _read(response) == Answer(Finding.UNKNOWN, text="it does not serve the zone")
