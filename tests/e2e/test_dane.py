"""DANE among real servers: NSD with signed zones, Unbound that validates, Postfix with its TLS.

`mta serve` sends a message to each domain, and posttls-finger, which is Postfix's own client,
looks at the same hosts through the same resolver: the two must agree.
"""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha512
from pathlib import Path

import pytest

from mta.sandbox.process import Event, ServerProcess
from tests.e2e import letters, tlshosts
from tests.e2e.signed import SignedDns, signed_dns
from tests.e2e.test_receivers import send
from tests.pki import Credential, authority, issued

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(os.geteuid() != 0, reason="ports below 1024 need root"),
    *(
        pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")
        for program in ("unbound", "nsd", "postfix", "posttls-finger", "unshare")
    ),
]

ROOT = authority("root")
MIDDLE = authority("middle", by=ROOT)
SELF_SIGNED = issued("mx")  # as most hosts with DANE have it: it names nobody
EXPIRED = issued("mx", is_expired=True)


def vouched(host: str, *, by: Credential = MIDDLE, is_expired: bool = False) -> Credential:
    return issued("mx", f"mx.{host}.good.test", by=by, is_expired=is_expired)


def ee(shown: Credential) -> str:
    return f"TLSA 3 1 1 {shown.key_fingerprint}"


TA = f"TLSA 2 0 1 {ROOT.fingerprint}"
WRONG = f"TLSA 3 1 1 {'0' * 64}"

# What a domain's mail meets, in both our words and posttls-finger's
PROVEN, ENCRYPTED, CLEAR, WAITS = "proven", "encrypted", "clear", "waits"
NO_TLS = "no TLS"


@dataclass(frozen=True)
class Case:
    """A domain: what its host shows, which TLSA records it has, and what becomes of its mail."""

    name: str
    shown: Credential | None
    records: tuple[str, ...]
    outcome: str
    proof: str = ""
    words: str = ""  # in the reply, where mail waits


CASES = [
    Case("plain-tls", SELF_SIGNED, (), ENCRYPTED),
    Case("no-tls", None, (), CLEAR),
    Case("key", SELF_SIGNED, (ee(SELF_SIGNED),), PROVEN, "dane-ee"),
    Case("key-expired", EXPIRED, (ee(EXPIRED),), PROVEN, "dane-ee"),
    Case(
        "key-512",
        SELF_SIGNED,
        (f"TLSA 3 1 2 {sha512(SELF_SIGNED.spki).hexdigest()}",),
        PROVEN,
        "dane-ee",
    ),
    Case("key-whole", SELF_SIGNED, (f"TLSA 3 1 0 {SELF_SIGNED.spki.hex()}",), PROVEN, "dane-ee"),
    Case("certificate", SELF_SIGNED, (f"TLSA 3 0 1 {SELF_SIGNED.fingerprint}",), PROVEN, "dane-ee"),
    Case(
        "certificate-whole",
        SELF_SIGNED,
        (f"TLSA 3 0 0 {SELF_SIGNED.der.hex()}",),
        PROVEN,
        "dane-ee",
    ),
    Case("rollover", SELF_SIGNED, (WRONG, ee(SELF_SIGNED)), PROVEN, "dane-ee"),
    Case(
        "another-key",
        SELF_SIGNED,
        (WRONG,),
        WAITS,
        words="no TLSA record is that of its certificate",
    ),
    Case("no-tls-but-records", None, (WRONG,), WAITS, words="does not offer STARTTLS"),
    Case("authority", vouched("authority"), (TA,), PROVEN, "dane-ta"),
    Case(
        "authority-key",
        vouched("authority-key"),
        (f"TLSA 2 1 1 {ROOT.key_fingerprint}",),
        PROVEN,
        "dane-ta",
    ),
    Case("middle", vouched("middle"), (f"TLSA 2 0 1 {MIDDLE.fingerprint}",), PROVEN, "dane-ta"),
    Case(
        "of-the-domain", issued("mx", "of-the-domain.good.test", by=ROOT), (TA,), PROVEN, "dane-ta"
    ),
    Case("star", issued("mx", "*.star.good.test", by=ROOT), (TA,), PROVEN, "dane-ta"),
    Case(
        "other-name",
        vouched("elsewhere"),
        (TA,),
        WAITS,
        words="for none of mx.other-name.good.test",
    ),
    Case(
        "authority-expired",
        vouched("authority-expired", is_expired=True),
        (TA,),
        WAITS,
        words="expired",
    ),
    Case(
        "other-authority",
        vouched("other-authority", by=authority("root")),
        (TA,),
        WAITS,
        words="no TLSA record",
    ),
    Case(
        "self-as-authority",
        SELF_SIGNED,
        (f"TLSA 2 0 1 {SELF_SIGNED.fingerprint}",),
        WAITS,
        words="no TLSA record",
    ),
    Case("pkix-usage", SELF_SIGNED, (f"TLSA 1 0 1 {SELF_SIGNED.fingerprint}",), ENCRYPTED),
    Case("short", SELF_SIGNED, (r"TYPE52 \# 22 030101" + "aa" * 19,), ENCRYPTED),
    Case(
        "short-and-good",
        SELF_SIGNED,
        (r"TYPE52 \# 22 030101" + "aa" * 19, ee(SELF_SIGNED)),
        PROVEN,
        "dane-ee",
    ),
    Case("unknown-numbers", SELF_SIGNED, (f"TLSA 9 9 9 {'0' * 64}",), ENCRYPTED),
    Case(
        "unusable-without-tls",
        None,
        (f"TLSA 9 9 9 {'0' * 64}",),
        WAITS,
        words="does not offer STARTTLS",
    ),
    Case("trusted", vouched("trusted"), (), ENCRYPTED),
    Case("trusted-expired", vouched("trusted-expired", is_expired=True), (), ENCRYPTED),
    Case("trusted-other-name", vouched("elsewhere"), (), ENCRYPTED),
    Case("forged-records", SELF_SIGNED, (WRONG,), WAITS, words="cannot be looked up now"),
]
BY_NAME = {case.name: case for case in CASES}


