"""One session without a network: what it does at once, and what it keeps for later."""

import asyncio

import pytest

from mta.model.envelope import Submission
from mta.model.outcome import Reply

from tests.edge.fake_door import PATIENCE, FakeDoor, FakeLogins, run
from tests.edge.visit import visiting

BEGINNING = b"HELO c\r\nMAIL FROM:<ann@here.test>\r\nRCPT TO:<bob@there.test>\r\nDATA\r\n"
STOPPING = Reply(421, "Shutting down", 3, 2)


def test_what_comes_together_is_answered_in_one_write() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor()) as visit:
            visit.session.data_received(BEGINNING)

            assert len(visit.wire.written) == 1
            assert visit.wire.codes() == ["250", "250", "250", "354"]

    run(scene())


def test_a_session_that_waits_for_its_client_has_no_task() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor()) as visit:
            for said in (b"NOO", b"P\r\n", BEGINNING, b"half a mess"):
                visit.say(said)

                assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scene())


def test_what_comes_while_a_message_is_taken_is_answered_after_it() -> None:
    async def scene() -> None:
        door = FakeDoor(is_shut=True)
        async with visiting(door) as visit:
            visit.say(BEGINNING)
            assert visit.say(b"one\r\n.\r\nNOOP\r\n") == []
            assert visit.say(b"RSET\r\nQU") == []
            door.open()

            assert await visit.answered() == ["250", "250", "250"]
            assert visit.say(b"IT\r\n") == ["221"]

    run(scene())


def test_past_a_bound_what_comes_while_a_message_is_taken_stays_with_the_kernel() -> None:
    async def scene() -> None:
        door = FakeDoor(is_shut=True)
        async with visiting(door) as visit:
            visit.say(BEGINNING + b"one\r\n.\r\n")
            visit.say(b"NOOP\r\n" * 10)
            assert visit.wire.is_read()
            visit.say(b"x" * 100_000)
            assert not visit.wire.is_read()
            door.open()

            assert await visit.answered() == ["250"] * 11
            assert visit.wire.is_read()
            assert visit.say(b"\r\n") == ["500"]

    run(scene())


def test_nothing_is_done_for_a_client_that_does_not_listen() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor()) as visit:
            visit.session.pause_writing()
            assert visit.say(b"NOOP\r\n" * 50_000) == []
            assert not visit.wire.is_read()
            visit.session.resume_writing()

            assert visit.wire.codes() == ["250"] * 100 + ["421"]

    run(scene())


def test_a_message_taken_for_a_client_that_does_not_listen_holds_up_what_follows() -> None:
    async def scene() -> None:
        door = FakeDoor(is_shut=True)
        async with visiting(door) as visit:
            visit.say(BEGINNING + b"one\r\n.\r\nNOOP\r\n")
            visit.session.pause_writing()
            door.open()

            assert await visit.answered() == ["250"]
            visit.session.resume_writing()
            assert visit.wire.codes() == ["250"]

    run(scene())


def test_a_client_that_goes_while_its_message_is_taken_is_missed_after_that() -> None:
    async def scene() -> list[Submission]:
        door = FakeDoor(is_shut=True)
        async with visiting(door) as visit:
            visit.say(BEGINNING + b"one\r\n.\r\n")
            visit.wire.close()
            visit.session.connection_lost(None)
            assert visit.session in visit.server._sessions
            door.open()
            await visit.gone()
        return door.submissions

    assert [submission.content for submission in run(scene())] == [b"one\r\n"]


def test_a_door_that_gives_up_without_a_reply_ends_the_session() -> None:
    class Fleeing(FakeDoor):
        async def accept(self, submission: Submission) -> Reply:
            raise asyncio.CancelledError

    async def scene() -> None:
        async with visiting(Fleeing()) as visit:
            visit.say(BEGINNING + b"one\r\n.\r\n")
            async with asyncio.timeout(PATIENCE):
                while not visit.wire.is_closing():  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0)

            assert visit.wire.codes() == []

    run(scene())


@pytest.mark.parametrize(
    ("said", "is_shut"),
    [
        (b"NOOP\r\n", False),  # nothing is under way: there is nothing to hear out
        (b"NOO", True),
        (BEGINNING + b"half a mess", True),
    ],
)
def test_last_words_can_be_read_by_a_client_that_talks_on(said: bytes, is_shut: bool) -> None:
    async def scene() -> None:
        async with visiting(FakeDoor()) as visit:
            visit.say(said)
            visit.session.dismiss(STOPPING)

            assert visit.wire.codes() == ["421"]
            assert (visit.wire.is_shut, visit.wire.is_closing()) == (is_shut, not is_shut)
            assert visit.say(b"NOOP\r\n") == []

    run(scene())


