"""The SQL of the history: two tables, and what is done with them.

Each function is a step of a transaction that whoever calls it begins and ends.
"""

import json
from typing import TYPE_CHECKING

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.event import Event, Kind
from mta.model.order import Caveat
from mta.model.outcome import Reply
from mta.model.ruling import Cause
from mta.model.trace import Entry, Fate, Trace

from mta.rules.refusals.classify import classify

if TYPE_CHECKING:
    from sqlite3 import Connection

VERSION = 1

_TABLES = """
CREATE TABLE message (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    at REAL NOT NULL,
    process INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    warnings TEXT NOT NULL,      -- JSON: [[code, text], ...]
    key TEXT,                    -- NULL: none, or one that has expired
    digest BLOB NOT NULL,
    is_stored INTEGER NOT NULL DEFAULT 0,
    settled_at REAL
) WITHOUT ROWID;
CREATE UNIQUE INDEX message_by_key ON message (user, key) WHERE key IS NOT NULL;
CREATE INDEX message_unsettled ON message (process) WHERE settled_at IS NULL;
CREATE INDEX message_by_end ON message (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX message_by_age ON message (at) WHERE key IS NOT NULL;
CREATE TABLE recipient (
    message TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    place INTEGER NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    attempts INTEGER NOT NULL,
    next_at REAL NOT NULL,
    last TEXT NOT NULL,          -- JSON: reply, cause, host, tls; what is unknown is left out
    PRIMARY KEY (message, address)
) WITHOUT ROWID;
"""

_CAUSES = frozenset(Cause)
_STATES = {
    Kind.DELIVERED: State.DELIVERED,
    Kind.DISCARDED: State.DELIVERED,
    Kind.DEFERRED: State.WAITING,
    Kind.HELD: State.WAITING,
    Kind.REROUTED: State.WAITING,
    Kind.FAILED: State.FAILED,
}
# What the spool knows beyond that: whether the sender has heard of it.
_FATES = {State.REPORTED: State.FAILED, State.RELAYED: State.DELIVERED}


def make(base: "Connection") -> None:
    """Make the tables where there are none. Raises ValueError for those of another version."""
    (version,) = base.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise ValueError(f"expected version {VERSION}, found {version}")
    if version == 0:
        base.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")


def enter(base: "Connection", trace: Trace, process: int) -> None:
    """Write a message down."""
    entry = trace.entry
    warnings = json.dumps([[one.code, one.text] for one in entry.warnings])
    base.execute(
        "INSERT INTO message (id, user, at, process, message_id, warnings, key, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(entry.id, entry.user, entry.at, process, entry.message_id, warnings),
            *(entry.key or None, entry.digest),
        ),
    )
    base.executemany(
        "INSERT INTO recipient VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (entry.id, str(fate.address), place, fate.state, fate.at, 0, fate.next_at, "{}")
            for place, fate in enumerate(trace.fates)
        ),
    )


def holder(base: "Connection", entry: Entry, process: int, expired: float) -> Entry | None:
    """The entry that has this one's key; one that has expired or is left over gives it up."""
    if not entry.key:
        return None
    found = base.execute(
        f"SELECT {_ENTRY}, process FROM message WHERE user = ? AND key = ?",  # noqa: S608 - ours
        (entry.user, entry.key),
    ).fetchone()
    if found is None:
        return None
    before = _entry(found)
    if not before.is_stored and found[-1] == process:
        forget(base, before.id)
    elif before.at < expired:
        base.execute("UPDATE message SET key = NULL WHERE id = ?", (before.id,))
    else:
        return before
    return None


def forget(base: "Connection", id: MessageId) -> None:
    """Take a message out."""
    base.execute("DELETE FROM message WHERE id = ?", (id,))


def close(base: "Connection", id: MessageId, now: float) -> None:
    """Forget a message that was never stored, and settle one that was."""
    base.execute("DELETE FROM message WHERE id = ? AND NOT is_stored", (id,))
    base.execute("UPDATE message SET settled_at = ? WHERE id = ?", (now, id))


def unsettled(base: "Connection", process: int, count: int) -> list[Entry]:
    """The entries of a process; the first has those of all that are no more, too."""
    found = base.execute(
        f"SELECT {_ENTRY} FROM message WHERE settled_at IS NULL "  # noqa: S608 - ours
        "AND (process = ? OR (? = 0 AND process >= ?))",
        (process, process, count),
    )
    return [_entry(row) for row in found]


