"""Messages that are asked after: stored once for each key, and followed to their end."""

import asyncio
from dataclasses import replace

from mta.model.envelope import Client, MessageId, State, Submission
from mta.model.event import Kind
from mta.model.order import Order, Taking
from mta.model.outcome import Reply
from mta.model.trace import Entry, Trace
from mta.model.trouble import LedgerError, SpoolError
from mta.model.user import Allowance, User

from tests.flow.house import UNKNOWN, House, Peer, story
from tests.flow.memory_ledger import MemoryLedger
from tests.flow.memory_spool import MemorySpool

ANN = Client("127.0.0.1", "", "HTTP", user="ann")
USERS = (User("ann"), User("eve"))
KEYED = b"From: ann@sender.test\r\nIdempotency-Key: %s\r\nSubject: hello\r\n\r\n%s\r\n"


async def opened(ledger: MemoryLedger, spool: MemorySpool | None = None, **peers: Peer) -> House:
    house = House({"there.test": Peer(**peers)}, ledger=ledger, spool=spool, users=USERS)  # type: ignore[arg-type]
    await house.register.take_up()
    return house


def order(house: House, *, key: str = "", digest: bytes = b"1", user: Client = ANN) -> Order:
    submission = house.message("bob@there.test")
    return Order(replace(submission, client=user), key, digest)


def keyed(house: House, key: bytes, body: bytes = b"Body") -> Submission:
    return house.message("bob@there.test", content=KEYED % (key, body))


@story
async def test_a_message_is_followed_to_its_end() -> None:
    house = await opened(MemoryLedger())

    receipt = await house.desk.submit(order(house))
    before = await house.desk.trace(receipt.id, "ann")
    await house.step()
    after = await house.desk.trace(receipt.id, "ann")

    assert receipt.taking is Taking.TAKEN
    assert receipt.message_id == "<m1@mta.test>"
    assert before is not None
    assert (before.fates[0].state, before.settled_at) == (State.WAITING, None)
    assert after is not None
    assert after.fates[0].state is State.DELIVERED
    assert after.settled_at is not None
    assert house.queued() == []


@story
async def test_what_failed_says_why() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})}, ledger=MemoryLedger(), users=USERS)
    await house.register.take_up()

    receipt = await house.desk.submit(order(house))
    await house.step()

    trace = await house.desk.trace(receipt.id, "ann")
    assert trace is not None
    assert (trace.fates[0].state, trace.fates[0].reply) == (State.FAILED, UNKNOWN)


@story
async def test_nobody_sees_the_messages_of_others() -> None:
    house = await opened(MemoryLedger())

    receipt = await house.desk.submit(order(house))

    assert await house.desk.trace(receipt.id, "eve") is None
    assert await house.desk.trace(MessageId("m9"), "ann") is None


@story
async def test_the_same_key_with_the_same_message_is_answered_again() -> None:
    house = await opened(MemoryLedger())

    first = await house.desk.submit(order(house, key="k"))
    again = await house.desk.submit(order(house, key="k"))
    await house.step()
    later = await house.desk.submit(order(house, key="k"))

    assert (again.taking, again.id, again.message_id) == (
        *(Taking.REPEATED, first.id, first.message_id),
    )
    assert (later.taking, later.id) == (Taking.REPEATED, first.id)
    assert len(house.letters_to("there.test")) == 1


@story
async def test_the_same_key_with_another_message_is_a_conflict() -> None:
    house = await opened(MemoryLedger())

    await house.desk.submit(order(house, key="k"))
    other = await house.desk.submit(order(house, key="k", digest=b"2"))

    assert other.taking is Taking.CONFLICT
    assert len(house.queued()) == 1


@story
async def test_keys_are_each_user_s_own() -> None:
    house = await opened(MemoryLedger())

    await house.desk.submit(order(house, key="k"))
    eve = replace(ANN, user="eve")
    other = await house.desk.submit(order(house, key="k", digest=b"2", user=eve))

    assert other.taking is Taking.TAKEN


@story
async def test_users_of_this_machine_cannot_use_up_each_other_s_keys() -> None:
    house = await opened(MemoryLedger())
    theirs, ours = (Client(f"unix:{uid}", "app", "local") for uid in (1001, 1000))

    await house.desk.submit(order(house, key="report-1", user=theirs))
    first = await house.desk.submit(order(house, key="report-1", digest=b"2", user=ours))
    again = await house.desk.submit(order(house, key="report-1", digest=b"2", user=ours))

    assert [first.taking, again.taking] == [Taking.TAKEN, Taking.REPEATED]


@story
async def test_what_may_have_come_as_nobody_s_is_stored_once() -> None:
    house = await opened(MemoryLedger())
    nobody = Client("127.0.0.1", "app", "ESMTP")
    dropped = Client("unix:1000", "app", "local", shares_keys=True)

    await house.desk.submit(order(house, key="k", user=nobody))
    again = await house.desk.submit(order(house, key="k", user=dropped))

    assert again.taking is Taking.REPEATED


@story
async def test_requests_at_once_with_one_key_store_one_message() -> None:
    house = await opened(MemoryLedger())

    receipts = await asyncio.gather(*(house.desk.submit(order(house, key="k")) for _ in range(20)))

    assert len(house.queued()) == 1
    assert len({receipt.id for receipt in receipts}) == 1
    takings = [receipt.taking for receipt in receipts]
    assert takings == [Taking.TAKEN, *[Taking.REPEATED] * 19]


@story
async def test_a_message_that_could_not_be_stored_may_come_again_with_its_key() -> None:
    house = await opened(MemoryLedger())
    house.spool.trouble = SpoolError("the disk is on fire")

    refused = await house.desk.submit(order(house, key="k"))
    house.spool.trouble = None
    again = await house.desk.submit(order(house, key="k"))

    assert (refused.taking, refused.reply.code) == (Taking.REFUSED, 452)
    assert again.taking is Taking.TAKEN
    assert await house.desk.trace(refused.id, "ann") is None


