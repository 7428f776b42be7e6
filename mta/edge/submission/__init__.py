"""The door: SMTP in, for the clients that may submit mail here (RFC 6409, on aiosmtpd).

`settings` is what it is told, `dialogue` what it says, `link` one connection, `session` the two
together, `arrivals` what comes before, `entrance` what sessions share, `sockets` where they come
in, `server` all of it. What it takes it hands to a `Door`.
"""

from mta.edge.submission.server import SubmissionServer
from mta.edge.submission.settings import (
    Door,
    ListenError,
    SessionLimits,
)
from mta.edge.submission.sockets import Given, place_of, reserve

__all__ = [
    "Door",
    "Given",
    "ListenError",
    "SessionLimits",
    "SubmissionServer",
    "place_of",
    "reserve",
]
