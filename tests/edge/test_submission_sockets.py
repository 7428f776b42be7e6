"""Where the door listens: sockets in the file system, and such as are handed over."""

import asyncio
import grp
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mta.model.listener import Endpoint, Handed, Listener, TlsStart, UnixSocket

from mta.edge.submission import ListenError, SessionLimits, SubmissionServer, reserve
from mta.edge.submission.sockets import Given, open_sockets

from tests.edge.fake_door import (
    LOOPS,
    PATIENCE,
    FakeDoor,
    run,
    self_signed,
    serving,
    talking,
    trusting_anybody,
)

each_loop = pytest.mark.parametrize("loop", LOOPS)
OURSELVES = f"unix:{os.getuid()}"


def at(path: Path, mode: int = 0o660, group: str | None = None) -> Listener:
    return Listener(UnixSocket(str(path), mode, group))


def refusal(listener: Listener, given: Given | None = None) -> str:
    """Why there are no sockets for a listener."""
    with pytest.raises(ListenError) as caught:
        run(open_sockets(listener, given or {}))
    return str(caught.value)


def opened(listener: Listener) -> socket.socket:
    (found,) = run(open_sockets(listener, {}))
    return found


# Unix sockets


@each_loop
@pytest.mark.parametrize("tls", TlsStart)
def test_a_unix_socket_takes_mail_and_knows_the_user(
    tls: TlsStart, loop: str, tmp_path: Path
) -> None:
    async def scene() -> FakeDoor:
        door = FakeDoor()
        listener = Listener(UnixSocket(str(tmp_path / "submit.sock")), tls)
        context = None if tls is TlsStart.NONE else self_signed(tmp_path)
        async with (
            serving(door, listeners=[listener], tls=context) as server,
            talking(
                server, context=trusting_anybody() if tls is TlsStart.IMPLICIT else None
            ) as talker,
        ):
            assert server.places == (f"unix:{tmp_path}/submit.sock",)
            assert server.addresses == ()
            await talker.begin()
            assert (await talker.ask(b"one", b"."))[:3] == b"250"
        return door

    assert run(scene(), loop).submissions[0].client.address == OURSELVES


def test_networks_do_not_apply_to_a_unix_socket_and_limits_do(tmp_path: Path) -> None:
    async def scene() -> tuple[bytes, bytes]:
        listener = Listener(UnixSocket(str(tmp_path / "s")), networks=())
        limits = SessionLimits(connections_per_client=1)
        async with (
            serving(FakeDoor(), listeners=[listener], limits=limits) as server,
            talking(server) as first,
        ):
            greeting = await first.hear()
            async with talking(server) as second:
                return greeting, await second.hear_all()

    greeting, refused = run(scene())
    assert greeting[:3] == b"220"
    assert refused == b"421 4.7.0 Too many connections from your address\r\n"


@each_loop
def test_where_many_come_at_once_all_else_goes_on(tmp_path: Path, loop: str) -> None:
    async def scene() -> int:
        turns = 0
        async with serving(FakeDoor(), listeners=[at(tmp_path / "door")]) as server:
            with ExitStack() as stack:
                for _ in range(50):
                    caller = stack.enter_context(socket.socket(socket.AF_UNIX))
                    caller.connect(str(tmp_path / "door"))
                async with asyncio.timeout(PATIENCE):
                    while server._inside < 50:
                        await asyncio.sleep(0)
                        turns += 1
        return turns

    assert run(scene(), loop) >= 50


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_its_file_has_the_mode_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        with opened(at(tmp_path / "s", mode)):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to any group")
@pytest.mark.parametrize("group", ["daemon", "1"])
def test_its_file_has_the_group_asked_for(tmp_path: Path, group: str) -> None:
    with opened(at(tmp_path / "s", group=group)):
        assert (tmp_path / "s").stat().st_gid == grp.getgrnam("daemon").gr_gid


def test_a_group_that_nobody_knows_is_named(tmp_path: Path) -> None:
    assert refusal(at(tmp_path / "s", group="nosuchgroup")) == (
        f"unix:{tmp_path}/s: expected a group of this machine, found nosuchgroup"
    )


def test_a_file_that_nobody_listens_at_any_more_is_replaced(tmp_path: Path) -> None:
    opened(at(tmp_path / "s")).close()

    with opened(at(tmp_path / "s")), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))


