"""The way in: what is refused, what is added, and when a message is ours."""

from dataclasses import replace

from mta.model.address import parse_address
from mta.model.event import Kind
from mta.model.request import NOTHING_FOR_RECIPIENT, MessageRequest, Notice, RecipientRequest
from mta.model.trouble import SpoolError, SpoolFull
from mta.model.user import Allowance, User

from mta.rules.submission.preflight import Preflight

from tests.flow.house import CLIENT, FakeSigner, House, story


@story
async def test_a_message_is_stored_before_it_is_acknowledged() -> None:
    house = House()

    reply = await house.submit("bob@there.test")

    assert (reply.code, reply.status, reply.text) == (250, "2.0.0", "Queued as m1")
    assert [envelope.id for envelope in house.queued()] == ["m1"]


@story
async def test_a_message_that_cannot_be_stored_is_not_acknowledged() -> None:
    for trouble in (SpoolError("the disk is on fire"), SpoolFull("no room")):
        house = House()
        house.spool.trouble = trouble

        reply = await house.submit("bob@there.test")

        assert (reply.code, reply.status) == (452, "4.3.1")
        assert house.queued() == []
        assert house.kinds() == [Kind.REFUSED]


@story
async def test_a_full_spool_is_said_at_mail() -> None:
    house = House()
    house.spool.closed_because = "the disk is full"

    objection = house.intake.objection_to_sender(None, 0, CLIENT)

    assert objection is not None
    assert str(objection) == "452 4.3.1 the disk is full"


@story
async def test_the_content_is_completed_and_signed_once_before_it_is_stored() -> None:
    house = House()

    await house.submit("bob@there.test")

    content = await house.spool.content(house.queued()[0].id)
    signature, received, date, message_id, *rest = content.split(b"\r\n")
    assert signature == b"DKIM-Signature: d=sender.test"
    assert received.startswith(b"Received: from app ([127.0.0.1])")
    assert (date[:11], message_id[:4]) == (b"\tby mta.test"[:11], b"\tfor")
    assert content.endswith(b"From: ann@sender.test\r\nSubject: hello\r\n\r\nBody\r\n")
    assert house.queued()[0].size == len(content)
    assert rest


@story
async def test_a_message_without_a_key_goes_unsigned_and_an_event_says_so() -> None:
    house = House(signer=FakeSigner("elsewhere.test"))

    reply = await house.submit("bob@there.test")

    assert reply.code == 250
    assert house.kinds() == [Kind.ACCEPTED, Kind.UNSIGNED]
    assert house.events[1].text == "no key for sender.test"


@story
async def test_a_signer_in_trouble_costs_the_signature_and_not_the_message() -> None:
    house = House(signer=FakeSigner("sender.test", stumbles_over="sender.test"))

    reply = await house.submit("bob@there.test")

    assert reply.code == 250
    assert house.events[1].text == "cannot sign for sender.test"


@story
async def test_a_recipient_named_twice_is_one_recipient() -> None:
    house = House()

    await house.submit("bob@there.test", "carol@there.test", "bob@there.test")

    addresses = [str(recipient.address) for recipient in house.queued()[0].recipients]
    assert addresses == ["bob@there.test", "carol@there.test"]


@story
async def test_what_was_asked_is_kept_and_of_a_recipient_named_twice_the_first_counts() -> None:
    house = House()
    never, delay = (RecipientRequest(frozenset({one})) for one in (Notice.NEVER, Notice.DELAY))
    asked = MessageRequest(envelope_id="x1")
    plain = house.message("bob@there.test", "carol@there.test", "bob@there.test")
    requests = (never, NOTHING_FOR_RECIPIENT, delay)

    await house.intake.accept(replace(plain, request=asked, requests=requests))

    envelope = house.queued()[0]
    assert envelope.request == asked
    assert [one.request for one in envelope.recipients] == [never, NOTHING_FOR_RECIPIENT]


@story
async def test_a_message_that_is_to_be_held_is_not_due_before() -> None:
    house = House()
    held = replace(house.message("bob@there.test"), request=MessageRequest(hold_until=1e10))

    await house.intake.accept(held)

    assert [one.next_at for one in house.queued()[0].recipients] == [1e10]


@story
async def test_a_message_that_has_passed_too_many_hosts_is_in_a_loop() -> None:
    house = House()
    content = b"Received: from somewhere\r\n" * 51 + b"\r\nBody\r\n"

    reply = await house.intake.accept(house.message("bob@there.test", content=content))

    assert (reply.code, reply.status) == (554, "5.4.6")
    assert house.queued() == []