@story
async def test_what_cannot_be_written_down_is_not_taken() -> None:
    ledger = MemoryLedger()
    house = await opened(ledger)
    ledger.trouble = LedgerError("the disk is on fire")

    receipt = await house.desk.submit(order(house))
    by_smtp = await house.submit("bob@there.test")

    assert (receipt.taking, receipt.reply.code) == (Taking.REFUSED, 451)
    assert by_smtp.code == 250  # nobody asked for it to be remembered
    assert len(house.queued()) == 1


@story
async def test_nothing_is_entered_before_what_a_crash_left_is_in_order() -> None:
    ledger = MemoryLedger()
    ledger.trouble = LedgerError("the disk is on fire")
    house = await opened(ledger)
    ledger.trouble = None

    before = await house.desk.submit(order(house))
    await house.register.take_up()
    after = await house.desk.submit(order(house))

    assert (before.taking, after.taking) == (Taking.REFUSED, Taking.TAKEN)


@story
async def test_a_history_in_trouble_does_not_hold_up_the_mail() -> None:
    ledger = MemoryLedger()
    house = await opened(ledger)
    await house.desk.submit(order(house))
    ledger.trouble = LedgerError("the disk is on fire")

    await house.step()

    assert house.queued() == []
    assert house.kinds()[-1] is Kind.SETTLED


@story
async def test_a_crash_between_entry_and_message_leaves_nothing() -> None:
    ledger = MemoryLedger()
    await ledger.claim(
        Trace(Entry(MessageId("m0"), "ann", 1.0, "<m0@mta.test>", (), "k", b"1"), ())
    )

    reborn = await opened(ledger)
    again = await reborn.desk.submit(order(reborn, key="k"))

    assert again.taking is Taking.TAKEN
    assert list(ledger.traces) == [again.id]


@story
async def test_a_crash_after_the_message_is_stored_does_not_store_it_again() -> None:
    ledger, spool = MemoryLedger(), MemorySpool()
    house = await opened(ledger, spool)
    first = await house.desk.submit(order(house, key="k"))
    ledger.crash()  # that it was stored was not yet written down

    reborn = await opened(ledger, spool)
    again = await reborn.desk.submit(order(reborn, key="k"))

    assert (again.taking, again.id) == (Taking.REPEATED, first.id)
    assert len(spool.kept) + len(list(spool.envelopes())) == 1


@story
async def test_a_crash_after_the_end_loses_neither_key_nor_fate() -> None:
    ledger, spool = MemoryLedger(), MemorySpool()
    house = await opened(ledger, spool)
    first = await house.desk.submit(order(house, key="k"))
    await house.step()
    ledger.crash()  # that it is settled was not yet written down

    reborn = await opened(ledger, spool)
    again = await reborn.desk.submit(order(reborn, key="k"))
    trace = await reborn.desk.trace(first.id, "ann")

    assert (again.taking, again.id) == (Taking.REPEATED, first.id)
    assert trace is not None
    assert trace.fates[0].state is State.DELIVERED
    assert trace.settled_at is not None


@story
async def test_a_key_in_the_header_is_honoured_and_taken_out() -> None:
    house = await opened(MemoryLedger())

    first = await house.intake.accept(keyed(house, b"k"))
    again = await house.intake.accept(keyed(house, b"k"))
    other = await house.intake.accept(keyed(house, b"k", b"Other"))

    assert str(first) == str(again) == "250 2.0.0 Queued as m1"
    assert (other.code, other.status) == (554, "5.6.0")
    assert len(house.queued()) == 1
    assert b"dempotency" not in await house.spool.content(MessageId("m1"))


@story
async def test_a_key_that_is_none_is_refused() -> None:
    house = await opened(MemoryLedger())

    for key in (b"", b"a b", b"\xc3\xa4", b"x" * 256, b"a\r\nIdempotency-Key: b"):
        reply = await house.intake.accept(keyed(house, key))

        assert reply.code == 554, key
    assert house.queued() == []


@story
async def test_without_a_history_no_key_is_honoured_and_nothing_followed() -> None:
    house = House(users=USERS)

    by_smtp = await house.intake.accept(keyed(house, b"k"))
    with_key = await house.desk.submit(order(house, key="k"))
    without = await house.desk.submit(order(house))

    assert by_smtp == Reply(554, with_key.reply.text, 6, 0)
    assert (with_key.taking, without.taking) == (Taking.REFUSED, Taking.TAKEN)
    assert await house.desk.trace(without.id, "ann") is None


@story
async def test_what_will_surprise_is_told_and_refused_where_the_order_is_strict() -> None:
    house = await opened(MemoryLedger())

    told = await house.desk.submit(order(house, key="k"))
    again = await house.desk.submit(order(house, key="k"))
    strict = await house.desk.submit(replace(order(house), is_strict=True))

    assert [one.code for one in told.warnings] == [one.code for one in again.warnings] == ["no-to"]
    assert strict.taking is Taking.REFUSED
    assert [one.code for one in strict.warnings] == ["no-to"]


@story
async def test_who_sends_too_much_is_told_when_to_come_again() -> None:
    house = House(users=[User("ann", per_hour=Allowance(messages=1))], ledger=MemoryLedger())
    await house.register.take_up()

    await house.desk.submit(order(house))
    house.now += 600
    refused = await house.desk.submit(order(house))

    assert (refused.taking, refused.reply.code) == (Taking.REFUSED, 450)
    assert refused.reply.text.endswith("come again in 110 min")
    assert refused.retry_after == 110 * 60
