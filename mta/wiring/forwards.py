"""Forwarding as the settings have it: its key loaded, and who asks the DNS for it."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NoAnswer

from mta.model.domain import Finding
from mta.model.trouble import SigningError

from mta.rules.message.arc import Findings, Sealer
from mta.rules.message.dkimrecord import KeyKind
from mta.rules.message.srs import Srs

from mta.flow.submission.forwarding import LIMIT, Forwarders, Forwarding

from mta.edge.lookup import DnsLookup
from mta.edge.spool.threads import Threads

from mta.config import ConfigError, Settings
from mta.config.forwarding import Seal, SenderRewriting
from mta.config.loading import secret_in

LEAST_SECRET = 16  # characters


def forwarding_for(settings: Settings, lookup: DnsLookup) -> Forwarding | None:
    """What is done with mail of others; None where none is passed on.

    Raises SigningError for the key, ConfigError for the secret.
    """
    given = settings.forwarding
    if given is None:
        return None
    return Forwarding(
        forwarders=Forwarders(frozenset(given.users), given.networks),
        sealer=_sealer(given.arc, settings.hostname) if given.arc else None,
        srs=_srs(given.srs) if given.srs else None,
        verify=_Verifier(lookup).findings,
        clock=time.time,
    )


def problems_of_forwarding(settings: Settings) -> Iterator[str]:
    """What is wrong in the files that the section names."""
    given = settings.forwarding
    try:
        if given and given.arc:
            _sealer(given.arc, settings.hostname)
    except SigningError as error:
        yield f"forwarding.arc.key: {error}"
    try:
        if given and given.srs:
            _srs(given.srs)
    except ConfigError as error:
        yield from error.problems


def _sealer(seal: Seal, hostname: str) -> Sealer:
    from mta.edge.keys import load_key  # with a library of 8 MB, which not all need

    key = load_key(seal.key)
    if key.kind is not KeyKind.RSA:
        raise SigningError(f"{seal.key}: expected an RSA key: who verifies seals knows no other")
    return Sealer(hostname, seal.domain, seal.selector, key.sign)


def _srs(srs: SenderRewriting) -> Srs:
    try:
        secret = secret_in(srs.secret_file)
    except ValueError as error:
        raise ConfigError([f"forwarding.srs.secret_file: {error}"]) from error
    if len(secret) < LEAST_SECRET:
        raise ConfigError(
            [
                f"forwarding.srs.secret_file: expected {LEAST_SECRET} characters or more in "
                f"{srs.secret_file}, found {len(secret)}"
            ]
        )
    return Srs(srs.domain, secret.encode())


class _Verifier:
    """Verifies in a thread of its own, which asks the event loop for names."""

    def __init__(self, lookup: DnsLookup) -> None:
        self._lookup = lookup
        self._threads = Threads(2, "verifier")

    async def findings(self, content: bytes) -> Findings:
        """What the message's signatures are worth."""
        from mta.edge.verifier import findings

        texts = _Texts(self._lookup, asyncio.get_running_loop())
        return await self._threads.run(findings, content, texts)


class _Texts:
    """The TXT records of a name, for who is in a thread."""

    def __init__(self, lookup: DnsLookup, loop: asyncio.AbstractEventLoop) -> None:
        self._lookup = lookup
        self._loop = loop

    def __call__(self, name: str) -> tuple[str, ...] | None:
        asked = asyncio.run_coroutine_threadsafe(self._lookup.txt(name), self._loop)
        try:
            answer = asked.result(LIMIT)
        except NoAnswer:
            asked.cancel()
            return None
        return None if answer.finding is Finding.UNKNOWN else answer.records