def address_of(case: Case) -> str:
    return f"127.0.3.{CASES.index(case) + 1}"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.3.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[SignedDns]:
    """The hosts, and the DNS around them."""
    root: dict[str, tuple[str, ...]] = {}
    for case in CASES:
        host = f"mx.{case.name}.good.test"
        root[f"{case.name}.good.test"] = (f"MX 10 {host}.",)
        root[host] = (f"A {address_of(case)}",)
        if case.records:
            root[f"_{port}._tcp.{host}"] = case.records
    key, wrong = "mx.key.good.test.", "mx.another-key.good.test."
    root["alias.good.test"] = ("MX 10 mx.alias.good.test.",)
    root["mx.alias.good.test"] = (f"CNAME {key}",)
    root["outwards.good.test"] = ("MX 10 mx.outwards.good.test.",)
    root["mx.outwards.good.test"] = ("CNAME mx.plain.test.",)
    root[f"_{port}._tcp.mx.outwards.good.test"] = (ee(SELF_SIGNED),)
    address = address_of(BY_NAME["key"])
    plain = {
        "stranger.plain.test": (f"MX 10 {wrong}",),  # its records must not count
        "there.plain.test": ("MX 10 mx.plain.test.",),
        "mx.plain.test": (f"A {address}",),
        f"_{port}._tcp.mx.plain.test": (WRONG,),
    }
    bogus = {"there.bogus.test": (f"MX 10 {key}",)}
    forged = {f"_{port}._tcp.mx.forged-records.good.test": (ee(SELF_SIGNED),)}
    folder = tmp_path_factory.mktemp("dns")
    shown = {address_of(case): case.shown for case in CASES}
    with signed_dns(folder, root, plain, bogus, forged) as running, tlshosts.running(port, shown):
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, names: SignedDns, port: int
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("mta")
    with ServerProcess(settings(folder, names, port), folder) as process:
        yield process


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, names: SignedDns, port: int
) -> Iterator[ServerProcess]:
    """One that asks every host for a proof, and trusts the authority of the tests."""
    folder = tmp_path_factory.mktemp("strict")
    process = ServerProcess(settings(folder, names, port, tls="verify"), folder)
    process.environment["SSL_CERT_FILE"] = str(ROOT.pem(folder / "root.pem"))
    with process:
        yield process


def settings(folder: Path, names: SignedDns, port: int, **delivery: object) -> dict[str, object]:
    return {
        "hostname": "mail.app.test",
        "spool": str(folder / "spool"),
        "listen": [{"address": "127.0.0.1:0"}],
        "admin": None,
        "delivery": {
            "port": port,
            "private_addresses": True,
            "retry": ["1h"],
            "mta_sts": False,
            **delivery,
        },
        "dns": {"nameservers": [names.resolver], "timeout": "5s"},
    }


