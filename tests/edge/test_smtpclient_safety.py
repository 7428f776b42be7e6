"""Proofs in real handshakes: DANE and fingerprints."""

import asyncio
import ssl
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import uvloop

from mta.model.domain import Host, Tlsa, TlsDemand, TlsFacts, TlsFailure, TlsLevel, TlsProof
from mta.model.outcome import Outcome, Stage, Verdict

from mta.rules.tls.dane import demand_by

from mta.edge.chain import objection_to_chain
from mta.edge.smtpclient import SmtpConnector

from tests.edge.scripted_peer import Caller, Script, ScriptedPeer, run, server_context
from tests.pki import Credential, authority, issued

Loop = Callable[[], asyncio.AbstractEventLoop]

both_loops = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)

ROOT = authority("root")
HOST = issued("mx", "mx.test", by=authority("middle", by=ROOT))
EXPIRED_STRANGER = issued("mx", "elsewhere.test", is_expired=True)
NAMES = ("mx.test", "there.test")
BY_KEY = Tlsa(3, 1, 1, sha256(HOST.spki).digest())
BY_ROOT = Tlsa(2, 0, 1, sha256(ROOT.der).digest())


def serving(context: ssl.SSLContext) -> Script:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(context)
        await client.answer_hello()
        await client.take_leave()

    return script


async def met(
    context: ssl.SSLContext, demand: TlsDemand, *, checks_chains: bool = True
) -> TlsFacts | Outcome | None:
    """What the TLS of a session is like, or why there is none."""
    connector = SmtpConnector(
        hostname="client.test", chain_check=objection_to_chain if checks_chains else None
    )
    async with ScriptedPeer(serving(context)) as host:
        session = await connector.open(host, demand)
        if isinstance(session, Outcome):
            return session
        await session.close()
        return session.tls


def serves(shown: Credential, folder: Path, *, above: int | None = None) -> ssl.SSLContext:
    return server_context(shown.pem(folder / "shown.pem", shown=above))


def proof(tls: TlsFacts | Outcome | None) -> str:
    assert isinstance(tls, TlsFacts), tls
    assert tls.is_verified
    return tls.proof


def failure(tls: TlsFacts | Outcome | None) -> TlsFailure | None:
    assert isinstance(tls, Outcome), tls
    assert (tls.verdict, tls.stage, tls.reply.status) == (Verdict.DEFERRED, Stage.TLS, "4.7.5")
    return tls.tls_failure


@both_loops
def test_a_record_of_its_key_proves_a_host(tmp_path: Path, new_loop: Loop) -> None:
    tls = run(met(serves(HOST, tmp_path), demand_by([BY_KEY], NAMES)), new_loop)

    assert proof(tls) == TlsProof.DANE_EE


@both_loops
def test_a_record_of_its_authority_proves_a_host(tmp_path: Path, new_loop: Loop) -> None:
    tls = run(met(serves(HOST, tmp_path), demand_by([BY_ROOT], NAMES)), new_loop)

    assert proof(tls) == TlsProof.DANE_TA


def test_neither_names_nor_dates_matter_where_the_dns_has_the_key(tmp_path: Path) -> None:
    record = Tlsa(3, 1, 1, sha256(EXPIRED_STRANGER.spki).digest())

    tls = run(met(serves(EXPIRED_STRANGER, tmp_path), demand_by([record], NAMES)))

    assert proof(tls) == TlsProof.DANE_EE


def test_one_record_that_fits_is_enough(tmp_path: Path) -> None:
    former = Tlsa(3, 1, 1, b"0" * 32)

    tls = run(met(serves(HOST, tmp_path), demand_by([former, BY_KEY], NAMES)))

    assert proof(tls) == TlsProof.DANE_EE


@both_loops
def test_another_key_is_refused_before_anything_is_said(tmp_path: Path, new_loop: Loop) -> None:
    stranger = issued("mx", "mx.test")

    async def scene() -> tuple[TlsFacts | Outcome | None, list[bytes]]:
        connector = SmtpConnector(hostname="client.test")
        peer = ScriptedPeer(serving(serves(stranger, tmp_path)))
        async with peer as host:
            session = await connector.open(host, demand_by([BY_KEY], NAMES))
            assert isinstance(session, Outcome)
        return session, peer.callers[0].heard

    outcome, heard = run(scene(), new_loop)

    assert failure(outcome) is TlsFailure.CERTIFICATE_NOT_TRUSTED
    assert heard == [b"EHLO client.test", b"STARTTLS"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (issued("mx", "elsewhere.test", by=ROOT), TlsFailure.CERTIFICATE_HOST_MISMATCH),
        (issued("mx", "mx.test", by=ROOT, is_expired=True), TlsFailure.CERTIFICATE_EXPIRED),
        (issued("mx", "mx.test", by=authority("root")), TlsFailure.CERTIFICATE_NOT_TRUSTED),
    ],
    ids=["another name", "expired", "another authority"],
)
def test_names_and_dates_and_signatures_matter_where_the_dns_has_the_authority(
    host: Credential, expected: TlsFailure, tmp_path: Path
) -> None:
    tls = run(met(serves(host, tmp_path), demand_by([BY_ROOT], NAMES)))

    assert failure(tls) is expected


