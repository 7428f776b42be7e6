"""Slots across processes: what the dispatcher of one says, and the keeper in another hears.

ask, back                  worker to supervisor: a destination, its site, what was used
report                     worker to supervisor: a site, what was sent, and the trouble, if any
granted, wanted, shortage  supervisor to worker: a destination, its site and messages, or a number
throttled                  supervisor to worker: a throttle, and whether it is news

A destination is three words: road, domain and route. A trouble is nine, the fields of
`Trouble`, and a throttle five, of which the last is a list of these.
"""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from mta.model.envelope import Destination, Road
from mta.model.pace import Throttle, Trouble

from mta.flow.delivery.slots import Slots
from mta.flow.ports import SlotHolder

Say = Callable[..., None]


class RemoteSlots:
    """The keeper, as a worker's dispatcher sees it."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._holder: SlotHolder | None = None
        self._early: list[list[str]] = []  # what the keeper said before anybody was here

    def join(self, holder: SlotHolder) -> None:
        """See `SlotKeeper`: there is one holder here."""
        self._holder = holder
        while self._early:
            self.heard(*self._early.pop(0))

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

    def report(self, site: str, *, sent: int, trouble: Trouble | None = None) -> None:
        """See `SlotKeeper`."""
        self._say("report", site, sent, trouble and astuple(trouble))

    def grant(self) -> None:
        """See `SlotKeeper`: the keeper grants by itself."""

    @property
    def next_at(self) -> float | None:
        """See `SlotKeeper`: the keeper knows the time."""
        return None

    def heard(self, word: str, *rest: str) -> None:
        """Pass a word of the keeper's on."""
        if self._holder is None:
            self._early.append([word, *rest])
        elif word == "granted":
            *destination, site, messages = rest
            self._holder.granted(_destination(*destination), site, int(messages))
        elif word == "wanted":
            self._holder.wanted_back(_destination(*rest))
        elif word == "shortage":
            self._holder.shortage_is(int(rest[0]))
        elif word == "throttled":
            self._hear_throttle(self._holder, list(rest))

    def _hear_throttle(self, holder: SlotHolder, words: list[Any]) -> None:
        site, until, rate, is_shut, trouble, is_news = words
        of_site = Throttle(site, until, rate, is_shut, trouble and Trouble(*trouble))
        holder.throttled(of_site, is_news=is_news)


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

    def throttled(self, throttle: Throttle, *, is_news: bool) -> None:
        """See `SlotHolder`."""
        self._say("throttled", *astuple(throttle), is_news)

    def heard(self, word: str, *rest: str) -> None:
        """Pass a word of the worker's on."""
        if word == "ask":
            *destination, site = rest
            self._slots.ask(self, _destination(*destination), site)
        elif word == "back":
            *destination, site, unused, sent = rest
            used = {"unused": int(unused), "sent": int(sent)}
            self._slots.give_back(self, _destination(*destination), site, **used)
        elif word == "report":
            self._hear_report(*rest)
        self._slots.grant()

    def _hear_report(self, site: str, sent: Any, trouble: Any) -> None:  # noqa: ANN401 - from JSON
        self._slots.report(site, sent=sent, trouble=trouble and Trouble(*trouble))


def _words(destination: Destination) -> tuple[str, str, str]:
    return destination.road, destination.domain, destination.route


def _destination(road: str, domain: str, route: str) -> Destination:
    return Destination(Road(road), domain, route)
