"""One day of the simulation: no block is earned by who heeds what receivers answer."""

from collections.abc import Callable

import pytest

from mta.model.address import Address
from mta.model.outcome import Reply

from tests.flow.house import MINUTE
from tests.simulation.plot import svg
from tests.simulation.receivers import OK, Gmail, Greylister, Outlook, Receiver, Yahoo
from tests.simulation.time import run
from tests.simulation.week import Report, Week

BOB = Address("bob", "there.test")
HOUR = 60 * MINUTE


async def day(*, heeds: bool) -> Report:
    return await Week(heeds=heeds, scale=0.4).run(1.0)


def test_who_heeds_what_receivers_answer_earns_no_block_and_loses_no_mail() -> None:
    report = run(day(heeds=True))

    assert report.blocks == 0
    assert [fate.failed for fate in report.fates.values()] == [0] * len(report.fates)
    assert [fate.sent - fate.delivered for fate in report.fates.values()] == [0] * len(report.fates)
    assert max(fate.wait(1) for fate in report.fates.values()) < 6 * HOUR


def test_who_does_not_is_blocked_and_loses_mail() -> None:
    report = run(day(heeds=False))

    assert report.fates["outlook.test"].blocks > 0
    assert report.fates["outlook.test"].failed > 0


def test_the_queue_is_drawn_for_each_run() -> None:
    report = run(day(heeds=True))
    drawn = svg([("one", report), ("two", report)], ["gmail.test", "yahoo.test"])

    assert drawn.count("<polyline") == 4
    assert drawn.startswith("<svg")


# The characters


def answers(receiver: Receiver, count: int, *, every: float = 0.0, at: float = 0.0) -> list[Reply]:
    return [receiver.hear(at + place * every, "ann@here.test", BOB) for place in range(count)]


@pytest.mark.parametrize(
    "receiver",
    [
        lambda: Gmail(burst=10, per_hour=60, patience=5),
        lambda: Outlook(burst=10, per_hour=60, patience=5),
        lambda: Yahoo(burst=10, seconds=600, patience=5),
    ],
)
def test_a_guarded_receiver_takes_a_burst_defers_more_and_blocks_who_goes_on(
    receiver: Callable[[], Receiver],
) -> None:
    guarded = receiver()
    codes = [reply.code for reply in answers(guarded, 30)]

    assert codes[:10] == [250] * 10
    assert 400 <= codes[10] < 500
    assert codes[-1] >= 500
    assert guarded.blocks == 1


def test_a_guarded_receiver_takes_a_good_rate_for_ever() -> None:
    assert set(answers(Outlook(burst=10, per_hour=60, patience=5), 1_000, every=60.0)) == {OK}


def test_a_greylister_takes_the_second_try() -> None:
    first, soon, later = answers(Greylister(), 3, every=200.0)

    assert (first.code, soon.code, later.code) == (450, 450, 250)
