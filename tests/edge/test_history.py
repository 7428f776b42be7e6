"""The history in SQLite: what a ledger promises, on a real disk and after a crash."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.event import Event, Kind
from mta.model.order import Caveat
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.ruling import Cause
from mta.model.trace import Entry, Fate, Trace
from mta.model.trouble import LedgerError

from mta.flow.ports import Ledger

from mta.edge.history import History, Terms

from tests.edge.fake_door import run

NOW = 1_800_000_000.0
BOB, CAY = Address("bob", "there.test"), Address('"c y"', "there.test")
REPLY = Reply(451, "later, b\u00f6b", 7, 1)
HOST = Host("mx.there.test", "192.0.2.1", 25)
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", True, "pkix")


class House:
    """A history on disk, and a clock to turn."""

    def __init__(self, folder: Path, process: int = 0, count: int = 1) -> None:
        self.now = NOW
        self.history = History(
            folder / "history",
            terms=Terms(keep=100.0, keys=10.0),
            clock=lambda: self.now,
            process=process,
            count=count,
        )


def trace(id: str, *, key: str = "", digest: bytes = b"1", user: str = "ann") -> Trace:
    entry = Entry(
        MessageId(id), user, NOW, f"<{id}@mail.test>", (Caveat("long", "a line"),), key, digest
    )
    return Trace(entry, (Fate(BOB, at=NOW, next_at=NOW), Fate(CAY, at=NOW, next_at=NOW)))


def event(kind: Kind, id: str, at: float = NOW, **facts: object) -> Event:
    return Event(kind=kind, at=at, id=MessageId(id), **facts)  # type: ignore[arg-type]


async def stored(house: House, what: Trace) -> None:
    assert await house.history.claim(what) is None
    house.history.note(event(Kind.ACCEPTED, what.entry.id))


def test_what_became_of_each_recipient_is_remembered(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a"))
        house.history.note(
            event(
                *(Kind.DEFERRED, "a", NOW + 1),
                recipient=BOB,
                attempts=1,
                next_at=NOW + 60,
                reply=REPLY,
                cause=Cause.POLICY,
                rule="policy",
            )
        )
        house.history.note(
            event(
                *(Kind.DELIVERED, "a", NOW + 2),
                recipient=CAY,
                attempts=1,
                reply=Reply(250, "OK"),
                host=HOST,
                tls=TLS,
            )
        )
        found = await house.history.trace(MessageId("a"), "ann")
        house.history.note(event(Kind.SETTLED, "a", NOW + 3))
        later = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert found is not None
        assert (found.entry.message_id, found.entry.warnings) == (
            *("<a@mail.test>", (Caveat("long", "a line"),)),
        )
        assert found.settled_at is None
        assert found.fates == (
            Fate(
                *(BOB, State.WAITING, NOW + 1, 1, NOW + 60, REPLY),
                cause=Cause.POLICY,
                rule="policy",
            ),
            Fate(CAY, State.DELIVERED, NOW + 2, 1, 0.0, Reply(250, "OK"), HOST, TLS),
        )
        assert later is not None
        assert later.settled_at == NOW + 3

    run(scene())


def test_a_message_is_its_user_s_and_no_message_before_it_is_stored(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await house.history.claim(trace("a"))
        before = await house.history.trace(MessageId("a"), "ann")
        house.history.note(event(Kind.ACCEPTED, "a"))
        by_eve = await house.history.trace(MessageId("a"), "eve")
        by_ann = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert (before, by_eve) == (None, None)
        assert by_ann is not None

    run(scene())


def test_a_key_is_held_by_its_first_message(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a", key="k"))
        held = await house.history.claim(trace("b", key="k", digest=b"2"))
        other = await house.history.claim(trace("c", key="k", user="eve"))
        await stored(house, trace("d"))
        house.history.shut()

        assert held is not None
        assert (held.id, held.digest, held.is_stored) == ("a", b"1", True)
        assert other is None

    run(scene())


def test_a_key_expires(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a", key="k"))
        house.now += 11
        later = await house.history.claim(trace("b", key="k"))
        first = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert later is None
        assert first is not None

    run(scene())


def test_a_key_is_known_to_all_processes_and_held_by_what_is_under_way(tmp_path: Path) -> None:
    async def scene() -> None:
        first, second = House(tmp_path, 0, 2), House(tmp_path, 1, 2)
        await first.history.claim(trace("a", key="k"))
        elsewhere = await second.history.claim(trace("b", key="k"))
        again = await first.history.claim(trace("c", key="k"))  # "a" was never stored
        first.history.note(event(Kind.ACCEPTED, "c"))
        await first.history.flush()
        held = await second.history.claim(trace("d", key="k"))
        seen = await second.history.trace(MessageId("c"), "ann")
        for each in (first, second):
            each.history.shut()

        assert elsewhere is not None
        assert (elsewhere.id, elsewhere.is_stored) == ("a", False)
        assert again is None
        assert held is not None
        assert (held.id, held.is_stored) == ("c", True)
        assert seen is not None

    run(scene())


def test_entries_that_are_open_are_those_of_the_process_and_of_processes_that_are_no_more(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        houses = [House(tmp_path, number, 3) for number in range(3)]
        for number, house in enumerate(houses):
            await stored(house, trace(f"m{number}"))
        for house in houses:
            house.history.shut()
        heirs = [House(tmp_path, number, 2) for number in range(2)]
        found = [{entry.id for entry in await heir.history.unsettled()} for heir in heirs]
        for heir in heirs:
            heir.history.shut()

        assert found == [{"m0", "m2"}, {"m1"}]

    run(scene())


def test_what_returned_is_there_after_a_crash(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a", key="k"))
        await house.history.flush()
        reborn = House(tmp_path)  # and the first is never shut
        held = await reborn.history.claim(trace("b", key="k"))
        for each in (reborn, house):
            each.history.shut()

        assert held is not None
        assert held.id == "a"

    run(scene())


def test_an_entry_without_a_message_is_forgotten_and_a_stored_one_settled(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await house.history.claim(trace("a"))
        await stored(house, trace("b"))
        for entry in await house.history.unsettled():
            await house.history.close(entry)
        gone = await house.history.trace(MessageId("a"), "ann")
        settled = await house.history.trace(MessageId("b"), "ann")
        left = await house.history.unsettled()
        house.history.shut()

        assert (gone, list(left)) == (None, [])
        assert settled is not None
        assert settled.settled_at == NOW

    run(scene())


def test_the_envelope_has_the_last_word(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await house.history.claim(trace("a"))
        outcome = Outcome(Verdict.FAILED, REPLY, Stage.CONTENT, Scope.MESSAGE, HOST)
        recipients = (
            Recipient(BOB, State.REPORTED, attempts=2, last=outcome),
            Recipient(CAY, next_at=NOW + 5),
        )
        await house.history.renew(Envelope(MessageId("a"), None, recipients, NOW, 10))
        found = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert found is not None
        assert [fate.state for fate in found.fates] == [State.FAILED, State.WAITING]
        assert (found.fates[0].attempts, found.fates[0].reply) == (2, REPLY)
        assert (found.fates[0].cause, found.fates[1].cause) == (Cause.POLICY, None)

    run(scene())


def test_what_an_earlier_version_wrote_can_be_read(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a"))
        house.history.note(event(Kind.DEFERRED, "a", recipient=BOB, reply=REPLY))
        house.history.note(event(Kind.DEFERRED, "a", recipient=CAY, cause=Cause.RATE, rule="mine"))
        await house.history.flush()
        with sqlite3.connect(tmp_path / "history" / "history.db") as base:
            base.execute("UPDATE recipient SET last = replace(last, 'rate', 'of tomorrow')")
        base.close()
        found = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert found is not None
        assert [(fate.cause, fate.rule) for fate in found.fates] == [(None, ""), (None, "mine")]

    run(scene())


def test_what_was_delivered_is_so_whether_its_sender_has_heard_of_it_or_not(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await house.history.claim(trace("a"))
        outcome = Outcome(Verdict.DELIVERED, REPLY, Stage.CONTENT, Scope.MESSAGE, HOST)
        recipients = (Recipient(BOB, State.RELAYED, attempts=1, last=outcome),)
        await house.history.renew(Envelope(MessageId("a"), None, recipients, NOW, 10))
        found = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert found is not None
        assert found.fates[0].state is State.DELIVERED

    run(scene())


def test_what_is_old_is_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        for id in ("open", "old", "new"):
            await stored(house, trace(id, key=id))
        house.history.note(event(Kind.SETTLED, "old", NOW + 1))
        house.history.note(event(Kind.SETTLED, "new", NOW + 90))
        await house.history.sweep(NOW + 120)
        found = [await house.history.trace(MessageId(id), "ann") for id in ("open", "old", "new")]
        house.history.shut()

        assert [one is not None for one in found] == [True, False, True]
        base = sqlite3.connect(tmp_path / "history" / "history.db")
        left = base.execute("SELECT count(*) FROM recipient").fetchone()
        base.close()
        assert left == (4,)

    run(scene())


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        found = await house.history.trace(MessageId("a"), "ann")
        left = await house.history.unsettled()
        await house.history.sweep(NOW)
        house.history.shut()

        assert (found, list(left), os.listdir(tmp_path)) == (None, [], [])

    run(scene())


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a"))
        await house.history.flush()
        modes = [
            stat.S_IMODE(path.stat().st_mode)
            for path in (tmp_path / "history", *(tmp_path / "history").iterdir())
        ]
        house.history.shut()

        assert modes[0] == 0o700
        assert set(modes[1:]) == {0o600}

    run(scene())


def test_a_file_that_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    async def scene() -> None:
        folder = tmp_path / "history"
        folder.mkdir()
        (folder / "history.db").write_bytes(b"no database at all" * 1000)
        house = House(tmp_path)
        await stored(house, trace("a"))
        found = await house.history.trace(MessageId("a"), "ann")
        house.history.shut()

        assert found is not None
        assert (folder / "history.db.1800000000.unreadable").exists()

    run(scene())


def test_a_disk_in_trouble_is_said_and_tried_again(tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / "history").write_text("a file where the folder is to be")
        house = House(tmp_path)
        with pytest.raises(LedgerError):
            await house.history.claim(trace("a"))
        (tmp_path / "history").unlink()
        await stored(house, trace("a"))
        house.history.shut()

    run(scene())


def test_a_step_that_fails_fails_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await stored(house, trace("a"))
        results = await asyncio.gather(
            *(house.history.claim(trace(id)) for id in ("b", "a", "c")), return_exceptions=True
        )
        left = {entry.id for entry in await house.history.unsettled()}
        house.history.shut()

        assert [type(result) for result in results] == [type(None), LedgerError, type(None)]
        assert left == {"a", "b", "c"}

    run(scene())


def test_many_at_once_share_transactions(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        await asyncio.gather(*(stored(house, trace(f"m{n}", key=f"k{n}")) for n in range(500)))
        found = await house.history.unsettled()
        house.history.shut()

        assert len(found) == 500
        assert all(entry.is_stored for entry in found)

    run(scene())


def history_conforms(history: History) -> Ledger:
    return history
