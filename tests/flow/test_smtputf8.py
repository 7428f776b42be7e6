"""Mail beyond ASCII, from the door to its end (RFC 6531)."""

from dataclasses import replace

from mta.model.address import Address
from mta.model.envelope import Client
from mta.model.event import Kind

from tests.flow.house import House, Peer, story

UTF8 = Client("127.0.0.1", "app", "UTF8SMTPS")
CONTENT = "From: ann@sender.test\r\nSubject: grüße\r\n\r\nBody\r\n".encode()


async def submit(house: House, *locals_: str, sender: str = "ann", content: bytes = b"") -> None:
    message = house.message(*(f"{local}@there.test" for local in locals_), content=content)
    await house.intake.accept(
        replace(message, sender=Address(sender, "sender.test"), client=UTF8, is_smtputf8=True)
    )
    await house.step()


@story
async def test_it_goes_to_a_host_that_knows_it_and_says_how_it_came() -> None:
    house = House({"there.test": Peer()})

    await submit(house, "bøb", content=CONTENT)

    (letter,) = house.letters_to("there.test")
    assert letter.needs_smtputf8
    assert letter.is_8bit
    assert b" with UTF8SMTPS id m1" in letter.content
    assert "bøb".encode() not in letter.content  # Received names ASCII alone
    delivered = next(event for event in house.events if event.kind is Kind.DELIVERED)
    assert str(delivered.recipient) == "bøb@there.test"


@story
async def test_a_host_without_it_gets_none_and_the_report_is_for_everybody() -> None:
    house = House({"there.test": Peer(knows_utf8=False)})

    await submit(house, "bøb")

    assert house.letters_to("there.test") == []
    (report,) = house.letters_to("sender.test")
    assert not report.needs_smtputf8
    assert report.content.isascii()
    assert rb"Final-Recipient: utf-8; b\x{F8}b@there.test" in report.content
    assert b"Status: 5.6.7" in report.content


@story
async def test_a_header_beyond_ascii_needs_such_a_host_too() -> None:
    house = House({"there.test": Peer(knows_utf8=False)})

    await submit(house, "bob", content=CONTENT)

    assert Kind.FAILED in house.kinds("bob@there.test")


@story
async def test_what_needs_it_not_goes_anywhere() -> None:
    house = House({"there.test": Peer(knows_utf8=False)})

    await submit(house, "bob")

    assert len(house.letters_to("there.test")) == 1


@story
async def test_a_sender_beyond_ascii_gets_the_report_where_it_can_be_had() -> None:
    house = House({"there.test": Peer(knows_utf8=False)})

    await submit(house, "bob", sender="änn")

    (report,) = house.letters_to("sender.test")
    assert report.needs_smtputf8
    assert [str(recipient) for recipient in report.recipients] == ["änn@sender.test"]
