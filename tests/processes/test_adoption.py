"""Fewer processes than before: the mail of those that are no more moves over, once."""

import asyncio
from pathlib import Path

import pytest

from mta.model.address import parse_address
from mta.model.envelope import Envelope, MessageId, Recipient

from mta.edge.spool.files import FileSpool
from mta.edge.spool.inspection import inspect, read_content

from mta.config import Settings
from mta.processes.adoption import prepare_spools
from mta.processes.share import spool_of, spools_in


def settings(folder: Path) -> Settings:
    return Settings.model_validate({"hostname": "mail.app.test", "spool": str(folder)})


async def fill(folder: Path, *ids: str) -> None:
    spool = FileSpool.open(folder)
    for number, id in enumerate(ids):
        recipient = Recipient(parse_address("bob@there.test"), attempts=number, next_at=4e9)
        content = f"Subject: {id}\r\n\r\n".encode()
        await spool.add(Envelope(MessageId(id), None, (recipient,), 1e9, len(content)), content)
    await spool.close()


def waiting(folder: Path) -> dict[str, int]:
    """The messages in one spool, and how often each was tried."""
    return {envelope.id: envelope.recipients[0].attempts for envelope in inspect(folder)}


@pytest.fixture
def three(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    asyncio.run(fill(folder, "a1"))
    asyncio.run(fill(spool_of(folder, 1), "b1", "b2"))
    asyncio.run(fill(spool_of(folder, 2), *(f"c{number}" for number in range(250))))
    return folder


def test_what_waits_for_processes_that_are_no_more_moves_to_the_first(three: Path) -> None:
    asyncio.run(prepare_spools(settings(three), 2))

    assert spools_in(three) == [three, spool_of(three, 1)]
    assert waiting(three) == {"a1": 0} | {f"c{number}": number for number in range(250)}
    assert waiting(spool_of(three, 1)) == {"b1": 0, "b2": 1}
    assert read_content(three, MessageId("c7")) == b"Subject: c7\r\n\r\n"


def test_a_crash_on_the_way_is_made_good_by_another_start(three: Path) -> None:
    asyncio.run(fill(three, "b1"))  # it had come as far as that

    asyncio.run(prepare_spools(settings(three), 1))

    assert spools_in(three) == [three]
    assert len(waiting(three)) == 1 + 2 + 250


def test_what_had_moved_before_a_crash_is_cleared_away_and_not_read_again(three: Path) -> None:
    moved = spool_of(three, 2).rename(three / "process-3.moved")

    asyncio.run(prepare_spools(settings(three), 2))

    assert not moved.exists()
    assert waiting(three) == {"a1": 0}


def test_several_processes_find_the_first_one_s_spool(tmp_path: Path) -> None:
    folder = tmp_path / "spool"

    asyncio.run(prepare_spools(settings(folder), 2))

    assert (folder / "journal").is_dir()
