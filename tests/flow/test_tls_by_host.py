"""Every cell of the matrix: what is asked x what a host has x what the DNS says of it.

The columns are what asks: `delivery.tls`, a fingerprint of the self-signed certificate, an enforced
MTA-STS policy, and what a message itself asks (REQUIRETLS, TLS-Required: No), the last three above
opportunistic. What real servers can show of it stands in tests/e2e/test_dane.py.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from time import time

import pytest

from mta.model.address import Address, parse_address
from mta.model.domain import (
    Answer,
    Distrust,
    Finding,
    Host,
    Mx,
    Tlsa,
    TlsDemand,
    TlsFacts,
    TlsLevel,
    TlsProof,
)
from mta.model.envelope import Destination, Letter, MessageId, Road
from mta.model.outcome import Outcome, Reply, Stage, Verdict, broken, judge
from mta.model.request import MessageRequest

from mta.rules.tls.proof import proof_in

from mta.flow.delivery.courier import Courier, Way
from mta.flow.tls.assurance import Assurance, TlsPolicies
from mta.flow.tls.dane import Dane

from mta.edge.chain import objection_to_chain

from tests.pki import Credential, authority, issued

# clear, encrypted: delivered so; pkix, dane-ee, dane-ta, fingerprint: delivered with that proof;
# waits: deferred; back: failed, the sender hears of it.
MATRIX = """
dns        host         opportunistic required   verify   fingerprint enforce   requiretls waived

unsigned   no-tls       clear         waits      waits    waits       waits     back       clear
unsigned   broken       clear         waits      waits    waits       waits     back       clear
unsigned   self-signed  encrypted     encrypted  waits    fingerprint waits     back       encrypted
unsigned   expired      encrypted     encrypted  waits    waits       waits     back       encrypted
unsigned   other-name   encrypted     encrypted  waits    waits       waits     back       encrypted
unsigned   trusted      encrypted     encrypted  pkix     waits       pkix      back       encrypted

none       no-tls       clear         waits      waits    waits       waits     back       clear
none       broken       clear         waits      waits    waits       waits     back       clear
none       self-signed  encrypted     encrypted  waits    fingerprint waits     back       encrypted
none       expired      encrypted     encrypted  waits    waits       waits     back       encrypted
none       other-name   encrypted     encrypted  waits    waits       waits     back       encrypted
none       trusted      encrypted     encrypted  pkix     waits       pkix      pkix       encrypted

key        no-tls       waits         waits      waits    waits       waits     back       clear
key        broken       waits         waits      waits    waits       waits     back       clear
key        self-signed  dane-ee       dane-ee    dane-ee  fingerprint dane-ee   dane-ee    encrypted
key        expired      dane-ee       dane-ee    dane-ee  waits       dane-ee   dane-ee    encrypted
key        other-name   dane-ee       dane-ee    dane-ee  waits       dane-ee   dane-ee    encrypted
key        trusted      dane-ee       dane-ee    dane-ee  waits       dane-ee   dane-ee    encrypted

other-key  no-tls       waits         waits      waits    waits       waits     back       clear
other-key  broken       waits         waits      waits    waits       waits     back       clear
other-key  self-signed  waits         waits      waits    fingerprint waits     back       encrypted
other-key  expired      waits         waits      waits    waits       waits     back       encrypted
other-key  other-name   waits         waits      waits    waits       waits     back       encrypted
other-key  trusted      waits         waits      waits    waits       waits     back       encrypted

authority  no-tls       waits         waits      waits    waits       waits     back       clear
authority  broken       waits         waits      waits    waits       waits     back       clear
authority  self-signed  waits         waits      waits    fingerprint waits     back       encrypted
authority  expired      waits         waits      waits    waits       waits     back       encrypted
authority  other-name   waits         waits      waits    waits       waits     back       encrypted
authority  trusted      dane-ta       dane-ta    dane-ta  waits       dane-ta   dane-ta    encrypted

unusable   no-tls       waits         waits      waits    waits       waits     back       clear
unusable   broken       waits         waits      waits    waits       waits     back       clear
unusable   self-signed  encrypted     encrypted  waits    fingerprint waits     back       encrypted
unusable   expired      encrypted     encrypted  waits    waits       waits     back       encrypted
unusable   other-name   encrypted     encrypted  waits    waits       waits     back       encrypted
unusable   trusted      encrypted     encrypted  pkix     waits       pkix      pkix       encrypted

