"""Django's own way of sending, by the HTTP API."""

import asyncio
import email
from collections.abc import Callable
from email import policy

import django
import pytest
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection

from mta.client import NotAllowed
from tests.edge.fake_desk import TOKEN, Caller, FakeDesk, answering
from tests.edge.fake_door import run

if not settings.configured:
    settings.configure(EMAIL_BACKEND="mta.contrib.django.EmailBackend", DEFAULT_CHARSET="utf-8")
    django.setup()


def sending(send: Callable[[Caller], int], desk: FakeDesk) -> int:
    async def scene() -> int:
        async with answering(desk) as caller:
            return await asyncio.to_thread(send, caller)

    return run(scene())


def connection(caller: Caller, **options: object) -> object:
    url = "http://{}:{}".format(*caller.place)
    return get_connection(**{"url": url, "token": TOKEN, **options})


def test_a_message_with_alternatives_attachments_and_bcc() -> None:
    desk = FakeDesk()

    def send(caller: Caller) -> int:
        message = EmailMultiAlternatives(
            "Grüße",
            "text",
            "Ann Ö <ann@here.test>",
            ["Bob <bob@there.test>"],
            bcc=["eve@there.test"],
            cc=["cay@there.test"],
            connection=connection(caller),
        )
        message.attach_alternative("<p>html", "text/html")
        message.attach("a.txt", "abc", "text/plain")
        count = message.send()
        assert message.mta_id == "m1"
        return int(count)

    assert sending(send, desk) == 1
    submission = desk.orders[0].submission
    assert str(submission.sender) == "ann@here.test"
    assert [one.local for one in submission.recipients] == ["bob", "cay", "eve"]
    read = email.message_from_bytes(submission.content, policy=policy.default)
    assert (read["subject"], read["bcc"]) == ("Grüße", None)
    assert [part.get_filename() for part in read.iter_attachments()] == ["a.txt"]
    assert b"eve" not in submission.content


def test_a_message_to_nobody_is_not_sent() -> None:
    desk = FakeDesk()

    def send(caller: Caller) -> int:
        return int(EmailMessage("s", "b", "a@here.test", [], connection=connection(caller)).send())

    assert sending(send, desk) == 0
    assert desk.orders == []


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_refusal_is_raised_unless_it_is_to_be_silent(is_silent: bool) -> None:
    desk = FakeDesk()

    def send(caller: Caller) -> int:
        there = connection(caller, fail_silently=is_silent)
        message = EmailMessage("s", "b", "a@here.test", ["notours@there.test"], connection=there)
        return int(message.send())

    if is_silent:
        assert sending(send, desk) == 0
    else:
        with pytest.raises(NotAllowed):
            sending(send, desk)
