"""What the flow asks of the world. Each edge keeps one of these promises."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Protocol

from mta.model.address import Address
from mta.model.domain import Answer, Host, Mx, Tlsa, TlsDemand, TlsFacts
from mta.model.envelope import Destination, Envelope, Letter, MessageId, Recipient, Submission
from mta.model.event import Event
from mta.model.outcome import Outcome
from mta.model.pace import Throttle, Trouble
from mta.model.policy import Unreached
from mta.model.trace import Entry, Trace
from mta.model.user import LoginRefused, User

Clock = Callable[[], float]  # Unix seconds
Chance = Callable[[], float]  # 0.0 <= x < 1.0


class Spool(Protocol):
    """Keeps every message from its acceptance to its settlement.

    Losing the process loses nothing that returned. Losing the machine loses no message that
    `add` returned for; `record` and `remove` may be lost with it when no sync came after them,
    and then work is repeated. Writes reach the disk in the order of their calls.
    """

    async def add(self, envelope: Envelope, content: bytes) -> bool:
        """Take a message; on return it is on disk, synced (the commit point).

        False, and nothing done, where a message with this id is or was lately here: a repeat.
        Raises SpoolFull or SpoolError; the message is then not ours.
        """

    async def content(self, id: MessageId) -> bytes:
        """The message's exact bytes.

        Raises KeyError for an unknown id, SpoolError for bytes that cannot be read.
        """

    async def record(self, id: MessageId, changes: Mapping[int, Recipient]) -> Envelope:
        """Keep the new state of the recipients at these places; gives the envelope as it is now.

        A state by which the message is settled may be left for `remove` to write, which is to
        follow at once. Raises KeyError for an unknown id, SpoolError when it could not be
        written; the new state is then in force all the same until the process ends.
        """

    async def remove(self, id: MessageId) -> None:
        """Forget a message that is settled; a copy is kept where the settings say so.

        Raises SpoolError when that could not be written; the id is then forgotten all the same.
        """

    def envelope(self, id: MessageId) -> Envelope:
        """The envelope as it is now. Raises KeyError for an unknown or settled id."""

    def envelopes(self) -> Iterable[Envelope]:
        """All that is unsettled, oldest first."""

    @property
    def count(self) -> int:
        """How many messages are unsettled."""

    @property
    def is_writable(self) -> bool:
        """Whether a `record` would reach the disk, as far as is known."""

    def objection(self, size: int) -> str | None:
        """Why a message of `size` octets cannot be taken now, in words; None if it can."""


class Maildrop(Protocol):
    """A folder in which the users of this host leave messages; each is a file, named by its id.

    All raise MaildropError.
    """

    async def make(self) -> None:
        """Have the folder."""

    async def ids(self) -> Set[MessageId]:
        """The ids of all that is in it."""

    async def dropped(self, known: Collection[MessageId]) -> Mapping[MessageId, Submission]:
        """Some of what is there and not `known`; what can be no message is put aside.

        May be empty where the folder has not changed since all of it was given.
        """

    async def remove(self, ids: Collection[MessageId]) -> None:
        """On return these are gone, and stay away whatever happens to the machine."""

    async def put_aside(self, id: MessageId, reason: str) -> None:
        """Put a message where an operator finds it, with the reason."""

    def look_again(self) -> None:
        """Give what was given already, if it is still there."""


class Signer(Protocol):
    """Signs messages."""

    def signs_for(self, domain: str) -> bool:
        """Whether there is a key for mail from this domain, in lower-case A-labels."""

    async def signature_fields(self, content: bytes, domain: str) -> bytes:
        """DKIM-Signature fields to stand before `content`, CRLF at each end; b"" without a key.

        `domain` is the domain of the author's address, in lower-case A-labels.
        Raises SigningError.
        """


class Lookup(Protocol):
    """Asks the DNS. Every answer comes in bounded time; failure is an answer too."""

    async def mx(self, domain: str) -> Answer[Mx]:
        """The MX records of a domain in lower-case A-labels."""

    async def addresses(self, name: str) -> Answer[str]:
        """The IP addresses of a host, IPv6 and IPv4, in textual form.

        RECORDS if either type has any; UNKNOWN if none was found and one type stayed unknown.
        """


class TlsaLookup(Lookup, Protocol):
    """As `Lookup`, with what DANE needs."""

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """The TLSA records of a name, as in "_25._tcp.mx.there.test"."""

    async def alias(self, name: str) -> Answer[str]:
        """What a name is an alias of: one name, of its own CNAME record."""


class ReverseLookup(Protocol):
    """Asks the DNS for our own names, in bounded time."""

    async def pointers(self, address: str) -> Answer[str]:
        """The reverse names of an IP address."""

    async def addresses(self, name: str) -> Answer[str]:
        """As `Lookup` has it."""


class Session(Protocol):
    """An open SMTP connection, greeted, as safe as was demanded, logged in where asked."""

    @property
    def host(self) -> Host:
        """Where it leads."""

    @property
    def tls(self) -> TlsFacts | None:
        """What protects it."""

    @property
    def is_usable(self) -> bool:
        """Whether another letter may be sent over it."""

    @property
    def has_limits(self) -> bool:
        """Whether the peer says how much it takes (RFC 9422)."""

    def within_limits(self, places: Sequence[int], recipients: Sequence[Address]) -> list[int]:
        """Those of the recipients at these places that the next letter may be for.

        At least one in a new session; none where the session has had as many as it may have.
        """

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        """One transaction: an outcome for each recipient, in their order.

        Never raises for anything that the peer does.
        """

    async def close(self) -> None:
        """Say QUIT if that can be done quickly, and close. Never raises."""


class Connector(Protocol):
    """Opens sessions."""

    async def open(self, host: Host, demand: TlsDemand) -> "Session | Outcome":
        """Connect, greet, secure; the outcome is the reason why it could not be had.

        An unmet demand for TLS is a failure at Stage.TLS. Under OPPORTUNISTIC a failed handshake
        is one too: going on in clear is the caller's decision. Never raises for anything that
        the peer does.
        """


class SlotHolder(Protocol):
    """Who connects: it asks for a slot before, and gives it back after."""

    def granted(self, destination: Destination, site: str, messages: int) -> None:
        """A slot that was asked for, for so many messages: use it, or give it back."""

    def wanted_back(self, destination: Destination) -> None:
        """Others have fewer connections there: give one back after the message under way."""

    def shortage_is(self, count: int) -> None:
        """So many wait for room: let go of idle connections, and of others after each message."""

    def throttled(self, throttle: Throttle, *, is_news: bool) -> None:
        """How a site is held back from now on; `is_news` for the one who is to say so."""


class SlotKeeper(Protocol):
    """Grants connections, so that the limits hold for all processes together.

    A site is who serves a destination: see `flow.sites`.
    """

    def join(self, holder: SlotHolder) -> None:
        """Another one may ask from now on."""

    def ask(self, holder: SlotHolder, destination: Destination, site: str) -> None:
        """Stand in line for one connection; it comes by `SlotHolder.granted`."""

    def give_back(
        self,
        holder: SlotHolder,
        destination: Destination,
        site: str,
        *,
        unused: int = 0,
        sent: int = 0,
    ) -> None:
        """A connection that was granted is closed, or not wanted: `unused` messages are left.

        `sent` are those that went since it was granted, or since the last report.
        """

    def report(self, site: str, *, sent: int, trouble: Trouble | None = None) -> None:
        """So many messages went, of a connection that is still in use; and what came then."""

    def grant(self) -> None:
        """Grant what there is room for."""

    @property
    def next_at(self) -> float | None:
        """When to call `grant` again for what time alone keeps back; None: there is none."""


class EventLog(Protocol):
    """Takes events; never waits, never raises."""

    def emit(self, event: Event) -> None:
        """Write one event, soon."""


class Ledger(Protocol):
    """Remembers who handed in what, under which key, and what became of it.

    What returns is on disk, synced. Each raises LedgerError, but for `note`.
    """

    async def claim(self, trace: Trace) -> Entry | None:
        """Enter a message that is about to be stored.

        Gives the entry that has the same user's key already, and then enters nothing. One that was
        made by this process and never stored makes room: nobody is at it any more.
        """

    async def close(self, entry: Entry) -> None:
        """Bring an entry to its end whose message is not in the spool.

        One that was never stored is forgotten, and another one settled.
        """

    async def renew(self, envelope: Envelope) -> None:
        """Take the envelope's word for what is known of a message, which is stored."""

    async def unsettled(self) -> Sequence[Entry]:
        """The entries that this process has to bring to their end."""

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        """A message of this user's that was stored; None where there is none."""

    def note(self, event: Event) -> None:
        """Write down what happened to an entered message, soon. Never waits, never raises."""

    async def flush(self) -> None:
        """Return when all that was noted is on disk."""