def test_a_content_under_way_outlives_a_retirement_and_no_dismissal() -> None:
    async def scene() -> None:
        door = FakeDoor()
        async with visiting(door) as visit:
            visit.say(BEGINNING)
            visit.session.retire(STOPPING)
            assert visit.say(b"one\r\n") == []
            assert visit.say(b".\r\n") == []

            assert await visit.answered() == ["250", "421"]
        assert len(door.submissions) == 1

    run(scene())


AUTH = b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"  # ann, secret


def test_what_comes_while_a_login_is_looked_at_is_answered_after_it() -> None:
    async def scene() -> None:
        logins = FakeLogins(is_slow=True)
        async with visiting(FakeDoor(), logins=logins) as visit:
            visit.say(b"EHLO c\r\n")
            assert visit.say(AUTH + b"NOOP\r\n") == []
            assert visit.say(b"RSET\r\n") == []
            logins.open()

            assert await visit.answered() == ["235", "250", "250"]

    run(scene())


def test_a_client_that_goes_during_its_login_stays_counted_until_that_is_over() -> None:
    async def scene() -> None:
        logins = FakeLogins(is_slow=True)
        async with visiting(FakeDoor(), logins=logins) as visit:
            visit.say(b"EHLO c\r\n" + AUTH)
            visit.session.connection_lost(None)
            assert visit.session in visit.server._sessions
            logins.open()

            await visit.gone()

    run(scene())


def test_a_session_told_to_end_says_so_after_the_login_under_way() -> None:
    async def scene() -> None:
        logins = FakeLogins(is_slow=True)
        async with visiting(FakeDoor(), logins=logins) as visit:
            visit.say(b"EHLO c\r\n" + AUTH)
            visit.session.retire(STOPPING)
            logins.open()

            assert await visit.answered() == ["235", "421"]

    run(scene())


CHUNKED = BEGINNING.replace(b"DATA\r\n", b"") + b"BDAT 5\r\none\r\n"


@pytest.mark.parametrize("command", [b"RSET\r\n", b"HELO c\r\n"])
def test_chunks_of_a_message_that_is_given_up_are_let_go(command: bytes) -> None:
    async def scene() -> None:
        async with visiting(FakeDoor()) as visit:
            visit.say(CHUNKED)
            assert visit.server._service.held == 5

            assert visit.say(command) == ["250"]
            assert visit.server._service.held == 0

    run(scene())


def test_chunks_beyond_what_all_sessions_may_hold_are_refused_and_passed_over() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor(), buffer_bytes=8) as visit:
            visit.say(CHUNKED)

            assert visit.say(b"BDAT 5\r\ntwo\r\n") == ["452"]
            assert visit.server._service.held == 0
            assert visit.say(b"BDAT 7 LAST\r\nthree\r\n") == ["503"]

    run(scene())


def test_chunks_have_the_time_of_one_content_whatever_comes_between_them() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor(), content_seconds=100, idle_seconds=60) as visit:
            started_at = asyncio.get_running_loop().time()
            visit.say(CHUNKED)
            visit.session._last_moment = started_at + 10  # as if 90 seconds had passed
            visit.say(b"NOOP\r\n")

            assert visit.session._until == pytest.approx(started_at + 10, abs=1)

    run(scene())


# Many mistakes


def test_the_first_mistakes_are_answered_at_once_and_each_one_more_later() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor(), forgiven_errors=2, error_delay_seconds=0.01) as visit:
            assert visit.say(b"X\r\nX\r\nX\r\nNOOP\r\nX\r\n") == ["500", "500"]

            assert await visit.answered() == ["500", "250"]
            assert visit.say(b"NOOP\r\n") == []
            assert await visit.answered() == ["500", "250"]
            assert visit.say(b"NOOP\r\n") == ["250"]

    run(scene())


def test_too_many_mistakes_end_a_session_without_delay() -> None:
    async def scene() -> None:
        async with visiting(
            FakeDoor(), errors=1, forgiven_errors=1, error_delay_seconds=3600
        ) as visit:
            assert visit.say(b"X\r\nX\r\n") == ["500", "421"]

    run(scene())


def test_a_client_that_goes_while_it_waits_for_an_answer_is_gone_after_it() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor(), forgiven_errors=0, error_delay_seconds=0.01) as visit:
            visit.say(b"X\r\n")
            visit.session.connection_lost(None)

            await visit.gone()

    run(scene())


def test_a_stop_waits_for_an_answer_that_is_delayed() -> None:
    async def scene() -> None:
        async with visiting(FakeDoor(), forgiven_errors=0, error_delay_seconds=0.01) as visit:
            visit.say(b"X\r\n")
            visit.session.retire(STOPPING)

            assert await visit.answered() == ["500", "421"]

    run(scene())
