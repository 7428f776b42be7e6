"""A draft turned into a message: CRLF text in short lines (RFC 5322, 2045 to 2047, 2231).

The header is written here and not by the `email` package, whose policies read a text before they
write it, and so have turned an encoded word into a field of its own (CVE-2024-6923). What comes
in is folded at spaces, or encoded; nothing that is written was ever parsed.
"""

import hashlib
import re
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from mta.model.draft import Attachment, Draft, Mailbox

MAX_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1

WIDTH = 76  # octets of a line, where it can be folded
MAX_FIELD = 32 * 1024  # characters of a field
_MAX_WORD = 900  # characters: with a field's name before them they fit in a line
_WORD_FRAME = len("=?utf-8?B??=")

# What no header may hold, in whatever form it stands there: controls, and what some take for the
# end of a line.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Fields that a draft's other parts make, or that we or the hosts on the way write.
RESERVED = frozenset(
    (
        *("from", "sender", "to", "cc", "bcc", "reply-to", "subject"),
        *("date", "message-id", "mime-version", "idempotency-key"),
        *("received", "return-path", "delivered-to", "dkim-signature", "authentication-results"),
    )
)
_RESERVED_FAMILIES = ("content-", "resent-", "arc-")

_NAME = re.compile(r"[!-9;-~]{1,64}")
_TOKEN = re.compile(r"\s*\S+")
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_FILENAME = re.compile(r"[A-Za-z0-9._ -]{1,60}")
# Characters of a parameter's section, RFC 2231 §3; none parts an escape.
_SECTION = re.compile("(?:%..|[^%]){1,20}")
# Possessive, as in rules.message.headers; a list of the lines would take twenty times their memory.
_SHORT_LINES = re.compile(rb"(?:[^\n]{0,%d}+\n)*+" % WIDTH)
_NOT_PLAIN = re.compile(rb"[^\t\n -~]|[ \t]\n")

_Part = tuple[Sequence[str], bytes]  # its fields, and its body, which ends in CRLF


def objection_to_field(name: str, text: str) -> str | None:
    """Why a field may not stand in a draft's `headers`; None if it may."""
    if not _NAME.fullmatch(name):
        return "expected a field's name: 1 to 64 ASCII characters without spaces and colons"
    folded = name.lower()
    if folded in RESERVED or folded.startswith(_RESERVED_FAMILIES):
        return "expected a field that is not made from the rest of the message, or on its way"
    if CONTROL.search(text):
        return "expected no control characters or line breaks"
    if len(text) > MAX_FIELD:
        return f"expected at most {MAX_FIELD} characters"
    if _has_long_word(text):
        return f"expected words of at most {_MAX_WORD} characters"
    return None


def composed(draft: Draft) -> bytes:
    """The message, but for what its way in adds to it: Date, Message-ID, Received, signature."""
    fields = [_mailboxes("From", [draft.sender])]
    if draft.to or not draft.cc:
        fields.append(_mailboxes("To", draft.to) if draft.to else "To: undisclosed-recipients:;")
    if draft.cc:
        fields.append(_mailboxes("Cc", draft.cc))
    if draft.reply_to:
        fields.append(_mailboxes("Reply-To", draft.reply_to))
    if draft.subject:
        fields.append(field("Subject", draft.subject))
    fields += [field(name, text) for name, text in draft.headers]
    fields.append("MIME-Version: 1.0")
    content_fields, body = _content(draft)
    return "\r\n".join([*fields, *content_fields, "", ""]).encode() + body


def field(name: str, text: str) -> str:
    """A field of free text, folded, without its last CRLF; encoded where it is not ASCII.

    What looks like an encoded word is encoded as well: it is to be read as it was written.
    """
    text = text.strip()
    if not text.isascii() or _ENCODED_WORD.search(text) or _has_long_word(text):
        return f"{name}: " + "\r\n ".join(encoded_words(text, len(name) + 2))
    lines = [f"{name}:"]
    for token in _TOKEN.findall(f" {text}" if text else ""):
        if len(lines[-1]) + len(token) > WIDTH and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += token
    return "\r\n".join(lines)


def _has_long_word(text: str) -> bool:
    return len(text) > _MAX_WORD and any(
        len(word) > _MAX_WORD for word in _TOKEN.findall(text.rstrip())
    )