bogus      no-tls       waits         waits      waits    waits       waits     waits      clear
bogus      broken       waits         waits      waits    waits       waits     waits      clear
bogus      self-signed  waits         waits      waits    fingerprint waits     waits      encrypted
bogus      expired      waits         waits      waits    waits       waits     waits      encrypted
bogus      other-name   waits         waits      waits    waits       waits     waits      encrypted
bogus      trusted      waits         waits      waits    waits       waits     waits      encrypted
"""

NAME = "mx.elsewhere.test"  # a stranger's name, as most exchangers have
ROOT = authority("root")  # which the system trusts, too
PINNED = issued("mx")
HOSTS: dict[str, Credential | None] = {
    "no-tls": None,
    "broken": None,
    "self-signed": PINNED,
    "expired": issued("mx", NAME, by=ROOT, is_expired=True),
    "other-name": issued("mx", "mx.other.test", by=ROOT),
    "trusted": issued("mx", NAME, by=ROOT),
}


class Session:
    """One that takes everything."""

    has_limits = False
    is_usable = True

    def __init__(self, host: Host, tls: TlsFacts | None) -> None:
        self.host = host
        self.tls = tls

    def within_limits(self, places: Sequence[int], recipients: Sequence[Address]) -> list[int]:
        return list(places)

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        return (judge(Reply(250, "OK"), Stage.CONTENT, self.host, self.tls),)

    async def close(self) -> None:
        pass


class World:
    """One domain, one host."""

    def __init__(self, dns: str, host: str) -> None:
        self._dns = dns
        self._host = host
        self._shown = HOSTS[host]

    async def mx(self, domain: str) -> Answer[Mx]:
        return Answer(Finding.RECORDS, (Mx(10, NAME),), is_secure=self._dns != "unsigned")

    async def addresses(self, name: str) -> Answer[str]:
        return Answer(Finding.RECORDS, ("192.0.2.1",), is_secure=True)

    async def alias(self, name: str) -> Answer[str]:
        raise AssertionError

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        assert name == f"_25._tcp.{NAME}"
        key = self._shown.spki if self._shown else b""
        records = {
            "unsigned": Tlsa(3, 1, 1, b"never asked for"),
            "key": Tlsa(3, 1, 1, sha256(key).digest()),
            "other-key": Tlsa(3, 1, 1, b"0" * 32),
            "authority": Tlsa(2, 0, 1, sha256(ROOT.der).digest()),
            "unusable": Tlsa(1, 1, 1, sha256(key).digest()),
        }
        if self._dns == "bogus":
            return Answer(Finding.UNKNOWN, text="SERVFAIL")
        if self._dns == "none":
            return Answer(Finding.NO_NAME, is_secure=True)
        return Answer(Finding.RECORDS, (records[self._dns],), is_secure=True)

    async def open(self, host: Host, demand: TlsDemand) -> Session | Outcome:
        if demand.level is TlsLevel.NONE:
            return Session(host, None)
        if self._shown is None:
            if self._host == "no-tls" and demand.level is TlsLevel.OPPORTUNISTIC:
                return Session(host, None)
            return broken(Stage.TLS, host, self._host, subject=7, detail=5)
        proof = self._proof(self._shown, demand)
        if isinstance(proof, Distrust):
            return broken(Stage.TLS, host, proof.text, subject=7, detail=5)
        return Session(host, TlsFacts("TLSv1.3", "x", bool(proof), proof))

    def _proof(self, shown: Credential, demand: TlsDemand) -> TlsProof | Distrust | str:
        """What a handshake brings that meets the demand."""
        if demand.level is TlsLevel.FINGERPRINT or demand.tlsa:
            found = proof_in(shown.chain, demand)
            if not isinstance(found, tuple):
                return found
            objection = objection_to_chain(shown.chain, found, demand.names, time())
            return objection or TlsProof.DANE_TA
        if demand.level is not TlsLevel.VERIFY:
            return ""
        objection = objection_to_chain(shown.chain, (ROOT.der,), demand.names or (NAME,), time())
        return objection or TlsProof.PKIX


class Enforced:
    """An MTA-STS policy that lists the host."""

    async def demand(self, host: str, domain: str, *, is_secure: bool) -> TlsDemand:
        return TlsDemand(TlsLevel.VERIFY, names=(host,))


def outcome_of(dns: str, host: str, asked: str) -> str:
    floors = {
        level.value: TlsDemand(level, fingerprints=(PINNED.fingerprint,)) for level in TlsLevel
    }
    request = MessageRequest(needs_tls=asked == "requiretls", waives_tls=asked == "waived")
    world = World(dns, host)
    policies: list[TlsPolicies] = [
        Dane(lookup=world, port=25),
        *([Enforced()] if asked == "enforce" else []),
    ]
    way = Way(
        connector=world,
        demand=floors.get(asked, floors["opportunistic"]),
        port=25,
        private_allowed=True,
    )
    courier = Courier(
        Destination(Road.DIRECT, "there.test"),
        ways=[way],
        lookup=world,
        own_names=(),
        chance=lambda: 0.5,
        assurance=Assurance(policies),
    )
    recipients = (parse_address("bob@there.test"),)
    letter = Letter(MessageId("m1"), None, recipients, b"Body\r\n", request=request)
    [outcome] = asyncio.run(courier.deliver(letter))
    if outcome.verdict is not Verdict.DELIVERED:
        return "waits" if outcome.verdict is Verdict.DEFERRED else "back"
    return "clear" if outcome.tls is None else outcome.tls.proof or "encrypted"


ROWS = [line.split() for line in MATRIX.splitlines() if line]
CELLS = [
    (dns, host, asked, outcome)
    for dns, host, *outcomes in ROWS[1:]
    for asked, outcome in zip(ROWS[0][2:], outcomes, strict=True)
]


@pytest.mark.parametrize(("dns", "host", "asked", "outcome"), CELLS)
def test_each_cell_has_its_outcome(dns: str, host: str, asked: str, outcome: str) -> None:
    assert outcome_of(dns, host, asked) == outcome


def test_no_cell_is_left_out() -> None:
    assert len(CELLS) == 7 * 6 * 7
    assert len({cell[:3] for cell in CELLS}) == len(CELLS)