OTHERS = [
    ("alias.good.test", PROVEN, "dane-ee"),  # an alias of a signed host: its records count
    ("outwards.good.test", PROVEN, "dane-ee"),  # a signed alias of an unsigned one: its own do
    ("stranger.plain.test", ENCRYPTED, ""),  # nothing signed says that the host is its own
    ("there.plain.test", ENCRYPTED, ""),
    ("there.bogus.test", WAITS, ""),
]
ALL = [(f"{case.name}.good.test", case.outcome, case.proof) for case in CASES] + OTHERS


@pytest.mark.parametrize(("domain", "outcome", "proof"), ALL, ids=[each[0] for each in ALL])
def test_mail_goes_over_what_its_domain_asks_for(
    domain: str, outcome: str, proof: str, server: ServerProcess
) -> None:
    event = sent(server, domain)

    assert what_became(event) == (outcome, proof)
    if outcome == WAITS and (case := domain.partition(".")[0]) in BY_NAME:
        assert BY_NAME[case].words in event["reply"]["text"]


@pytest.mark.parametrize(
    ("name", "outcome", "proof"),
    [
        ("no-tls", WAITS, ""),
        ("plain-tls", WAITS, ""),
        ("trusted", PROVEN, "pkix"),
        ("trusted-expired", WAITS, ""),
        ("trusted-other-name", WAITS, ""),
        ("key", PROVEN, "dane-ee"),
        ("another-key", WAITS, ""),
        ("authority", PROVEN, "dane-ta"),
        ("pkix-usage", WAITS, ""),
        ("forged-records", WAITS, ""),
    ],
)
def test_where_every_host_must_prove_who_it_is_records_or_authorities_do(
    name: str, outcome: str, proof: str, strict: ServerProcess
) -> None:
    event = sent(strict, f"{name}.good.test")

    assert what_became(event) == (outcome, proof)


def sent(server: ServerProcess, domain: str) -> Event:
    """What became of a message at its first attempt."""
    id = send(server, f"anna@{domain}", letters.plain(f"anna@{domain}"))
    return server.event(id=id, attempts=1, within=10)


def what_became(event: Event) -> tuple[str, str]:
    if event["event"] != "delivered":
        return WAITS, ""
    tls = event.get("tls")
    if tls is None:
        return CLEAR, ""
    return (PROVEN if tls["verified"] else ENCRYPTED), tls.get("proof", "")


# Postfix asks for the records of a host that an unsigned answer names as well (RFC 7672 §2.2.1
# leaves that open); to us the answer could name any other host, so there is nothing to prove.
# And of a certificate that nothing is asked of it says whether it would do all the same.
NOT_SEEN_ALIKE = {
    "stranger.plain.test",
    "trusted-expired.good.test",
    "trusted-other-name.good.test",
}
SEEN_ALIKE = [each for each in ALL if each[0] not in NOT_SEEN_ALIKE]


@pytest.mark.parametrize(
    ("domain", "outcome"), [each[:2] for each in SEEN_ALIKE], ids=[each[0] for each in SEEN_ALIKE]
)
def test_postfix_s_own_client_finds_the_same(
    domain: str, outcome: str, names: SignedDns, port: int
) -> None:
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a resolv.conf of its own")

    said = finger(domain, port, names)

    case = BY_NAME.get(domain.removesuffix(".good.test"))
    assert level_in(said) == (NO_TLS if case and case.shown is None else outcome), said


def finger(domain: str, port: int, names: SignedDns) -> str:
    """What posttls-finger says, which reads the resolv.conf of the host and no other."""
    own_resolver = f'mount --bind {names.resolv_conf} /etc/resolv.conf && exec "$@"'
    command = ["posttls-finger", "-c", "-t", "10", "-T", "10", "-l", "dane", "-L", "summary"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", own_resolver, "sh", *command, f"{domain}:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def level_in(said: str) -> str:
    for pattern, level in (
        (r"Verified TLS connection established", PROVEN),
        (r"(server|CA) certificate verification failed", WAITS),
        (r"lookup (error|failed)", WAITS),
        (r"Untrusted TLS connection established", ENCRYPTED),
    ):
        if re.search(pattern, said):
            return level
    return NO_TLS  # of which it says nothing, whatever the records are
