"""Django sends by the HTTP API: EMAIL_BACKEND = "mta.contrib.django.EmailBackend".

MTA_TOKEN is the token that `mta user token add` printed; MTA_URL is where the server is, by default
http://127.0.0.1:8026.
"""

from collections.abc import Sequence
from email.utils import parseaddr

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage

from mta.client import Client, MtaError


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]  # Django has no types
    """Hands each message in as Django wrote it; Bcc stands in the envelope alone."""

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        fail_silently: bool = False,
        **_: object,
    ) -> None:
        super().__init__(fail_silently=fail_silently)
        self._client = Client(
            url or str(getattr(settings, "MTA_URL", "http://127.0.0.1:8026")),
            token or str(getattr(settings, "MTA_TOKEN", "")),
            timeout=getattr(settings, "EMAIL_TIMEOUT", None) or 30.0,
        )

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send them; gives how many were taken. Raises MtaError unless that is to be silent."""
        return sum(self._send(message) for message in email_messages)

    def _send(self, message: EmailMessage) -> bool:
        recipients = [parseaddr(recipient)[1] for recipient in message.recipients()]
        if not recipients:
            return False
        content = message.message().as_bytes(linesep="\r\n")
        sender = parseaddr(message.from_email)[1]
        try:
            sent = self._client.send_raw(content, from_=sender, to=recipients)
        except MtaError:
            if not self.fail_silently:
                raise
            return False
        message.mta_id = sent.id  # by which it can be asked after
        return True
