"""The HTTP door, wired: loaded when its first client comes."""

import time
from collections.abc import Callable

from mta.model.listener import TlsStart

from mta.flow.ports import Logins
from mta.flow.submission.desk import Desk

from mta.edge.api import ApiServer, Respond
from mta.edge.idn import to_ascii

from mta.config import Settings
from mta.config.doors import Admin
from mta.wiring.fittings import Fittings


def http_door(
    settings: Settings,
    admin: Admin,
    desk: Desk,
    logins: Logins,
    fittings: Callable[[], Fittings],
) -> ApiServer:
    """The door at `admin`; `fittings` gives those in force."""

    def load() -> Respond:
        from mta.edge.api.service import Api  # models and a library that most servers never need

        return Api(
            desk=desk,
            gate=lambda: logins,
            hostname=settings.hostname,
            to_ascii=to_ascii,
            limits=lambda: fittings().api_limits,
            clock=time.time,
            allows_plain=admin.plaintext_tokens,
        ).respond

    return ApiServer(
        admin.address.host,
        admin.address.port,
        load=load,
        limits=lambda: fittings().api_limits,
        tls=lambda: fittings().tls if admin.tls is TlsStart.IMPLICIT else None,
    )
