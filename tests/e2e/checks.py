"""What end-to-end tests ask of a message that arrived."""

import re
import shutil
import socket
import subprocess
import time

import pytest

from mta.sandbox.findings import dkim_verdict
from mta.sandbox.internet import Internet

_FIELD = re.compile(rb"([!-9;-~]+):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")

# Mail::DKIM with the nameserver of the sandbox; the message is read from standard input.
_PERL = """
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(
    nameservers => [$ARGV[0]], port => $ARGV[1], recurse => 1, config_file => '/dev/null'));
my $dkim = Mail::DKIM::Verifier->new();
binmode STDIN;
while (sysread STDIN, my $octets, 65536) { $dkim->PRINT($octets); }
$dkim->CLOSE;
print $dkim->result_detail, "\\n";
"""


def peer(program: str) -> pytest.MarkDecorator:
    """Marks tests that need a program of this machine; skipped where it is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def run(
    *command: str, given: bytes = b"", within: float = 30.0
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end; fails with its words where it fails."""
    done = subprocess.run(command, input=given, capture_output=True, timeout=within, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout!r} {done.stderr!r}"
    return done


def fields_before(original: bytes, arrived: bytes) -> list[bytes]:
    """The names of the fields that were put before the original; it must have stayed itself."""
    assert arrived.endswith(original), "the message did not stay itself"
    added = arrived.removesuffix(original)
    names = [name.lower() for name in _FIELD.findall(added)]
    assert b"".join(match[0] for match in _FIELD.finditer(added)) == added
    return names


def assert_signed(content: bytes, internet: Internet, domain: bytes = b"app.test") -> None:
    """The topmost signature is this domain's and passes, by the DNS of the sandbox."""
    signature = content[: content.index(b"\r\n\r\n")].partition(b"DKIM-Signature:")[2]
    assert b"d=" + domain + b";" in signature
    assert dkim_verdict(content, internet.text_record) == "pass"


def perl_verdict(content: bytes, internet: Internet) -> str:
    """What Perl's Mail::DKIM says of the topmost signature, as in "pass"."""
    nameserver, port = internet.world.dns.address
    done = run("perl", "-e", _PERL, nameserver, str(port), given=content)
    return done.stdout.decode().strip()


def has_mail_dkim() -> bool:
    """Whether Perl has Mail::DKIM."""
    perl = shutil.which("perl")
    if perl is None:
        return False
    asked = subprocess.run([perl, "-MMail::DKIM", "-e", "1"], capture_output=True, check=False)
    return asked.returncode == 0


def until_it_listens(address: str, port: int, within: float = 20.0) -> None:
    """Wait until somebody takes connections there."""
    ends_at = time.monotonic() + within
    while True:
        try:
            socket.create_connection((address, port), timeout=within).close()
        except ConnectionRefusedError:
            assert time.monotonic() < ends_at, f"nothing listens at {address}:{port}"
            time.sleep(0.05)  # nobody tells
        else:
            return
