"""What a coverage-guided fuzzer tries: a function for each parser, its invariant in the first line.

Each takes any octets, and raises if the invariant does not hold.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from ipaddress import ip_address
from itertools import pairwise
from types import MappingProxyType
from urllib.parse import urlsplit

import pytest

from mta.model.address import Address, AddressError, parse_address, refuse_unicode
from mta.model.envelope import Client, Envelope, MessageId, Recipient, Submission
from mta.model.outcome import Reply
from mta.model.request import NOTHING, NOTHING_FOR_RECIPIENT

from mta.rules.message.compose import composed
from mta.rules.message.dropfile import Drop, DropError, read_drop_file, submission_of
from mta.rules.message.dropfile import drop_file as drop_file_of
from mta.rules.message.headers import read_header
from mta.rules.submission.commands import (
    Command,
    parse_command,
    parse_mail,
    parse_rcpt,
    read_command,
)
from mta.rules.submission.content import BareNewlines
from mta.rules.submission.parameters import BASIC
from mta.rules.submission.proxyheader import MAX_LENGTH, Partial, ProxyHeader, parse_proxy_header
from mta.rules.tls.mtasts import MAX_AGE, PolicyError, lines_of, read_policy
from mta.rules.tls.report import MAX_RECEIVERS, receivers_in

from mta.edge.api.problems import Problem
from mta.edge.api.reading import read_json, read_message
from mta.edge.smtpclient.replies import MalformedReply, RawReply, ReplyReader
from mta.edge.spool.journal.records import VersionError, read
from mta.edge.spool.lines import envelope_line, read_envelope

from tests.edge.fake_door import FakeDoor, run
from tests.edge.visit import visiting

ALL = BASIC | {"AUTH", "DSN", "REQUIRETLS", "FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "XVERP"}
BEGINNING = b"EHLO c\r\nMAIL FROM:<ann@here.test>\r\nRCPT TO:<bob@there.test>\r\n"
DROPPED_BY = Client("unix:1000", "", "local")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_REPLY = re.compile(rb"[2-5][0-9]{2}[ -][ -~]*\r\n")


def command(data: bytes) -> None:
    """A line is a command or has one line of a reply, and it means the same by both parsers."""
    found = read_command(data)
    if isinstance(found, Reply):
        _is_sayable(found)
        return
    assert parse_command(data) == Command(found.verb, found.argument)
    assert all(" " <= character != "\x7f" for character in found.argument)


def parameters(data: bytes) -> None:
    """What MAIL and RCPT ask for is refused in one line, or kept on disk as it was asked."""
    text = data.decode("utf-8", "replace")
    mail, rcpt = parse_mail(f"FROM:<a@b> {text}", ALL), parse_rcpt(f"TO:<a@b> {text}", ALL)
    if isinstance(mail, Reply):
        _is_sayable(mail)
    if isinstance(rcpt, Reply):
        _is_sayable(rcpt)
    asked = NOTHING if isinstance(mail, Reply) else mail.asked.request(now=1e9)
    wish = NOTHING_FOR_RECIPIENT if isinstance(rcpt, Reply) else rcpt.asked
    bob = Recipient(Address("bob", "there.test"), request=wish)
    envelope = Envelope(MessageId("a1"), None, (bob,), 0.0, 1, request=asked)
    assert read_envelope(envelope_line(envelope)) == envelope


def policy(data: bytes) -> None:
    """An MTA-STS policy is refused in one line, or means the same when a report shows it."""
    try:
        found = read_policy(data)
    except PolicyError as error:
        said = str(error)
    else:
        said = ""
        assert read_policy("\n".join(lines_of(found)).encode()) == found
        assert 0 <= found.max_age <= MAX_AGE
    assert said.isascii()
    assert said.isprintable() or not said
    assert len(said) < 500


def receivers(data: bytes) -> None:
    """Of those who want reports at most two are named: by mailboxes, and URLs of named hosts."""
    found = receivers_in([data.decode("utf-8", "backslashreplace")])
    assert len(found.mailboxes) + len(found.urls) <= MAX_RECEIVERS
    for mailbox in found.mailboxes:
        assert parse_address(str(mailbox), refuse_unicode) == mailbox
    for url in found.urls:
        host = urlsplit(url).hostname or ""
        assert url.isascii()
        assert url.isprintable()
        with pytest.raises(ValueError, match="does not appear to be"):
            ip_address(host)


def address(data: bytes) -> None:
    """An address is refused, or written as it is read again, on one line."""
    try:
        found = parse_address(data.decode("utf-8", "replace"), refuse_unicode)
    except AddressError:
        return
    assert parse_address(str(found), refuse_unicode) == found
    assert str(found).isprintable() or not found.is_ascii
    assert not set("\r\n\0") & set(str(found))


def session(data: bytes) -> None:
    """Whatever a client says in whatever pieces, it hears whole replies, and mail is CRLF text."""
    pieces, said = data[:4], BEGINNING * (len(data) % 2) + data[4:]
    heard, taken = _talk(said, sorted(pieces))
    assert all(_REPLY.fullmatch(line) for line in heard.splitlines(keepends=True))
    assert not any(_BARE.search(submission.content) for submission in taken)
    assert _talk(said, []) == (heard, taken)


def chunks(data: bytes) -> None:
    """A content that BDAT brings in two chunks is the one that DATA brings."""
    cut, content = (data[0] if data else 0), data[1:]
    first, last = content[:cut], content[cut:]
    wire = b"BDAT %d\r\n%bBDAT %d LAST\r\n%b" % (len(first), first, len(last), last)
    if not content.endswith(b"\r\n"):
        return  # DATA has no such content
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    by_data = _talk(BEGINNING + b"DATA\r\n" + stuffed + b".\r\n", [], BareNewlines.REFUSE)
    by_chunks = _talk(BEGINNING + wire, [], BareNewlines.REFUSE)
    assert by_chunks[1] == by_data[1]


def proxy_header(data: bytes) -> None:
    """A PROXY header is read to its end and no further, and what comes behind changes nothing."""
    found = parse_proxy_header(data)
    if isinstance(found, ProxyHeader):
        assert 0 < found.length <= min(len(data), MAX_LENGTH)
        assert parse_proxy_header(data[: found.length] + b"EHLO") == found
    if isinstance(found, Partial):
        assert 0 < found.missing <= MAX_LENGTH


def http_body(data: bytes) -> None:
    """A JSON body has its mistakes named, or becomes a message with the fields that it names."""
    try:
        form = read_message(read_json(data), refuse_unicode)
    except Problem:
        return
    draft = form.draft
    content = composed(draft)
    named_here = (draft.sender, *draft.to, *draft.cc, *draft.reply_to)
    # A local part that is not ASCII has no other form (RFC 6532 §3.2): such mail needs SMTPUTF8.
    assert content.isascii() or not all(mailbox.address.is_ascii for mailbox in named_here)
    assert not _BARE.search(content)
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    header, _, _ = content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode().lower() for line in _unfolded(header)]
    ours = {"from", "to", "cc", "reply-to", "subject", "mime-version"}
    named = {name.lower() for name in form.headers}
    assert all(name in ours | named or name.startswith("content-") for name in names)
    assert len([name for name in names if name in ours]) == len(set(names) & ours)


def drop_file(data: bytes) -> None:
    """A file in the drop folder is refused with a reason, or is a message in CRLF text."""
    try:
        drop = read_drop_file(data, size=10_000, line_length=1_000)
        submission = submission_of(drop, DROPPED_BY)
    except DropError:
        return
    assert not _BARE.search(submission.content)


def message_header(data: bytes) -> None:
    """A message's header ends where its body begins, whatever is in it."""
    header = read_header(data)
    assert 0 <= header.end <= len(data)


