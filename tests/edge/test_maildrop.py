"""The drop folder on a real disk, and what any user of the host may put into it."""

import asyncio
import errno
import os
import resource
import stat
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mta.model.address import parse_address
from mta.model.envelope import MessageId, Submission
from mta.model.trouble import MaildropError

from mta.rules.message.dropfile import Drop, drop_file, drop_id

from mta.edge.maildrop.folder import AT_ONCE, QUARANTINE, DropLimits, MaildropFolder
from mta.edge.maildrop.leaving import leave, new_name

from tests.strangers import let_in

T = TypeVar("T")
NAME = "0123456789abcdef" * 2
DROP = Drop(parse_address("ann@x.test"), (parse_address("bob@y.test"),), b"Subject: x\r\n\r\nx\r\n")
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def run(what: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(what)


@pytest.fixture
def maildrop(tmp_path: Path) -> MaildropFolder:
    found = MaildropFolder(tmp_path / "maildrop", DropLimits(10_000, 1000))
    run(found.make())
    return found


@pytest.fixture
def folder(maildrop: MaildropFolder, tmp_path: Path) -> Path:
    return tmp_path / "maildrop"


def dropped(maildrop: MaildropFolder, *known: MessageId) -> dict[MessageId, Submission]:
    return dict(run(maildrop.dropped(known)))


def reasons(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / QUARANTINE).glob("*.txt"))