def test_an_authority_that_is_neither_shown_nor_whole_in_the_dns_vouches_for_nobody(
    tmp_path: Path,
) -> None:
    tls = run(met(serves(HOST, tmp_path, above=1), demand_by([BY_ROOT], NAMES)))

    assert failure(tls) is TlsFailure.CERTIFICATE_NOT_TRUSTED


def test_where_chains_are_not_looked_at_no_authority_proves_anything(tmp_path: Path) -> None:
    tls = run(met(serves(HOST, tmp_path), demand_by([BY_ROOT], NAMES), checks_chains=False))

    assert failure(tls) is TlsFailure.VALIDATION_FAILURE


@pytest.mark.parametrize(
    "fingerprint", [HOST.fingerprint, HOST.key_fingerprint], ids=["certificate", "key"]
)
def test_a_fingerprint_proves_a_host(fingerprint: str, tmp_path: Path) -> None:
    demand = TlsDemand(TlsLevel.FINGERPRINT, fingerprints=(fingerprint,))

    assert proof(run(met(serves(HOST, tmp_path), demand))) == TlsProof.FINGERPRINT


def test_another_fingerprint_does_not(tmp_path: Path) -> None:
    demand = TlsDemand(TlsLevel.FINGERPRINT, fingerprints=("0" * 64,))

    assert failure(run(met(serves(HOST, tmp_path), demand))) is TlsFailure.CERTIFICATE_NOT_TRUSTED


@pytest.mark.parametrize(
    "demand",
    [
        demand_by([BY_KEY], NAMES),
        TlsDemand(TlsLevel.FINGERPRINT, fingerprints=(HOST.fingerprint,)),
    ],
    ids=["DANE", "fingerprint"],
)
def test_old_tls_is_not_enough(demand: TlsDemand, tmp_path: Path) -> None:
    context = serves(HOST, tmp_path)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    assert failure(run(met(context, demand))) is TlsFailure.VALIDATION_FAILURE


@both_loops
def test_the_name_of_the_records_is_asked_for(tmp_path: Path, new_loop: Loop) -> None:
    asked: list[str | None] = []
    context = serves(HOST, tmp_path)
    context.sni_callback = lambda _object, name, _context: asked.append(name)

    run(met(context, demand_by([BY_KEY], ["base.test", "mx.test"])), new_loop)

    assert asked == ["base.test"]


def test_no_starttls_is_a_failure_with_a_name() -> None:
    async def scene() -> Outcome:
        async def script(client: Caller) -> None:
            await client.greet()
            await client.take_leave()

        async with ScriptedPeer(script) as host:
            found = await SmtpConnector(hostname="client.test").open(
                host, demand_by([BY_KEY], NAMES)
            )
            assert isinstance(found, Outcome)
            return found

    assert failure(run(scene())) is TlsFailure.STARTTLS_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HOST, None),
        (issued("mx", "elsewhere.test", by=ROOT), TlsFailure.CERTIFICATE_HOST_MISMATCH),
        (issued("mx", "mx.test", by=ROOT, is_expired=True), TlsFailure.CERTIFICATE_EXPIRED),
        (issued("mx", "mx.test"), TlsFailure.CERTIFICATE_NOT_TRUSTED),
    ],
    ids=["right", "another name", "expired", "self-signed"],
)
def test_what_authorities_of_the_system_say_has_a_name_too(
    host: Credential, expected: TlsFailure | None, tmp_path: Path
) -> None:
    async def scene() -> TlsFacts | Outcome | None:
        connector = SmtpConnector(hostname="client.test", ca_file=ROOT.pem(tmp_path / "root.pem"))
        async with ScriptedPeer(serving(serves(host, tmp_path))) as peer:
            session = await connector.open(
                Host("mx.test", peer.address, peer.port), TlsDemand(TlsLevel.VERIFY)
            )
            if isinstance(session, Outcome):
                return session
            await session.close()
            return session.tls

    tls = run(scene())

    if expected is None:
        assert proof(tls) == TlsProof.PKIX
    else:
        assert failure(tls) is expected
