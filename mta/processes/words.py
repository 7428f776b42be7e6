"""Slots across processes: what the dispatcher of one says, and the keeper in another hears.

ask, back                  worker to supervisor, with road, domain and route
granted, wanted, shortage  supervisor to worker, with the same, or with a number
"""

from collections.abc import Callable

from mta.model.envelope import Destination, Road

from mta.flow.ports import SlotHolder
from mta.flow.slots import Slots

Say = Callable[..., None]


class RemoteSlots:
    """The keeper, as a worker's dispatcher sees it."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._holder: SlotHolder | None = None

    def join(self, holder: SlotHolder) -> None:
        """See `SlotKeeper`: there is one holder here."""
        self._holder = holder

    def ask(self, holder: SlotHolder, destination: Destination) -> None:
        """See `SlotKeeper`."""
        del holder
        self._say("ask", *_words(destination))

    def give_back(self, holder: SlotHolder, destination: Destination) -> None:
        """See `SlotKeeper`."""
        del holder
        self._say("back", *_words(destination))

    def grant(self) -> None:
        """See `SlotKeeper`: the keeper grants by itself."""

    def heard(self, word: str, *rest: str) -> None:
        """Pass a word of the keeper's on."""
        assert self._holder is not None, "the dispatcher joins before anybody speaks"
        if word == "granted":
            self._holder.granted(_destination(*rest))
        elif word == "wanted":
            self._holder.wanted_back(_destination(*rest))
        elif word == "shortage":
            self._holder.shortage_is(int(rest[0]))


class RemoteHolder:
    """A worker's dispatcher, as the keeper sees it."""

    def __init__(self, say: Say, slots: Slots) -> None:
        self._say = say
        self._slots = slots

    def granted(self, destination: Destination) -> None:
        """See `SlotHolder`."""
        self._say("granted", *_words(destination))

    def wanted_back(self, destination: Destination) -> None:
        """See `SlotHolder`."""
        self._say("wanted", *_words(destination))

    def shortage_is(self, count: int) -> None:
        """See `SlotHolder`."""
        self._say("shortage", count)

    def heard(self, word: str, *rest: str) -> None:
        """Pass a word of the worker's on."""
        if word == "ask":
            self._slots.ask(self, _destination(*rest))
        elif word == "back":
            self._slots.give_back(self, _destination(*rest))
        self._slots.grant()


def _words(destination: Destination) -> tuple[str, str, str]:
    return destination.road, destination.domain, destination.route


def _destination(road: str, domain: str, route: str) -> Destination:
    return Destination(Road(road), domain, route)
