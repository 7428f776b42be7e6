"""Mail whose sender is another for each recipient (XVERP)."""

from mta.model.request import MessageRequest

from tests.flow.house import DAY, UNKNOWN, House, Peer, story

VERP = MessageRequest(is_verp=True)


@story
async def test_each_recipient_has_a_transaction_and_a_sender_of_its_own() -> None:
    house = House({"there.test": Peer()})

    await house.submit("bob@there.test", "eve@there.test", request=VERP)
    await house.step()

    letters = house.letters_to("there.test")
    assert sorted((str(letter.sender), str(*letter.recipients)) for letter in letters) == [
        ("ann+bob=there.test@sender.test", "bob@there.test"),
        ("ann+eve=there.test@sender.test", "eve@there.test"),
    ]


@story
async def test_what_fails_comes_back_to_that_sender_one_by_one() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN], "eve": [UNKNOWN]}), "sender.test": Peer()})

    await house.submit("bob@there.test", "eve@there.test", "carol@there.test", request=VERP)
    await house.step()

    reports = house.letters_to("sender.test")
    assert sorted(str(*report.recipients) for report in reports) == [
        "ann+bob=there.test@sender.test",
        "ann+eve=there.test@sender.test",
    ]
    assert house.queued() == []


@story
async def test_what_is_late_is_told_to_each_of_them_once() -> None:
    house = House(
        {"there.test": Peer(is_reachable=False), "sender.test": Peer()}, delay_report_after=3600.0
    )

    await house.submit("bob@there.test", "eve@there.test", request=VERP)
    await house.step()
    for _ in range(8):
        await house.advance(DAY / 8)

    assert sorted(str(*report.recipients) for report in house.letters_to("sender.test")) == [
        "ann+bob=there.test@sender.test",
        "ann+eve=there.test@sender.test",
    ]
