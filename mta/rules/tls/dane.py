"""DANE for SMTP: which TLSA records can be used, and what they ask of a host (RFC 7672)."""

from collections.abc import Iterable, Sequence
from hashlib import sha256, sha512

from mta.model.domain import Tlsa, TlsDemand, TlsFailure, TlsLevel
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict

from mta.rules.tls.certificate import is_sequence

DANE_TA, DANE_EE = 2, 3  # usages; the two of PKIX are of no use for mail (RFC 7672 §3.1.3)
_CERTIFICATE, _PUBLIC_KEY = 0, 1  # selectors
_WHOLE = 0  # the matching type that is no digest
_MAX_RECORDS = 32  # that are compared with what a host shows
_DIGESTS = {1: sha256, 2: sha512}  # the others, weakest first


def name_of_records(host: str, port: int) -> str:
    """Where the TLSA records for a port of a host stand (RFC 6698 §3)."""
    return f"_{port}._tcp.{host}"


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those of the records that can be used, and of digests of one thing the strongest kind alone.

    The weaker ones are there for who does not know better (RFC 7671 §9).
    """
    known = [record for record in records if _is_usable(record)]
    strongest: dict[tuple[int, int], int] = {}
    for record in known:
        what = (record.usage, record.selector)
        strongest[what] = max(record.matching, strongest.get(what, _WHOLE))
    return tuple(
        record
        for record in known
        if record.matching in (_WHOLE, strongest[record.usage, record.selector])
    )


def _is_usable(record: Tlsa) -> bool:
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (_CERTIFICATE, _PUBLIC_KEY):
        return False
    if record.matching == _WHOLE:
        return is_sequence(record.data)
    digest = _DIGESTS.get(record.matching)
    return digest is not None and len(record.data) == digest().digest_size


def demand_by(records: Iterable[Tlsa], names: Sequence[str]) -> TlsDemand:
    """What a host must prove whose signed TLSA records are these.

    `names` are those of which its certificate must have one, where an authority vouches for it.
    Without a record that can be used there must be TLS all the same, which need prove nothing
    (RFC 7672 §2.2).
    """
    found = usable(records)
    if not found:
        return TlsDemand(TlsLevel.REQUIRED)
    return TlsDemand(TlsLevel.VERIFY, names=tuple(dict.fromkeys(names)), tlsa=found[:_MAX_RECORDS])


def fits(record: Tlsa, certificate: bytes, key: bytes) -> bool:
    """Whether a record that can be used is one of this certificate, whose public key is `key`."""
    chosen = certificate if record.selector == _CERTIFICATE else key
    if record.matching == _WHOLE:
        return chosen == record.data
    return _DIGESTS[record.matching](chosen).digest() == record.data


def undecided(host: str, reason: str) -> Outcome:
    """Why a host gets no mail whose records cannot be had: they may ask for more (RFC 7672 §2.1.2).

    A resolver that validates gives no answer at all where signatures are wrong.
    """
    text = f"what TLS {host} must have cannot be looked up now: {reason or 'no answer'}"
    return Outcome(
        Verdict.DEFERRED,
        Reply(451, text, 7, 5),
        Stage.LOOKUP,
        Scope.HOST,
        tls_failure=TlsFailure.DNSSEC_INVALID,
    )
