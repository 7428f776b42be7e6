import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import dkim
import dkim.crypto
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import DkimRecord
from mta.rules.message.signing import OVERSIGNED, SigningKey

from mta.flow.ports import Signer

from mta.edge.keys import Ed25519Key, PrivateKey, load_key
from mta.edge.signer import DkimSigner, Draft, signatures

KEYS = Path(__file__).parent.parent.parent / "keys.example"
COM = load_key(KEYS / "example.com.s1.pem")
ORG = load_key(KEYS / "example.org.s1.pem")
EDWARDS = Ed25519Key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NOW = 1_750_000_000

MESSAGE = (
    b"Received: from app by mail\r\n"
    b"From: Ann <ann@example.com>\r\n"
    b"To: bob@there.test\r\n"
    b"Subject: A  subject\twith\r\n   folds\r\n"
    b"List-Unsubscribe: <https://example.com/u>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"\r\n"
    b"Hello  \t Bob, \r\n\r\n.\r\n\r\n\r\n"
)


def placed(key: PrivateKey, domain: str = "example.com", selector: str = "s1") -> SigningKey:
    return SigningKey(domain, selector, key.sign, key.kind)


ONE_KEY = (placed(COM),)


def txt(name: bytes, timeout: float = 5) -> bytes:
    """The DNS of these tests."""
    keys: dict[bytes, PrivateKey] = {
        b"s1._domainkey.example.com.": COM,
        b"s2._domainkey.example.com.": ORG,
        b"e1._domainkey.example.com.": EDWARDS,
    }
    return DkimRecord("example.com", "s", keys[name].public, keys[name].kind).value.encode()


def verifies(content: bytes, place: int = 0) -> bool:
    verdict: bool = dkim.DKIM(content).verify(place, dnsfunc=txt)
    return verdict


def signed(content: bytes, keys: tuple[SigningKey, ...] = ONE_KEY) -> bytes:
    return signatures(Draft(content, keys, NOW)) + content


async def at_once(draft: Draft) -> bytes:
    return signatures(draft)


def ask(signer: Signer, content: bytes, domain: str) -> bytes:
    return asyncio.run(signer.signature_fields(content, domain))


def test_a_signature_passes_an_independent_verification() -> None:
    signer = DkimSigner(ONE_KEY, clock=lambda: NOW, sign=at_once)

    field = ask(signer, MESSAGE, "example.com")

    assert verifies(field + MESSAGE)


def test_a_domain_without_a_key_gets_no_signature() -> None:
    signer = DkimSigner(ONE_KEY, clock=lambda: NOW, sign=at_once)

    assert ask(signer, MESSAGE, "other.test") == b""


def test_each_key_of_a_domain_makes_a_field() -> None:
    content = signed(MESSAGE, (placed(COM), placed(ORG, selector="s2")))

    assert content.count(b"DKIM-Signature:") == 2
    assert verifies(content, 0)
    assert verifies(content, 1)


def test_an_ed25519_key_makes_a_second_signature_and_both_are_right() -> None:
    content = signed(MESSAGE, (placed(COM), placed(EDWARDS, selector="e1")))

    second = content.split(b"DKIM-Signature:")[2]
    assert b"a=ed25519-sha256" in second
    assert b"s=e1" in second
    assert verifies(content, 0)
    assert verifies(content, 1)


def test_a_changed_subject_breaks_an_ed25519_signature() -> None:
    content = signed(MESSAGE, (placed(EDWARDS, selector="e1"),))

    assert verifies(content)
    assert not verifies(content.replace(b"A  subject", b"Another"))


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def selectors(fields: bytes) -> list[bytes]:
    return [part.partition(b";")[0] for part in fields.split(b"s=")[1:] if part[:1] in b"se"]


def test_a_key_signs_from_its_date_until_its_end() -> None:
    clock = Clock()
    old = replace(placed(COM), signs_until=NOW + 10.0)
    new = replace(placed(ORG, selector="s2"), signs_from=NOW + 10.0)
    signer = DkimSigner((old, new), clock=clock, sign=at_once)
    signed_with = []

    for clock.now in (NOW, NOW + 9.9, NOW + 10, NOW + 11):
        signed_with += selectors(ask(signer, MESSAGE, "example.com"))

    assert signed_with == [b"s1", b"s1", b"s2", b"s2"]


