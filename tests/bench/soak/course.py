"""The order of things: spells of calm, in which is measured, and of trouble between them.

    calm | trouble around the server | calm | trouble with the server, too | calm

The server lives through the first three in one life, so that what it keeps for ever shows
in its memory when the second calm is compared with the first.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice

from tests.bench.soak.crowd import DOMAINS
from tests.bench.soak.mood import CALM, Mood

LONGEST = 15.0  # seconds of one spell of trouble
_PARTS = (0.1, 0.35, 0.15, 0.3, 0.1)  # of the time, for each of the five above


class Kind(StrEnum):
    """What a spell is."""

    CALM = "calm"
    DROPS = "connections lost"
    REFUSALS = "domains refuse"
    STALLS = "exchanger stalls"
    SLOW = "exchanger is slow"
    CLOSED = "exchanger restarts"
    RELOAD = "SIGHUP"
    STOP = "SIGTERM, start"
    KILL = "SIGKILL, start"


AROUND = (Kind.DROPS, Kind.CLOSED, Kind.REFUSALS, Kind.STALLS, Kind.RELOAD, Kind.SLOW)
WITH = (Kind.STOP, Kind.DROPS, Kind.KILL, Kind.STALLS)
WITH_MORE = (*WITH, Kind.STOP, Kind.CLOSED, Kind.REFUSALS, Kind.DROPS, Kind.RELOAD, Kind.SLOW)


@dataclass(frozen=True, slots=True)
class Spell:
    """So many seconds of one kind."""

    kind: Kind
    seconds: float


def course(seconds: float, chance: random.Random) -> list[Spell]:
    """The spells of a soak; each kind comes at least once."""
    calm, around, between, among, end = (part * seconds for part in _PARTS)
    return [
        Spell(Kind.CALM, calm),
        *_trouble(around, AROUND, AROUND, chance),
        Spell(Kind.CALM, between),
        *_trouble(among, WITH, WITH_MORE, chance),
        Spell(Kind.CALM, end),
    ]


def _trouble(
    seconds: float, least: Sequence[Kind], kinds: Sequence[Kind], chance: random.Random
) -> list[Spell]:
    """As many spells as keep each short: `least`, or more, which are `kinds` again and again."""
    wanted = math.ceil(seconds / LONGEST)
    chosen = list(least) if wanted < len(least) else list(islice(cycle(kinds), wanted))
    chance.shuffle(chosen)
    return [Spell(kind, seconds / len(chosen)) for kind in chosen]


def mood_of(spell: Spell, patience: float, chance: random.Random) -> Mood:
    """How the exchanger is in a spell: in trouble, a little of everything goes wrong as well."""
    usual = Mood(drops=0.01, stalls=0.001, patience=patience, greylists=True)
    match spell.kind:
        case Kind.CALM:
            return CALM
        case Kind.DROPS:
            return Mood(drops=0.1, patience=patience, greylists=True)
        case Kind.REFUSALS:
            shut = tuple(chance.sample(DOMAINS, len(DOMAINS) // 2))
            return Mood(drops=0.01, patience=patience, greylists=True, shut=shut)
        case Kind.STALLS:
            return Mood(drops=0.01, stalls=0.02, patience=patience, greylists=True)
        case Kind.SLOW:
            return Mood(delay=0.2, patience=patience, greylists=True)
        case _:
            return usual
