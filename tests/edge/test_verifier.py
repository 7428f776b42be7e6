"""Findings of dkimpy, and our seals before dkimpy and before Perl's Mail::DKIM."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.rules.message.arc import Chain, DkimResult, Findings, Sealer, seal_fields
from mta.rules.message.dkimrecord import DkimRecord
from mta.rules.message.headers import read_header
from mta.rules.message.signing import SigningKey

from mta.edge.keys import load_key
from mta.edge.signer import Draft, signatures
from mta.edge.verifier import MAX_WORK, findings

from tests.edge.test_signer_peers import has_mail_dkim

KEYS = Path(__file__).parent.parent.parent / "keys.example"
COM = load_key(KEYS / "example.com.s1.pem")
ORG = load_key(KEYS / "example.org.s1.pem")
NOW = 1_750_000_000
RECORDS = {
    record.name: (record.value,)
    for record in (
        DkimRecord("example.com", "s1", COM.public),
        DkimRecord("example.org", "s1", ORG.public),
    )
}
PLAIN = (
    b"From: Ann <ann@example.com>\r\nTo: bob@there.test\r\nSubject: A  b\r\n\tc\r\n\r\nHi \r\n\r\n"
)
SIGNED = signatures(Draft(PLAIN, (SigningKey("example.com", "s1", COM.sign),), NOW)) + PLAIN
OURS = Sealer("mail.example.org", "example.org", "s1", ORG.sign)
OTHERS = Sealer("mx.example.com", "example.com", "s1", COM.sign)


def texts(name: str) -> tuple[str, ...]:
    return RECORDS.get(name, ())


def sealed(content: bytes, sealer: Sealer = OURS) -> bytes:
    return seal_fields(read_header(content), findings(content, texts), sealer, NOW) + content


PASS = (DkimResult("pass", "example.com", "s1"),)


def test_a_good_signature_passes() -> None:
    assert findings(SIGNED, texts) == Findings(PASS, Chain.NONE)


def test_a_changed_body_fails() -> None:
    assert findings(SIGNED.replace(b"Hi", b"Ho"), texts).dkim[0].result == "fail"


def test_a_changed_header_fails() -> None:
    assert findings(SIGNED.replace(b"A  b", b"B  b"), texts).dkim[0].result == "fail"


def test_a_key_that_is_not_there_fails() -> None:
    assert findings(SIGNED, lambda name: ()).dkim[0].result in ("fail", "permerror")


def test_a_dns_that_does_not_say_is_a_passing_error() -> None:
    assert findings(SIGNED, lambda name: None).dkim[0].result == "temperror"


def test_a_message_without_signatures_has_no_findings() -> None:
    assert findings(PLAIN, texts) == Findings()


def test_no_more_than_five_signatures_are_looked_at() -> None:
    many = SIGNED.partition(b"From:")[0] * 9 + PLAIN

    assert findings(many, texts).dkim == PASS * 5


@pytest.mark.parametrize(
    "field",
    [
        b"DKIM-Signature:\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=\xff; s=\xff; h=from; bh=; b=;\r\n",
        b"DKIM-Signature: v=1; a=none; d=a.test; s=s; h=from; bh=AA==; b=AA==\r\n",
        b"DKIM-Signature: v=1; a=ed25519-sha256; d=a..test; s=.; h=from; bh=!; b=!\r\n",
        b"ARC-Seal: i=1\r\n",
        b"ARC-Seal: i=99999999999999999999999\r\n",
    ],
)
def test_what_cannot_be_read_is_no_pass(field: bytes) -> None:
    found = findings(field + PLAIN, texts)

    assert all(one.result != "pass" for one in found.dkim)
    assert found.chain is not Chain.PASS


def test_of_a_large_message_with_many_seals_nothing_is_claimed() -> None:
    large = SIGNED.partition(b"From:")[0] * 5 + PLAIN + b"x" * (MAX_WORK // 3)
    seals = b"".join(b"ARC-Seal: i=%d; cv=none\r\n" % number for number in range(1, 5))

    found = findings(seals + large, texts)

    assert len(found.dkim) == 2
    assert found.chain is None
    assert seal_fields(read_header(seals + large), found, OURS, NOW) == b""


def test_a_seal_without_its_set_breaks_the_chain() -> None:
    assert findings(b"ARC-Seal: i=1; cv=none\r\n" + PLAIN, texts).chain is Chain.FAIL


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=120))
def test_whatever_stands_in_a_message_is_a_finding(tags: bytes, seal: bytes) -> None:
    content = b"DKIM-Signature: " + tags + b"\r\nARC-Seal: i=1; " + seal + b"\r\n" + PLAIN

    found = findings(content, texts)

    assert all(one.result != "pass" for one in found.dkim)
    assert found.chain is not Chain.PASS


def test_our_seal_of_a_message_passes() -> None:
    assert findings(sealed(SIGNED), texts) == Findings(PASS, Chain.PASS)


def test_a_chain_of_two_passes() -> None:
    twice = sealed(sealed(SIGNED, OTHERS))

    assert b"cv=pass" in twice
    assert findings(twice, texts).chain is Chain.PASS


def test_a_body_changed_between_two_seals_keeps_the_chain_whole() -> None:
    changed = sealed(SIGNED, OTHERS).replace(b"Hi", b"Ho")

    again = sealed(changed)

    assert b"cv=fail" in again  # the latest signature must hold, RFC 8617 §5.2
    assert findings(again, texts).chain is Chain.FAIL


def test_a_changed_seal_is_found_out() -> None:
    forged = sealed(SIGNED).replace(b"dkim=pass", b"dkim=fail")

    assert findings(forged, texts).chain is Chain.FAIL


def test_a_chain_that_nobody_can_verify_now_is_not_called_broken_nor_sealed() -> None:
    content = sealed(SIGNED)

    found = findings(content, lambda name: None)

    assert found.chain is None
    assert seal_fields(read_header(content), found, OURS, NOW) == b""


def test_a_message_changed_after_its_seal_is_found_out() -> None:
    assert findings(sealed(SIGNED).replace(b"Hi", b"Ho"), texts).chain is Chain.FAIL


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PLAIN, id="no signature"),
        pytest.param(b"From: a@example.com\r\n", id="a header alone"),
        pytest.param(b"From: a@example.com\r\n\r\n\r\n\r\n", id="empty lines"),
        pytest.param(b"To: x\r\n" * 60 + b"From: a@b.test\r\n\r\nx\r\n", id="a field 60 times"),
        pytest.param(b"From: J\xc3\xb6rg <a@b.test>\r\n\r\n\xff\r\n", id="8-bit"),
        pytest.param(b"From:\r\n\ta@example.com\r\n \t\r\nTo:\r\n\r\nx\r\n", id="folds and voids"),
    ],
)
def test_messages_of_every_shape_can_be_sealed(content: bytes) -> None:
    assert findings(sealed(content), texts).chain is Chain.PASS


PERL = """
use strict; use warnings; use Mail::DKIM::ARC::Verifier; use Net::DNS;
package Zone { sub new { bless {}, shift } sub AUTOLOAD { return }
  sub send { my ($self, $name) = @_; my %zone = @ARGV;
    my $packet = Net::DNS::Packet->new($name, 'TXT', 'IN'); $packet->header->qr(1);
    $packet->push(answer => Net::DNS::RR->new(name => $name, type => 'TXT',
      txtdata => [unpack('(a255)*', $zone{$name})])) if $zone{$name};
    return $packet; } }
Mail::DKIM::DNS::resolver(Zone->new);
my $verifier = Mail::DKIM::ARC::Verifier->new;
binmode STDIN; local $/ = undef;
$verifier->PRINT(scalar <STDIN>); $verifier->CLOSE; print $verifier->result_detail;
"""


def perl_verdict(content: bytes) -> str:
    zone = [word for name, (value,) in RECORDS.items() for word in (name, value)]
    ran = subprocess.run(
        ["perl", "-e", PERL, *zone], input=content, capture_output=True, check=True, timeout=30
    )
    return ran.stdout.decode()


@pytest.mark.peers
@pytest.mark.skipif(not has_mail_dkim(), reason="libmail-dkim-perl is not installed")
def test_a_verifier_of_another_make_says_pass() -> None:
    assert perl_verdict(sealed(SIGNED)).startswith("pass")
    assert perl_verdict(sealed(sealed(SIGNED, OTHERS))).startswith("pass")
    assert perl_verdict(sealed(SIGNED).replace(b"Hi", b"Ho")).startswith("fail")
