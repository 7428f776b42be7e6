"""The keys that we have: those of the settings and those of the index, loaded, and who signs."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import DkimRecord
from mta.rules.message.keyterm import KeyState, KeyTerm, succeeded
from mta.rules.message.signing import SigningKey

from mta.edge.signer import DkimSigner, signatures
from mta.edge.spool.threads import Threads

from mta.config import ConfigError, Settings
from mta.config.dkim import KeyIndex, key_path

if TYPE_CHECKING:
    from mta.edge.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key, where it is kept, and when it signs. `key` is None where it is retired and gone."""

    term: KeyTerm
    path: Path
    key: "PrivateKey | None"

    @property
    def record(self) -> DkimRecord:
        """What its domain publishes; of a key that is gone, without it."""
        public = self.key.public if self.key else ""
        return DkimRecord(self.term.domain, self.term.selector, public, self.term.kind)

    @property
    def signing(self) -> SigningKey | None:
        """As the signer wants it; None while it waits, or where it is gone."""
        term, begin = self.term, self.term.signs_from
        if self.key is None or begin is None:
            return None
        return SigningKey(
            term.domain, term.selector, self.key.sign, term.kind, begin, term.signs_until
        )


class Keyring:
    """All keys of a server, and the signer that has them."""

    def __init__(self, settings: Settings) -> None:
        """Raises SigningError for a key, ConfigError for the index."""
        self._settings = settings
        self.index = KeyIndex(settings.dkim_keys)
        self.keys = self.read()
        # A signature is OpenSSL's work, without Python's lock: as many at once as there are cores,
        # but for that of the event loop. One more takes no message further, and a sixth more CPU.
        threads = Threads(max(1, len(os.sched_getaffinity(0)) - 1), "signer")
        self.signer = DkimSigner(
            _signing(self.keys), clock=time.time, sign=threads.together(signatures)
        )

    def read(self) -> tuple[HeldKey, ...]:
        """The keys as the index and their files have them now, not yet in use.

        Raises as the constructor does.
        """
        self.index.read()
        keys = []
        for _, found in _found(self._settings, self.index):
            if isinstance(found, SigningError):
                raise found
            keys.append(found)
        return tuple(keys)

    def use(self, keys: tuple[HeldKey, ...]) -> None:
        """Sign with these from now on."""
        self.keys = keys
        self.signer.replace_keys(_signing(keys))


def problems_of_keys(settings: Settings) -> Iterator[str]:
    """Everything that is wrong with the keys of the settings and of the index."""
    index = KeyIndex(settings.dkim_keys)
    try:
        index.read()
    except ConfigError as error:
        yield from (f"dkim_keys: {problem}" for problem in error.problems)
    for where, found in _found(settings, index):
        if isinstance(found, SigningError):
            yield f"{where}: {found}"


def _signing(keys: Iterable[HeldKey]) -> list[SigningKey]:
    return [key for key in (held.signing for held in keys) if key is not None]


def _found(settings: Settings, index: KeyIndex) -> Iterator[tuple[str, HeldKey | SigningError]]:
    """Each key, or why it cannot be had, behind the words for where it is named.

    One that is in the index is taken from there alone, which says when it signs.
    """
    indexed = {(key.domain, key.selector) for key in index.keys}
    named = [
        (f"dkim[{place}].key", entry.term, entry.key)
        for place, entry in enumerate(settings.dkim)
        if (entry.domain, entry.selector) not in indexed
    ] + [
        (f"{index.path}: keys[{place}]", key.term, key_path(index.folder, key.domain, key.selector))
        for place, key in enumerate(index.keys)
    ]
    loaded = [_loaded(path) for _, _, path in named]
    terms = succeeded(
        [
            term if isinstance(key, SigningError) else replace(term, kind=key.kind)
            for (_, term, _), key in zip(named, loaded, strict=True)
        ]
    )
    now = time.time()
    for (where, _, path), term, key in zip(named, terms, loaded, strict=True):
        if not isinstance(key, SigningError):
            yield where, HeldKey(term, path, key)
        elif term.state_at(now) is KeyState.RETIRED:  # then its file may be gone
            yield where, HeldKey(term, path, None)
        else:
            yield where, key


def _loaded(path: Path) -> "PrivateKey | SigningError":
    from mta.edge.keys import load_key  # with a library of 8 MB, which not all need

    try:
        return load_key(path)
    except SigningError as error:
        return error
