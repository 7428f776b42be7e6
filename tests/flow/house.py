"""The whole flow on fakes: a spool in memory, domains with manners, a clock that tests turn."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from itertools import count

from mta.model.address import Address, parse_address
from mta.model.domain import Answer, Finding, Host, Mx, Tlsa, TlsDemand, TlsFacts, TlsLevel
from mta.model.envelope import (
    Client,
    Destination,
    Envelope,
    Letter,
    MessageId,
    Road,
    Submission,
)
from mta.model.event import Event, Kind
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict, broken, judge
from mta.model.request import NOTHING, MessageRequest, Notice, RecipientRequest, Returned
from mta.model.trouble import SigningError
from mta.model.user import User

from mta.rules.delivery.limits import NO_LIMITS, Limits, within
from mta.rules.delivery.progress import Mode
from mta.rules.delivery.retry import RetryPlan
from mta.rules.refusals.classify import SHIPPED, Table
from mta.rules.submission.preflight import Preflight

from mta.flow.delivery.courier import Courier, Way
from mta.flow.delivery.detours import Detours
from mta.flow.delivery.dispatcher import Dispatcher
from mta.flow.delivery.reporting import Reporter
from mta.flow.delivery.settlement import Settlement, Terms
from mta.flow.delivery.sites import Sites
from mta.flow.delivery.slots import Room, Slots
from mta.flow.delivery.throttles import Throttles
from mta.flow.ports import Connector, EventLog, Ledger, Session, Signer, TlsaLookup
from mta.flow.submission.desk import Desk
from mta.flow.submission.intake import House as Identity
from mta.flow.submission.intake import Intake
from mta.flow.submission.quotas import Quotas, QuotaTerms
from mta.flow.submission.register import Register
from mta.flow.tls.assurance import Assurance

from tests.flow.memory_spool import MemorySpool

START = 1_800_000_000.0
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False)
CLIENT = Client("127.0.0.1", "app", "ESMTP")
PLAN = RetryPlan((MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR, 8 * HOUR), 5 * DAY)

OK = Reply(250, "OK")
UNKNOWN = Reply(550, "no such user", 1, 1)
LATER = Reply(451, "come again later", 7, 1)
BLOCKED = Reply(550, "your address is on a blocklist", 7, 1)


@dataclass
class Peer:
    """A mail exchanger's manners. `replies` holds what each RCPT for a local part hears in turn."""

    replies: Mapping[str, list[Reply]] = field(default_factory=dict)
    final: list[Reply | None] = field(default_factory=list)  # to each final dot; None: silence
    greeting: Reply = OK
    is_reachable: bool = True
    breaks_tls: bool = False
    has_good_certificate: bool = False
    keeps_tls: bool = False  # it offers REQUIRETLS
    knows_utf8: bool = True  # it offers SMTPUTF8
    recipients_at_once: int = 1000
    offers_dsn: bool = False
    keeps_deadlines: bool = True
    limits: Limits = NO_LIMITS
    gate: asyncio.Event | None = None  # deliveries wait for it
    letters: list[Letter] = field(default_factory=list)
    opened: list[TlsDemand] = field(default_factory=list)
    sessions: "list[FakeSession]" = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    def reply_to(self, local: str) -> Reply:
        waiting = self.replies.get(local, [])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0] if waiting else OK

    def final_reply(self) -> Reply | None:
        return self.final.pop(0) if self.final else OK


