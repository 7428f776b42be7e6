"""What AUTH says: the mechanisms' messages, and one spelling for names and passwords."""

from base64 import b64encode

import pytest

from mta.model.outcome import Reply

from mta.rules.submission.sasl import (
    Challenge,
    Credentials,
    Exchange,
    Mechanism,
    prepared_name,
    prepared_password,
    start,
)


def heard(mechanism: Mechanism, *responses: bytes) -> Challenge | Credentials | Reply:
    """What the last of some responses leads to."""
    exchange = Exchange(mechanism)
    said: Challenge | Credentials | Reply = exchange.begin()
    for response in responses:
        assert isinstance(said, Challenge)
        said = exchange.hear(b64encode(response))
    return said


def test_plain_says_name_and_password_at_once() -> None:
    assert heard(Mechanism.PLAIN, b"\0ann\0pass word") == Credentials("ann", "pass word")
    assert heard(Mechanism.PLAIN, b"ann\0ann\0secret") == Credentials("ann", "secret")


def test_login_asks_for_one_after_the_other() -> None:
    assert heard(Mechanism.LOGIN) == Challenge("Username:")
    assert heard(Mechanism.LOGIN, b"ann") == Challenge("Password:")
    assert heard(Mechanism.LOGIN, b"ann", b"secret") == Credentials("ann", "secret")


@pytest.mark.parametrize(
    "response",
    [
        *(b"", b"ann", b"ann\0secret", b"\0\0", b"\0ann\0", b"\0\0secret", b"\0a\0b\0c"),
        *(b"\0ann\0\xff", b"\0ann\xc3\0secret", b"\0ann\r\n\0secret", b"\0a\x7f\0secret"),
    ],
)
def test_plain_is_read_strictly(response: bytes) -> None:
    refusal = heard(Mechanism.PLAIN, response)

    assert isinstance(refusal, Reply)
    assert str(refusal).startswith("501 5.5.2 ")


@pytest.mark.parametrize("identity", [b"bob", b"ann@here.test", b"an", b"\xc3\xa4"])
def test_nobody_acts_for_another(identity: bytes) -> None:
    refusal = heard(Mechanism.PLAIN, identity + b"\0ann\0secret")

    assert isinstance(refusal, Reply)
    assert str(refusal).startswith("535 5.7.8 ")


@pytest.mark.parametrize(
    "line",
    [b"YW5", b"YW5u=", b"YW5u====", b"YW 5u", b"YW5u\t", b"-_-_", b"\xff", b"=", b"YQ==YQ=="],
)
def test_what_is_no_base64_is_refused(line: bytes) -> None:
    refusal = Exchange(Mechanism.LOGIN).hear(line)

    assert refusal == Reply(501, "Expected base64", 5, 2)


def test_a_star_cancels() -> None:
    assert Exchange(Mechanism.PLAIN).hear(b"*") == Reply(501, "Login cancelled", 7, 0)


@pytest.mark.parametrize(
    ("argument", "mechanism", "response"),
    [
        ("PLAIN", Mechanism.PLAIN, None),
        ("login", Mechanism.LOGIN, None),
        ("Plain =", Mechanism.PLAIN, b""),
        ("LOGIN YW5u", Mechanism.LOGIN, b"YW5u"),
    ],
)
def test_the_command_names_a_mechanism_and_may_bring_a_response(
    argument: str, mechanism: Mechanism, response: bytes | None
) -> None:
    begun = start(argument)

    assert not isinstance(begun, Reply)
    assert (begun[0].begin(), begun[1]) == (Exchange(mechanism).begin(), response)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        *(("", 501), ("PLAIN  =", 501), ("PLAIN = =", 501), ("PLAIN *", 501), ("PLAIN ä", 501)),
        *(("CRAM-MD5", 504), ("SCRAM-SHA-256 biws", 504), ("*", 504), ("XOAUTH2", 504)),
    ],
)
def test_a_command_that_cannot_begin_is_refused(argument: str, code: int) -> None:
    refusal = start(argument)

    assert isinstance(refusal, Reply)
    assert refusal.code == code


def test_a_name_is_one_in_any_case_and_composition() -> None:
    assert prepared_name("Jo\u0308RG@Here.Test") == "j\u00f6rg@here.test"


def test_a_password_keeps_its_case_and_spaces() -> None:
    assert prepared_password("Pa\u00a0ss o\u0308") == "Pa ss \u00f6"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Credentials("ann", "secret"))


# To bring them into one spelling takes time that grows with the square of their length.
@pytest.mark.parametrize(
    ("name", "password", "is_taken"),
    [(255, 4096, True), (256, 8, False), (8, 4097, False)],
)
def test_names_and_passwords_have_a_length(name: int, password: int, is_taken: bool) -> None:
    said = b"a" * name, b"p" * password
    plain = heard(Mechanism.PLAIN, b"\0" + said[0] + b"\0" + said[1])
    identity = heard(Mechanism.PLAIN, said[0] + b"\0" + said[0] + b"\0" + said[1])
    login = Exchange(Mechanism.LOGIN)
    login.hear(b64encode(said[0]))

    assert isinstance(plain, Credentials) is is_taken
    assert isinstance(identity, Credentials) is is_taken
    if name <= 255:
        assert isinstance(login.hear(b64encode(said[1])), Credentials) is is_taken
    else:
        assert isinstance(heard(Mechanism.LOGIN, said[0]), Reply)