def peer_reply(data: bytes) -> None:
    """What a peer says is a reply that can be printed, or malformed."""
    replies: list[RawReply] = []
    try:
        ReplyReader().read(data, replies, 5)
    except MalformedReply:
        return
    assert len(replies) <= 5
    for reply in replies:
        assert reply.legible().text.isprintable()


def segment(data: bytes) -> None:
    """A segment of the journal gives records that lie in it, one behind the other."""
    try:
        reading = read(b"mta journal 1\n" + data)
    except VersionError:
        return
    edges = [edge for record in reading.records for edge in (record.at, record.end)]
    assert edges == sorted(edges)
    assert not edges or edges[-1] <= len(data) + len(b"mta journal 1\n")


TARGETS: "MappingProxyType[str, Callable[[bytes], None]]" = MappingProxyType(
    {
        check.__name__: check
        for check in (
            *(command, parameters, policy, receivers, address, session, chunks, proxy_header),
            *(http_body, drop_file, message_header, peer_reply, segment),
        )
    }
)


# What to begin with: a fuzzer that has seen one message makes many of it.
SEEDS: "MappingProxyType[str, tuple[bytes, ...]]" = MappingProxyType(
    {
        "command": (b"MAIL FROM:<ann@here.test> SIZE=12 BODY=8BITMIME", b'RCPT TO:<"a b"@[::1]>'),
        "parameters": (
            b"RET=HDRS ENVID=Qq+3D REQUIRETLS MT-PRIORITY=-3 AUTH=<> SMTPUTF8 XVERP",
            b"HOLDUNTIL=2027-01-31T23:59:00Z BY=120;RT",
            b"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+40there.test",
        ),
        "policy": (b"version: STSv1\r\nmode: enforce\r\nmx: *.there.test\r\nmax_age: 604800\r\n",),
        "receivers": (
            b"v=TLSRPTv1; rua=mailto:ann@there.test,https://web.test/v1?a=b",
            b"v=TLSRPTv1;rua=https://web.test:443/%00, mailto:a%40b@there.test!10m",
        ),
        "address": (b"ann@here.test", b'"a\\"b"@[IPv6:2001:db8::1]'),
        "session": (
            b"\1\2\3\4DATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n",
            b"\1\2\3\4BDAT 3\r\nabcBDAT 2 LAST\r\n\r\nRSET\r\n",
            b"\1\2\3\4\x05AUTH PLAIN AGFubgBzZWNyZXQ=\r\nAUTH LOGIN\r\nYW5u\r\n*\r\n",
        ),
        "chunks": (b"\3Subject: x\r\n\r\n.\r\n..\r\n",),
        "proxy_header": (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
        ),
        "http_body": (
            b'{"from":"Ann <ann@here.test>","to":["bob@there.test"],"subject":"Hi","text":"x",'
            b'"html":"<b>x</b>","headers":{"X-A":"b"},"reply_to":"ann@here.test","tags":["a"],'
            b'"attachments":[{"content":"eA==","filename":"x.txt","content_type":"text/plain"}]}',
        ),
        "drop_file": (
            drop_file_of(Drop(None, (Address("bob", "there.test"),), b"Subject: x\r\n\r\n.x\r\n")),
        ),
        "message_header": (b"From: ann@here.test\r\nTo: bob\r\n there\r\n\r\nBody\r\n",),
        "peer_reply": (b"250-mx.there.test\r\n250 SIZE 5\r\n550 5.1.1 no \xff\r\n",),
        "segment": (bytes(20) + b"\n",),
    }
)


