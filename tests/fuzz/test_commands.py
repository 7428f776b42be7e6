"""Whatever line comes, it is a command or has a reply, and nothing of it can break a line.

Invariants: nothing is ever raised; what is read holds no control character; a reply is one line
of printable ASCII.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address, refuse_unicode
from mta.model.outcome import Reply

from mta.rules.submission.commands import (
    SENDER,
    Command,
    Mail,
    Rcpt,
    address_in,
    parse_command,
    parse_helo,
    parse_mail,
    parse_rcpt,
    plain_command,
    read_command,
)

WORDS = rb'MAIL RCPT EHLO FROM: TO: < > " \ @ . : SIZE= BODY= 7BIT SMTPUTF8 1 a [ ]'.split()
PIECES = st.lists(
    st.sampled_from([*WORDS, b" ", b"\xc3\xbc", b"\xe2\x80\xa8"]) | st.binary(max_size=4),
    max_size=24,
).map(b"".join)
LINES = PIECES | PIECES.map(b"MAIL FROM:<".__add__) | PIECES.map(b"RCPT TO:<".__add__)


def is_printable(reply: Reply) -> bool:
    return reply.text.isascii() and reply.text.isprintable() and 500 <= reply.code < 600


@given(LINES)
def test_a_line_is_a_command_or_has_a_reply(line: bytes) -> None:
    command = parse_command(line)

    if isinstance(command, Reply):
        assert is_printable(command)
    else:
        assert command.verb.isascii()
        assert not any(character < " " for character in command.argument)


@given(LINES)
def test_an_argument_is_understood_or_has_a_reply(line: bytes) -> None:
    command = parse_command(line)
    if not isinstance(command, Command):
        return

    for read in (
        parse_helo(command.argument),
        parse_mail(command.argument),
        parse_rcpt(command.argument),
    ):
        assert isinstance(read, str | Mail | Rcpt) or is_printable(read)


@given(st.text(max_size=80) | st.text('ab.@"\\[]:<> ü', max_size=20), st.booleans())
def test_a_path_is_a_mailbox_or_has_a_reply(path: str, is_smtputf8: bool) -> None:
    def to_ascii(domain: str) -> str:
        return domain.encode("idna").decode()

    read = address_in(path, SENDER, is_smtputf8=is_smtputf8, to_ascii=to_ascii)

    if isinstance(read, Address):
        assert read.domain.isascii()
        assert is_smtputf8 or read.is_ascii
    else:
        assert is_printable(read)


LOCALS = st.text('aB1!.+-@"<> ', max_size=70)
DOMAINS = st.lists(
    st.text("aZ0-_[]", max_size=12) | st.sampled_from(["a" * 63, "a" * 64]), max_size=4
)
PARAMETERS = st.lists(
    st.sampled_from(
        ["", "SIZE=12", "size=0", "SIZE=" + "9" * 21, "BODY=7BIT", "body=8BitMime", "X"]
    ),
    max_size=3,
)


@given(
    st.sampled_from(["MAIL FROM:", "RCPT TO:", "mail from:", "Rcpt To: ", "MAIL TO:", "MAIL"]),
    LOCALS,
    DOMAINS,
    PARAMETERS,
)
def test_the_short_way_finds_what_the_strict_parsers_find(
    keyword: str, local: str, domain: list[str], parameters: list[str]
) -> None:
    agrees_with_the_strict_parsers(
        " ".join([f"{keyword}<{local}@{'.'.join(domain)}>", *parameters]).encode()
    )


@given(LINES)
def test_the_short_way_finds_it_in_any_line(line: bytes) -> None:
    agrees_with_the_strict_parsers(line)


def agrees_with_the_strict_parsers(line: bytes) -> None:
    strict = parse_command(line)
    plain = plain_command(line)

    assert read_command(line) == (plain or strict)
    if plain is None:
        return
    assert isinstance(strict, Command)
    assert (plain.verb, plain.argument) == (strict.verb, strict.argument)
    meaning = (parse_mail if plain.verb == "MAIL" else parse_rcpt)(plain.argument)
    assert isinstance(meaning, Mail | Rcpt)
    mailbox = address_in(meaning.path, SENDER, is_smtputf8=False, to_ascii=refuse_unicode)
    assert isinstance(mailbox, Address)
    assert plain.meaning == replace(meaning, mailbox=mailbox)