class FakeSession:
    def __init__(self, host: Host, peer: Peer, tls: TlsFacts | None) -> None:
        self.host = host
        self.tls = tls
        self.is_usable = True
        self.closed = asyncio.Event()
        self.breaks_at_next = False  # the peer has closed the connection
        self.has_limits = peer.limits is not NO_LIMITS
        self._mails = 0
        self._domains: set[str] = set()
        self._peer = peer
        peer.sessions.append(self)

    def within_limits(self, places: Sequence[int], recipients: Sequence[Address]) -> list[int]:
        return within(
            self._peer.limits, places, recipients, mails=self._mails, domains=self._domains
        )

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        self._mails += 1
        self._domains.update(recipient.domain for recipient in letter.recipients)
        if self.breaks_at_next:
            self.is_usable = False
            return (broken(Stage.SENDER, self.host, "gone"),) * len(letter.recipients)
        lack = self._lack(letter)
        if lack is not None:
            unfit = Outcome(Verdict.FAILED, lack, Stage.SENDER, Scope.HOST, self.host)
            return (unfit,) * len(letter.recipients)
        self._peer.under_way += 1
        self._peer.most_under_way = max(self._peer.most_under_way, self._peer.under_way)
        try:
            if self._peer.gate is not None:
                await self._peer.gate.wait()
            return tuple(self._outcomes(letter))
        finally:
            self._peer.under_way -= 1

    def _lack(self, letter: Letter) -> Reply | None:
        is_ascii = all(to.is_ascii for to in letter.recipients) and not letter.needs_smtputf8
        if letter.request.needs_tls and not self._peer.keeps_tls:
            return Reply(550, "no REQUIRETLS", 7, 30)
        return None if is_ascii or self._peer.knows_utf8 else Reply(550, "no SMTPUTF8", 6, 7)

    async def close(self) -> None:
        self.is_usable = False
        self.closed.set()

    def _outcomes(self, letter: Letter) -> Iterator[Outcome]:
        replies = [self._peer.reply_to(recipient.local) for recipient in letter.recipients]
        for place in range(self._peer.recipients_at_once, len(replies)):
            replies[place] = Reply(452, "too many recipients", 5, 3)
        taken = [
            recipient for recipient, r in zip(letter.recipients, replies, strict=True) if r == OK
        ]
        final = self._peer.final_reply() if taken else None
        if taken and final == OK:
            pairs = zip(letter.recipients, replies, strict=True)
            heard = tuple(recipient for recipient, reply in pairs if reply == OK)
            self._peer.letters.append(replace(letter, recipients=heard))
        for reply in replies:
            if reply != OK:
                yield judge(reply, Stage.RECIPIENT, self.host, self.tls)
            elif final is None:
                self.is_usable = False
                yield broken(Stage.CONTENT, self.host, "silence", may_have_arrived=True)
            else:
                outcome = judge(final, Stage.CONTENT, self.host, self.tls)
                yield replace(
                    outcome,
                    peer_reports=self._peer.offers_dsn,
                    peer_keeps_deadline=self._peer.keeps_deadlines,
                )
                self.is_usable = self.is_usable and final.code != 421


