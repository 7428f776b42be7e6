"""The sockets that listeners listen on: opened here, or handed to us by who started us."""

import asyncio
import errno
import os
import shutil
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mta.model.listener import Endpoint, Handed, Listener, UnixSocket

from mta.edge.submission.settings import ListenError

BACKLOG = 1_024

# Sockets that are open already, by the place that they are for as its text.
Given = Mapping[str, Sequence[socket.socket]]

_CURES = {
    errno.EADDRINUSE: "another program listens there; stop it, or choose another port",
    errno.EACCES: "the port needs a privilege; grant CAP_NET_BIND_SERVICE, or choose 1024 or more",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose one that it has",
    errno.EAFNOSUPPORT: "this machine has no such kind of address; choose one that it has",
}
_UNIX_CURES = {
    errno.EADDRINUSE: "another program listens there; stop it, or choose another path",
    errno.EACCES: "the folder is not ours to write in; let the user that mta runs as do so",
    errno.ENOENT: "there is no such folder; make it, and let the user that mta runs as write in it",
}
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def open_sockets(
    listener: Listener, given: Given, *, shares_port: bool = False
) -> list[socket.socket]:
    """Sockets that listen where the listener says. Raises ListenError.

    `shares_port`: other processes of ours listen at the same port.
    """
    return await _opened(listener, given, partial(_listening, shares_port=shares_port))


async def reserve(listeners: Sequence[Listener], given: Given) -> list[list[socket.socket]]:
    """The sockets of each listener, for processes that share them. Raises ListenError.

    Those for TCP hold their port and do not listen: each process opens one of its own, and the
    kernel deals out. All others listen already, and the processes take from the same queue.
    """
    bound = partial(_bound, shares_port=True)
    return [await _opened(listener, given, bound) for listener in listeners]


def place_of(listener: Listener, opened: socket.socket) -> str:
    """Where a socket of this listener's is, as people write it."""
    if opened.family == socket.AF_UNIX:
        return str(listener.place)
    return str(Endpoint(*opened.getsockname()[:2]))


async def _opened(
    listener: Listener, given: Given, make: Callable[..., socket.socket]
) -> list[socket.socket]:
    place = listener.place
    if str(place) in given:
        return [_must_listen(place, opened) for opened in given[str(place)]]
    if isinstance(place, Handed):
        names = ", ".join(sorted(given)) or "none"
        raise ListenError(f"{place}: expected a socket of this name from systemd, found {names}")
    if isinstance(place, UnixSocket):
        return [_unix(place)]
    return await _tcp(place, make)


def _must_listen(place: object, opened: socket.socket) -> socket.socket:
    """A socket that is what we take connections from. Raises ListenError."""
    found = None
    if opened.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        found = f"one of {opened.family.name}"
    elif opened.type != socket.SOCK_STREAM:
        found = f"one of {opened.type.name}"
    elif not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found = "one that does not listen (Accept=yes?)"
    if found is not None:
        raise ListenError(f"{place}: expected a stream socket that listens, found {found}")
    opened.setblocking(False)
    return opened


# TCP


async def _tcp(place: Endpoint, make: Callable[..., socket.socket]) -> list[socket.socket]:
    """What `make` makes for each address that the host stands for. Raises ListenError.

    A name may stand for addresses that this machine has not, as localhost often does for ::1;
    one that it has is enough.
    """
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            place.host or None, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in found:
            try:
                opened.append(make(family, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if missing is not None and not opened:
            raise missing
    except OSError as error:
        for each in opened:
            each.close()
        raise _refused(place, error, _CURES) from error
    except UnicodeError as error:  # how Python says that this can be no host's name
        raise ListenError(f"{place}: cannot listen: {error}") from error
    return opened


def _listening(
    family: socket.AddressFamily, address: tuple[object, ...], *, shares_port: bool
) -> socket.socket:
    """A socket that listens at this address and no other. Raises OSError."""
    opened = _bound(family, address, shares_port=shares_port)
    try:
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _bound(
    family: socket.AddressFamily, address: tuple[object, ...], *, shares_port: bool
) -> socket.socket:
    """A socket at this address and no other. Raises OSError."""
    # Named, for asyncio turns Nagle's algorithm off only where it reads TCP here.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


# Unix


def _unix(place: UnixSocket) -> socket.socket:
    """A socket that listens, behind a file of the mode and group asked for. Raises ListenError.

    The file stays when we end, and the next to start takes its place.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        _clear_away_stale(place)
        opened.bind(place.path)
        os.chmod(place.path, place.mode)
        if place.group is not None:
            shutil.chown(place.path, group=_group(place.group))
        opened.listen(BACKLOG)  # last: nobody gets in by the permissions that it had before
    except ListenError:
        opened.close()
        raise
    except OSError as error:
        opened.close()
        raise _refused(place, error, _UNIX_CURES) from error
    except LookupError as error:
        opened.close()
        raise ListenError(
            f"{place}: expected a group of this machine, found {place.group}"
        ) from error
    return opened


def _clear_away_stale(place: UnixSocket) -> None:
    """Remove a socket's file that is ours and at which nobody listens. Raises ListenError, OSError.

    Whatever else stands there is somebody's, and stays.
    """
    try:
        found = os.lstat(place.path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(f"{place}: cannot listen: a file that is no socket stands there")
    if found.st_uid != os.geteuid():
        raise ListenError(
            f"{place}: cannot listen: a socket of the user {found.st_uid} stands there; "
            f"remove it, if nobody listens"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(place.path)
        except ConnectionRefusedError:
            os.unlink(place.path)
        except BlockingIOError:
            return  # somebody is there, and busy: binding says that the place is taken


def _group(given: str) -> str | int:
    return int(given) if given.isdecimal() else given


def _refused(place: object, error: OSError, cures: Mapping[int, str]) -> ListenError:
    cure = cures.get(error.errno or 0, error.strerror or str(error))
    return ListenError(f"{place}: cannot listen: {cure}")
