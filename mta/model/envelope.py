"""A message on its way: what came in, who is to have it, and how far each has come."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import NewType

from mta.model.address import Address
from mta.model.outcome import Outcome
from mta.model.request import NOTHING, NOTHING_FOR_RECIPIENT, MessageRequest, RecipientRequest
from mta.model.value import value

MessageId = NewType("MessageId", str)  # lower-case letters and digits: fit for a file's name


@value
class Client:
    """Who handed a message in, for its Received field and its events.

    `address` is an IP address, or "unix:1000" for a user of this machine by a Unix socket
    or the drop folder. `protocol` is the word of RFC 3848 and RFC 6531 §4.3: SMTP, ESMTP, ESMTPS,
    UTF8SMTPS, …; or "local" for the drop folder.
    `helo` is what the client called itself, "" where there was no such word; `user` is the name
    under which it logged in, "" where it did not; a login on this machine is none here.
    `shares_keys`: a message of its may have come before by another door, as nobody's.
    """

    address: str
    helo: str
    protocol: str
    user: str = ""
    shares_keys: bool = False

    @property
    def owner(self) -> str:
        """Whose its keys are: a user's, or as " unix:1000" one's of this machine; "" nobody's.

        A user of ours has no blank in his name.
        """
        is_of_this_machine = self.address.startswith("unix:") and not self.shares_keys
        return self.user or (f" {self.address}" if is_of_this_machine else "")


@value
class Submission:
    """A message as it came by the door: CRLF text, judged by nobody yet.

    `sender` is None for the null reverse-path (RFC 5321 §4.5.5). `requests` has one for each
    recipient, or none where nothing was asked for any.
    """

    sender: Address | None
    recipients: tuple[Address, ...]
    content: bytes
    client: Client
    is_smtputf8: bool = False  # the client said SMTPUTF8 (RFC 6531 §3.4)
    request: MessageRequest = NOTHING
    requests: tuple[RecipientRequest, ...] = ()


class Road(StrEnum):
    """The way a recipient's mail takes."""

    DIRECT = "direct"
    SMARTHOST = "smarthost"


class Reason(StrEnum):
    """Why a recipient's mail leaves the direct road for the second one."""

    DNS = "dns"  # nobody answers where the domain's hosts are
    CONNECT = "connect"  # none of them can be reached
    TLS = "tls"  # none of them gives the TLS that is asked for
    BLOCKED = "blocked"  # they refuse our address
    RATE = "rate"  # they want it slower than can be waited for
    AGE = "age"  # it waits for long, whatever for
    DEADLINE = "deadline"  # it is to be there soon
    WARM_UP = "warm-up"  # our address is new there, and has sent enough for today


@value
class Destination:
    """Where mail is carried together: a recipients' domain, or whatever a road leads to ("" then).

    `route` is the name of the route that was chosen for it, "" for the default one.
    """

    road: Road
    domain: str
    route: str = ""

    def __str__(self) -> str:
        return self.domain or self.route or str(self.road)


class State(StrEnum):
    """How far a recipient has come."""

    WAITING = "waiting"  # to be tried at `next_at`
    RELAYED = "relayed"  # delivered to a peer that tells nobody, and its sender has yet to be told
    DELIVERED = "delivered"
    FAILED = "failed"  # for good, and its sender has not been told
    REPORTED = "reported"  # for good, and its sender has been told or is owed nothing


@value
class Recipient:
    """One recipient and what is known of it. `next_at` is in Unix seconds; it counts while WAITING.

    `may_have_arrived`: some attempt ended between the final dot and its reply, so no other
    road than `road` may ever be tried. `last` is the outcome of the latest attempt, and `tried_at`
    its end in Unix seconds, 0 for none. `is_delay_told`: its sender knows that it takes long.
    `route` is the name of the one that was chosen when the message came, "" for the default;
    `bound_to` the relay that may have it already, as in "smtp.example.net:587", "" for none.
    `rerouted` is why it left the direct road, None where it did not.
    """

    address: Address
    state: State = State.WAITING
    attempts: int = 0
    next_at: float = 0.0
    road: Road = Road.DIRECT
    may_have_arrived: bool = False
    last: Outcome | None = None
    request: RecipientRequest = NOTHING_FOR_RECIPIENT
    tried_at: float = 0.0
    is_delay_told: bool = False
    route: str = ""
    bound_to: str = ""
    rerouted: Reason | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is owed any more, neither to the recipient nor to the sender."""
        return self.state is State.DELIVERED or self.state is State.REPORTED


@value
class Envelope:
    """A message that we answer for: everything but its content.

    `accepted_at` is in Unix seconds; `size` counts the content's octets as they go on the wire.
    """

    id: MessageId
    sender: Address | None
    recipients: tuple[Recipient, ...]
    accepted_at: float
    size: int
    is_8bit: bool = False
    needs_smtputf8: bool = False
    request: MessageRequest = NOTHING

    @property
    def released_at(self) -> float:
        """When its delivery may begin, in Unix seconds: at once, unless it is held (RFC 4865)."""
        return max(self.accepted_at, self.request.hold_until)

    @property
    def is_settled(self) -> bool:
        """Whether every recipient is: then the message may go."""
        return all(recipient.is_settled for recipient in self.recipients)

    def with_recipients(self, changes: Mapping[int, Recipient]) -> "Envelope":
        """The same envelope, with the recipients at these places exchanged."""
        recipients = list(self.recipients)
        for place, recipient in changes.items():
            recipients[place] = recipient
        return replace(self, recipients=tuple(recipients))


@value
class Consignment:
    """The recipients of one message that wait for one destination, due at the same moment.

    `places` are theirs in `envelope.recipients`. `due_at` is in Unix seconds.
    """

    envelope: Envelope
    destination: Destination
    places: tuple[int, ...]
    due_at: float


@value
class Letter:
    """One SMTP transaction to be: one message for some of its recipients.

    `requests` are as in Submission, `bound_to` as in Recipient: these have it in common.
    """

    id: MessageId
    sender: Address | None
    recipients: tuple[Address, ...]
    content: bytes
    is_8bit: bool = False
    needs_smtputf8: bool = False
    request: MessageRequest = NOTHING
    requests: tuple[RecipientRequest, ...] = ()
    bound_to: str = ""

    def part(self, places: Sequence[int]) -> "Letter":
        """The letter for those of its recipients at these places."""
        if len(places) == len(self.recipients):
            return self
        recipients = tuple([self.recipients[place] for place in places])
        requests = tuple([self.requests[place] for place in places]) if self.requests else ()
        return replace(self, recipients=recipients, requests=requests)