class Logins(Protocol):
    """Knows who may log in.

    Both questions take as long for an unknown user as for a known one, and longer after each
    failure; both answer in the end, and count what failed against `address`, the client's IP
    address.
    """

    async def user_by_password(self, name: str, password: str, address: str) -> User | LoginRefused:
        """The user with this name and password."""

    async def user_by_token(self, token: str, address: str) -> User | LoginRefused:
        """The user whose token for the HTTP API this is."""

    def user(self, name: str) -> User | None:
        """The user as the users' file has him now; None: nobody of this name may send any more."""


class PasswordVerifier(Protocol):
    """Compares passwords with their hashes, one at a time, and off the event loop."""

    async def matches(self, hash: str, password: str) -> bool:
        """Whether this is the password of an argon2id hash; takes tens of milliseconds."""


class Texts(Protocol):
    """Asks the DNS for texts."""

    async def txt(self, name: str) -> Answer[str]:
        """The TXT records of a name, the strings of each joined."""


class Web(Protocol):
    """Asks strangers by HTTPS, each in bounded time; who they are is verified."""

    async def text(self, host: str, path: str, *, limit: int) -> bytes | Unreached:
        """What a host has as text/plain at a path, of at most `limit` octets."""

    async def post(self, url: str, content: bytes, content_type: str) -> Unreached | None:
        """Hand content to a URL; None when it was taken."""
