"""The way in: judge a message, complete it, sign it, store it, and only then say 250."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from mta.model.address import Address, refuse_unicode
from mta.model.envelope import Client, Envelope, MessageId, Recipient, Submission
from mta.model.event import Event, Kind
from mta.model.order import Caveat, Order, Receipt, Taking
from mta.model.outcome import Reply
from mta.model.request import Deadline, MessageRequest
from mta.model.trace import Entry, Fate, Trace
from mta.model.trouble import SigningError, SpoolError
from mta.model.user import User
from mta.model.value import value

from mta.rules.message.headers import (
    Header,
    Passage,
    completed,
    digest_of,
    idempotency_key,
    message_id,
    message_id_of,
    objection_to_header,
    read_header,
    tags_in,
    waives_tls,
)
from mta.rules.message.signing import author
from mta.rules.message.urgency import deadline_in, is_bulk, says_nothing
from mta.rules.routes.choose import Mail, Rule, route_for, rules_for
from mta.rules.submission.admission import objection_to_author, objection_to_sender
from mta.rules.submission.preflight import Preflight, caveats, in_short, refusal_for
from mta.rules.submission.quota import Load

from mta.flow.ports import Clock, Signer, Spool
from mta.flow.submission.forwarding import Forwarding
from mta.flow.submission.quotas import Quotas
from mta.flow.submission.register import Register

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """Who we are and whose mail we take: `senders` are domains, empty for any.

    `preflight` is for what comes by SMTP; who hands in an order says so with it. `routes` are
    those that mail may take, the first that fits; none: all of it takes the default one.
    """

    hostname: str
    senders: Collection[str] = ()
    preflight: Preflight = Preflight.OFF
    routes: tuple[Rule, ...] = ()


@value
class _Arrival:
    """A message that came, and what is seen in its header: `author` is the mailbox in From."""

    submission: Submission
    header: Header
    author: Address | None
    caveats: tuple[Caveat, ...] = ()
    is_passed_on: bool = False  # mail of others, by a forwarder

    @property
    def domain(self) -> str | None:
        """The author's: whose key signs."""
        return None if self.author is None else self.author.domain


