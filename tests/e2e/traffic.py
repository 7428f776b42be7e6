"""An application under full steam: clients that send without end while there is a server.

Every message has an id of its own, and is never sent twice: what got no 250 is left at that.
"""

import random
import smtplib
import threading
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import Self

from tests.e2e.copies import MARK

LARGE = 1024 * 1024  # octets from which on the spool gives a message a file of its own at once
SENDER_DOMAIN = "app.test"
DOMAINS = ("one.test", "two.test", "three.test")

_ENDS = (421, -1)  # the server stops; half a reply, and then it was killed
_REST = 0.02  # seconds
_ABANDONED = 0.02  # part of the messages whose client hangs up in the middle of the content
# Largest size of a message in octets, and how many of a hundred are of that size or less.
_SIZES = ((20_000, 84), (200_000, 93), (LARGE, 97), (2 * 1024 * 1024, 100))


def _lines_to_cut_bodies_from() -> bytes:
    noise = random.Random(3).randbytes(2 * 1024 * 1024)
    # Some lines begin with a dot: they are stuffed on the way, twice.
    return encodebytes(noise).replace(b"\n", b"\r\n").replace(b"\r\nA", b"\r\n.")


_LINES = _lines_to_cut_bodies_from()
_LINE = 78  # octets


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a client began to send. `id` is the server's word with its 250, or None.

    `is_large`: so large that the spool gives it a file of its own at once.
    """

    test_id: str
    sender: str
    recipients: tuple[str, ...]
    digest: bytes
    is_large: bool
    id: str | None


class Traffic:
    """Clients on threads, while it is entered: they send between `begin` and `pause`.

    `sent` are all messages whose content was begun, `refusals` the replies that were neither
    yes nor the end of a connection.
    """

    def __init__(self, clients: int, seed: int, kinds: Sequence[str] = ()) -> None:
        """`kinds` are the local parts that recipients begin with; see the sink."""
        self.sent: list[Sent] = []
        self.refusals: list[str] = []
        self._kinds = kinds or ("ok", "ok", "ok", "ok", "later", "no")
        self._port: int | None = None
        self._is_over = False
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._send_all, args=[number, seed], name=f"client {number}")
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._change:
            self._is_over = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def begin(self, port: int) -> None:
        """There is a server now."""
        with self._change:
            self._port = port
            self._change.notify_all()

    def pause(self) -> None:
        """There is none any more."""
        with self._change:
            self._port = None

    def _send_all(self, number: int, seed: int) -> None:
        chance = random.Random(f"{seed} {number}")
        serial = 0
        while (port := self._next_port()) is not None:
            try:
                with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=30) as client:
                    client.ehlo()
                    for _ in range(chance.randint(1, 8)):
                        if self._port != port:
                            break
                        serial += 1
                        self._send(client, f"{number}-{serial}", chance)
            except smtplib.SMTPResponseException as error:
                if error.smtp_code not in _ENDS:
                    self.refusals.append(str(error))
            except ConnectionRefusedError:
                self._rest()  # the server was killed, and we are not told yet
            except (OSError, smtplib.SMTPException):
                continue  # it was killed, or the client hung up

    def _next_port(self) -> int | None:
        with self._change:
            self._change.wait_for(lambda: self._is_over or self._port is not None)
            return None if self._is_over else self._port

    def _rest(self) -> None:
        with self._change:
            self._change.wait(_REST)

    def _send(self, client: smtplib.SMTP, test_id: str, chance: random.Random) -> None:
        recipients = self._recipients(test_id, chance)
        sender = f"ann@{SENDER_DOMAIN}"
        content = content_with(test_id, sender, recipients, _size(chance), chance)
        expect(client.mail(sender))
        for recipient in recipients:
            expect(client.rcpt(recipient))
        digest = sha256(content).digest()
        id = None
        try:
            if chance.random() < _ABANDONED:
                _abandon(client, content)
            id = expect(client.data(content)).split("Queued as ")[1].split()[0]  # then warnings
        finally:
            self.sent.append(Sent(test_id, sender, recipients, digest, len(content) >= LARGE, id))

    def _recipients(self, test_id: str, chance: random.Random) -> tuple[str, ...]:
        kinds = dict.fromkeys(chance.choices(self._kinds, k=chance.randint(1, 3)))
        return tuple(f"{kind}-{test_id}@{chance.choice(DOMAINS)}" for kind in kinds)


def expect(answer: tuple[int, bytes]) -> str:
    """The text of a positive reply. Raises smtplib.SMTPResponseException for any other."""
    code, text = answer
    if code != 250:
        raise smtplib.SMTPResponseException(code, text)
    return text.decode()


def _abandon(client: smtplib.SMTP, content: bytes) -> None:
    client.docmd("DATA")
    client.send(content[: len(content) // 2])
    client.close()
    raise smtplib.SMTPServerDisconnected("the client hung up")


def _size(chance: random.Random) -> int:
    drawn = chance.uniform(0, 100)
    return chance.randint(512, next(size for size, share in _SIZES if drawn <= share))


def content_with(
    test_id: str, sender: str, recipients: Sequence[str], size: int, chance: random.Random
) -> bytes:
    """A message with its mark, of about `size` octets, from 512 to 2 MiB, and never the same."""
    head = (
        f"From: <{sender}>\r\nTo: {', '.join(recipients)}\r\nSubject: {test_id}\r\n"
        f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{test_id}@{SENDER_DOMAIN}>\r\n\r\n"
    )
    start = _LINE * chance.randrange((len(_LINES) - size) // _LINE)
    return MARK + f"{test_id}\r\n{head}".encode() + _LINES[start : start + size // _LINE * _LINE]
