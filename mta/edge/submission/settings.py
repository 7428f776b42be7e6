"""What a door is told: where it stands, whom it lets in, and how much of anything it takes."""

from dataclasses import dataclass
from typing import Protocol

from mta.model.address import Address
from mta.model.envelope import Client, Submission
from mta.model.outcome import Reply
from mta.model.user import LoginRefused, User


class Door(Protocol):
    """Who judges and takes the messages."""

    def objection_to_client(self, address: str) -> Reply | None:
        """The refusal to a connection from this IP address."""

    def objection_to_sender(
        self, sender: Address | None, size: int, client: Client
    ) -> Reply | None:
        """The refusal to MAIL; `size` is the announced one in octets, 0 if none was."""

    def objection_to_recipient(
        self, sender: Address | None, recipient: Address, count: int, client: Client
    ) -> Reply | None:
        """The refusal to RCPT; with this recipient the message has `count`."""

    async def accept(self, submission: Submission) -> Reply:
        """Take a message; the reply is the one to its final dot. Never cancelled by us."""


class Logins(Protocol):
    """Who knows who may log in."""

    async def user_by_password(self, name: str, password: str, address: str) -> User | LoginRefused:
        """The user with this name and password; `address` is the client's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How much one session, or all of them together, may ask of us. Sizes are in octets."""

    message_size: int = 25 * 1024 * 1024
    recipients: int = 1_000  # of one message; RFC 5321 §4.5.3.1.8 demands 100
    command_length: int = 2_048  # with its CRLF; RFC 5321 §4.5.3.1.4 demands 512
    line_length: int = 64 * 1024  # of the content, without its CRLF
    errors: int = 20  # of a session
    forgiven_errors: int = 3  # that are answered at once; each one more after the delay
    error_delay_seconds: float = 0.0
    fruitless: int = 100  # commands since the last message that brought none nearer
    connections: int = 1_000
    connections_per_client: int = 500
    buffer_bytes: int = 256 * 1024 * 1024  # of content that all sessions hold together
    idle_seconds: float = 300.0  # RFC 5321 §4.5.3.2.7
    content_seconds: float = 3_600.0  # for a whole content, however steadily it trickles
    handshake_seconds: float = 30.0
    hold_seconds: float = 30 * 86_400.0  # how long a message may be held back; 0: not at all

    @property
    def discarded_size(self) -> int:
        """How much of one content is read at most, to answer it politely, before we hang up."""
        return 2 * self.message_size + 1024 * 1024


class ListenError(Exception):
    """A listener could not be had; the message names its address and the cure."""
