"""What a message's header says of time is kept, and does not leave with it."""

import pytest

from mta.model.request import Deadline, Late, MessageRequest

from tests.flow.house import START, House, Peer, story


def saying(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("From: ann@sender.test", *lines, "", "Body")).encode()


def house() -> House:
    return House({"there.test": Peer(is_reachable=False)})


@pytest.mark.parametrize(
    ("lines", "asked", "kept"),
    [
        (["Subject: hello"], MessageRequest(), MessageRequest()),
        (["Precedence: bulk"], MessageRequest(), MessageRequest(is_bulk=True)),
        (
            ["List-Id: <a.test>"],
            MessageRequest(priority=1),
            MessageRequest(priority=1),  # somebody says that it is urgent
        ),
        (
            ["List-Id: <a.test>"],
            MessageRequest(priority=-1),
            MessageRequest(priority=-1, is_bulk=True),
        ),
        (
            ["X-MTA-Deadline: 15m; report"],
            MessageRequest(),
            MessageRequest(deadline=Deadline(START + 900, Late.FAIL)),
        ),
        (
            ["X-MTA-Deadline: 15m"],
            MessageRequest(deadline=Deadline(START + 60)),
            MessageRequest(deadline=Deadline(START + 60)),  # what came with MAIL
        ),
    ],
)
def test_it_is_kept(lines: list[str], asked: MessageRequest, kept: MessageRequest) -> None:
    @story
    async def told() -> None:
        there = house()

        await there.submit("bob@there.test", content=saying(*lines), request=asked)

        (envelope,) = there.queued()
        assert envelope.request == kept

    told()


@story
async def test_the_field_stays_here() -> None:
    there = house()

    await there.submit("bob@there.test", content=saying("X-MTA-Deadline: 15m", "Subject: a"))

    (envelope,) = there.queued()
    content = await there.spool.content(envelope.id)
    assert b"deadline" not in content.lower()
    assert b"Subject: a" in content


@pytest.mark.parametrize("value", ["soon", "2001-01-01T00:00:00Z"])
def test_one_that_cannot_be_kept_is_refused(value: str) -> None:
    @story
    async def told() -> None:
        there = house()

        reply = await there.submit("bob@there.test", content=saying(f"X-MTA-Deadline: {value}"))

        assert reply.code == 554
        assert there.queued() == []

    told()
