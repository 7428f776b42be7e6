from mta.wiring.reminders import DAY, Reminders

NOW = 1_800_000_000.0


def test_what_lasts_is_said_once_a_day() -> None:
    reminders = Reminders()

    said = [reminders.new("x", ["it burns"], NOW + hours * 3600) for hours in range(0, 49, 12)]

    assert said == [["it burns"], [], ["it burns"], [], ["it burns"]]


def test_what_went_away_is_news_when_it_comes_back() -> None:
    reminders = Reminders()
    reminders.new("x", ["it burns"], NOW)

    assert reminders.new("x", [], NOW + 1) == []
    assert reminders.new("x", ["it burns"], NOW + 2) == ["it burns"]


def test_topics_do_not_disturb_each_other() -> None:
    reminders = Reminders()
    reminders.new("x", ["it burns"], NOW)

    assert reminders.new("y", ["it burns"], NOW) == ["it burns"]
    assert reminders.new("x", ["it burns"], NOW) == []


def test_a_clock_that_steps_back_silences_nothing() -> None:
    reminders = Reminders()
    reminders.new("x", ["it burns"], NOW + DAY)

    assert reminders.new("x", ["it burns"], NOW) == ["it burns"]
