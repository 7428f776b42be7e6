"""The file of a dropped message: what is written is read again, and nothing else is."""

import json
import zlib
from dataclasses import replace

import pytest

from mta.model.address import parse_address
from mta.model.envelope import Client, MessageId
from mta.model.request import MessageRequest, Notice, RecipientRequest, Returned

from mta.rules.message.dropfile import (
    Drop,
    DropError,
    drop_file,
    drop_id,
    drop_name,
    is_drop_id,
    read_drop_file,
    submission_of,
)

DROP = Drop(
    parse_address("ann@x.test"),
    (parse_address("bob@y.test"), parse_address("carol@y.test")),
    b"Subject: hello\r\n\r\n.\r\n..x\r\n",
)
CLIENT = Client("unix:1000", "ann", "local")


def read(octets: bytes, size: int = 1000, line_length: int = 100) -> Drop:
    return read_drop_file(octets, size=size, line_length=line_length)


def with_checksum(rest: bytes) -> bytes:
    return b"%08x " % zlib.crc32(rest) + rest


def changed(**facts: object) -> bytes:
    line, _, content = drop_file(DROP)[9:].partition(b"\n")
    return with_checksum(json.dumps(json.loads(line) | facts).encode() + b"\n" + content)


@pytest.mark.parametrize(
    "drop",
    [
        DROP,
        replace(DROP, sender=None),
        replace(DROP, content=b""),
        replace(DROP, content=b"\xff\xfe\r\n"),
        replace(DROP, recipients=(parse_address("bób@y.test"),), is_smtputf8=True),
        replace(DROP, parameters="RET=HDRS ENVID=x", recipient_parameters="NOTIFY=NEVER"),
        replace(DROP, shares_keys=True),
    ],
)
def test_what_is_written_is_read(drop: Drop) -> None:
    assert read(drop_file(drop)) == drop


def test_it_asks_for_what_the_same_words_ask_for_by_smtp() -> None:
    drop = replace(DROP, parameters="RET=HDRS ENVID=x", recipient_parameters="NOTIFY=DELAY")

    submission = submission_of(drop, CLIENT)

    assert submission.request == MessageRequest(Returned.HEADERS, "x")
    assert submission.requests == (RecipientRequest(frozenset({Notice.DELAY})),) * 2


def test_its_keys_are_its_user_s_unless_it_may_have_come_as_nobody_s() -> None:
    in_doubt = replace(DROP, shares_keys=True)

    assert submission_of(DROP, CLIENT).client.owner == " unix:1000"
    assert submission_of(in_doubt, CLIENT).client.owner == ""


def test_it_mostly_asks_for_nothing() -> None:
    assert submission_of(DROP, CLIENT).requests == ()


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "checksum"),
        (b"hello\n", "checksum"),
        (drop_file(DROP)[:-1], "checksum"),
        (b"+" + drop_file(DROP)[1:], "checksum"),
        (with_checksum(b"no newline"), "first line"),
        (with_checksum(b" " * 1024 * 1024 + b"{}\n"), "first line"),
        (with_checksum(b"[" * 100_000 + b"\n"), "JSON"),
        (with_checksum(b"9" * 10_000 + b"\n"), "JSON"),
        (with_checksum(b"\xff\n"), "JSON"),
        (with_checksum(b"[]\n"), "format 1"),
        (changed(format=2), "format 1"),
        (changed(sender=None), "a sender"),
        (changed(sender="ann"), "local-part@domain"),
        (changed(sender="ann@x.test> RET=FULL"), "expected a domain"),
        (changed(recipients=[]), "recipients"),
        (changed(recipients="bob@x.test"), "recipients"),
        (changed(recipients=[1]), "addresses that are texts"),
        (changed(recipients=["bob@x.test\r\nDATA"]), "expected a domain"),
        (changed(parameters=1), "a text"),
        (changed(parameters="HOLDFOR=10"), "not recognised"),
        (changed(parameters="RET=SOME"), "RET=FULL"),
        (changed(parameters="\r\nDATA"), "NAME or NAME=value"),
        (changed(recipient_parameters="RET=FULL"), "not recognised"),
        (changed(recipient_parameters="NOTIFY=DELAY,DELAY"), "each once"),
        (drop_file(replace(DROP, content=b"a")), "end in CRLF"),
        (drop_file(replace(DROP, content=b"a\r\n.\r\n" + b"b\n")), "bare LF"),
        (drop_file(replace(DROP, content=b"a\r")), "bare CR"),
        (drop_file(replace(DROP, content=b"\0\r\n")), "NUL"),
        (drop_file(replace(DROP, content=b"a" * 101 + b"\r\n")), "too long"),
        (drop_file(replace(DROP, content=b"a\r\n" * 400)), "too large"),
    ],
)
def test_what_is_no_message_is_refused(octets: bytes, words: str) -> None:
    with pytest.raises(DropError, match=words):
        submission_of(read(octets), CLIENT)


def test_an_id_is_made_of_the_name_and_back() -> None:
    name = "0123456789abcdef" * 2 + ".mail"

    id = drop_id(name)

    assert id == "d" + "0123456789abcdef" * 2
    assert is_drop_id(id)
    assert drop_name(id) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".mail",
        "a" * 32,
        "A" * 32 + ".mail",
        "a" * 31 + ".mail",
        "a" * 33 + ".mail",
        "../" + "a" * 29 + ".mail",
        "a" * 32 + ".mail.mail",
        "a" * 32 + ".mail\n",
    ],
)
def test_other_names_have_no_id(name: str) -> None:
    assert drop_id(name) is None


@pytest.mark.parametrize("id", ["1m7z3wn9g1c5x237ag", "d", "d" + "a" * 32 + "r0", "e" + "a" * 32])
def test_other_ids_are_of_no_file(id: str) -> None:
    assert not is_drop_id(MessageId(id))
