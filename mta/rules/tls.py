"""What the connection to a host must prove, and what may be tried when it cannot."""

from mta.model.domain import TlsDemand, TlsLevel


def demand_for(floor: TlsLevel, *, is_implicit: bool = False) -> TlsDemand:
    """What to ask of a connection, where the settings ask for `floor`.

    `is_implicit`: the road's port speaks TLS from the first byte, as a smarthost's may.
    """
    return TlsDemand(floor, is_implicit)


def after_failed_handshake(demand: TlsDemand) -> TlsDemand | None:
    """What to ask of a second connection to the same host; None where there must be none.

    Mail that would go in clear to a host without TLS goes in clear to one whose TLS is broken
    (RFC 7435 §3). Where TLS is implicit nobody listens in clear.
    """
    if demand.level is TlsLevel.OPPORTUNISTIC and not demand.is_implicit:
        return TlsDemand(TlsLevel.NONE)
    return None
