"""The drop folder as the server sees it: a place where any user of this host may put anything."""

import asyncio
import errno
import logging
import os
import pwd
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mta.model.envelope import Client, MessageId, Submission
from mta.model.trouble import MaildropError

from mta.rules.message.dropfile import (
    MAX_LINE,
    DropError,
    drop_id,
    drop_name,
    read_drop_file,
    submission_of,
)

from mta.edge.maildrop import TEMPORARY
from mta.edge.maildrop.leaving import sync_folder

log = logging.getLogger(__name__)

MODE = 0o3733  # sticky, with its group for all that is in it; others may write and enter, not list
QUARANTINE = "quarantine"
ABANDONED = 3600.0  # seconds after which a file that is not whole has no writer any more
AT_ONCE = 100  # messages that are taken together, and
AT_ONCE_OCTETS = 64 * 1024 * 1024
SETTLED = 2.0  # seconds after which two changes of a folder cannot bear the same time

_TEMPORARY_NAME = re.compile(rf"[0-9a-f]{{32}}{re.escape(TEMPORARY)}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DropLimits:
    """What one content, and one of its lines, may have in octets."""

    size: int
    line_length: int


class MaildropFolder:
    """Keeps the promises of the port `Maildrop`; `limits` may be exchanged."""

    def __init__(self, folder: Path, limits: DropLimits) -> None:
        self.limits = limits
        self._folder = folder
        self._seen_at = -1  # the folder's time when all in it had been looked at
        self._cleared = 0  # what was put aside since this look began
        self._hopeless: set[str] = set()  # names that can be neither read nor moved

    async def make(self) -> None:
        """See `Maildrop`: it is open to all users."""
        await self._on_disk("made", self._make)

    async def ids(self) -> set[MessageId]:
        """See `Maildrop`."""
        return await self._on_disk("read", self._ids)

    async def dropped(self, known: Collection[MessageId]) -> Mapping[MessageId, Submission]:
        """See `Maildrop`."""
        return await self._on_disk("read", lambda: self._dropped(known))

    async def remove(self, ids: Collection[MessageId]) -> None:
        """See `Maildrop`."""
        await self._on_disk("written", lambda: self._remove(ids))

    async def put_aside(self, id: MessageId, reason: str) -> None:
        """See `Maildrop`."""
        await self._on_disk("written", lambda: self._put_aside(drop_name(id), reason))

    def look_again(self) -> None:
        """See `Maildrop`."""
        self._seen_at = -1

    async def _on_disk(self, done: str, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise MaildropError(
                f"the drop folder {self._folder} cannot be {done}: {error.strerror or error}"
            ) from error

    def _make(self) -> None:
        try:
            self._folder.lstat()
        except FileNotFoundError:
            draft = self._folder.with_name(f"{self._folder.name}{TEMPORARY}")
            with suppress(FileExistsError):
                draft.mkdir(mode=0o700)
            with suppress(FileExistsError):  # before anybody else can make one
                (draft / QUARANTINE).mkdir(mode=0o700)
            draft.chmod(MODE)
            draft.rename(self._folder)
            sync_folder(self._folder.parent)
        self._refuse_foreign()
        with self._quarantine() as place:
            os.fchmod(place, 0o700)  # without the bit that it has from the folder

    def _refuse_foreign(self) -> None:
        """Who owns the folder may exchange what is in it."""
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "expected a folder that is ours")

    @contextmanager
    def _quarantine(self) -> Iterator[int]:
        """A descriptor of the quarantine, which is made where it is missing.

        Once it has been removed, any user may put a folder of his in its place, or a link to one.
        """
        path = self._folder / QUARANTINE
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(place).st_uid != os.geteuid():
                raise OSError(errno.EPERM, "expected a quarantine that is ours")
            yield place
        finally:
            os.close(place)

    def _ids(self) -> set[MessageId]:
        with os.scandir(self._folder) as entries:  # and no list: strangers make it long
            return {id for entry in entries if (id := drop_id(entry.name))}

    def _dropped(self, known: Collection[MessageId]) -> dict[MessageId, Submission]:
        """What is new, as much as is taken at once; nothing where the folder has not changed."""
        changed_at = self._folder.stat().st_mtime_ns
        if changed_at == self._seen_at:
            return {}
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))  # nothing could be taken away
        found: dict[MessageId, Submission] = {}
        octets = 0
        self._cleared = 0
        for name, id in self._names():
            if id in known:
                continue
            submission = self._read(name)
            if submission is not None:
                found[id] = submission
                octets += len(submission.content)
            if max(len(found), self._cleared) >= AT_ONCE or octets >= AT_ONCE_OCTETS:
                return found  # and the next look goes on
        if time.time() - changed_at / 1e9 > SETTLED:
            self._seen_at = changed_at
        return found

    def _names(self) -> Iterator[tuple[str, MessageId]]:
        """The files that should be messages. All else is cleared away."""
        with os.scandir(self._folder) as entries:
            yield from self._sorted_out(entry.name for entry in entries)

    def _sorted_out(self, names: Iterable[str]) -> Iterator[tuple[str, MessageId]]:
        for name in names:
            if name == QUARANTINE or name in self._hopeless:
                continue
            id = drop_id(name)
            if id is not None:
                yield name, id
            elif not _TEMPORARY_NAME.fullmatch(name):
                self._clear_away(name, "expected a file of mta sendmail, found another name")
            elif self._is_abandoned(name):
                self._clear_away(name, "its writer ended before it was whole")

    def _is_abandoned(self, name: str) -> bool:
        try:
            return (self._folder / name).lstat().st_mtime < time.time() - ABANDONED
        except FileNotFoundError:
            return False

    def _read(self, name: str) -> Submission | None:
        """The message in a file; None where it was put aside, or is gone."""
        try:
            owner, octets = self._octets(name)
            limits = self.limits
            drop = read_drop_file(octets, size=limits.size, line_length=limits.line_length)
            return submission_of(drop, Client(f"unix:{owner}", _login(owner), "local"))
        except FileNotFoundError:
            return None
        except (OSError, DropError) as error:
            self._clear_away(name, str(error))
            return None

    def _octets(self, name: str) -> tuple[int, bytes]:
        """The number of a file's owner, and what is in it.

        What is measured and what is read is the same open file, whatever its name leads to later.
        Raises DropError for what is no plain file, or has another name, or is too large.
        """
        most = self.limits.size + MAX_LINE
        file = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise DropError("expected a plain file with one name")
            if found.st_size > most:
                raise DropError(f"expected at most {most} octets, found {found.st_size}")
            with open(file, "rb", closefd=False) as stream:
                return found.st_uid, stream.read(found.st_size)
        finally:
            os.close(file)

    def _remove(self, ids: Collection[MessageId]) -> None:
        for id in ids:
            (self._folder / drop_name(id)).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _clear_away(self, name: str, reason: str) -> None:
        """Put a file aside, but no more of them at a look than messages are taken.

        A user may leave a million, and others wait.
        """
        if self._cleared < AT_ONCE:
            self._cleared += 1
            self._put_aside(name, reason)

    def _put_aside(self, name: str, reason: str) -> None:
        """Move a file to where its owner cannot touch it, with the reason beside it."""
        shown = name.encode("ascii", "backslashreplace").decode()[:200]
        log.error("%s: put into quarantine: %s: %s", self._folder, ascii(shown), reason)
        aside = f"{time.time_ns()}-{os.urandom(4).hex()}"
        with self._quarantine() as place:
            try:
                os.rename(self._folder / name, aside, dst_dir_fd=place)
            except FileNotFoundError:
                return
            except OSError as error:  # somebody's folder
                self._give_up(name, error)
                return
            _write(f"{aside}.txt", f"{shown!a}: {reason}\n", place)

    def _give_up(self, name: str, error: OSError) -> None:
        """Leave alone what can be neither read nor moved."""
        if len(self._hopeless) >= AT_ONCE:  # they may all be gone, and others be there
            self._hopeless.clear()
        self._hopeless.add(name)
        log.error("%s: %s cannot be moved: %s", self._folder, ascii(name[:200]), error.strerror)


def _write(name: str, text: str, folder: int) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    with open(file, "wb") as stream:
        stream.write(text.encode("ascii", "backslashreplace"))


def _login(owner: int) -> str:
    """The name of the user with this number, as a Received field can have it."""
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"uid-{owner}"
