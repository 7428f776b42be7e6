"""What is dropped is taken once, whatever happens between the steps."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace

from mta.model.envelope import Client, Envelope, MessageId, Submission
from mta.model.event import Kind
from mta.model.trouble import MaildropError, SpoolError

from mta.flow.ports import Maildrop
from mta.flow.submission.collector import Collector

from tests.flow.house import House, Peer, story
from tests.flow.memory_spool import MemorySpool

ONE, TWO = (MessageId("d" + digit * 32) for digit in "12")


class FakeMaildrop:
    """The folder in memory; set `trouble` and it raises that."""

    def __init__(self) -> None:
        self.files: dict[MessageId, Submission] = {}
        self.aside: dict[MessageId, str] = {}
        self.trouble: str | None = None
        self.is_stuck = False  # what is there can be read, and not removed
        self.looks_again = False

    async def make(self) -> None:
        self._complain()

    async def ids(self) -> set[MessageId]:
        self._complain()
        return set(self.files)

    async def dropped(self, known: Collection[MessageId]) -> Mapping[MessageId, Submission]:
        self._complain()
        self.looks_again = False
        return {id: one for id, one in self.files.items() if id not in known}

    async def remove(self, ids: Collection[MessageId]) -> None:
        self._complain()
        if ids and self.is_stuck:
            raise MaildropError("it is read-only")
        for id in ids:
            self.files.pop(id, None)

    async def put_aside(self, id: MessageId, reason: str) -> None:
        self._complain()
        del self.files[id]
        self.aside[id] = reason

    def look_again(self) -> None:
        self.looks_again = True

    def _complain(self) -> None:
        if self.trouble:
            raise MaildropError(self.trouble)


class DropHouse(House):
    """A server with a drop folder; `restarted` is its next life, after a crash."""

    def __init__(
        self,
        maildrop: FakeMaildrop | None = None,
        spool: MemorySpool | None = None,
        senders: tuple[str, ...] = (),
        peers: Mapping[str, Peer] | None = None,
    ) -> None:
        super().__init__(peers or {"there.test": Peer()}, spool=spool, senders=senders)
        self.maildrop = maildrop or FakeMaildrop()
        port: Maildrop = self.maildrop
        self.collector = Collector(
            maildrop=port, intake=self.intake, on_free=self.dispatcher.enqueue
        )

    def on_stored(self, envelope: Envelope) -> None:
        if not self.collector.holds(envelope):
            super().on_stored(envelope)

    def drop(self, id: MessageId, *recipients: str, sender: str | None = "ann@sender.test") -> None:
        message = self.message(*(recipients or ("bob@there.test",)), sender=sender)
        self.maildrop.files[id] = replace(message, client=Client("unix:1000", "ann", "local"))

    async def restarted(self) -> "DropHouse":
        house = DropHouse(self.maildrop, self.spool, peers=self.peers)
        await house.dispatcher.resume(await house.collector.resumed(self.spool.envelopes()))
        return house

    @property
    def arrived(self) -> int:
        return len(self.letters_to("there.test"))


@story
async def test_what_is_dropped_is_delivered_and_its_file_goes() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.drop(TWO)

    assert await house.collector.collect()
    await house.step()

    assert house.maildrop.files == {}
    assert {letter.id for letter in house.letters_to("there.test")} == {ONE, TWO}
    letter = house.letters_to("there.test")[0]
    assert (
        b"\r\nReceived: from ann (unix uid 1000)\r\n\tby mta.test with local id d1"
        in letter.content
    )
    assert house.events[0].client == "unix:1000"


@story
async def test_nothing_is_sent_before_its_file_is_gone() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.maildrop.is_stuck = True
    with suppress(MaildropError):
        await house.collector.collect()
    await house.step()
    assert len(house.queued()) == 1
    assert house.arrived == 0

    house.maildrop.is_stuck = False
    await house.collector.collect()
    await house.step()

    assert house.arrived == 1
    assert house.maildrop.files == {}


@story
async def test_a_crash_after_it_was_stored_sends_it_once() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.maildrop.is_stuck = True
    with suppress(MaildropError):
        await house.collector.collect()
    house.maildrop.is_stuck = False

    after = await house.restarted()
    await after.collector.collect()
    await after.step()

    assert after.arrived == 1
    assert after.maildrop.files == {}


@story
async def test_after_a_crash_it_waits_for_a_folder_that_cannot_be_written() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.maildrop.is_stuck = True
    with suppress(MaildropError):
        await house.collector.collect()
    await house.submit("carol@there.test")

    after = await house.restarted()
    await after.step()
    assert [letter.recipients[0].local for letter in after.letters_to("there.test")] == ["carol"]

    after.maildrop.is_stuck = False
    await after.collector.collect()
    await after.step()
    assert after.arrived == 2


@story
async def test_a_folder_that_cannot_be_read_at_the_start_holds_its_own_mail_alone() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.maildrop.is_stuck = True
    with suppress(MaildropError):
        await house.collector.collect()
    await house.submit("carol@there.test")
    house.maildrop.is_stuck, house.maildrop.trouble = False, "it is gone"

    after = await house.restarted()
    await after.step()

    assert after.arrived == 1


@story
async def test_a_file_of_a_message_that_the_spool_knows_is_removed_and_changes_nothing() -> None:
    house = DropHouse()
    house.drop(ONE)
    await house.collector.collect()
    await house.step()
    house.drop(ONE)

    assert await house.collector.collect()
    await house.step()

    assert house.arrived == 1
    assert house.maildrop.files == {}


@story
async def test_what_the_spool_cannot_take_now_stays_and_is_taken_later() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.spool.trouble = SpoolError("the disk is ill")

    assert not await house.collector.collect()
    assert house.maildrop.looks_again
    assert set(house.maildrop.files) == {ONE}

    house.spool.trouble = None
    assert await house.collector.collect()
    await house.step()
    assert house.arrived == 1


@story
async def test_what_the_door_would_not_take_now_stays() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.spool.closed_because = "the disk is full"

    assert not await house.collector.collect()

    assert set(house.maildrop.files) == {ONE}
    assert house.queued() == []


@story
async def test_what_the_door_would_refuse_is_put_aside_with_the_reply() -> None:
    house = DropHouse(senders=("sender.test",))
    house.drop(ONE, sender="eve@elsewhere.test")
    house.drop(TWO)

    await house.collector.collect()
    await house.step()

    assert house.maildrop.aside[ONE].startswith("550 5.7.1 elsewhere.test is not one of")
    assert house.arrived == 1
    assert house.kinds()[0] is Kind.REFUSED


@story
async def test_a_bug_costs_its_message_alone() -> None:
    house = DropHouse()
    house.drop(ONE)
    house.drop(TWO)
    house.maildrop.files[ONE] = replace(house.maildrop.files[ONE], content="no octets")  # type: ignore[arg-type]

    await house.collector.collect()
    await house.step()

    assert set(house.maildrop.aside) == {ONE}
    assert house.arrived == 1
