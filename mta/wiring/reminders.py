"""What an operator hears of again and again while it lasts, but once a day."""

from collections.abc import Iterable

DAY = 86_400.0


class Reminders:
    """Remembers what was said; a restart forgets."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], float] = {}

    def new(self, topic: str, texts: Iterable[str], now: float) -> list[str]:
        """Those that are to be said at `now` (Unix seconds): not said of this topic for a day.

        Texts of the topic that are not among them are forgotten, and news when they come back.
        """
        lasting = {(topic, text): self._said.get((topic, text)) for text in texts}
        due = [key for key, at in lasting.items() if at is None or not 0 <= now - at < DAY]
        others = {key: at for key, at in self._said.items() if key[0] != topic}
        kept = {key: at for key, at in lasting.items() if at is not None}
        self._said = others | kept | dict.fromkeys(due, now)
        return [text for _, text in due]