@story
async def test_senders_of_other_domains_are_refused_where_ours_are_named() -> None:
    house = House(senders=("sender.test",))
    stranger = house.message("bob@there.test", sender="eve@else.test").sender

    objection = house.intake.objection_to_sender(stranger, 0, CLIENT)

    assert objection is not None
    assert (objection.code, objection.status) == (550, "5.7.1")
    assert house.kinds() == [Kind.REFUSED]


@story
async def test_only_what_needs_smtputf8_asks_for_it() -> None:
    house = House()
    plain = house.message("bob@there.test")
    declared = house.message("bob@there.test")
    unicode = house.message("bøb@there.test")

    for submission, is_declared in ((plain, False), (declared, True), (unicode, True)):
        await house.intake.accept(
            type(submission)(
                submission.sender,
                submission.recipients,
                submission.content,
                submission.client,
                is_smtputf8=is_declared,
            )
        )

    assert [envelope.needs_smtputf8 for envelope in house.queued()] == [False, False, True]


@story
async def test_a_user_may_send_from_his_own_senders_and_from_no_others() -> None:
    house = House(senders=("sender.test",), users=[User("ann", frozenset({"her.test"}))])
    client = replace(CLIENT, user="ann")

    own = house.intake.objection_to_sender(parse_address("ann@her.test"), 0, client)
    other = house.intake.objection_to_sender(parse_address("ann@sender.test"), 0, client)

    assert own is None
    assert str(other) == "550 5.7.1 ann may not send from ann@sender.test"
    assert [(event.kind, event.user) for event in house.events] == [(Kind.REFUSED, "ann")]


@story
async def test_who_was_removed_while_logged_in_may_send_no_more() -> None:
    house = House(users=[User("ann")])
    client = replace(CLIENT, user="ann")
    house.users.clear()

    objection = house.intake.objection_to_sender(parse_address("ann@sender.test"), 0, client)

    assert str(objection) == "530 5.7.0 Your login is no longer valid"


@story
async def test_a_user_s_own_allowance_is_kept() -> None:
    house = House(users=[User("ann", per_hour=Allowance(messages=1))])
    message = replace(house.message("bob@there.test"), client=replace(CLIENT, user="ann"))

    replies = [await house.intake.accept(message) for _ in range(2)]

    assert [reply.code for reply in replies] == [250, 450]
    assert (await house.submit("bob@there.test")).code == 250
    assert house.events[0].user == "ann"


@story
async def test_a_user_may_not_write_in_a_name_that_another_s_key_would_sign() -> None:
    house = House(users=[User("ann", frozenset({"her.test", "ann@sender.test"}))])

    async def replies_to(author: bytes) -> int:
        content = b"From: " + author + b"\r\n\r\nBody\r\n"
        message = house.message("bob@there.test", content=content)
        return (await house.intake.accept(replace(message, client=ann))).code

    ann = replace(CLIENT, user="ann")

    assert await replies_to(b"Ann <Ann@sender.test>") == 250
    assert await replies_to(b"anybody@her.test") == 250
    assert await replies_to(b"The boss <boss@sender.test>") == 550
    assert await replies_to(b'"ann@sender.test" <ann@sub.her.test>') == 550
    assert house.events[-1].kind is Kind.REFUSED


@story
async def test_who_has_no_senders_of_his_own_writes_in_any_name() -> None:
    house = House(users=[User("ann")])
    message = replace(house.message("bob@there.test"), client=replace(CLIENT, user="ann"))

    assert (await house.intake.accept(message)).code == 250


@story
async def test_what_will_surprise_is_said_in_the_reply_and_the_event() -> None:
    house = House(preflight=Preflight.WARN)
    content = b"From: ann@else.test\r\nTo: b@there.test\r\n\r\nBody\r\n"

    reply = await house.intake.accept(house.message("bob@there.test", content=content))

    assert reply.text == "Queued as m1 (3 warnings: no-key)"
    assert house.events[0].warnings == ("no-key", "misaligned", "no-subject")


@story
async def test_what_will_surprise_is_refused_where_the_settings_say_so() -> None:
    house = House(preflight=Preflight.REFUSE)
    good = b"From: ann@sender.test\r\nTo: b@there.test\r\nSubject: hi\r\n\r\nBody\r\n"

    refused = await house.submit("bob@there.test")
    taken = await house.intake.accept(house.message("bob@there.test", content=good))

    assert str(refused) == "554 5.6.0 no-to: expected a field To or Cc"
    assert taken.text == "Queued as m2"
    assert [envelope.id for envelope in house.queued()] == ["m2"]