def as_user(uid: int, work: Callable[[], object]) -> int:
    """Do it in a child process as another user; gives 0, or the number of the error."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            if uid != os.geteuid():
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            work()
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_left_is_found(maildrop: MaildropFolder, folder: Path) -> None:
    leave(folder, NAME, drop_file(DROP))

    ((id, submission),) = dropped(maildrop).items()

    assert id == "d" + NAME
    assert submission.recipients == DROP.recipients
    assert submission.content == DROP.content
    assert submission.client.address == f"unix:{os.geteuid()}"
    assert submission.client.user == ""  # who has a login here has none with us by that
    assert (
        os.listdir(folder) == sorted([f"{NAME}.mail", QUARANTINE]) or len(os.listdir(folder)) == 2
    )


def test_names_are_those_of_messages_and_no_two_are_alike() -> None:
    names = {new_name() for _ in range(1000)}

    assert len(names) == 1000
    assert all(drop_id(f"{name}.mail") for name in names)


def test_what_is_there_is_given_until_it_is_removed(maildrop: MaildropFolder, folder: Path) -> None:
    leave(folder, NAME, drop_file(DROP))
    (id,) = dropped(maildrop)
    assert set(dropped(maildrop)) == {id}
    assert dropped(maildrop, id) == {}
    assert run(maildrop.ids()) == {id}

    run(maildrop.remove([id]))

    assert dropped(maildrop) == {}
    assert run(maildrop.ids()) == set()


def test_what_comes_right_after_a_look_is_found(maildrop: MaildropFolder, folder: Path) -> None:
    for number in range(50):
        assert len(dropped(maildrop)) == number
        leave(folder, new_name(), drop_file(DROP))

    assert len(dropped(maildrop)) == 50


def test_a_folder_that_has_rested_is_not_read_again(maildrop: MaildropFolder, folder: Path) -> None:
    leave(folder, NAME, drop_file(DROP))
    os.utime(folder, (0, time.time() - 60))
    assert len(dropped(maildrop)) == 1

    assert dropped(maildrop) == {}
    maildrop.look_again()
    assert len(dropped(maildrop)) == 1


def test_many_are_taken_some_at_a_time(maildrop: MaildropFolder, folder: Path) -> None:
    for _ in range(101):
        (folder / f"{new_name()}.mail").write_bytes(drop_file(DROP))

    first = dropped(maildrop)

    assert len(first) == 100
    assert len(dropped(maildrop, *first)) == 1


def test_its_mode_lets_others_drop_and_nothing_else(folder: Path) -> None:
    found = folder.stat()

    assert stat.S_IMODE(found.st_mode) == 0o3733
    assert stat.S_IMODE((folder / QUARANTINE).stat().st_mode) == 0o700


def test_a_mode_that_the_operator_gave_it_stays(maildrop: MaildropFolder, folder: Path) -> None:
    folder.chmod(0o3730)

    run(maildrop.make())

    assert stat.S_IMODE(folder.stat().st_mode) == 0o3730


@as_root
def test_another_user_can_drop_but_neither_list_nor_read_nor_remove(
    maildrop: MaildropFolder, folder: Path, tmp_path: Path
) -> None:
    let_in(tmp_path)
    leave(folder, NAME, drop_file(DROP))
    theirs = new_name()

    assert as_user(NOBODY, lambda: leave(folder, theirs, drop_file(DROP))) == 0
    assert as_user(NOBODY, lambda: os.listdir(folder)) != 0
    assert as_user(NOBODY, lambda: (folder / f"{NAME}.mail").read_bytes()) != 0
    assert as_user(NOBODY, lambda: (folder / f"{NAME}.mail").unlink()) != 0
    assert as_user(NOBODY, lambda: os.link(folder / f"{NAME}.mail", folder / "x")) != 0
    assert as_user(NOBODY, lambda: (folder / f"{NAME}.mail").rename(folder / "x")) != 0
    # A third user, who knows the name and is in no group of ours.
    assert as_user(NOBODY - 1, lambda: (folder / f"{theirs}.mail").read_bytes()) != 0
    found = (folder / f"{theirs}.mail").stat()
    assert (found.st_uid, found.st_gid) == (NOBODY, folder.stat().st_gid)
    assert stat.S_IMODE(found.st_mode) == 0o640
    assert dropped(maildrop)[MessageId(f"d{theirs}")].client.helo == "nobody"


def put_octets(path: Path) -> None:
    path.write_bytes(b"hello")


def put_nothing(path: Path) -> None:
    path.write_bytes(b"")


def put_too_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, of nothing


def put_symlink(path: Path) -> None:
    (path.parent.parent / "secret").write_bytes(drop_file(DROP))
    path.symlink_to(path.parent.parent / "secret")


def put_hard_link(path: Path) -> None:
    (path.parent.parent / "secret").write_bytes(drop_file(DROP))
    path.hardlink_to(path.parent.parent / "secret")


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_folder(path: Path) -> None:
    path.mkdir()
    (path / "x").write_bytes(b"")


PUTS = [put_octets, put_nothing, put_too_much, put_symlink, put_hard_link, put_pipe, put_folder]


@pytest.mark.parametrize("put", PUTS)
def test_what_is_no_message_goes_into_quarantine(
    maildrop: MaildropFolder, folder: Path, put: Callable[[Path], None]
) -> None:
    put(folder / f"{NAME}.mail")
    leave(folder, new_name(), drop_file(DROP))

    assert len(dropped(maildrop)) == 1

    assert not os.path.lexists(folder / f"{NAME}.mail")
    assert len(list((folder / QUARANTINE).glob("*.txt"))) == 1
    assert len(list((folder / QUARANTINE).iterdir())) == 2
    assert NAME in reasons(folder)
    secret = folder.parent / "secret"
    assert not secret.exists() or secret.read_bytes() == drop_file(DROP)


@pytest.mark.parametrize("name", ["x", ".hidden", "a.mail", "ä", "\x1b[2J", "a\nb", "\udcff.mail"])
def test_other_names_go_into_quarantine(maildrop: MaildropFolder, folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"hello")

    assert dropped(maildrop) == {}

    assert not (folder / name).exists()
    assert reasons(folder).removesuffix("\n").isprintable()


def test_a_half_written_file_is_left_to_its_writer_for_an_hour(
    maildrop: MaildropFolder, folder: Path
) -> None:
    (folder / f"{NAME}.tmp").write_bytes(b"hello")
    assert dropped(maildrop) == {}
    assert (folder / f"{NAME}.tmp").exists()

    os.utime(folder / f"{NAME}.tmp", (0, time.time() - 3700))
    maildrop.look_again()
    assert dropped(maildrop) == {}

    assert not (folder / f"{NAME}.tmp").exists()
    assert "before it was whole" in reasons(folder)


def test_what_the_server_refuses_is_put_aside_with_the_reason(
    maildrop: MaildropFolder, folder: Path
) -> None:
    leave(folder, NAME, drop_file(DROP))
    (id,) = dropped(maildrop)

    run(maildrop.put_aside(id, "550 not \x1b ours"))

    assert dropped(maildrop) == {}
    assert "550 not" in reasons(folder)


def test_a_folder_that_is_gone_is_trouble_and_can_be_made_again(
    maildrop: MaildropFolder, folder: Path
) -> None:
    (folder / QUARANTINE).rmdir()
    folder.rmdir()

    with pytest.raises(MaildropError, match="maildrop cannot be read: No such file"):
        dropped(maildrop)
    run(maildrop.make())
    leave(folder, NAME, drop_file(DROP))

    assert len(dropped(maildrop)) == 1


@pytest.mark.parametrize("plant", [Path.mkdir, lambda path: path.symlink_to("/")])
@as_root
def test_a_quarantine_of_somebody_else_is_not_used(
    maildrop: MaildropFolder, folder: Path, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    let_in(tmp_path)
    (folder / QUARANTINE).rmdir()
    assert as_user(NOBODY, lambda: plant(folder / QUARANTINE)) == 0
    (folder / "junk").write_bytes(b"")

    with pytest.raises(MaildropError):
        dropped(maildrop)
    with pytest.raises(MaildropError):
        run(MaildropFolder(folder, DropLimits(1000, 1000)).make())

    assert (folder / "junk").exists()
    assert stat.S_IMODE(Path("/").stat().st_mode) == 0o755


def test_a_quarantine_that_was_removed_is_made_again(
    maildrop: MaildropFolder, folder: Path
) -> None:
    (folder / QUARANTINE).rmdir()
    (folder / "junk").write_bytes(b"")

    assert dropped(maildrop) == {}

    assert "junk" in reasons(folder)


def test_a_thousand_strange_files_hold_up_no_message(
    maildrop: MaildropFolder, folder: Path
) -> None:
    for number in range(1000):
        (folder / f"junk{number}").write_bytes(b"")
    leave(folder, NAME, drop_file(DROP))

    assert len(dropped(maildrop)) == 1
    assert len(list((folder / QUARANTINE).glob("*.txt"))) == AT_ONCE
    for _ in range(9):
        dropped(maildrop)
    assert len(list((folder / QUARANTINE).glob("*.txt"))) == 1000


def test_a_link_in_place_of_the_folder_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "maildrop").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(MaildropError, match="expected a folder that is ours"):
        run(MaildropFolder(tmp_path / "maildrop", DropLimits(1000, 1000)).make())


def test_a_full_disk_leaves_nothing(folder: Path) -> None:
    def leave_too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # Python ignores its signal
        leave(folder, NAME, b"x" * 10_000)

    assert as_user(os.geteuid(), leave_too_much) == errno.EFBIG
    assert os.listdir(folder) == [QUARANTINE]


def test_a_name_is_used_once(folder: Path) -> None:
    (folder / f"{NAME}.tmp").write_bytes(b"")

    with pytest.raises(FileExistsError):
        leave(folder, NAME, drop_file(DROP))
