"""What a command line says, and the reply to one that says nothing."""

import pytest

from mta.model.address import Address
from mta.model.outcome import Reply

from mta.rules.submission.commands import (
    RECIPIENT,
    SENDER,
    Chunk,
    Command,
    Mail,
    Rcpt,
    address_in,
    parse_bdat,
    parse_command,
    parse_helo,
    parse_mail,
    parse_rcpt,
    plain_command,
    read_command,
)


def status(read: object) -> str:
    """Code and status of a refusal."""
    assert isinstance(read, Reply)
    return f"{read.code} {read.status}"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"QUIT", Command("QUIT", "")),
        (b"quit", Command("QUIT", "")),
        (b"QUIT  ", Command("QUIT", "")),
        (b"Mail FROM:<a@b>", Command("MAIL", "FROM:<a@b>")),
        (b"MAIL   FROM:<a@b>  ", Command("MAIL", "FROM:<a@b>")),
        ("RCPT TO:<ü@b>".encode(), Command("RCPT", "TO:<ü@b>")),
    ],
)
def test_a_command_is_its_verb_and_the_rest(line: bytes, command: Command) -> None:
    assert parse_command(line) == command


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b" ", b" QUIT", b"A1 x", b"RSET;", "MÄIL x".encode()),
        *(b"NOOP\0", b"NOOP\tx", b"NOOP\rQUIT", b"NOOP\nQUIT", b"NOOP \x7f", b"\x16\x03\x01\x02"),
        *(b"MAIL FROM:<\xff@b>", b"MAIL FROM:<\xed\xa0\x80@b>"),
    ],
)
def test_a_line_that_is_no_command_is_refused(line: bytes) -> None:
    assert status(parse_command(line)) == "500 5.5.2"


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (b"MAIL FROM:<a@b.test>", Mail("a@b.test", mailbox=Address("a", "b.test"))),
        (
            b"mail From:<A.b@B-c.Test> SIZE=12 BODY=8BITMIME",
            Mail("A.b@B-c.Test", 12, has_parameters=True, mailbox=Address("A.b", "b-c.test")),
        ),
        (b"RCPT TO:<a@b.test>", Rcpt("a@b.test", Address("a", "b.test"))),
    ],
)
def test_a_plain_command_is_understood_at_one_look(line: bytes, meaning: Mail | Rcpt) -> None:
    command = plain_command(line)

    assert command is not None
    assert command.meaning == meaning
    assert command.verb == line[:4].decode().upper()
    assert command.argument == line[5:].decode()


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"MAIL FROM:<>",
            b"RCPT TO:<postmaster>",
            b"RCPT TO:<a@[192.0.2.1]>",
            b"MAIL FROM: <a@b>",
        ),
        *(b"RCPT TO:<a@b.1>", b"RCPT TO:<a@b> SIZE=1", b"MAIL FROM:<a@b> SMTPUTF8", b"QUIT"),
        *(b"RCPT TO:<a@-b>", b"RCPT TO:<a@b->", b"RCPT TO:<a@b..c>", b"RCPT TO:<a..b@c>"),
        *(b"RCPT TO:<" + b"a" * 65 + b"@b>", b"RCPT TO:<a@" + b"b" * 64 + b">", b"RCPT TO:<a@b>\n"),
        *(b"MAIL FROM:<a@b> BODY=7BIT SIZE=1", b"RCPT TO:<\xc3\xbc@b>", b"MAIL FROM:<a@b> SIZE="),
    ],
)
def test_what_is_not_plain_is_left_to_the_strict_parsers(line: bytes) -> None:
    assert plain_command(line) is None
    assert read_command(line) == parse_command(line)


def test_a_line_that_is_long_is_read_and_not_remembered() -> None:
    line = b"NOOP " + b"x" * 2_000
    before = read_command(b"NOOP")

    assert read_command(line) == parse_command(line)
    assert read_command(line) is not read_command(line)
    assert read_command(b"NOOP") is before


@pytest.mark.parametrize("name", ["client.test", "my_host", "[192.0.2.1]", "[IPv6:::1]", "a" * 255])
def test_a_client_may_call_itself_what_hosts_are_called(name: str) -> None:
    assert parse_helo(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a(b)", "a;b", "<a>", "ü.test", "a" * 256, "a\\b"])
def test_a_client_may_not_call_itself_what_means_something_elsewhere(name: str) -> None:
    assert status(parse_helo(name)) == "501 5.5.4"


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        ("FROM:<>", Mail("")),
        ("FROM:<a@b.test>", Mail("a@b.test")),
        ("from: <a@b.test>", Mail("a@b.test")),
        ('FROM:<"a> b\\" <"@b.test>', Mail('"a> b\\" <"@b.test')),
        ("FROM:<a@b> SIZE=12", Mail("a@b", size=12, has_parameters=True)),
        ("FROM:<a@b> size=0012", Mail("a@b", size=12, has_parameters=True)),
        ("FROM:<a@b>  BODY=8bitmime", Mail("a@b", has_parameters=True)),
        ("FROM:<a@b> BODY=7BIT", Mail("a@b", has_parameters=True)),
        ("FROM:<ü@b> smtputf8", Mail("ü@b", is_smtputf8=True, has_parameters=True)),
    ],
)
def test_mail_names_a_sender_and_says_what_it_needs(argument: str, mail: Mail) -> None:
    assert parse_mail(argument) == mail