class _Strict(logging.Handler):
    """An exception that the server survives is a finding all the same."""

    def emit(self, record: logging.LogRecord) -> None:
        is_the_door_s = record.exc_info and record.exc_info[0] is ZeroDivisionError
        if record.exc_info and record.exc_info[1] and not is_the_door_s:
            raise AssertionError(record.getMessage()) from record.exc_info[1]

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        raise


_log = logging.getLogger("mta.edge.submission")


def _talk(
    said: bytes, cuts: list[int], bare: BareNewlines = BareNewlines.NORMALISE
) -> tuple[bytes, list[Submission]]:
    async def scene() -> tuple[bytes, list[Submission]]:
        door = FakeDoor()
        async with visiting(door, command_length=80, message_size=500, line_length=200) as visit:
            visit.server._service.bare_newlines = bare
            for begin, end in pairwise([0, *(min(cut, len(said)) for cut in cuts), len(said)]):
                visit.session.data_received(said[begin:end])
                await asyncio.sleep(0)
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - messages are being taken
                await asyncio.sleep(0)
            return b"".join(visit.wire.written), door.submissions

    strict = _Strict()
    _log.addHandler(strict)
    try:
        return run(scene())
    finally:
        _log.removeHandler(strict)


def _is_sayable(reply: Reply) -> None:
    assert reply.text.isascii()
    assert reply.text.isprintable()
    assert 400 <= reply.code < 600


def _unfolded(header: bytes) -> list[bytes]:
    return re.sub(rb"\r\n[ \t]", b" ", header).split(b"\r\n")
