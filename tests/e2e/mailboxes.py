"""A server of LMTP at a Unix socket: not one of ours, so that both must have read RFC 2033."""

from pathlib import Path

from aiosmtpd.controller import UnixSocketController
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailboxes(UnixSocketController):
    """Delivers to everybody but those whose name begins with "full". `mail` is what it has."""

    def __init__(self, socket: Path) -> None:
        self.mail: list[tuple[str, bytes]] = []
        super().__init__(self, unix_socket=str(socket))

    def factory(self) -> SMTP:
        """What serves one connection."""
        return LMTP(self, hostname="mailboxes.test")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """A reply for each recipient (RFC 2033 §4.2)."""
        replies = []
        for recipient in envelope.rcpt_tos:
            if recipient.startswith("full"):
                replies.append(f"552 5.2.2 <{recipient}> is full")
            else:
                assert isinstance(envelope.content, bytes)
                self.mail.append((recipient, envelope.content))
                replies.append(f"250 2.1.5 <{recipient}> has it")
        return "\r\n".join(replies)
