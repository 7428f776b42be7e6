"""The whole job, shown: `make demo`.

Starts the sandbox and `mta serve` in it, sends a message to each character, waits for what
becomes of it, and compares that with what should: by the server's events, by what the exchangers
received, and by the reports that came back. Exits 1 where anything is not as it should be.
"""

import smtplib
import sys
import tempfile
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from textwrap import indent

from mta.sandbox.characters import CHARACTERS, SENDER_DOMAIN, SMARTHOST_DOMAIN, Character, Fate
from mta.sandbox.findings import (
    Finding,
    finding,
    mistakes_in_reports,
    reported,
    words_for_people,
)
from mta.sandbox.internet import Internet
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess

SENDER = f"app@{SENDER_DOMAIN}"
LIMIT = 30.0  # seconds for all of it
SHOWN = "nobody@picky.test"  # whose report is shown

ROW = "{:<20} {:<10} {:<7} {:>5}  {:<10} {:<8} {:<5} {:>7}  {}"
HEADINGS = ("recipient", "became", "status", "tries", "road", "TLS", "DKIM", "seconds", "")


def main(characters: Sequence[Character] = CHARACTERS) -> int:
    """Show it; gives 0 if everything was as it should be, or else 1."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="mta-demo-") as folder,
            Internet(Path(folder), characters) as internet,
            ServerProcess(internet.world.settings(), Path(folder)) as server,
        ):
            mistakes = Demonstration(internet, server).run()
    except (SandboxError, OSError, smtplib.SMTPException) as error:
        print(f"The demonstration broke off: {error}", file=sys.stderr)
        return 1
    for mistake in mistakes:
        print(f"NOT AS IT SHOULD BE: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


class Demonstration:
    """One run: send, wait, compare, print."""

    def __init__(self, internet: Internet, server: ServerProcess) -> None:
        self._internet = internet
        self._server = server
        self._characters = internet.world.characters
        self._started_at = time.monotonic()
        self._mistakes: list[str] = []

    def run(self) -> list[str]:
        """Show everything; gives what was not as it should be, in words."""
        print(f"mta serve listens at 127.0.0.1:{self._server.port}, in a sandbox of its own.")
        print(f"{SENDER} writes to each of the {len(self._characters)} domains there:\n")
        print(ROW.format(*HEADINGS))
        ids = [self._send(character) for character in self._characters]
        for character, id in zip(self._characters, ids, strict=True):
            self._show_fate(character, id)
        self._show_reports()
        if self._server.stop(self._seconds_left()) != 0:
            self._mistakes.append("expected mta serve to end with status 0")
        print(f"\nAll of it took {time.monotonic() - self._started_at:.1f} s.")
        return self._mistakes

    def _seconds_left(self) -> float:
        return max(0.1, self._started_at + LIMIT - time.monotonic())

    def _send(self, character: Character) -> str:
        """Hand the server a message for the character; gives the id that it got."""
        recipients = [expected.recipient for expected in character.expected]
        with smtplib.SMTP("127.0.0.1", self._server.port, timeout=self._seconds_left()) as client:
            client.ehlo(SENDER_DOMAIN)
            client.mail(SENDER)
            for recipient in recipients:
                client.rcpt(recipient)
            code, text = client.data(_letter(recipients, character.does))
        if code != 250:
            raise SandboxError(f"the message to {character.domain} was refused: {code} {text!r}")
        return text.decode().split()[3]  # as in "2.0.0 Queued as ID (1 warning: ...)"

    def _show_fate(self, character: Character, id: str) -> None:
        is_to_end = all(expected.fate is not Fate.DEFERRED for expected in character.expected)
        last = "settled" if is_to_end else Fate.DEFERRED
        self._server.event(self._seconds_left(), event=last, id=id)
        events = [event for event in self._server.events if event.get("id") == id]
        mail = [
            *self._internet.received(character.domain),
            *self._internet.received(SMARTHOST_DOMAIN),
        ]
        for expected in character.expected:
            found = finding(expected.recipient, events, mail, self._internet.text_record)
            mistakes = [f"{found.recipient}: {mistake}" for mistake in found.mistakes(expected)]
            self._mistakes += mistakes
            print(_row(found, "NOT AS IT SHOULD BE" if mistakes else character.does), flush=True)

    def _show_reports(self) -> None:
        failures = [
            [expected for expected in character.expected if expected.fate is Fate.FAILED]
            for character in self._characters
        ]
        expected = [failed for failed in failures if failed]  # one report for each message
        reports = self._internet.mail(SENDER_DOMAIN, len(expected), self._seconds_left())
        self._mistakes += mistakes_in_reports(
            [report.content for report in reports],
            [each for failed in expected for each in failed],
            self._internet.text_record,
        )
        print(f"\n{SENDER} got {len(reports)} reports. What one of them says to people:\n")
        for shown in [report for report in reports if SHOWN in reported(report.content)]:
            print(indent(words_for_people(shown.content), "  | ", lambda line: True), end="")


def _letter(recipients: list[str], subject: str) -> bytes:
    letter = EmailMessage(policy=SMTP)
    letter["From"] = SENDER
    letter["To"] = ", ".join(recipients)
    letter["Subject"] = f"To one who {subject}"
    letter.set_content("Hello!\n")
    return letter.as_bytes()


def _row(found: Finding, remark: str) -> str:
    return ROW.format(
        found.recipient,
        found.fate,
        found.status,
        found.attempts,
        found.road,
        found.tls or "-",
        found.dkim or "-",
        f"{found.seconds:.1f}",
        remark,
    )


if __name__ == "__main__":
    sys.exit(main())
