"""What is remembered of the TLS of domains and hosts, from one connection to the next.

A domain that had TLS is held to it for a while: then whoever stands in the way cannot take it
away. A host whose handshakes fail gets its mail in clear at once, where nothing asks for more.
Both are forgotten after a time, because servers change.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from mta.model.domain import TlsFacts, TlsLevel
from mta.model.value import value

_SIZE = 100_000  # domains, and hosts, past which those unheard of for longest are forgotten
_STEP = 3600.0  # seconds by which a moment may be off: not each connection is to be written down

T = TypeVar("T")

# What a demand for TLS takes today; a domain whose TLS is older is not held to it.
_MODERN = frozenset(("TLSv1.2", "TLSv1.3"))


@value
class MemoryTerms:
    """How long each thing is remembered, in seconds; 0: not at all."""

    levels: float = 0.0
    handshakes: float = 0.0


@value
class Seen:
    """When a domain last had TLS, and when it last proved who it is because its policy asks so.

    In Unix seconds; 0 for never.
    """

    tls_at: float
    proof_at: float = 0.0


@value
class Broken:
    """A host whose handshake failed, and how many connections went in clear since."""

    failed_at: float
    in_clear: int = 0


_NEVER = Seen(0.0)


class TlsMemory:
    """Remembers. Its memory has a bound, whatever the DNS names."""

    def __init__(self, terms: MemoryTerms | None = None, *, size: int = _SIZE) -> None:
        self.terms = terms or MemoryTerms()
        self._size = size
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._broken: OrderedDict[str, Broken] = OrderedDict()
        self._is_changed = False

    def level_of(self, domain: str, now: float) -> TlsLevel:
        """What a domain is held to: VERIFY, REQUIRED, or OPPORTUNISTIC where nothing is known."""
        seen = self._seen.get(domain)
        if seen is None:
            return TlsLevel.OPPORTUNISTIC
        if 0 <= now - seen.proof_at < self.terms.levels:
            return TlsLevel.VERIFY
        is_held = 0 <= now - seen.tls_at < self.terms.levels
        return TlsLevel.REQUIRED if is_held else TlsLevel.OPPORTUNISTIC

    def held_until(self, domain: str) -> float:
        """When it is held to nothing any more, in Unix seconds; 0 where it never was."""
        seen = self._seen.get(domain)
        return max(seen.tls_at, seen.proof_at) + self.terms.levels if seen else 0.0

    def saw(self, domain: str, tls: TlsFacts, now: float, *, is_enforced: bool) -> None:
        """A connection to `domain` had this TLS; `is_enforced`: its policy asked for a proof."""
        if not self.terms.levels or tls.version not in _MODERN:
            return
        seen = self._seen.get(domain, _NEVER)
        proof_at = now if is_enforced else seen.proof_at
        if now - seen.tls_at > _STEP or proof_at - seen.proof_at > _STEP:
            _put(self._seen, domain, Seen(now, proof_at), self._size)
            self._is_changed = True

    def relax(self, domain: str) -> None:
        """A domain says that its hosts need prove nothing any more."""
        seen = self._seen.get(domain)
        if seen is not None and seen.proof_at:
            self._seen[domain] = Seen(seen.tls_at)
            self._is_changed = True

    def forget(self, domain: str) -> bool:
        """Hold a domain to nothing; whether it was held to anything."""
        was_held = self._seen.pop(domain, None) is not None
        self._is_changed |= was_held
        return was_held

    def is_broken(self, host: str, now: float) -> bool:
        """Whether a host's handshakes fail, as far as is known."""
        found = self._broken.get(host)
        return found is not None and 0 <= now - found.failed_at < self.terms.handshakes

    def went_in_clear(self, host: str, now: float) -> bool:
        """Mail went in clear to a host whose handshake failed; whether that is news.

        The time runs from the handshake, and so it is tried again whatever goes in clear.
        """
        if not self.terms.handshakes:
            return True
        found = self._broken.get(host)
        is_news = found is None or not self.is_broken(host, now)
        if found is not None and not is_news:
            self._broken[host] = Broken(found.failed_at, found.in_clear + 1)
        else:
            in_clear = found.in_clear + 1 if found else 1
            _put(self._broken, host, Broken(now, in_clear), self._size)
        self._is_changed = True
        return is_news

    def works(self, host: str) -> None:
        """A handshake succeeded."""
        if self._broken.pop(host, None) is not None:
            self._is_changed = True

    def changed(self) -> tuple[dict[str, Seen], dict[str, Broken]] | None:
        """What is to be kept over a restart; None where nothing is new since it was asked for."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return dict(self._seen), dict(self._broken)

    def restore(
        self, seen: Iterable[tuple[str, Seen]], broken: Iterable[tuple[str, Broken]]
    ) -> None:
        """Go on where an earlier life of ours ended."""
        for domain, when in seen:
            _put(self._seen, domain, when, self._size)
        for host, one in broken:
            _put(self._broken, host, one, self._size)

    def tidy(self, now: float) -> None:
        """Let go of what counts no more: it stands first."""
        while self._seen and self.held_until(next(iter(self._seen))) <= now:
            self._seen.popitem(last=False)
        while self._broken and not self.is_broken(next(iter(self._broken)), now):
            self._broken.popitem(last=False)


def _put(into: OrderedDict[str, T], name: str, found: T, size: int) -> None:
    into[name] = found
    into.move_to_end(name)
    if len(into) > size:
        into.popitem(last=False)
