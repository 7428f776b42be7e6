"""TLS for a connection: how to shake hands, and what proves who is there."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from mta.model.address import literal_ip
from mta.model.domain import (
    Anchors,
    Distrust,
    Host,
    TlsDemand,
    TlsFacts,
    TlsFailure,
    TlsLevel,
    TlsProof,
)

from mta.rules.tls.proof import proof_in

from mta.edge.smtpclient.resumption import ResumingContext
from mta.edge.smtpclient.wire import Wire

# Whether a chain leads to one of the anchors, for one of the names, at a moment; see `edge.chain`.
ChainCheck = Callable[[Sequence[bytes], Anchors, Sequence[str], float], Distrust | None]


class Safety:
    """Puts TLS on connections, as it is demanded.

    Certificates are checked against the system's trust store, or against the authorities in
    `ca_file` alone; those that the DNS vouches for by their authority, by `chain_check`. Raises
    OSError where `ca_file` cannot be read.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None,
        chain_check: ChainCheck | None,
        clock: Callable[[], float],
    ) -> None:
        # Made once: loading a trust store takes longer than a delivery.
        self._contexts = {level: _context(level, ca_file) for level in TlsLevel}
        self._for_own_proof = _context_for_own_proof()
        self._chain_check = chain_check
        self._clock = clock

    async def secure(
        self, wire: Wire, host: Host, demand: TlsDemand, limit: float, *, replies: int
    ) -> TlsFacts:
        """Shake hands within `limit` seconds and see what is proven; as `Wire.secure`.

        Raises ConversationError where it is less than was demanded.
        """
        resuming = self._resuming(demand)
        context = resuming or self._for_own_proof
        version, cipher = await wire.secure(context, _name(host, demand), limit, replies=replies)
        if resuming is None:
            proof = await self._proof(wire.certificates(), demand)
            if isinstance(proof, Distrust):
                raise wire.end(f"certificate not accepted: {proof.text}", 7, 5, proof.failure)
            return TlsFacts(version, cipher, True, proof)
        if demand.level is TlsLevel.VERIFY:
            return TlsFacts(version, cipher, True, TlsProof.PKIX)
        return TlsFacts(version, cipher, is_verified=False)

    def is_resuming(self, host: Host, demand: TlsDemand) -> bool:
        """Whether the next handshake takes up a session that was kept."""
        context = self._resuming(demand)
        return context is not None and context.knows(_name(host, demand))

    def forget(self, host: Host, demand: TlsDemand) -> None:
        """Begin anew next time."""
        if (context := self._resuming(demand)) is not None:
            context.forget(_name(host, demand))

    def keep(self, wire: Wire, host: Host, demand: TlsDemand) -> None:
        """Take up this TLS next time, now that the peer has said something in it."""
        if (context := self._resuming(demand)) is not None:
            context.keep(_name(host, demand), wire.ssl_object)

    def _resuming(self, demand: TlsDemand) -> ResumingContext | None:
        """What shakes hands for a demand whose proof, if any, is made in the handshake."""
        if demand.level is TlsLevel.FINGERPRINT or demand.tlsa:
            return None
        return self._contexts[demand.level]

    async def _proof(self, chain: Sequence[bytes], demand: TlsDemand) -> TlsProof | Distrust:
        found = proof_in(chain, demand)
        if not isinstance(found, tuple):
            return found
        if self._chain_check is None:
            return Distrust(TlsFailure.VALIDATION_FAILURE, "chains are not looked at on this road")
        objection = await asyncio.to_thread(
            self._chain_check, chain, found, demand.names, self._clock()
        )
        return objection or TlsProof.DANE_TA


def _name(host: Host, demand: TlsDemand) -> str:
    """What SNI says, and PKIX has to prove."""
    return demand.names[0] if demand.names else literal_ip(host.name) or host.name


def _context(level: TlsLevel, ca_file: Path | None = None) -> ResumingContext:
    """How to shake hands at a level; for NONE, where TLS is implicit, as for OPPORTUNISTIC."""
    context = ResumingContext.for_client()
    if level is TlsLevel.VERIFY:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # encryption without proof beats none, RFC 7435
    if level in (TlsLevel.VERIFY, TlsLevel.REQUIRED):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _context_for_own_proof() -> ssl.SSLContext:
    """What is proven after the handshake is proven each time: no session is taken up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 7672 §3
    return context