def test_where_somebody_listens_nobody_else_does(tmp_path: Path) -> None:
    with opened(at(tmp_path / "s")), socket.socket(socket.AF_UNIX) as client:
        assert refusal(at(tmp_path / "s")) == (
            f"unix:{tmp_path}/s: cannot listen: another program listens there; "
            "stop it, or choose another path"
        )
        client.connect(str(tmp_path / "s"))  # the first still does


def test_where_somebody_with_a_full_queue_listens_nobody_else_does(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(tmp_path / "s"))
        busy.listen(0)
        waiting.connect(str(tmp_path / "s"))

        assert "another program listens there" in refusal(at(tmp_path / "s"))


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_touched(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        opened(at(tmp_path / "other")).close()
        path.symlink_to(tmp_path / "other")

    assert refusal(at(path)) == (
        f"unix:{path}: cannot listen: a file that is no socket stands there"
    )
    assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_another_user_s_socket_is_never_touched(tmp_path: Path) -> None:
    opened(at(tmp_path / "s")).close()
    os.chown(tmp_path / "s", 12_345, -1)

    assert "a socket of the user 12345 stands there" in refusal(at(tmp_path / "s"))
    assert (tmp_path / "s").exists()


def test_a_folder_that_is_missing_is_named_with_the_cure(tmp_path: Path) -> None:
    assert refusal(at(tmp_path / "none" / "s")) == (
        f"unix:{tmp_path}/none/s: cannot listen: there is no such folder; "
        "make it, and let the user that mta runs as write in it"
    )


# Sockets that are handed over


def listening(
    family: int = socket.AF_INET, address: tuple[str, int] | str = ("127.0.0.1", 0)
) -> socket.socket:
    made = socket.socket(family)
    made.bind(address)
    made.listen()
    return made


@each_loop
def test_a_listener_takes_the_sockets_that_have_its_name(loop: str, tmp_path: Path) -> None:
    async def greeting(server: SubmissionServer, place: str) -> bytes:
        path = place.removeprefix("unix:")
        host, _, port = place.rpartition(":")
        async with asyncio.timeout(PATIENCE):
            reader, writer = await (
                asyncio.open_connection(host, port)
                if path == place
                else asyncio.open_unix_connection(path)
            )
            heard = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return heard

    async def scene() -> list[bytes]:
        unix = listening(socket.AF_UNIX, str(tmp_path / "s"))
        given = {"systemd:a": [listening(), listening()], "systemd:b": [unix], "systemd:c": []}
        listeners = [Listener(Handed("a")), Listener(Handed("b"))]
        async with serving(FakeDoor(), listeners=listeners, given=given) as server:
            places = [*server.places[:2], f"unix:{tmp_path}/s"]
            return [await greeting(server, place) for place in places]

    assert run(scene(), loop) == [b"220 mail.test ESMTP mta\r\n"] * 3


def test_a_name_that_was_not_handed_over_is_named_with_those_that_were() -> None:
    listener = Listener(Handed("submission"))
    with listening() as web, listening() as smtp:
        given = {"systemd:web": [web], "systemd:smtp": [smtp]}

        assert refusal(listener, given) == (
            "systemd:submission: expected a socket of this name from systemd, "
            "found systemd:smtp, systemd:web"
        )
    assert refusal(listener).endswith("found none")


def kinds() -> Sequence[tuple[socket.socket, str]]:
    with closing(listening()) as place:
        connected = socket.create_connection(place.getsockname())
    return [
        (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "one of SOCK_DGRAM"),
        (socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), "one of AF_NETLINK"),
        (connected, "one that does not listen (Accept=yes?)"),
    ]


def test_sockets_that_no_mail_comes_from_are_named() -> None:
    for wrong, found in kinds():
        with wrong:
            assert refusal(Listener(Handed("a")), {"systemd:a": [wrong]}) == (
                f"systemd:a: expected a stream socket that listens, found {found}"
            )


# What several processes share


def test_ports_are_held_for_others_and_all_else_listens_for_them(tmp_path: Path) -> None:
    with listening() as handed:
        listeners = [
            Listener(Endpoint("127.0.0.1", 0)),
            Listener(Endpoint("127.0.0.1", 0)),
            at(tmp_path / "s"),
            Listener(Handed("a")),
        ]

        reserved = run(reserve(listeners, {"systemd:a": [handed]}))

        assert [len(sockets) for sockets in reserved] == [1, 1, 1, 1]
        for (each,), is_listening in zip(reserved, [False, False, True, True], strict=True):
            with each:
                assert each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == is_listening
