"""Delivery into a Maildir: each message a file, written in tmp/, synced, renamed into new/.

Its name is made of the message's id and its recipient, so that what a crash made us deliver again
is recognised, wherever in the Maildir its reader has put it meanwhile.
"""

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mta.model.address import Address
from mta.model.domain import Host, TlsDemand
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict, broken

LIMIT = 600.0  # seconds that a disk may take for one message
_FOLDERS = ("tmp", "new", "cur")
_SUFFIX = ".mta"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class MaildirConnector:
    """Opens one Maildir, which is made where there is none; the folder above it must be there."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: set[str] | None = None  # names of ours that were here when we came

    async def open(self, host: Host, demand: TlsDemand) -> "MaildirSession | Outcome":
        """See `Connector`; there is nothing to secure."""
        del demand
        try:
            async with asyncio.timeout(LIMIT):
                if self._seen is None:
                    self._seen = await asyncio.to_thread(self._survey)
        except OSError as error:  # TimeoutError is one
            return broken(Stage.CONNECT, host, _reason(self._path, error), subject=3, detail=0)
        return MaildirSession(host, self._path, self._seen)

    def _survey(self) -> set[str]:
        """Have the Maildir, and give the names of ours in it. Raises OSError."""
        with suppress(FileExistsError):
            self._path.mkdir(mode=0o700)
        _make_folders(self._path)
        seen: set[str] = set()
        with _opened(self._path) as folders:
            # What its reader moves meanwhile goes from new to cur, and is seen in one of them.
            for name in ("new", "cur"):
                names = (one.partition(":")[0] for one in os.listdir(folders[name]))
                seen.update(one for one in names if one.endswith(_SUFFIX))
        return seen


class MaildirSession:
    """Delivers into an open Maildir."""

    tls = None
    is_usable = True
    has_limits = False

    def __init__(self, host: Host, path: Path, seen: set[str]) -> None:
        self.host = host
        self._path = path
        self._seen = seen

    def within_limits(self, places: Sequence[int], recipients: Sequence[Address]) -> list[int]:
        """See `Session`; there are none."""
        del recipients
        return list(places)

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        """A file for each recipient; durable when this returns. See `Session`."""
        return tuple([await self._deliver(letter, recipient) for recipient in letter.recipients])

    async def close(self) -> None:
        """See `Session`; nothing is held open."""

    async def _deliver(self, letter: Letter, recipient: Address) -> Outcome:
        name = name_of(letter.id, recipient)
        try:
            await _done(self._write, name, delivered(letter, recipient))
        except OSError as error:  # TimeoutError is one, and the thread may succeed yet
            has_name = name in self._seen or isinstance(error, TimeoutError)
            return self._trouble(error, may_have_arrived=has_name)
        return self._outcome(Verdict.DELIVERED, Reply(250, f"delivered to {self._path}"))

    def _write(self, name: str, content: bytes) -> None:
        """Write a file through to the disk, unless it is there. Raises OSError."""
        with _opened(self._path) as folders:
            tmp, new = folders["tmp"], folders["new"]
            if name not in self._seen:
                _write_new(name, content, tmp, self._path)
                os.rename(name, name, src_dir_fd=tmp, dst_dir_fd=new)
                self._seen.add(name)  # it is there, and its reader may take it away at any time
            os.fsync(new)
        self._seen.discard(name)

    def _trouble(self, error: OSError, *, may_have_arrived: bool) -> Outcome:
        code, detail = (452, 1) if error.errno in _FULL else (451, 0)
        reply = Reply(code, _reason(self._path, error), 3, detail)
        return self._outcome(Verdict.DEFERRED, reply, may_have_arrived=may_have_arrived)

    def _outcome(
        self, verdict: Verdict, reply: Reply, *, may_have_arrived: bool = False
    ) -> Outcome:
        return Outcome(
            verdict,
            reply,
            Stage.CONTENT,
            Scope.HOST,
            self.host,
            may_have_arrived=may_have_arrived,
            peer_keeps_deadline=True,
        )


async def _done(write: Callable[[str, bytes], None], name: str, content: bytes) -> None:
    """Write in a thread, and wait for it although we are cancelled: it may have succeeded.

    Who is cancelled here finds that in `asyncio.Task.cancelling`. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    under_way = loop.run_in_executor(None, write, name, content)
    ends_at = loop.time() + LIMIT
    while not under_way.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([under_way], timeout=max(0.0, ends_at - loop.time()))
            if loop.time() >= ends_at and not under_way.done():
                raise TimeoutError
    under_way.result()


def name_of(id: MessageId, recipient: Address) -> str:
    """The name of a message's file for one recipient: the same each time."""
    digest = hashlib.sha256(str(recipient).encode()).hexdigest()
    return f"{id}.{digest[:16]}{_SUFFIX}"


def delivered(letter: Letter, recipient: Address) -> bytes:
    """What is kept: who sent it and to whom it went (RFC 5321 §4.4), with the newlines of files."""
    sender = letter.sender or ""
    fields = f"Return-Path: <{sender}>\nDelivered-To: {recipient}\n".encode()
    return fields + letter.content.replace(b"\r\n", b"\n")


@contextmanager
def _opened(path: Path) -> Iterator[dict[str, int]]:
    """Descriptors of tmp, new and cur, none of which may be a link to elsewhere. Raises OSError."""
    with ExitStack() as stack:
        base = os.open(path, os.O_RDONLY | os.O_DIRECTORY)  # the operator's word, links and all
        stack.callback(os.close, base)
        folders = {}
        for name in _FOLDERS:
            folders[name] = os.open(name, _FOLDER, dir_fd=base)
            stack.callback(os.close, folders[name])
        yield folders


def _make_folders(maildir: Path) -> None:
    """Make what a Maildir has and this one has not, for its owner. Raises OSError."""
    owner = maildir.stat()
    base = os.open(maildir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in _FOLDERS:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=base)
                with suppress(PermissionError):  # we are not root
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=base, follow_symlinks=False)
    finally:
        os.close(base)


def _write_new(name: str, content: bytes, folder: int, maildir: Path) -> None:
    """Write and sync a file that nobody else reads; its owner is the Maildir's."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)  # what a crash left
    descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    with open(descriptor, "wb") as file:
        owner = maildir.stat()
        with suppress(PermissionError):  # we are not root
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _reason(path: Path, error: OSError) -> str:
    why = "the disk gave no answer" if isinstance(error, TimeoutError) else error.strerror
    return f"cannot deliver into {path}: {why or error}"
