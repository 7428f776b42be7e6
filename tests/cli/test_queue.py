"""`mta queue` on a spool that nobody serves, and on one that is served."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mta.model.address import parse_address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Reason, Recipient, Road, State
from mta.model.outcome import Reply, Stage, judge

from mta.edge.spool.files import FileSpool

from mta.cli import main

CONTENT = (
    b"Subject: caf\xc3\xa9\r\nX-Odd: \x1b[31m\r\nX-Line: a\xe2\x80\xa8    b@c.test: delivered\r\n"
    b"X-Folded: a\r\n\tb\r\n\r\nBody\r\n"
)
MIRRORED = parse_address("\u202enna@here.test")  # a terminal shows it as ann
HOST = Host("mx.there.test", "192.0.2.1", 25)
FULL = judge(Reply(452, "mailbox \x1b full", 2, 2), Stage.RECIPIENT, HOST)

Output = tuple[int, str, str]


async def fill(folder: Path) -> None:
    spool = FileSpool.open(folder)
    waiting = Recipient(parse_address("bob@there.test"), attempts=3, next_at=4e9, last=FULL)
    done = Recipient(parse_address("carol@there.test"), State.DELIVERED, 1)
    envelope = Envelope(
        MessageId("m1"), parse_address("ann@here.test"), (waiting, done), 1e9, len(CONTENT)
    )
    await spool.add(envelope, CONTENT)
    report = replace(envelope, id=MessageId("m2"), sender=None, accepted_at=2e9)
    await spool.add(report, CONTENT)
    mirrored = replace(envelope, id=MessageId("m3"), sender=MIRRORED, accepted_at=3e9)
    await spool.add(mirrored, CONTENT)
    await spool.close()


@pytest.fixture
def queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    config = tmp_path / "config.yaml"
    config.write_text("spool: spool")
    asyncio.run(fill(tmp_path / "spool"))

    def call(*arguments: str) -> Output:
        status = main(["queue", *arguments, "--config", str(config)])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_what_waits_is_listed_oldest_first_with_the_last_answer(
    queue: Callable[..., Output],
) -> None:
    status, out, err = queue("list")

    assert (status, err) == (0, "")
    first, recipient, second, _, third, _, count = out.splitlines()
    assert first.startswith("m1  ")
    assert first.endswith(f"{len(CONTENT)} bytes  from <ann@here.test>")
    assert recipient.startswith("    bob@there.test: waiting, tried 3: again in ")
    assert recipient.endswith(
        r"452 4.2.2 mailbox \x1b full at mx.there.test[192.0.2.1]:25 [over-quota]"
    )
    assert second.startswith("m2  ")
    assert second.endswith("from <>")
    assert third.endswith(r"from <\u202enna@here.test>")
    assert count == "3 messages, 3 recipients waiting"
    assert "carol" not in out


def test_the_list_is_there_for_programs_too(queue: Callable[..., Output]) -> None:
    status, out, _ = queue("list", "--json")

    listed = json.loads(out)
    assert status == 0
    assert [message["id"] for message in listed] == ["m1", "m2", "m3"]
    assert [one["state"] for one in listed[0]["recipients"]] == ["waiting", "delivered"]
    assert listed[0]["recipients"][0]["reply"] == "452 4.2.2 mailbox \x1b full"
    assert listed[0]["recipients"][0]["cause"] == "mailbox-full"
    assert listed[0]["recipients"][0]["rule"] == "over-quota"


def test_one_message_is_shown_with_its_header_and_nothing_that_moves_a_terminal(
    queue: Callable[..., Output],
) -> None:
    status, out, _ = queue("show", "m1")

    assert status == 0
    assert "Subject: café" in out
    assert r"X-Odd: \x1b[31m" in out
    assert "X-Folded: a\n        b\n" in out
    assert r"X-Line: a\u2028    b@c.test: delivered" in out.splitlines()
    assert "carol@there.test: delivered" in out
    assert "Body" not in out
    assert "\x1b" not in out


def test_a_message_that_is_not_there_is_said_to_be_not_there(
    queue: Callable[..., Output],
) -> None:
    status, out, err = queue("show", "m9")

    assert (status, out) == (1, "")
    assert err == "m9: no such message waits here\n"


def test_a_spool_that_is_served_can_be_looked_into(
    queue: Callable[..., Output], tmp_path: Path
) -> None:
    async def serve_and_look() -> Output:
        spool = FileSpool.open(tmp_path / "spool")
        try:
            return await asyncio.to_thread(queue, "list")
        finally:
            await spool.close()

    status, out, _ = asyncio.run(serve_and_look())

    assert status == 0
    assert "3 messages" in out


def test_a_spool_that_is_not_there_is_more_likely_a_wrong_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("spool: nowhere")

    status = main(["queue", "list", "--config", str(config)])

    assert status == 1
    assert f"expected a spool at {tmp_path / 'nowhere'}, found none" in capsys.readouterr().err


def test_a_spool_that_cannot_be_reached_is_named_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"spool: /{'x' * 300}")  # as for a folder that is shut to us, EACCES

    status = main(["queue", "list", "--config", str(config)])

    assert status == 1
    error = capsys.readouterr().err
    assert error.startswith("mta queue: the spool /xxx")
    assert error.count("\n") == 1


def test_why_a_message_left_the_direct_road_is_shown(
    queue: Callable[..., Output], tmp_path: Path
) -> None:
    async def reroute() -> None:
        spool = FileSpool.open(tmp_path / "spool")
        old = spool.envelope(MessageId("m1"))
        moved = replace(old.recipients[0], road=Road.SMARTHOST, rerouted=Reason.BLOCKED)
        await spool.record(old.id, {0: moved})
        await spool.close()

    asyncio.run(reroute())

    _, text, _ = queue("show", "m1")
    _, plain, _ = queue("show", "m1", "--json")

    assert "by smarthost road: left the direct road (blocked): 452 4.2.2" in text
    assert json.loads(plain)["recipients"][0]["rerouted"] == "blocked"