def note(base: "Connection", event: Event) -> None:
    """Write down what happened to a message."""
    if event.kind is Kind.ACCEPTED:
        base.execute("UPDATE message SET is_stored = 1 WHERE id = ?", (event.id,))
    elif event.kind is Kind.SETTLED:
        base.execute("UPDATE message SET settled_at = ? WHERE id = ?", (event.at, event.id))
    elif event.kind in _STATES and event.recipient is not None:
        _note_fate(
            base,
            event.id,
            Fate(
                event.recipient,
                _STATES[event.kind],
                event.at,
                event.attempts or 0,
                event.next_at or 0.0,
                event.reply,
                event.host,
                event.tls,
                event.cause,
                event.rule or "",
            ),
        )


def renew(base: "Connection", envelope: Envelope, process: int, now: float) -> None:
    """Take the envelope's word; the message is that of this process now."""
    base.execute(
        "UPDATE message SET is_stored = 1, process = ? WHERE id = ?", (process, envelope.id)
    )
    for recipient in envelope.recipients:
        if recipient.last is not None:
            _note_fate(base, envelope.id, _fate_of(recipient, now))


def trace(base: "Connection", id: MessageId, user: str) -> Trace | None:
    """A message of this user's that was stored."""
    found = base.execute(
        f"SELECT {_ENTRY}, settled_at FROM message "  # noqa: S608 - ours
        "WHERE id = ? AND user = ? AND is_stored",
        (id, user),
    ).fetchone()
    if found is None:
        return None
    fates = base.execute(
        "SELECT address, state, at, attempts, next_at, last FROM recipient "
        "WHERE message = ? ORDER BY place",
        (id,),
    )
    return Trace(_entry(found), tuple(map(_fate, fates)), found[-1])


def sweep(base: "Connection", settled_before: float, keyed_before: float) -> None:
    """Forget what is old: messages by their end, keys by their age."""
    base.execute(
        "UPDATE message SET key = NULL WHERE key IS NOT NULL AND at < ? AND is_stored",
        (keyed_before,),
    )
    base.execute("DELETE FROM message WHERE settled_at < ? AND key IS NULL", (settled_before,))


_ENTRY = "id, user, at, message_id, warnings, key, digest, is_stored"


def _entry(row: tuple[object, ...]) -> Entry:
    id, user, at, message_id, warnings, key, digest, is_stored = row[:8]
    return Entry(
        id=MessageId(str(id)),
        user=str(user),
        at=float(at),  # type: ignore[arg-type]
        message_id=str(message_id),
        warnings=tuple(Caveat(code, text) for code, text in json.loads(str(warnings))),
        key=str(key or ""),
        digest=bytes(digest),  # type: ignore[call-overload]
        is_stored=bool(is_stored),
    )


def _note_fate(base: "Connection", id: MessageId | None, fate: Fate) -> None:
    base.execute(
        "UPDATE recipient SET state = ?, at = ?, attempts = ?, next_at = ?, last = ? "
        "WHERE message = ? AND address = ?",
        (
            *(fate.state, fate.at, fate.attempts, fate.next_at, _last(fate)),
            *(id, str(fate.address)),
        ),
    )


def _fate_of(recipient: Recipient, now: float) -> Fate:
    last = recipient.last
    state = _FATES.get(recipient.state, recipient.state)
    assert last is not None, "who was never tried has no fate yet"
    ruling = classify(last)
    return Fate(
        *(recipient.address, state, now, recipient.attempts, recipient.next_at),
        *(last.reply, last.host, last.tls),
        *((ruling.cause, ruling.rule) if ruling else (None, "")),
    )


def _last(fate: Fate) -> str:
    known: dict[str, list[object]] = {}
    if fate.reply is not None:
        reply = fate.reply
        known["reply"] = [reply.code, reply.text, reply.subject, reply.detail]
    if fate.host is not None:
        known["host"] = [fate.host.name, fate.host.address, fate.host.port]
    if fate.tls is not None:
        tls = fate.tls
        known["tls"] = [tls.version, tls.cipher, tls.is_verified, str(tls.proof)]
    if fate.cause is not None:
        known["cause"] = [fate.cause, fate.rule]
    return json.dumps(known)


def _fate(row: tuple[str, str, float, int, float, str]) -> Fate:
    address, state, at, attempts, next_at, last = row
    local, _, domain = address.rpartition("@")
    known = json.loads(last)
    cause, rule = known.get("cause", (None, ""))
    return Fate(
        *(Address(local, domain), State(state), at, attempts, next_at),
        reply=Reply(*known["reply"]) if "reply" in known else None,
        host=Host(*known["host"]) if "host" in known else None,
        tls=TlsFacts(*known["tls"]) if "tls" in known else None,
        cause=Cause(cause) if cause in _CAUSES else None,
        rule=rule,
    )
