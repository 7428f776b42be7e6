"""The exchanger's records, and moods in files."""

import math
from pathlib import Path

import pytest

from tests.bench.soak.exchanger import Records
from tests.bench.soak.ledger import Ledger
from tests.bench.soak.mood import Mood
from tests.e2e.copies import Copy
from tests.e2e.traffic import Sent


def copy(test_id: str, *, sender: str = "ann@app.test", failed: tuple[str, ...] = ()) -> Copy:
    who = ("ann@app.test",) if failed else (f"ok-{test_id}@d0.test",)
    return Copy(test_id, "id", sender, who, failed, b"digest", 1.0, 0.0, was_cut=False)


def accepted(test_id: str, *recipients: str) -> Sent:
    return Sent(test_id, "ann@app.test", recipients, b"digest", is_large=False, id="id")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records"


def test_a_message_is_answered_when_its_answer_was_written_down(path: Path) -> None:
    records, ledger = Records(path), Ledger(path)
    name = records.took(copy("1"))
    records.took(copy("2"))
    records.answered(name)

    ledger.read_on()

    assert [found.test_id for found in ledger.mail] == ["1", "2"]
    assert [found.is_answered for found in ledger.mail] == [True, False]
    assert ledger.mail[1].answered_at == math.inf


def test_what_is_owed_ends_with_the_message_or_the_report(path: Path) -> None:
    records, ledger = Records(path), Ledger(path)
    ledger.accepted(accepted("1", "ok-1@d0.test", "no-1@d0.test"))
    records.took(copy("1"))
    ledger.read_on()
    assert ledger.owed == {("1", "no-1@d0.test")}

    records.took(copy("1", sender="", failed=("no-1@d0.test",)))
    ledger.read_on()

    assert ledger.owed == set()
    assert len(ledger.reports) == 1


def test_a_message_may_arrive_before_its_client_hears_of_it(path: Path) -> None:
    records, ledger = Records(path), Ledger(path)
    records.took(copy("1"))
    ledger.read_on()

    ledger.accepted(accepted("1", "ok-1@d0.test"))

    assert ledger.owed == set()


def test_a_line_that_is_not_whole_is_left_for_later(path: Path) -> None:
    Records(path).happened("refused")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:10])
    ledger = Ledger(path)

    ledger.read_on()
    path.write_bytes(whole + whole)
    ledger.read_on()

    assert ledger.counts == {"refused": 2}


def test_a_mood_is_read_as_it_was_written(tmp_path: Path) -> None:
    mood = Mood(drops=0.5, shut=("d0.test", "d1.test"), greylists=True)

    mood.write(tmp_path / "mood.json")

    assert Mood.read(tmp_path / "mood.json") == mood
