"""Messages of real shapes, as bytes with CRLF; the same ones at every run."""

import random
from email.message import EmailMessage
from email.policy import SMTP
from zlib import crc32

SENDER = "app@app.test"


def plain(recipient: str, subject: str = "hello") -> bytes:
    """A few lines of text."""
    return with_body(recipient, b"Hi!\r\n\r\nBye.\r\n", subject)


def with_body(recipient: str, body: bytes, subject: str = "hello", more: bytes = b"") -> bytes:
    """Any body below a usual header; `more` are further fields."""
    return (
        (
            f"From: Application <{SENDER}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
            "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{crc32(recipient.encode())}@app.test>\r\nMIME-Version: 1.0\r\n"
        ).encode()
        + more
        + b"\r\n"
        + body
    )


def with_attachments(recipient: str) -> bytes:
    """Text, its HTML twin with a picture in it, and two attachments, one with a name in Greek."""
    noise = random.Random(1)
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"] = f"Application <{SENDER}>", recipient
    letter["Subject"] = "Rechnung Nr. 5: für Jörg"
    letter["Date"] = "Sat, 21 Nov 2026 12:00:00 +0000"
    letter["Message-ID"] = "<attachments@app.test>"
    letter.set_content("See the attachments.\r\n")
    letter.add_alternative("<p>See the <b>attachments</b>.</p><img src=cid:logo>", "html")
    letter.add_attachment(
        noise.randbytes(200_000), maintype="application", subtype="pdf", filename="τιμολόγιο.pdf"
    )
    letter.add_attachment("a,b\r\n1,2\r\n", subtype="csv", filename="table.csv")
    return letter.as_bytes()


EIGHT_BIT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def bodies() -> dict[str, bytes]:
    """Bodies that must arrive as they left, by what is special about them."""
    noise = random.Random(2)
    return {
        "leading dots": b".\r\n..\r\n.a dot\r\n...\r\nend\r\n.\r\n",
        "white space to be kept": b"two  spaces \r\ntab\there\t\r\n \r\n\r\n\r\n",
        "empty": b"",
        "lone CRLF": b"\r\n",
        "a line as long as may be": b"x" * 998 + b"\r\n",
        "a line longer than may be": b"x" * 5000 + b"\r\n",
        "utf-8": "Grüße, 你好, 🙂\r\n".encode() * 100,
        "latin-1": "Grüße\r\n".encode("latin-1"),
        "looks like SMTP": b"QUIT\r\nMAIL FROM:<a@b.test>\r\n250 ok\r\n",
        "looks like a signature": b"DKIM-Signature: v=1; a=x\r\n\r\n-- \r\nme\r\n",
        "every printable octet": bytes(range(32, 127)) + b"\r\n",
        "random words": b"\r\n".join(
            bytes(noise.choices(range(33, 127), k=noise.randrange(200))) for _ in range(300)
        )
        + b"\r\n",
    }


def headers() -> dict[str, bytes]:
    """Header fields that must arrive as they left, by what is special about them."""
    return {
        "folded over many lines": b"References:"
        + b"".join(b"\r\n <%d.abcdefghijklmnopqrstuvwxyz@app.test>" % i for i in range(1000))
        + b"\r\n",
        "a long unfolded field": b"X-Long: " + b"y" * 980 + b"\r\n",
        "many fields": b"".join(b"X-Field-%d: value\r\n" % i for i in range(500)),
        "odd capitals and spaces": b"x-ODD:no space\r\nX-Odd:  two \r\nX-Empty:\r\n",
        "repeated": b"Comments: one\r\nComments: two\r\nComments: one\r\n",
        "list mail": b"List-Unsubscribe: <https://app.test/u>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: <l.app.test>\r\n",
    }


def of_size(recipient: str, size: int) -> bytes:
    """A message of `size` octets, with lines of 78 (as base64 has)."""
    head = with_body(recipient, b"")
    line = b"A" * 76 + b"\r\n"
    lines, rest = divmod(size - len(head) - 2, len(line))
    return head + line * lines + b"B" * rest + b"\r\n"
