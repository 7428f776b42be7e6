"""Which of our addresses a host sees."""

import math
from collections.abc import Sequence
from hashlib import blake2b

from mta.model.source import Source


def sources_for(sources: Sequence[Source], host: str, version: int) -> tuple[Source, ...]:
    """Our addresses of one IP version, in the order in which a connection to `host` takes them.

    A neighbourhood of hosts sees the same one each time, for receivers know senders by their
    address, and greylisting asks for it again. Which one it is was drawn by weight; one that is
    added or taken away moves no more destinations than it gets or had (rendezvous hashing).
    """
    quarter = neighbourhood(host)
    usable = [source for source in sources if source.version == version]
    return tuple(sorted(usable, key=lambda source: _draw(source, quarter), reverse=True))


def neighbourhood(host: str) -> str:
    """The end of a host's name that its owner's other hosts are likely to share.

    The last two labels, or three below such as co.uk. It is a guess, and a wrong one costs
    nothing: some hosts see another of our addresses than their neighbours do.
    """
    if host.startswith("["):
        return host
    labels = host.split(".")
    is_shared = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if is_shared else labels[-2:])


def _draw(source: Source, quarter: str) -> float:
    """A number by which the greatest of several is each in proportion to its weight."""
    digest = blake2b(f"{source.address} {quarter}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest, "big") + 1) / (2**64 + 2)  # 0.0 < chance < 1.0
    return -source.weight / math.log(chance)