class Intake:
    """Takes messages: from the doors after judging them, from ourselves without."""

    def __init__(
        self,
        *,
        house: House,
        spool: Spool,
        signer: Signer,
        quotas: Quotas,
        register: Register,
        clock: Clock,
        new_id: Callable[[], MessageId],
        on_stored: Callable[[Envelope], None],
        to_ascii: Callable[[str], str] = refuse_unicode,
        user_of: Callable[[str], User | None] = lambda name: None,
        forwarding: Forwarding | None = None,
    ) -> None:
        """`to_ascii` turns an author's domain into A-labels or raises ValueError.

        `user_of` knows the users by their names. `forwarding` is None where no mail of others
        is passed on.
        """
        self.house = house
        self.forwarding = forwarding
        self.signer = signer
        self._spool = spool
        self._events = register
        self._quotas = quotas
        self._register = register
        self._clock = clock
        self._new_id = new_id
        self._on_stored = on_stored
        self._to_ascii = to_ascii
        self._user_of = user_of

    def objection_to_sender(
        self, sender: Address | None, size: int, client: Client
    ) -> Reply | None:
        """The refusal to MAIL; `size` is the announced one in octets, 0 if none was."""
        full = self._spool.objection(size)
        if full is not None:
            return self._refused(Reply(452, full, 3, 1), sender, client)
        user = self._user(client)
        if client.user and user is None:
            return self._refused(Reply(530, "Your login is no longer valid", 7, 0), sender, client)
        senders = () if self._passes_on(client) else self.house.senders
        objection = objection_to_sender(sender, senders, user) or self._surplus(
            Load(messages=1, octets=size), client
        )
        return objection and self._refused(objection, sender, client)

    def objection_to_recipient(
        self, sender: Address | None, recipient: Address, count: int, client: Client
    ) -> Reply | None:
        """The refusal to RCPT; who may connect and send may send anywhere.

        With this recipient the message has `count`.
        """
        objection = self._surplus(Load(recipients=count), client)
        if objection is None and self.forwarding is not None:
            objection = self.forwarding.objection_to_recipient(recipient)
        return objection and self._refused(objection, sender, client)

    def objection_to_envelope(self, submission: Submission) -> Reply | None:
        """The first refusal to a message that came whole: to its MAIL, or to one of its RCPTs."""
        sender, client = submission.sender, submission.client
        objection = self.objection_to_sender(sender, len(submission.content), client)
        for count, recipient in enumerate(submission.recipients, start=1):
            if objection is not None:
                break
            objection = self.objection_to_recipient(sender, recipient, count, client)
        return objection

    def objection_to_client(self, address: str) -> Reply | None:
        """The refusal to a connection, which is counted where it is not refused."""
        load = Load(connections=1)
        objection = self._quotas.objection(load, address)
        if objection is None:
            self._quotas.charge(load, address)
        return objection

    async def accept(self, submission: Submission, id: MessageId | None = None) -> Reply:
        """Take a message from a door; the reply is the one to its final dot.

        The message is ours from the moment that `Spool.add` returns (RFC 5321 §4.2.5); only
        then is the reply a 250. `id` is a new one, unless the door has it already; a repeat of it
        changes nothing.
        """
        id, arrival = id or self._new_id(), self._arrival(submission)
        key = idempotency_key(arrival.header)
        if isinstance(key, Reply):
            return self._refused(key, submission.sender, submission.client)
        if self.house.preflight is not Preflight.OFF and not arrival.is_passed_on:
            arrival = self._looked_through(arrival)
            if arrival.caveats and self.house.preflight is Preflight.REFUSE:
                reply = refusal_for(arrival.caveats)
                return self._refused(reply, submission.sender, submission.client)
        if not key:
            return await self._take(id, arrival)
        digest = await asyncio.to_thread(digest_of, submission)
        receipt = await self._take_once(id, Order(submission, key, digest), arrival)
        return receipt.reply

    async def order(self, order: Order) -> Receipt:
        """Take a message that is asked after later, unless the same one came before."""
        arrival = self._looked_through(self._arrival(order.submission))
        key = order.key or idempotency_key(arrival.header)
        if isinstance(key, Reply):
            return Receipt(Taking.REFUSED, key)
        if order.is_strict and arrival.caveats:
            reply = refusal_for(arrival.caveats)
            return Receipt(Taking.REFUSED, reply, warnings=arrival.caveats)
        return await self._take_once(self._new_id(), replace(order, key=key), arrival)

    def wait_for(self, submission: Submission) -> float:
        """Seconds until the quotas have room for a message; 0 where they have, or never will."""
        client = submission.client
        return self._quotas.wait(_load(submission), client.address, self._user(client))

    def _arrival(self, submission: Submission) -> "_Arrival":
        header = read_header(submission.content)
        arrival = _Arrival(submission, header, author(header, self._to_ascii))
        if self.forwarding is None:
            return arrival
        readdressed = self.forwarding.readdressed(submission)
        is_passed_on = self.forwarding.is_by(submission.client)
        return replace(arrival, submission=readdressed, is_passed_on=is_passed_on)

    def _passes_on(self, client: Client) -> bool:
        return self.forwarding is not None and self.forwarding.is_by(client)

    def _looked_through(self, arrival: "_Arrival") -> "_Arrival":
        submission = arrival.submission
        found = tuple(
            caveats(
                arrival.header,
                author=arrival.domain,
                sender=submission.sender,
                recipients=len(submission.recipients),
                signs=self.signer.signs_for,
            )
        )
        return replace(arrival, caveats=found) if found else arrival

    async def _take_once(self, id: MessageId, order: Order, arrival: "_Arrival") -> Receipt:
        submission, now = arrival.submission, self._clock()
        due_at = max(now, submission.request.hold_until)
        entry = Entry(
            id=id,
            user=submission.client.owner,
            at=now,
            message_id=message_id(arrival.header) or message_id_of(id, self.house.hostname),
            warnings=arrival.caveats,
            key=order.key,
            digest=order.digest,
        )
        unique = dict.fromkeys(submission.recipients)
        fates = tuple([Fate(address, at=now, next_at=due_at) for address in unique])
        return await self._register.once(Trace(entry, fates), partial(self._take, id, arrival))

    async def _take(self, id: MessageId, arrival: "_Arrival") -> Reply:
        submission, header = arrival.submission, arrival.header
        client = submission.client
        objection = (
            objection_to_header(header)
            or self._objection_to_time(submission, header)
            or objection_to_author(arrival.author, self._user(client))
            or self._overdraft(submission)
        )
        if objection is not None:
            return self._refused(objection, submission.sender, client)
        passage = Passage(id, self.house.hostname, client, self._clock())
        content = completed(header, passage, submission.recipients)
        try:
            await self._store(id, arrival, content)
        except SpoolError as error:
            log.error("%s: not stored: %s", id, error)
            return self._refused(
                Reply(452, "Cannot store the message now, try again later", 3, 1),
                submission.sender,
                client,
            )
        return Reply(250, f"Queued as {id}{in_short(arrival.caveats)}")

    async def enqueue(self, id: MessageId, submission: Submission) -> None:
        """Take a message that needs no judging: our own. A repeat of its id changes nothing.

        Once this returns, the message is on disk and will be delivered or given up, whatever
        happens to us. Raises SpoolError.
        """
        await self._store(id, self._arrival(submission), submission.content)

    async def _store(self, id: MessageId, arrival: "_Arrival", content: bytes) -> None:
        """Sign and store `content`: what came, completed. Raises SpoolError."""
        submission = arrival.submission
        signature, why_not = await self._signature(arrival.domain, content)
        signed = signature + content if signature else content
        if arrival.is_passed_on and self.forwarding is not None:
            seal = await self._sealed(self.forwarding, submission.content, signed)
            signature, signed = seal or signature, seal + signed
        now = self._clock()
        envelope = _envelope(id, submission, arrival.header, signed, now)
        if self.house.routes:
            envelope = _routed(envelope, submission.client.user, arrival.header, self.house.routes)
        if not await self._spool.add(envelope, signed):
            return
        self._events.emit(_accepted(envelope, submission.client, arrival.caveats))
        if not signature:
            self._events.emit(Event(kind=Kind.UNSIGNED, at=now, id=id, text=why_not))
        self._on_stored(envelope)

    async def _sealed(self, forwarding: Forwarding, came: bytes, content: bytes) -> bytes:
        """The fields that seal what is passed on; b"" for none."""
        try:
            return await forwarding.seal(came, content)
        except SigningError as error:
            log.warning("%s", error)
            return b""

    async def _signature(self, domain: str | None, content: bytes) -> tuple[bytes, str]:
        """The fields that sign `content`; or none, and why not."""
        if domain is None:
            return b"", "no author's domain in From"
        try:
            signature = await self.signer.signature_fields(content, domain)
        except SigningError as error:
            return b"", str(error)
        return signature, f"no key for {domain}"

    def _surplus(self, load: Load, client: Client) -> Reply | None:
        """Why so much more is not taken from a client now."""
        return self._quotas.objection(load, client.address, self._user(client))

    def _overdraft(self, submission: Submission) -> Reply | None:
        """Why a whole message is not taken now; it is counted where it is."""
        client = submission.client
        load = _load(submission)
        objection = self._surplus(load, client)
        if objection is None:
            # Before it is stored: what waits for the disk together must not pass together.
            self._quotas.charge(load, client.address, self._user(client))
        return objection

    def _objection_to_time(self, submission: Submission, header: Header) -> Reply | None:
        """Why a message is late already, or nobody can tell when it will be."""
        if says_nothing(header):
            return None
        found = deadline_in(header, self._clock(), submission.request.hold_until)
        return found if isinstance(found, Reply) else None

    def _user(self, client: Client) -> User | None:
        return self._user_of(client.user) if client.user else None

    def _refused(self, reply: Reply, sender: Address | None, client: Client) -> Reply:
        self._events.emit(
            Event(
                kind=Kind.REFUSED,
                at=self._clock(),
                sender=str(sender or ""),
                client=client.address,
                user=client.user or None,
                reply=reply,
            )
        )
        return reply