class FakeWorld:
    """The DNS and the hosts behind it, in one: domain "there.test" is served by "mx.there.test"."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self.peers = {f"mx.{domain}": peer for domain, peer in peers.items()}
        self.mx_answers: dict[str, Answer[Mx]] = {}
        self.tlsa_answers: dict[str, Answer[Tlsa]] = {}
        self.is_signed = False
        self.queries: list[str] = []

    async def mx(self, domain: str) -> Answer[Mx]:
        self.queries.append(domain)
        known = Answer(Finding.RECORDS, (Mx(10, f"mx.{domain}"),), is_secure=self.is_signed)
        unknown: Answer[Mx] = Answer(Finding.NO_NAME)
        return self.mx_answers.get(domain, known if f"mx.{domain}" in self.peers else unknown)

    async def addresses(self, name: str) -> Answer[str]:
        return (
            Answer(Finding.RECORDS, ("192.0.2.1",), is_secure=self.is_signed)
            if name in self.peers
            else Answer(Finding.NO_NAME)
        )

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return self.tlsa_answers.get(name, Answer(Finding.NO_NAME))

    async def alias(self, name: str) -> Answer[str]:
        return Answer(Finding.NO_DATA)

    async def open(self, host: Host, demand: TlsDemand) -> FakeSession | Outcome:
        peer = self.peers[host.name]
        peer.opened.append(demand)
        if not peer.is_reachable:
            return broken(Stage.CONNECT, host, "connection refused", detail=1)
        if peer.greeting != OK:
            return judge(peer.greeting, Stage.GREETING, host)
        if demand.level is TlsLevel.NONE:
            return FakeSession(host, peer, None)
        if peer.breaks_tls:
            return broken(Stage.TLS, host, "handshake failed", subject=7, detail=5)
        is_verified = demand.level is TlsLevel.VERIFY
        if is_verified and not peer.has_good_certificate:
            return broken(Stage.TLS, host, "certificate not accepted", subject=7, detail=5)
        proof = "pkix" if is_verified else ""
        return FakeSession(host, peer, replace(TLS, is_verified=is_verified, proof=proof))


class FakeSigner:
    """Signs everything from the domains that it has, and stumbles over one."""

    def __init__(self, *domains: str, stumbles_over: str = "") -> None:
        self._domains = domains
        self._stumbles_over = stumbles_over

    def signs_for(self, domain: str) -> bool:
        return domain in self._domains

    async def signature_fields(self, content: bytes, domain: str) -> bytes:
        if domain == self._stumbles_over:
            raise SigningError(f"cannot sign for {domain}")
        return f"DKIM-Signature: d={domain}\r\n".encode() if domain in self._domains else b""


class EventList(list[Event]):
    def __init__(self) -> None:
        super().__init__()
        self.settled = asyncio.Event()

    def emit(self, event: Event) -> None:
        self.append(event)
        if event.kind is Kind.SETTLED:
            self.settled.set()


class House:
    """A server without a world: submit, step, advance, look."""

    def __init__(
        self,
        peers: Mapping[str, Peer] | None = None,
        *,
        mode: Mode = Mode.DIRECT,
        plan: RetryPlan = PLAN,
        delay_report_after: float = 0.0,
        room: Room | None = None,
        signer: FakeSigner | None = None,
        senders: tuple[str, ...] = (),
        spool: MemorySpool | None = None,
        quotas: QuotaTerms | None = None,
        users: Sequence[User] = (),
        ledger: Ledger | None = None,
        preflight: Preflight = Preflight.OFF,
        refusals: Table = SHIPPED,
        hold_for: float = 0.0,
    ) -> None:
        self.now = START
        self.refusals = refusals
        self.has_smarthost = True
        self.relays: dict[str, Sequence[str]] = {}  # of routes, where they have their own
        self.connectors: dict[str, Connector] = {}  # to relays that are no servers
        self.peers = dict(peers or {})
        self.peers.setdefault("sender.test", Peer())
        self.peers.setdefault("relay.test", Peer())  # served by mx.relay.test, the smarthost
        self.world = FakeWorld(self.peers)
        self.assurance = Assurance()
        self.spool = spool or MemorySpool()
        self.events = EventList()
        self.users = {user.name: user for user in users}
        numbers = count(1)
        self.register = Register(ledger=ledger, spool=self.spool, events=self.events)
        self.intake = Intake(
            house=Identity("mta.test", senders, preflight),
            spool=self.spool,
            signer=signer or FakeSigner("sender.test", "mta.test"),
            register=self.register,
            quotas=Quotas(terms=quotas or QuotaTerms(), clock=self.clock),
            clock=self.clock,
            new_id=lambda: MessageId(f"m{next(numbers)}"),
            on_stored=self.on_stored,
            user_of=self.users.get,
        )
        self.sites: dict[str, str] = {}  # of domains, where it is another
        self.detours = Detours(
            site_of=lambda destination: self.sites.get(destination.domain, destination.domain),
            events=self.events,
            clock=self.clock,
        )
        self.settlement = Settlement(
            terms=Terms(mode, plan, delay_report_after, hold_for=hold_for),
            spool=self.spool,
            reporter=Reporter(
                spool=self.spool, intake=self.intake, events=self.register, clock=self.clock
            ),
            register=self.register,
            detours=self.detours,
            clock=self.clock,
            chance=lambda: 0.5,
        )
        room = room or Room(concurrency=100, per_destination=10, messages_per_connection=100)
        self.slots = Slots(room, clock=self.clock)
        self.finder = Sites(lookup=self.world, fixed=self._fixed_site, clock=self.clock)
        self.dispatcher = Dispatcher(
            room=room,
            slots=self.slots,
            spool=self.spool,
            settlement=self.settlement,
            courier_to=self._courier_to,
            detours=self.detours,
            sites=self.finder,
            throttles=Throttles(site_of=self.finder.known, events=self.events, clock=self.clock),
            clock=self.clock,
        )
        self.slots.join(self.dispatcher)
        self.desk = Desk(intake=self.intake, spool=self.spool, register=self.register)
        ports: tuple[TlsaLookup, Connector, Signer, EventLog] = (
            self.world,
            self.world,
            signer or FakeSigner(),
            self.events,
        )
        assert ports  # the fakes keep the promises of the ports: mypy reads this line

    def on_stored(self, envelope: Envelope) -> None:
        self.dispatcher.enqueue(envelope)

    def clock(self) -> float:
        return self.now

    def _courier_to(self, destination: Destination) -> Courier:
        assert self.has_smarthost or destination.road is Road.DIRECT
        return Courier(
            destination,
            ways=[
                Way(
                    connector=self.connectors.get(relay or "", self.world),
                    demand=TlsDemand(TlsLevel.OPPORTUNISTIC),
                    port=0 if relay in self.connectors else 25,
                    relay=relay,
                    private_allowed=True,
                )
                for relay in self._relays(destination)
            ],
            lookup=self.world,
            own_names={"mta.test"},
            chance=lambda: 0.5,
            assurance=self.assurance,
            refusals=self.refusals,
        )

    def _fixed_site(self, destination: Destination) -> str | None:
        relay = self._relays(destination)[0]
        if relay is None and destination.domain in self.sites:
            return self.sites[destination.domain]
        return None if relay is None else f"smarthost:{relay}"

    def _relays(self, destination: Destination) -> Sequence[str | None]:
        if destination.road is Road.DIRECT:
            return [None]
        return self.relays.get(destination.route, ["mx.relay.test"])

    def message(
        self,
        *recipients: str,
        sender: str | None = "ann@sender.test",
        content: bytes = b"",
        request: MessageRequest = NOTHING,
    ) -> Submission:
        return Submission(
            sender=parse_address(sender) if sender else None,
            recipients=tuple(parse_address(recipient) for recipient in recipients),
            content=content or b"From: ann@sender.test\r\nSubject: hello\r\n\r\nBody\r\n",
            client=CLIENT,
            request=request,
        )

    async def submit(
        self,
        *recipients: str,
        sender: str | None = "ann@sender.test",
        content: bytes = b"",
        request: MessageRequest = NOTHING,
    ) -> Reply:
        return await self.intake.accept(
            self.message(*recipients, sender=sender, content=content, request=request)
        )

    async def submit_asking(
        self,
        asked: Mapping[str, frozenset[Notice] | None],
        *,
        sender: str | None = "ann@sender.test",
        returned: Returned | None = None,
    ) -> Reply:
        """Submit a message to these, with what is asked for each (NOTIFY)."""
        message = self.message(*asked, sender=sender)
        wishes = tuple(RecipientRequest(notices) for notices in asked.values())
        request = MessageRequest(returned=returned)
        return await self.intake.accept(replace(message, request=request, requests=wishes))

    async def step(self) -> None:
        """Do all that is due now, and what comes of it, until nothing is due any more."""
        async with asyncio.timeout(10):
            self.dispatcher.start_due()
            while not self.dispatcher.is_idle:
                await asyncio.sleep(0)
                self.dispatcher.start_due()

    async def let_run(self) -> None:
        """Do what is due, as far as it comes while some peers hold still."""
        for _ in range(100):
            self.dispatcher.start_due()
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        self.now += seconds
        await self.settlement.report_overdue()
        await self.step()

    def kinds(self, recipient: str | None = None) -> list[Kind]:
        return [
            event.kind
            for event in self.events
            if recipient is None or str(event.recipient) == recipient
        ]

    def letters_to(self, domain: str) -> list[Letter]:
        return self.peers[domain].letters

    def queued(self) -> list[Envelope]:
        return list(self.spool.envelopes())


def story(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    """Run an asynchronous test to its end."""

    @wraps(test)
    def told() -> None:
        asyncio.run(test())

    return told


def session_conforms(session: FakeSession) -> Session:
    return session
