"""What is taken within an hour and a day: at each step of a message, and over a restart."""

import pytest

from mta.model.envelope import Client
from mta.model.event import Kind
from mta.model.user import Allowance, User

from mta.rules.submission.quota import Load

from mta.flow.submission.quotas import MAX_ACCOUNTS, Quotas, QuotaTerms

from tests.flow.house import CLIENT, HOUR, START, House, story

MESSAGE = Load(messages=1)
TWO_AN_HOUR = QuotaTerms(client_per_hour=Allowance(messages=2, recipients=5, octets=1000))


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


def quotas(terms: QuotaTerms = TWO_AN_HOUR) -> Quotas:
    return Quotas(terms=terms, clock=Clock())


def sent(kept: Quotas, address: str, times: int, user: User | None = None) -> None:
    for _ in range(times):
        kept.charge(MESSAGE, address, user)


def objection(kept: Quotas, load: Load = MESSAGE, address: str = "192.0.2.1") -> str:
    reply = kept.objection(load, address)
    return str(reply) if reply else ""


def test_each_client_has_its_own_allowance() -> None:
    kept = quotas()
    sent(kept, "192.0.2.1", 2)

    assert objection(kept) == (
        "450 4.7.1 Too many messages from your address in an hour; come again in 90 min"
    )
    assert objection(kept, address="192.0.2.2") == ""


def test_an_ipv6_client_counts_with_its_network() -> None:
    kept = quotas()
    sent(kept, "2001:db8::1", 2)

    assert objection(kept, address="2001:db8::ffff")
    assert not objection(kept, address="2001:db8:0:1::1")


def test_all_clients_together_have_an_allowance() -> None:
    kept = quotas(QuotaTerms(total_per_day=Allowance(messages=2)))
    sent(kept, "192.0.2.1", 1)
    sent(kept, "192.0.2.2", 1)

    assert "from all clients in a day" in objection(kept, address="192.0.2.3")


def test_a_user_has_an_allowance_wherever_he_is() -> None:
    kept = quotas(QuotaTerms())
    ann = User("ann", per_hour=Allowance(messages=2))
    sent(kept, "192.0.2.1", 2, ann)

    refusal = kept.objection(MESSAGE, "192.0.2.9", ann)

    assert refusal is not None
    assert "from you in an hour" in refusal.text
    assert kept.objection(MESSAGE, "192.0.2.1", User("bob")) is None


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (Load(octets=1001), "552 5.3.4 The message has more octets than are taken from your"),
        (Load(recipients=6), "452 4.5.3 No more recipients at once are taken from your address"),
    ],
)
def test_what_will_never_be_allowed_is_not_put_off(load: Load, text: str) -> None:
    assert objection(quotas(), load).startswith(text)


def test_connections_are_refused_before_the_greeting() -> None:
    kept = quotas(QuotaTerms(client_per_hour=Allowance(connections=1)))
    kept.charge(Load(connections=1), "192.0.2.1")

    assert objection(kept, Load(connections=1)).startswith("421 4.7.0 Too many connections")


def test_where_nothing_is_limited_nothing_is_kept() -> None:
    kept = quotas(QuotaTerms())
    sent(kept, "192.0.2.1", 1000)

    assert kept.changed_accounts() is None


def test_a_restart_forgives_nothing() -> None:
    kept = quotas()
    sent(kept, "192.0.2.1", 2)
    accounts = kept.changed_accounts()
    assert accounts is not None

    later = quotas()
    later.restore(accounts)

    assert objection(later)
    assert kept.changed_accounts() is None  # nothing is new


def test_other_allowances_count_for_what_was_sent_before() -> None:
    kept = quotas()
    sent(kept, "192.0.2.1", 2)

    kept.replace_terms(QuotaTerms(client_per_hour=Allowance(messages=3)))

    assert not objection(kept)


def test_who_was_not_heard_of_for_longest_is_forgotten_first() -> None:
    kept = quotas()
    kept.restore({f"client 10.{i >> 16}.{i >> 8 & 255}.{i & 255}": {} for i in range(MAX_ACCOUNTS)})
    sent(kept, "192.0.2.1", 2)

    accounts = kept.changed_accounts()

    assert accounts is not None
    assert len(accounts) < MAX_ACCOUNTS
    assert objection(kept)


# At the door


@story
async def test_a_message_too_many_is_put_off_at_mail_and_at_its_end() -> None:
    house = House(quotas=TWO_AN_HOUR)
    for _ in range(2):
        assert (await house.submit("bob@there.test")).code == 250

    at_mail = house.intake.objection_to_sender(None, 0, CLIENT)
    at_end = await house.submit("bob@there.test")

    assert at_mail is not None
    assert (at_mail.code, at_end.code) == (450, 450)
    assert house.kinds()[-2:] == [Kind.REFUSED, Kind.REFUSED]


@story
async def test_after_the_time_that_was_said_mail_is_taken_again() -> None:
    house = House(quotas=TWO_AN_HOUR)
    for _ in range(2):
        await house.submit("bob@there.test")

    house.now += 2 * HOUR

    assert (await house.submit("bob@there.test")).code == 250


@story
async def test_recipients_are_counted_as_they_come() -> None:
    house = House(quotas=TWO_AN_HOUR)
    await house.submit("a@there.test", "b@there.test", "c@there.test", "d@there.test")
    bob = house.message("bob@there.test").recipients[0]

    first, second = (
        house.intake.objection_to_recipient(None, bob, count, CLIENT) for count in (1, 2)
    )

    assert first is None
    assert second is not None
    assert second.code == 450


@story
async def test_an_announced_size_beyond_the_allowance_is_refused_at_mail() -> None:
    house = House(quotas=TWO_AN_HOUR)

    objection = house.intake.objection_to_sender(None, 1001, CLIENT)

    assert objection is not None
    assert objection.code == 552


@story
async def test_connections_are_counted_where_they_are_let_in() -> None:
    house = House(quotas=QuotaTerms(client_per_hour=Allowance(connections=2)))
    client = Client("192.0.2.1", "x", "ESMTP")

    replies = [house.intake.objection_to_client(client.address) for _ in range(3)]

    assert [reply and reply.code for reply in replies] == [None, None, 421]
