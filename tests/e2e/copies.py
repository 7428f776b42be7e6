"""A message as it came to an exchanger of a test: who had it, when, and whether it is whole.

Content is kept as a digest alone, so that many may come.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

MARK = b"X-Test-Id: "  # the first field of every message that a test sends

_RECEIVED_AS = re.compile(rb"\bid ([a-z0-9]+)")
_REPORTED_AS = re.compile(rb"\r\nMessage-ID: <([a-z0-9]+)@")
_FAILED = re.compile(rb"\r\nFinal-Recipient: rfc822; ([^\r\n]+)")


@dataclass(frozen=True, slots=True)
class Copy:
    """One message that came whole, in Unix seconds: its final dot, and our reply to it.

    `test_id` is the mark of the message, or of the one that a report is about; `id` is the
    server's own; `digest` is of all from the mark on; `failed` are the recipients that a report
    names. `was_cut` says that the peer had hung up before the reply; where there was none at all,
    `answered_at` is infinite.
    """

    test_id: str
    id: str
    sender: str
    recipients: tuple[str, ...]
    failed: tuple[str, ...]
    digest: bytes
    whole_at: float
    answered_at: float
    was_cut: bool

    @property
    def is_answered(self) -> bool:
        """Whether we replied to its final dot."""
        return self.answered_at < math.inf


def content_of(wire: bytes) -> bytes:
    """What stood on the wire, up to its final dot, without that and without its stuffed dots."""
    return wire.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")


def copy_of(
    content: bytes,
    *,
    sender: str,
    recipients: Sequence[str],
    whole_at: float,
    answered_at: float,
    was_cut: bool = False,
) -> Copy:
    """What is kept of a content; from the null sender it is a report."""
    mark = content.index(MARK)
    id = (_RECEIVED_AS if sender else _REPORTED_AS).search(content)
    assert id is not None, content[:1000]
    return Copy(
        test_id=content[mark + len(MARK) : content.index(b"\r\n", mark)].decode(),
        id=id[1].decode(),
        sender=sender,
        recipients=tuple(recipients),
        failed=() if sender else tuple(who.decode() for who in _FAILED.findall(content)),
        digest=sha256(content[mark:]).digest(),
        whole_at=whole_at,
        answered_at=answered_at,
        was_cut=was_cut,
    )
