"""Which outcomes mean that a site is to be sent less, and how much less."""

import pytest

from mta.model.domain import Host
from mta.model.outcome import Outcome, Reply, Stage, broken, judge

from mta.rules.pacing.feedback import after_trouble, trouble_in
from mta.rules.pacing.pace import Pace

NOW = 1_800_000_000.0
HOST = Host("mx.there.test", "192.0.2.1", 25)
OK = judge(Reply(250, "OK"), Stage.CONTENT, HOST)
GONE = judge(Reply(550, "no such user", 1, 1), Stage.RECIPIENT, HOST)
SLOW = judge(Reply(421, "unusual rate of unsolicited mail", 7, 28), Stage.CONTENT, HOST)
PEACE = judge(Reply(421, "[TSS04] Messages temporarily deferred", 7, 0), Stage.SENDER, HOST)
LOST = broken(Stage.CONNECT, HOST, "connection refused", detail=1)
CUT = broken(Stage.CONTENT, HOST, "connection lost", may_have_arrived=True)


@pytest.mark.parametrize("outcomes", [[OK], [GONE, OK], [CUT], []])
def test_what_is_about_one_message_is_no_trouble_of_the_site(outcomes: list[Outcome]) -> None:
    assert trouble_in(outcomes, "there.test") is None


@pytest.mark.parametrize(
    ("site", "outcomes", "is_shut", "is_slow", "window"),
    [
        ("there.test", [LOST], False, False, 4),
        ("google", [OK, SLOW], False, True, 4),
        ("yahoo", [PEACE], True, True, 1),
        ("yahoo", [SLOW, PEACE, LOST], True, True, 1),
    ],
)
def test_the_gravest_trouble_decides(
    site: str, outcomes: list[Outcome], is_shut: bool, is_slow: bool, window: float
) -> None:
    trouble = trouble_in(outcomes, site)
    assert trouble is not None

    pace = after_trouble(Pace(8.0), trouble, 1.0, NOW)

    assert (pace.is_shut, pace.rate > 0, pace.window) == (is_shut, is_slow, window)


def test_trouble_is_the_outcome_of_other_mail_that_is_not_tried() -> None:
    trouble = trouble_in([PEACE], "yahoo")
    assert trouble is not None

    outcome = trouble.outcome

    assert str(outcome.reply) == str(PEACE.reply)
    assert outcome.is_from_peer
    assert outcome.ruling == trouble.ruling
    assert outcome.host is None
