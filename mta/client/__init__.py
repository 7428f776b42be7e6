"""A client of the HTTP API, for Python programs that send by it.

    from mta.client import Client

    client = Client("http://127.0.0.1:8026", token="...")
    sent = client.send(
        from_="App <app@example.com>", to=["ann@example.net"], subject="Hello", text="It works."
    )
    client.get(sent.id).recipients[0].state

`AsyncClient` is the same with `await`. Each message has an Idempotency-Key of its own, so a retry
never sends twice. What is wrong is raised as an `MtaError`.
"""

from typing import TYPE_CHECKING

from mta.client.messages import Attachment, Message, Recipient, Sent
from mta.client.synchronous import Client
from mta.client.trouble import (
    Conflict,
    InvalidMessage,
    MtaError,
    NotAllowed,
    NotFound,
    Refused,
    TooMany,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from mta.client.asynchronous import AsyncClient

__all__ = [
    "AsyncClient",
    "Attachment",
    "Client",
    "Conflict",
    "InvalidMessage",
    "Message",
    "MtaError",
    "NotAllowed",
    "NotFound",
    "Recipient",
    "Refused",
    "Sent",
    "TooMany",
    "Unavailable",
    "Unreachable",
]


def __getattr__(name: str) -> object:
    if name == "AsyncClient":  # with a library that the other does not need
        from mta.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(name)
