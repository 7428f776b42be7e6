"""An HTTP request and its answer, as plain values: what the library's server is turned into."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """How much one request, or all of them together, may ask of us. Sizes are in octets."""

    message_size: int = 25 * 1024 * 1024  # one message, as it is stored
    recipients: int = 1_000  # of one message
    line_length: int = 64 * 1024  # of a message that comes whole
    hold_seconds: float = 30 * 86_400.0  # how far away `send_at` may be
    batch: int = 100  # messages in one request
    connections: int = 200  # at a time
    buffer_bytes: int = 256 * 1024 * 1024  # of bodies that all requests hold together
    idle_seconds: float = 15.0  # until a whole header is here, and between two requests
    body_seconds: float = 60.0  # for a whole body, however steadily it trickles
    answer_seconds: float = 30.0  # for the client to take the answer

    @property
    def body_size(self) -> int:
        """A request's body: what JSON and base64 make of the largest message, and some text."""
        return self.message_size * 3 // 2 + 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request; names of header fields are in lower case, and of fields that repeat the first.

    `path` is as it came, with its escapes. `read` gives the body, once, or raises Problem.
    `client` is an IP address. `is_private`: nobody on the way can read it, for it is on TLS or
    never leaves this machine.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    client: str
    is_private: bool
    is_tls: bool
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a request."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Respond = Callable[[Call], Awaitable[Answer]]