@pytest.mark.parametrize(
    "argument",
    [
        *("", "FROM", "FROM:", "FROM:a@b", "FROM:<a@b", "<a@b>", "TO:<a@b>", "FROM:<a b@c>"),
        *("FROM:<<a@b>>", 'FROM:<"a>', "FROM:<a@b>x", "FROM:<a@b>SIZE=1", "FROM:<a@b> =x"),
        *("FROM:<a@b> SIZE", "FROM:<a@b> SIZE=", "FROM:<a@b> SIZE=x", "FROM:<a@b> SIZE=-1"),
        *("FROM:<a@b> SIZE=1 SIZE=1", "FROM:<a@b> SIZE=\u0661", "FROM:<a@b> SIZE=" + "1" * 21),
        *("FROM:<a@b> BODY", "FROM:<a@b> BODY=BINARYMIME", "FROM:<a@b> SMTPUTF8=1"),
    ],
)
def test_mail_that_is_misspelt_is_refused(argument: str) -> None:
    assert status(parse_mail(argument)) == "501 5.5.4"


@pytest.mark.parametrize("parameter", ["AUTH=<>", "RET=FULL", "MT-PRIORITY=3", "X"])
def test_mail_with_an_unknown_parameter_is_refused(parameter: str) -> None:
    assert status(parse_mail(f"FROM:<a@b> {parameter}")) == "555 5.5.4"


def test_rcpt_names_a_recipient() -> None:
    assert parse_rcpt("TO:<a@b.test>") == Rcpt("a@b.test")


@pytest.mark.parametrize(
    ("argument", "refusal"),
    [
        ("FROM:<a@b>", "501 5.5.4"),
        ("TO:a@b", "501 5.5.4"),
        ("TO:<a@b> NOTIFY=NEVER", "555 5.5.4"),
        ("TO:<a@b> SIZE=1", "555 5.5.4"),
    ],
)
def test_rcpt_that_is_misspelt_is_refused(argument: str, refusal: str) -> None:
    assert status(parse_rcpt(argument)) == refusal


def a_labels(domain: str) -> str:
    return domain.replace("ü", "xn--tda")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a@b.test", Address("a", "b.test")),
        ("A@B.Test", Address("A", "b.test")),
        ("ü@b.test", Address("ü", "b.test")),
        ("a@ü.test", Address("a", "xn--tda.test")),
    ],
)
def test_a_path_is_a_mailbox(path: str, address: Address) -> None:
    assert address_in(path, SENDER, is_smtputf8=True, to_ascii=a_labels) == address


@pytest.mark.parametrize("path", ["ü@b.test", "a@ü.test"])
def test_an_address_that_is_not_ascii_needs_smtputf8(path: str) -> None:
    read = address_in(path, RECIPIENT, is_smtputf8=False, to_ascii=a_labels)

    assert status(read) == "553 5.6.7"


@pytest.mark.parametrize("path", ["a", "@a.test:b@c.test", "a@@b.test", ".a@b.test", "a@b_c", "a@"])
def test_a_path_that_is_no_mailbox_is_refused_for_its_own_sake(path: str) -> None:
    sender = address_in(path, SENDER, is_smtputf8=False, to_ascii=a_labels)
    recipient = address_in(path, RECIPIENT, is_smtputf8=False, to_ascii=a_labels)

    assert (status(sender), status(recipient)) == ("553 5.1.7", "553 5.1.3")


def test_what_may_hold_a_password_is_not_remembered() -> None:
    line = b"AUTH PLAIN AGFubgBzZWNyZXQ="

    commands = [read_command(line) for _ in range(2)]

    assert commands[0] == commands[1] == Command("AUTH", "PLAIN AGFubgBzZWNyZXQ=")
    assert commands[0] is not commands[1]


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        ("0", Chunk(0, is_last=False)),
        ("1000", Chunk(1000, is_last=False)),
        ("007 last", Chunk(7, is_last=True)),
        ("9" * 20 + "  LAST", Chunk(10**20 - 1, is_last=True)),
    ],
)
def test_bdat_says_how_much_comes_and_whether_that_is_all(argument: str, chunk: Chunk) -> None:
    assert parse_bdat(argument) == chunk


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "LAST",
        "-1",
        "+1",
        "1.5",
        "0x10",
        "1 2",
        "1 LAST LAST",
        "1LAST",
        "1\tLAST",
        "9" * 21,
        "٣",
    ],
)
def test_bdat_that_is_misspelt_is_refused(argument: str) -> None:
    assert status(parse_bdat(argument)) == "501 5.5.4"
