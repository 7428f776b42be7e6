"""The contents of fresh messages: at hand for the first attempt, in bounded memory."""

from mta.model.envelope import MessageId


class Contents:
    """Keeps the newest contents, as many as fit into `limit` octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._contents: dict[MessageId, bytes] = {}

    def put(self, id: MessageId, content: bytes) -> None:
        """Keep it; the oldest make room."""
        self.drop(id)
        if len(content) > self._limit:
            return
        self._contents[id] = content
        self._size += len(content)
        while self._size > self._limit:
            self.drop(next(iter(self._contents)))

    def get(self, id: MessageId) -> bytes | None:
        """The content, where it is still here."""
        return self._contents.get(id)

    def drop(self, id: MessageId) -> None:
        """Forget it."""
        self._size -= len(self._contents.pop(id, b""))
