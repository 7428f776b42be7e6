"""Slots across processes: what the dispatcher of one says, and the keeper in another hears.

ask, back                  worker to supervisor: a destination, its site, what was used
granted, wanted, shortage  supervisor to worker: a destination, its site and messages, or a number

A destination is three words: road, domain and route.
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

    def ask(self, holder: SlotHolder, destination: Destination, site: str) -> None:
        """See `SlotKeeper`."""
        del holder
        self._say("ask", *_words(destination), site)

    def give_back(
        self,
        holder: SlotHolder,
        destination: Destination,
        site: str,
        *,
        unused: int = 0,
        sent: int = 0,
    ) -> None:
        """See `SlotKeeper`."""
        del holder
        self._say("back", *_words(destination), site, unused, sent)

    def grant(self) -> None:
        """See `SlotKeeper`: the keeper grants by itself."""

    @property
    def next_at(self) -> float | None:
        """See `SlotKeeper`: the keeper knows the time."""
        return None

    def heard(self, word: str, *rest: str) -> None:
        """Pass a word of the keeper's on."""
        assert self._holder is not None, "the dispatcher joins before anybody speaks"
        if word == "granted":
            *destination, site, messages = rest
            self._holder.granted(_destination(*destination), site, int(messages))
        elif word == "wanted":
            self._holder.wanted_back(_destination(*rest))
        elif word == "shortage":
            self._holder.shortage_is(int(rest[0]))


class RemoteHolder:
    """A worker's dispatcher, as the keeper sees it."""

    def __init__(self, say: Say, slots: Slots) -> None:
        self._say = say
        self._slots = slots

    def granted(self, destination: Destination, site: str, messages: int) -> None:
        """See `SlotHolder`."""
        self._say("granted", *_words(destination), site, messages)

    def wanted_back(self, destination: Destination) -> None:
        """See `SlotHolder`."""
        self._say("wanted", *_words(destination))

    def shortage_is(self, count: int) -> None:
        """See `SlotHolder`."""
        self._say("shortage", count)

    def heard(self, word: str, *rest: str) -> None:
        """Pass a word of the worker's on."""
        if word == "ask":
            *destination, site = rest
            self._slots.ask(self, _destination(*destination), site)
        elif word == "back":
            *destination, site, unused, sent = rest
            used = {"unused": int(unused), "sent": int(sent)}
            self._slots.give_back(self, _destination(*destination), site, **used)
        self._slots.grant()


def _words(destination: Destination) -> tuple[str, str, str]:
    return destination.road, destination.domain, destination.route


def _destination(road: str, domain: str, route: str) -> Destination:
    return Destination(Road(road), domain, route)
