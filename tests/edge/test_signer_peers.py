"""Our signatures before a verifier of another make: Perl's Mail::DKIM (libmail-dkim-perl)."""

import subprocess
from pathlib import Path

import pytest

from mta.rules.message.dkimrecord import DkimRecord
from mta.rules.message.signing import SigningKey

from mta.edge.keys import load_key
from mta.edge.signer import Draft, signatures

HERE = Path(__file__).parent
KEY = load_key(HERE.parent.parent / "keys.example" / "example.com.s1.pem")
RECORD = DkimRecord("example.com", "s1", KEY.public)
NOW = 1_750_000_000


def has_mail_dkim() -> bool:
    try:
        program = ["perl", "-MMail::DKIM", "-e", "1"]
        return subprocess.run(program, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not has_mail_dkim(), reason="libmail-dkim-perl is not installed"),
]


def verdict(content: bytes) -> str:
    program = ["perl", str(HERE / "verify_dkim.pl"), *RECORD.strings]
    ran = subprocess.run(program, input=content, capture_output=True, check=True, timeout=30)
    return ran.stdout.decode()


def signed(content: bytes) -> bytes:
    return signatures(Draft(content, (SigningKey("example.com", "s1", KEY.sign),), NOW)) + content


AUTHOR = b"From: ann@example.com\r\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(AUTHOR, id="a header alone"),
        pytest.param(AUTHOR + b"\r\n\r\n\r\n", id="a body of empty lines"),
        pytest.param(AUTHOR + b"\r\n a  \tb \r\n\t\r\n.\r\n\r\n", id="blanks at every place"),
        pytest.param(AUTHOR + b"Subject: J\xc3\xb6rg\r\n\r\n\xff\x80\r\n", id="8-bit"),
        pytest.param(AUTHOR + b"To: x\r\n" * 60 + b"\r\nx\r\n", id="a field 60 times"),
        pytest.param(AUTHOR + b"Subject: " + b"x " * 4000 + b"\r\n\r\n", id="a long field"),
        pytest.param(b"From:\r\n\ta@example.com\r\n \t\r\nTo:\r\n\r\nx\r\n", id="folds and voids"),
        pytest.param(b"From : a@example.com\r\n\r\nx\r\n", id="a blank before the colon"),
    ],
)
def test_a_verifier_of_another_make_says_pass(content: bytes) -> None:
    assert verdict(signed(content)) == "pass"


def test_a_verifier_of_another_make_sees_a_forged_field() -> None:
    forged = b"Subject: forged\r\n" + signed(AUTHOR + b"\r\nx\r\n")

    assert verdict(forged).startswith("fail")
