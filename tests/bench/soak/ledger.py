"""What the exchanger wrote down, read as it grows; and what is owed meanwhile."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.e2e.copies import Copy
from tests.e2e.traffic import Sent


class Ledger:
    """`mail` and `reports` are what came whole, in its order, as far as it was read.

    `counts` is what else happened at the exchanger. `owed` are accepted recipients that neither
    have their message nor stand in a report yet, each with the mark of the message.
    """

    def __init__(self, path: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.owed: set[tuple[str, str]] = set()
        self.delivered = 0  # copies for a recipient
        self._path = path
        self._at = 0
        self._mail: dict[str, Copy] = {}
        self._reports: dict[str, Copy] = {}
        self._arrived: set[tuple[str, str]] = set()

    @property
    def mail(self) -> list[Copy]:
        """See above."""
        return list(self._mail.values())

    @property
    def reports(self) -> list[Copy]:
        """See above."""
        return list(self._reports.values())

    def accepted(self, message: Sent) -> None:
        """The server said 250 to it."""
        self.owed |= {(message.test_id, who) for who in message.recipients} - self._arrived

    def read_on(self) -> None:
        """Take what was written since the last time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._at += end
        for line in data[:end].splitlines():
            self._take(json.loads(line))

    def _take(self, record: dict[str, Any]) -> None:
        match record:
            case {"happened": what}:
                self.counts[what] += 1
            case {"took": name, "copy": facts}:
                self._keep(name, copy_from(facts))
            case {"answered": name, "at": at}:
                kept = self._mail if name in self._mail else self._reports
                kept[name] = replace(kept[name], answered_at=at)

    def _keep(self, name: str, copy: Copy) -> None:
        (self._mail if copy.sender else self._reports)[name] = copy
        who = copy.recipients if copy.sender else copy.failed
        self.delivered += len(copy.recipients)
        arrived = {(copy.test_id, recipient) for recipient in who}
        self._arrived |= arrived
        self.owed -= arrived


def copy_from(facts: dict[str, Any]) -> Copy:
    """A copy as the exchanger wrote it down, not answered yet."""
    return Copy(
        test_id=facts["test_id"],
        id=facts["id"],
        sender=facts["sender"],
        recipients=tuple(facts["recipients"]),
        failed=tuple(facts["failed"]),
        digest=bytes.fromhex(facts["digest"]),
        whole_at=facts["whole_at"],
        answered_at=math.inf,
        was_cut=False,
    )