def _load(submission: Submission) -> Load:
    return Load(0, 1, len(submission.recipients), len(submission.content))


def _envelope(
    id: MessageId, submission: Submission, header: Header, content: bytes, now: float
) -> Envelope:
    unique = dict.fromkeys(submission.recipients)  # named twice, delivered once
    starts_at = max(now, submission.request.hold_until)
    recipients = [Recipient(address, next_at=starts_at) for address in unique]
    if submission.requests:  # of one named twice the first counts
        asked = dict(zip(submission.recipients[::-1], submission.requests[::-1], strict=True))
        recipients = [replace(one, request=asked[one.address]) for one in recipients]
    return Envelope(
        id=id,
        sender=submission.sender,
        recipients=tuple(recipients),
        accepted_at=now,
        size=len(content),
        is_8bit=not content.isascii(),
        needs_smtputf8=submission.is_smtputf8 and not _is_ascii(submission, header),
        request=_request(submission, header, now),
    )


def _routed(envelope: Envelope, user: str, header: Header, rules: tuple[Rule, ...]) -> Envelope:
    """The envelope with a route for each recipient."""
    mail = Mail(envelope.sender, user, envelope.request.tags, header)
    fitting = rules_for(rules, mail)
    routes = [route_for(fitting, one.address) for one in envelope.recipients]
    if not any(routes):
        return envelope
    routed = zip(envelope.recipients, routes, strict=True)
    return replace(
        envelope,
        recipients=tuple([replace(one, route=route) if route else one for one, route in routed]),
    )


