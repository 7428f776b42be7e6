"""What is due is found by its moment, whatever has become of the rest."""

from mta.model.envelope import MessageId

from mta.flow.delivery.agenda import AT_ONCE, Agenda


def ids(*numbers: int) -> list[MessageId]:
    return [MessageId(f"m{number}") for number in numbers]


def test_what_is_due_comes_in_order_and_once() -> None:
    agenda = Agenda(lambda _: True)
    for at, id in zip((3, 1, 2, 9), ids(3, 1, 2, 9), strict=True):
        agenda.enter(at, id)

    assert agenda.due(0) == []
    assert agenda.due(3) == ids(1, 2, 3)
    assert agenda.due(3) == []


def test_messages_that_are_gone_are_passed_over() -> None:
    agenda = Agenda(lambda one: one != "m1")
    agenda.enter(1, MessageId("m1"))
    agenda.enter(1, MessageId("m2"))

    assert agenda.due(1) == ids(2)


def test_much_at_once_comes_in_parts() -> None:
    agenda = Agenda(lambda _: True)
    for number in range(AT_ONCE + 1):
        agenda.enter(number, MessageId(f"m{number}"))

    assert agenda.due(1e9) == ids(*range(AT_ONCE))
    assert agenda.due(1e9) == ids(AT_ONCE)


def test_messages_that_are_gone_are_let_go_of_long_before_they_are_due() -> None:
    asked: list[MessageId] = []

    def is_here(id: MessageId) -> bool:
        asked.append(id)
        return False

    agenda = Agenda(is_here)
    for number in range(50_000):
        agenda.enter(number, MessageId(f"m{number}"))

    assert 0 < 50_000 - len(asked) < 20_000
    assert agenda.due(1e9) == []


def test_nothing_is_due_after_it_is_cleared() -> None:
    agenda = Agenda(lambda _: True)
    agenda.enter(1, MessageId("m1"))

    agenda.clear()

    assert agenda.due(1) == []