def test_a_domain_whose_keys_have_ended_gets_no_signature() -> None:
    ended = replace(placed(COM), signs_until=float(NOW))
    signer = DkimSigner((ended,), clock=lambda: NOW, sign=at_once)

    assert not signer.signs_for("example.com")
    assert ask(signer, MESSAGE, "example.com") == b""


def test_keys_can_be_exchanged() -> None:
    signer = DkimSigner(ONE_KEY, clock=lambda: NOW, sign=at_once)

    signer.replace_keys((placed(ORG, selector="s2"),))

    assert selectors(ask(signer, MESSAGE, "example.com")) == [b"s2"]


def test_the_same_message_at_the_same_time_has_the_same_signature() -> None:
    assert signatures(Draft(MESSAGE, ONE_KEY, NOW)) == signatures(Draft(MESSAGE, ONE_KEY, NOW))


def test_a_signature_says_how_it_was_made_and_limits_no_length() -> None:
    field = signatures(Draft(MESSAGE, ONE_KEY, NOW))

    tags = dkim.util.parse_tag_value(field.partition(b":")[2])
    assert tags[b"a"] == b"rsa-sha256"
    assert tags[b"c"] == b"relaxed/relaxed"
    assert (tags[b"d"], tags[b"s"]) == (b"example.com", b"s1")
    assert tags[b"t"] == str(NOW).encode()
    assert b"l" not in tags


def test_no_line_of_a_signature_is_longer_than_78_columns() -> None:
    field = signatures(Draft(MESSAGE, ONE_KEY, NOW))

    assert max(len(line) for line in field.split(b"\r\n")) <= 78
    assert field.endswith(b"\r\n")


@pytest.mark.parametrize("name", OVERSIGNED)
def test_nobody_can_add_a_field_that_readers_trust(name: str) -> None:
    content = signed(MESSAGE)

    assert not verifies(f"{name}: forged\r\n".encode() + content)
    assert not verifies(content.replace(b"\r\n\r\n", f"\r\n{name}: forged\r\n\r\n".encode(), 1))


def test_both_fields_of_one_click_are_under_the_signature() -> None:
    content = signed(MESSAGE)

    assert not verifies(content.replace(b"https://example.com/u", b"https://example.com/v"))
    assert not verifies(content.replace(b"=One-Click", b"=Two-Clicks"))


def test_a_hop_that_adds_its_received_field_breaks_nothing() -> None:
    assert verifies(b"Received: from mail by exchanger\r\n" + signed(MESSAGE))


def test_a_changed_body_breaks_the_signature() -> None:
    content = signed(MESSAGE)

    with pytest.raises(dkim.ValidationError):
        verifies(content.replace(b"Bob,", b"Eve,"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"From: ann@example.com\r\n", id="a header alone"),
        pytest.param(b"From: ann@example.com\r\n\r\n", id="an empty body"),
        pytest.param(b"From: ann@example.com\r\n\r\n\r\n\r\n", id="a body of empty lines"),
        pytest.param(b"From: ann@example.com\r\n\r\nno newline", id="no newline at the end"),
        pytest.param(b"From: J\xc3\xb6rg <a@example.com>\r\n\r\n\xff\x80\r\n", id="8-bit"),
        pytest.param(b"From: \xff\xfe <a@example.com>\r\n\r\nx\r\n", id="8-bit that is no UTF-8"),
        pytest.param(b"From: a@example.com\r\nTo: x\r\nTo: y\r\n\r\nx\r\n", id="a field twice"),
        pytest.param(b"From: a@example.com\r\n" + b"To: x\r\n" * 60 + b"\r\nx\r\n", id="60 times"),
        pytest.param(b"From:\r\n\ta@example.com\r\n \t\r\nTo:\r\n\r\nx\r\n", id="folds and voids"),
        pytest.param(b"From: a@example.com\r\nSubject: " + b"x " * 40_000 + b"\r\n\r\n", id="long"),
        pytest.param(b"Subject: no author\r\n\r\nx\r\n", id="no From"),
        pytest.param(
            b"From: a@example.com\r\nDKIM-Signature: v=0\r\n\r\nx\r\n", id="signed before"
        ),
    ],
)
def test_every_shape_of_a_message_is_signed_so_that_it_verifies(content: bytes) -> None:
    assert verifies(signed(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"no header at all\r\n",
        b" folded from nothing\r\n",
        b"From : a@b.test\r\n\r\n",
    ],
)
def test_what_is_hardly_a_message_is_signed_all_the_same(content: bytes) -> None:
    assert signatures(Draft(content, ONE_KEY, NOW)).startswith(b"DKIM-Signature:")


