"""A DNS of our own with signatures: NSD serves its zones, Unbound resolves and validates."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.name
import dns.node
import dns.rdata
import dns.rdataset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdataclass import IN
from dns.rdatatype import RdataType

import mta.edge.lookup  # noqa: F401 - lets TLSA records of wrong lengths be

from tests.e2e.checks import until_it_listens

NSD, NSD_PORT = "127.0.2.1", 5300
UNBOUND = "127.0.2.2"  # on port 53: a resolv.conf has no word for another one

_LIFETIME = 7 * 86_400

Zone = Mapping[str, tuple[str, ...]]  # names to records, as in {"mx.there.test": ("A 127.0.1.1",)}

_NSD = """\
server:
    ip-address: {address}@{port}
    do-ip6: no
    server-count: 1
    username: ""
    chroot: ""
    database: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    logfile: "{folder}/nsd.log"
remote-control:
    control-enable: no
"""

_UNBOUND = """\
server:
    interface: {address}
    do-ip6: no
    num-threads: 1
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: "{folder}/unbound.log"
    trust-anchor-file: "{folder}/root.key"
    local-zone: "test." nodefault
remote-control:
    control-enable: no
"""


@dataclass(frozen=True)
class SignedDns:
    """What runs. `resolv_conf` is for programs that read one."""

    resolver: str
    resolv_conf: Path


@contextmanager
def signed_dns(
    folder: Path, root: Zone, plain: Zone, bogus: Zone, forged: Zone
) -> Iterator[SignedDns]:
    """Serve a signed root with all of `root`, and below it plain.test, unsigned, and bogus.test.

    The records in `forged` take the place of signed ones of their types, whose signatures stay.
    """
    _write_zones(folder, root, plain, bogus, forged)
    conf = folder / "resolv.conf"
    conf.write_text(f"nameserver {UNBOUND}\noptions trust-ad edns0\n")
    with (
        _running(["nsd", "-d", "-c", str(_nsd_conf(folder))], NSD, NSD_PORT),
        _running(["unbound", "-d", "-c", str(_unbound_conf(folder))], UNBOUND, 53),
    ):
        yield SignedDns(UNBOUND, conf)


@contextmanager
def _running(command: list[str], address: str, port: int) -> Iterator[None]:
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            until_it_listens(address, port)
            yield
        finally:
            process.terminate()


def _write_zones(folder: Path, root: Zone, plain: Zone, bogus: Zone, forged: Zone) -> None:
    key, bogus_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    ds = _digest("bogus.test.", bogus_key)
    delegations = {
        "plain.test": ("NS ns.test.",),
        "bogus.test": ("NS ns.test.", f"DS {ds}"),
        "ns.test": (f"A {NSD}",),
    }
    own = {name: (*records,) for name, records in root.items()} | delegations
    _write(folder / "root.zone", ".", own, key, forged)
    _write(folder / "plain.zone", "plain.test.", plain, None, {})
    liar = ec.generate_private_key(ec.SECP256R1())  # it is not the one that the root vouches for
    _write(folder / "bogus.zone", "bogus.test.", bogus, liar, {})
    (folder / "root.key").write_text(f". IN DS {_digest('.', key)}\n")


def _write(
    path: Path, origin: str, records: Zone, key: ec.EllipticCurvePrivateKey | None, forged: Zone
) -> None:
    lines = [
        f"$ORIGIN {origin}",
        "$TTL 60",
        "@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60",
        "@ NS ns.test.",
    ]
    lines += [f"{name}. {record}" for name, found in records.items() for record in found]
    zone = dns.zone.from_text("\n".join(lines), origin, relativize=False)
    if key is not None:
        dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
        with zone.writer() as transaction:
            dns.dnssec.sign_zone(
                zone,
                transaction,
                [(key, dnskey)],
                lifetime=_LIFETIME,
                inception=int(time.time()) - 3600,
            )
    for name, found in forged.items():
        for record in found:
            kind, _, rest = record.partition(" ")
            rdata = dns.rdata.from_text(IN, RdataType.from_text(kind), rest)
            zone.replace_rdataset(name + ".", dns.rdataset.from_rdata(60, rdata))
    zone.to_file(str(path), relativize=False)


def _digest(name: str, key: ec.EllipticCurvePrivateKey) -> str:
    dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    return dns.dnssec.make_ds(dns.name.from_text(name), dnskey, DSDigest.SHA256).to_text()


def _nsd_conf(folder: Path) -> Path:
    zones = "".join(
        f'zone:\n    name: "{name}"\n    zonefile: "{file}.zone"\n'
        for name, file in ((".", "root"), ("plain.test.", "plain"), ("bogus.test.", "bogus"))
    )
    path = folder / "nsd.conf"
    path.write_text(_NSD.format(address=NSD, port=NSD_PORT, folder=folder) + zones)
    return path


def _unbound_conf(folder: Path) -> Path:
    stubs = "".join(
        f'stub-zone:\n    name: "{name}"\n    stub-addr: {NSD}@{NSD_PORT}\n'
        for name in (".", "plain.test.", "bogus.test.")
    )
    path = folder / "unbound.conf"
    path.write_text(_UNBOUND.format(address=UNBOUND, folder=folder) + stubs)
    return path
