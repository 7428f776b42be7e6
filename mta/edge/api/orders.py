"""Requests read into orders: JSON, or a whole message with its envelope in the query."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar

from mta.model.address import Address, AddressError, parse_address
from mta.model.envelope import Client, Submission
from mta.model.order import Order
from mta.model.outcome import Reply
from mta.model.request import Deadline, Late, MessageRequest

from mta.rules.message.compose import composed
from mta.rules.message.headers import digest_of, is_key
from mta.rules.submission.content import TOO_LARGE, normalised

from mta.edge.api.calls import JSON, ApiLimits, Call
from mta.edge.api.forms import MessageForm
from mta.edge.api.problems import Mistake, Problem, canonical, shown
from mta.edge.api.reading import MAX_PARTS, read_json, read_message

RFC822 = "message/rfc822"
_SMALL = 32 * 1024  # octets that are worked on at once; more goes to a thread
_ENVELOPE = frozenset({"from", "to", "strict"})

Envelope = tuple[Address, tuple[Address, ...], bool]  # from, to, and whether warnings refuse

T = TypeVar("T")


class Reader:
    """Reads what is to be sent. Large bodies are read one after the other: they take memory."""

    def __init__(
        self,
        to_ascii: Callable[[str], str],
        limits: Callable[[], ApiLimits],
        clock: Callable[[], float],
    ) -> None:
        self._to_ascii = to_ascii
        self._clock = clock
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, "HTTP bodies")

    async def order(self, call: Call, client: Client) -> Order:
        """The message of a call. Raises Problem."""
        kind = _content_type(call, JSON, RFC822)
        key = _key(call)
        if kind == JSON:
            _expect_query(call, frozenset())
            return await self._apart(await call.read(), partial(self._from_json, client, key))
        envelope = self._envelope(call)
        return await self._apart(await call.read(), partial(self._whole, envelope, client, key))

    async def batch(self, call: Call, client: Client) -> list[Order | Problem]:
        """The messages of a call, each for itself. Raises Problem for what is no list."""
        _content_type(call, JSON)
        _expect_query(call, frozenset())
        key = _key(call)
        return await self._apart(await call.read(), partial(self._many, client, key))

    async def _apart(self, body: bytes, work: Callable[[bytes], T]) -> T:
        if len(body) <= _SMALL:
            return work(body)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, body)

    def _many(self, client: Client, key: str, body: bytes) -> list[Order | Problem]:
        raw = read_json(body)
        messages = (
            raw.get("messages") if isinstance(raw, dict) and raw.keys() == {"messages"} else 0
        )
        if not isinstance(messages, list) or not 1 <= len(messages) <= self._limits().batch:
            expected = f"expected a list of 1 to {self._limits().batch} messages, and nothing else"
            raise Problem(422, f"messages: {expected}", mistakes=[Mistake("messages", expected)])
        orders: list[Order | Problem] = []
        for place, message in enumerate(messages):
            try:
                form = self._form(message, ("messages", place))
                one = f"{key}#{place}" if key else ""
                orders.append(self._composed(form, client, one, message))
            except Problem as problem:
                orders.append(problem)
        return orders

    def _from_json(self, client: Client, key: str, body: bytes) -> Order:
        raw = read_json(body)
        return self._composed(self._form(raw), client, key, raw)

    def _form(self, raw: object, place: tuple[int | str, ...] = ()) -> MessageForm:
        parts = MAX_PARTS + 3 * self._limits().recipients  # each may be a name and an address
        return read_message(raw, self._to_ascii, place, parts=parts)

    def _composed(self, form: MessageForm, client: Client, key: str, raw: object) -> Order:
        recipients = form.recipients
        self._check_count(len(recipients))
        request = _asked(form)
        self._check_times(request)
        content = composed(form.draft)
        self._check_size(len(content))
        submission = Submission(
            sender=form.from_.address,
            recipients=recipients,
            content=content,
            client=client,
            is_smtputf8=True,
            request=request,
        )
        digest = hashlib.sha256(canonical(raw)).digest() if key else b""
        return Order(submission, key, digest, form.strict)

    def _whole(self, envelope: Envelope, client: Client, key: str, body: bytes) -> Order:
        sender, recipients, is_strict = envelope
        limits = self._limits()
        content = normalised(body, size=limits.message_size, line_length=limits.line_length)
        if isinstance(content, Reply):
            raise Problem(413 if content is TOO_LARGE else 422, content.text)
        submission = Submission(sender, recipients, content, client, is_smtputf8=True)
        return Order(submission, key, digest_of(submission), is_strict)

    def _envelope(self, call: Call) -> Envelope:
        """Sender and recipients from the query, and whether warnings refuse."""
        _expect_query(call, _ENVELOPE)
        mistakes: list[Mistake] = []
        senders = self._addresses(call, "from", mistakes)
        recipients = self._addresses(call, "to", mistakes)
        strict = [value for name, value in call.query if name == "strict"]
        if len(senders) != 1 and not mistakes:
            mistakes.append(Mistake("from", f"expected one address, found {len(senders)}"))
        if not recipients and not mistakes:
            mistakes.append(Mistake("to", "expected an address, found none"))
        if not set(strict) <= {"true", "false"}:
            mistakes.append(Mistake("strict", "expected true or false"))
        if mistakes:
            detail = f"The query's {mistakes[0].field}: {mistakes[0].text}"
            raise Problem(422, detail, mistakes=mistakes)
        self._check_count(len(recipients))
        return senders[0], tuple(dict.fromkeys(recipients)), "true" in strict

    def _addresses(self, call: Call, name: str, mistakes: list[Mistake]) -> list[Address]:
        found = []
        for key, text in call.query:
            if key == name:
                try:
                    found.append(parse_address(text, self._to_ascii))
                except AddressError as error:
                    mistakes.append(Mistake(name, str(error)))
        return found

    def _check_count(self, recipients: int) -> None:
        limit = self._limits().recipients
        if recipients > limit:
            text = f"expected at most {limit} recipients, got {recipients}"
            raise Problem(422, text, mistakes=[Mistake("to", text)])

    def _check_times(self, request: MessageRequest) -> None:
        """Refuse a wait that is too long, and a deadline that cannot be kept."""
        now, limit = self._clock(), self._limits().hold_seconds
        mistakes = []
        if request.hold_until > now + limit:
            text = f"expected a time within {limit / 3600:g} hours from now"
            mistakes.append(Mistake("send_at", text))
        if request.deadline is not None and request.deadline.at <= max(now, request.hold_until):
            text = "expected a time that is to come, after send_at"
            mistakes.append(Mistake("deadline", text))
        if mistakes:
            detail = f"{mistakes[0].field}: {mistakes[0].text}"
            raise Problem(422, detail, mistakes=mistakes)

    def _check_size(self, size: int) -> None:
        limit = self._limits().message_size
        if size > limit:
            raise Problem(413, f"Expected a message of at most {limit} octets, got {size}")


def _content_type(call: Call, *expected: str) -> str:
    """The body's kind; a form in a web page can send none of those that we take."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in expected:
        raise Problem(415, f"Expected Content-Type: {' or '.join(expected)}, got {shown(kind)}")
    if call.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Expected no Content-Encoding")
    return kind


def _key(call: Call) -> str:
    key = call.headers.get("idempotency-key")
    if key is None:
        return ""
    if not is_key(key):
        text = "expected 1 to 255 printable ASCII characters without spaces"
        raise Problem(400, f"Idempotency-Key: {text}, got {shown(key)}")
    return key


def _expect_query(call: Call, known: frozenset[str]) -> None:
    unknown = sorted({name for name, _ in call.query} - known)
    if unknown:
        expected = f"expected {', '.join(sorted(known))}" if known else "expected no query"
        mistakes = [Mistake(shown(name), expected) for name in unknown]
        raise Problem(422, f"The query: {expected}, got {shown(unknown[0])}", mistakes=mistakes)


def _asked(form: MessageForm) -> MessageRequest:
    if_late = Late.DROP if form.if_late == "drop" else Late.FAIL
    return MessageRequest(
        hold_until=_unix(form.send_at) or 0.0,
        deadline=Deadline(at, if_late) if (at := _unix(form.deadline)) is not None else None,
        is_bulk=form.bulk,
        tags=form.tags,
        metadata=tuple(form.metadata.items()),
    )


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