LINES = st.sampled_from(
    [b"From: a@example.com", b"To: b", b"to:", b" x", b"\tx ", b"", b"Bad", b"\xe4:", b"Cc: \xe4"]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(LINES, max_size=8).map(b"\r\n".join))
def test_no_shape_of_a_message_makes_an_exception(content: bytes) -> None:
    assert signatures(Draft(content, ONE_KEY, NOW)).startswith(b"DKIM-Signature:")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([b"To: b", b"Cc:  c\r\n\t d ", b"X:", b"Subject: \xe4"]), max_size=6),
    st.lists(st.sampled_from([b"", b" ", b"a  b\t", b".", b"\xff"]), max_size=6),
)
def test_whatever_is_signed_verifies(header: list[bytes], body: list[bytes]) -> None:
    lines = [b"From: a@example.com", *header, b"", *body, b""]

    assert verifies(signed(b"\r\n".join(lines)))


def test_a_key_that_cannot_sign_is_a_signing_error() -> None:
    def broken(data: bytes) -> bytes:
        raise ValueError("no")

    with pytest.raises(SigningError, match="could not be signed"):
        signatures(Draft(MESSAGE, (SigningKey("example.com", "s1", broken),), NOW))


def test_the_signature_is_the_one_that_dkimpy_would_compute() -> None:
    pem = (KEYS / "example.com.s1.pem").read_bytes()
    slow = dkim.crypto.parse_pem_private_key(pem)

    expected = dkim.crypto.RSASSA_PKCS1_v1_5_sign(hashlib.sha256(b"data"), slow)

    assert COM.sign(b"data") == bytes(expected)


class Hasher:
    """Keeps what dkimpy would hash."""

    def __init__(self) -> None:
        self.octets = b""

    def update(self, octets: bytes) -> None:
        self.octets += octets


VALUES = st.lists(
    st.sampled_from(
        [b" ", b"\t", b"a", b":", b";", b"\xe4", b"\x0b", b"\x0c", b"\r\n ", b"\r\n\t"]
    ),
    max_size=8,
).map(b"".join)


@given(st.lists(st.tuples(st.sampled_from([b"From", b"to", b"SUBJECT", b"X-Own"]), VALUES)))
def test_what_is_signed_is_what_dkimpy_would_verify(fields: list[tuple[bytes, bytes]]) -> None:
    content = b"".join(name + b":" + value + b"\r\n" for name, value in fields) + b"\r\nbody\r\n"
    signed: list[bytes] = []

    def note(octets: bytes) -> bytes:
        signed.append(octets)
        return b"signature"

    field = signatures(Draft(content, [SigningKey("example.com", "s1", note)], NOW))

    unsigned = field.partition(b":")[2].removesuffix(b"\r\n")
    names = dkim.util.parse_tag_value(unsigned)[b"h"].replace(b"\r\n\t", b"").split(b":")
    hasher = Hasher()
    raw = [(name, value + b"\r\n") for name, value in fields]
    relaxed = dkim.RelaxedCanonicalization.canonicalize_headers(raw)
    dkim.hash_headers(
        hasher, dkim.RelaxedCanonicalization, relaxed, names, (b"DKIM-Signature", unsigned), {}
    )
    assert signed == [hasher.octets]
