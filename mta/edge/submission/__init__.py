"""The door: SMTP in, for the clients that may submit mail here (RFC 6409, on aiosmtpd).

`settings` is what it is told, `dialogue` what it says, `link` one connection, `session` the two
together, `entrance` what sessions share, `server` the listeners. What it takes it hands to a
`Door`.
"""

from mta.edge.submission.server import SubmissionServer, reserve
from mta.edge.submission.settings import (
    Door,
    ListenError,
    SessionLimits,
)

__all__ = [
    "Door",
    "ListenError",
    "SessionLimits",
    "SubmissionServer",
    "reserve",
]
