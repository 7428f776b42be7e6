"""Looks after DKIM keys while a server runs: what the DNS shows of them, and whose turn it is."""

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence

from mta.model.trouble import SigningError
from mta.model.zone import Sighting

from mta.rules.message.keyterm import KeyState, KeyTerm, ends, pause_before_look

from mta.flow.keyrecords import KeyRecords, is_everywhere
from mta.flow.ports import Clock

from mta.config import ConfigError
from mta.config.dkim import KeyIndex, RotatedKey, shown_day
from mta.wiring.keyring import HeldKey, Keyring
from mta.wiring.reminders import Reminders

log = logging.getLogger(__name__)

CHECK_INTERVAL = 3600.0  # seconds between looks at the records of keys in use


class KeyWatch:
    """Keeps the keyring as the index is, and the index as the DNS allows.

    Of several processes the first asks the DNS, and changes the index; all follow it.
    """

    def __init__(
        self,
        keyring: Keyring,
        records: KeyRecords,
        *,
        is_first: bool = True,
        clock: Clock = time.time,
    ) -> None:
        self._is_first = is_first
        self._clock = clock
        self._reminders = Reminders()
        self.renew(keyring, records)

    def renew(self, keyring: Keyring, records: KeyRecords) -> None:
        """Look after these from now on, and at once."""
        self._keyring = keyring
        self._records = records
        self._checked_at = -math.inf
        self._looked_at: dict[str, float] = {}  # by the names of records that are awaited

    async def step(self) -> None:
        """Do what is due. Never raises for what stands in files or in the DNS."""
        keyring = self._keyring
        if keyring.index.has_changed:
            await self._follow(keyring)
        if not self._is_first or not keyring.keys:
            return
        now = self._clock()
        for held in keyring.keys:
            if held.term.state_at(now) is KeyState.WAITING and self._is_due(held, now):
                await self._look_for(keyring, held, now)
        if not 0 <= now - self._checked_at < CHECK_INTERVAL:
            self._checked_at = now
            await self._check(keyring, now)

    async def _follow(self, keyring: Keyring) -> None:
        """Use the keys as the index has them now."""
        try:
            keys = await asyncio.to_thread(keyring.read)
        except (ConfigError, SigningError) as error:
            log.error("the keys that sign stay as they were: %s", error)
            return
        if keyring is self._keyring:  # no reload came between
            keyring.use(keys)
            self._checked_at = -math.inf

    def _is_due(self, held: HeldKey, now: float) -> bool:
        pause = pause_before_look(now - held.term.made_at)
        return not 0 <= now - self._looked_at.get(held.record.name, -math.inf) < pause

    async def _look_for(self, keyring: Keyring, held: HeldKey, now: float) -> None:
        """Have a key sign that waits, if all servers of its zone show its record."""
        name = held.record.name
        self._looked_at[name] = now
        sightings = await self._records.sightings(held.record)
        if not is_everywhere(sightings):
            for text in self._reminders.new(name, missing(sightings), now):
                log.info("dkim: %s is awaited: %s", name, text)
            return
        try:
            await asyncio.to_thread(have_sign, keyring.index, held.term, now)
        except (ConfigError, OSError) as error:
            where = keyring.index.path
            for text in self._reminders.new(name, [str(error)], now):
                log.error(
                    "dkim: %s is in the DNS, but %s cannot be written: %s; let the user that mta "
                    "runs as write there, or run `mta dkim rotate %s` as one who can",
                    name,
                    where,
                    text,
                    held.term.domain,
                )
            return
        await self._follow(keyring)
        log.info("dkim: %s", word_of_change(held.term))

    async def _check(self, keyring: Keyring, now: float) -> None:
        found = await troubles(keyring.keys, self._records, now)
        for text in self._reminders.new("troubles", found, now):
            log.warning("dkim: %s", text)
        for text in self._reminders.new("retired", farewells(keyring.keys, now), now):
            log.info("dkim: %s", text)


def have_sign(index: KeyIndex, term: KeyTerm, now: float) -> None:
    """Have a key that waits sign from now on. Raises ConfigError and OSError."""

    def change(keys: Sequence[RotatedKey]) -> Sequence[RotatedKey]:
        return [_signing(key, now) if _is_meant(key, term) else key for key in keys]

    index.change(change)


def _is_meant(key: RotatedKey, term: KeyTerm) -> bool:
    is_it = (key.domain, key.selector) == (term.domain, term.selector)
    return is_it and key.signs_from is None


def _signing(key: RotatedKey, now: float) -> RotatedKey:
    return key.model_copy(update={"signs_from": float(int(now))})


def word_of_change(term: KeyTerm) -> str:
    """What an operator hears when a key begins to sign."""
    begun = f"{term.domain}: signs with {term.selector} from now on"
    if not term.replaces:
        return begun
    old = " and ".join(term.replaces)
    return f"{begun}, no more with {old}; leave the DNS as it is for {term.overlap / 86400:g} days"


def missing(sightings: Iterable[Sighting]) -> list[str]:
    """The servers that do not show a record, each with what it does show."""
    return [str(sighting) for sighting in sightings if sighting.objection is not None]


async def troubles(keys: Iterable[HeldKey], records: KeyRecords, now: float) -> list[str]:
    """What is wrong with the keys that receivers look for: in the DNS, or because they end."""
    held = tuple(keys)
    needed = [one.record for one in held if one.key and one.term.is_needed_at(now)]
    found = await asyncio.gather(*[records.objection(record) for record in needed])
    return [
        f"{record.name}: {objection}; `mta dkim show {record.domain}` has what to publish"
        for record, objection in zip(needed, found, strict=True)
        if objection is not None
    ] + list(_ends([one.term for one in held], now))


def _ends(terms: Iterable[KeyTerm], now: float) -> Iterator[str]:
    for domain, at in ends(terms, now).items():
        when = "now" if at <= now else f"from {shown_day(at)} on"
        yield f"{domain}: no key signs its mail {when}; `mta dkim rotate {domain}` makes one"


def farewells(keys: Iterable[HeldKey], now: float) -> list[str]:
    """What may go: records, entries and files of keys that are retired."""
    return [
        f"{held.record.name} may be taken out of the DNS, and {held.path} deleted: nothing that it "
        f"signed is on the way any more"
        for held in keys
        if held.key is not None and held.term.state_at(now) is KeyState.RETIRED
    ]