def encoded_words(text: str, taken: int = 1) -> list[str]:
    """Words of RFC 2047, each for a line of its own, none of which parts a character.

    `taken` are the characters that stand before the first one. With them a line has 76 at most.
    """
    pieces = [b""]
    room = max(4, _octets_in(WIDTH - taken))
    for character in text:
        octets = character.encode()
        if len(pieces[-1]) + len(octets) > room:
            pieces.append(b"")
            room = _octets_in(WIDTH - 1)
        pieces[-1] += octets
    return [f"=?utf-8?B?{b64encode(piece).decode()}?=" for piece in pieces]


def _octets_in(width: int) -> int:
    """How many octets an encoded word of this width can hold."""
    return (width - _WORD_FRAME) // 4 * 3


def _mailboxes(name: str, mailboxes: Iterable[Mailbox]) -> str:
    return f"{name}: " + ",\r\n ".join(map(_mailbox, mailboxes))


def _mailbox(mailbox: Mailbox) -> str:
    name, address = mailbox.name, mailbox.address  # checked by their readers
    if not name:
        return str(address)
    if not name.isascii() or _ENCODED_WORD.search(name):
        return "\r\n ".join([*encoded_words(name, len("Reply-To: ")), f"<{address}>"])
    if _ATOMS.fullmatch(name):
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def _content(draft: Draft) -> _Part:
    """The body's structure: what can be shown inside what belongs to it inside what is attached."""
    boundary = _boundary(draft)
    inline = [one for one in draft.attachments if one.content_id and draft.html is not None]
    attached = [one for one in draft.attachments if one not in inline]
    shown = [_text("plain", draft.text)] if draft.text is not None else []
    if draft.html is not None:
        html = _text("html", draft.html)
        shown.append(_joined("related", f"{boundary}r", [html, *map(_file, inline)]))
    parts = [_joined("alternative", f"{boundary}a", shown)] if shown else []
    return _joined("mixed", f"{boundary}m", [*parts, *map(_file, attached)])


def _boundary(draft: Draft) -> str:
    """A boundary that stands in none of the parts: it is made of all of them."""
    digest = hashlib.sha256()
    for part in (draft.text, draft.html):
        digest.update(b"\0" + (part or "").encode())
    for one in draft.attachments:
        digest.update(one.content)
    return f"=_{digest.hexdigest()[:32]}"


def _joined(kind: str, boundary: str, parts: Sequence[_Part]) -> _Part:
    """Parts as one; a part alone stays what it is."""
    if len(parts) == 1:
        return parts[0]
    mark = f"--{boundary}".encode()
    pieces = []
    for fields, body in parts:
        pieces += [mark, b"\r\n", "\r\n".join([*fields, "", ""]).encode(), body, b"\r\n"]
    body = b"".join([*pieces, mark, b"--\r\n"])
    return [f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"'], body


def _text(kind: str, text: str) -> _Part:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    plain = plain if plain.endswith(b"\n") else plain + b"\n"
    charset = "us-ascii" if plain.isascii() else "utf-8"
    if not _NOT_PLAIN.search(plain) and _SHORT_LINES.fullmatch(plain):
        encoding, body = "7bit", plain
    else:
        encoding, body = _shorter(b2a_qp(plain), plain)
    return [
        f"Content-Type: text/{kind}; charset={charset}",
        f"Content-Transfer-Encoding: {encoding}",
    ], body.replace(b"\n", b"\r\n")


def _shorter(quoted: bytes, plain: bytes) -> tuple[str, bytes]:
    """Quoted-printable, which people can read, unless base64 is shorter."""
    if len(quoted) <= len(plain) * 4 // 3:
        return "quoted-printable", quoted
    return "base64", encodebytes(plain.replace(b"\n", b"\r\n"))


def _file(file: Attachment) -> _Part:
    kind = "inline" if file.content_id else "attachment"
    fields = [
        f"Content-Type: {file.content_type}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: {kind}{_filename(file.filename)}",
    ]
    if file.content_id:
        fields.append(f"Content-ID: <{file.content_id}>")
    return fields, encodebytes(file.content).replace(b"\n", b"\r\n")


def _filename(name: str) -> str:
    """The parameter that names a file, with what stands before it (RFC 2183 §2.3, RFC 2231)."""
    if not name:
        return ""
    if _PLAIN_FILENAME.fullmatch(name):
        return f';\r\n filename="{name}"'
    escaped = "utf-8''" + quote(name, safe="")
    sections = _SECTION.findall(escaped)
    if len(sections) == 1:
        return f";\r\n filename*={escaped}"
    return "".join(f";\r\n filename*{n}*={section}" for n, section in enumerate(sections))