def _request(submission: Submission, header: Header, now: float) -> MessageRequest:
    """What is asked of the message, by its client or in its header."""
    request = submission.request
    if tags := tags_in(header):
        request = replace(request, tags=tuple(dict.fromkeys((*request.tags, *tags))))
    if waives_tls(header) and not request.needs_tls:  # who says both, needs it (RFC 8689 §3)
        request = replace(request, waives_tls=True)
    return request if says_nothing(header) else _hurried(request, header, now)


def _hurried(request: MessageRequest, header: Header, now: float) -> MessageRequest:
    """The request with what the header says of time; what the client said itself counts more."""
    deadline = request.deadline or deadline_in(header, now)
    return replace(
        request,
        deadline=deadline if isinstance(deadline, Deadline) else None,
        is_bulk=request.is_bulk or (is_bulk(header) and request.priority <= 0),
    )


def _is_ascii(submission: Submission, header: Header) -> bool:
    """Whether a server without SMTPUTF8 can be given it, whatever is in its body."""
    sender = (submission.sender,) if submission.sender else ()
    addresses = (*sender, *submission.recipients)
    return all(a.is_ascii for a in addresses) and header.content[: header.end].isascii()


def _accepted(envelope: Envelope, client: Client, caveats: tuple[Caveat, ...]) -> Event:
    is_held = envelope.released_at > envelope.accepted_at
    return Event(
        kind=Kind.ACCEPTED,
        at=envelope.accepted_at,
        next_at=envelope.released_at if is_held else None,
        id=envelope.id,
        sender=str(envelope.sender or ""),
        recipients=len(envelope.recipients),
        size=envelope.size,
        client=client.address,
        user=client.user or None,
        warnings=tuple([one.code for one in caveats]) if caveats else None,
    )
