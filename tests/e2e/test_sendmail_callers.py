"""Programs that send by sendmail(1), with ours in its place; with a server and without."""

import subprocess
from pathlib import Path

import pytest

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e.checks import assert_signed, peer, run
from tests.e2e.sendmail import environment_of, linked

pytestmark = pytest.mark.peers


@pytest.fixture
def sendmail(tmp_path: Path) -> Path:
    return linked(tmp_path, "sendmail")


@pytest.fixture(params=["with a server", "without"])
def world(
    request: pytest.FixtureRequest, own: ServerProcess, server: ServerProcess, tmp_path: Path
) -> tuple[dict[str, str], ServerProcess | None]:
    """The environment of the programs, and the server that has to be started afterwards."""
    if request.param == "with a server":
        return environment_of(server.settings, tmp_path, server.port), None
    own.start()
    own.stop()
    return environment_of(own.settings, tmp_path), own


World = tuple[dict[str, str], ServerProcess | None]


def call(world: World, *command: str | Path, given: bytes = b"") -> None:
    """Run a program to its end, and let what it left go its way."""
    environment, later = world
    done = subprocess.run(
        command, input=given, env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    if later is not None:
        later.start()


def recipient(name: str, world: World) -> str:
    return f"{name}-{'later' if world[1] else 'now'}@accept.test"


def test_cron(sendmail: Path, world: World, internet: Internet) -> None:
    whom = recipient("cron", world)
    said = (
        f"From: root (Cron Daemon)\nTo: {whom}\nSubject: Cron <root@host> run-parts\n"
        "Auto-Submitted: auto-generated\n\nsomething\n.\nand more\n"
    )

    call(
        world,
        sendmail,
        *["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"],
        given=said.encode(),
    )

    arrived = internet.mail_to(whom)
    assert arrived.sender == "root@mail.app.test"
    assert arrived.content.endswith(b"\r\n\r\nsomething\r\n.\r\nand more\r\n")


@peer("php")
def test_php_mail(sendmail: Path, world: World, internet: Internet) -> None:
    whom = recipient("php", world)
    script = (
        f"exit(mail('{whom}', 'Grüße', \"line one\\nline two\\n.\\nlast\", "
        '"From: App <app@app.test>\\r\\nBcc: php-bcc@accept.test\\r\\nX-More: yes", '
        "'-fbounce@app.test') ? 0 : 1);"
    )

    call(world, "php", "-d", f"sendmail_path={sendmail} -t -i", "-r", script)

    arrived = internet.mail_to(whom)
    assert arrived.sender == "bounce@app.test"
    assert b"\r\nX-More: yes\r\n" in arrived.content
    assert b"php-bcc" not in arrived.content
    assert arrived.content.endswith(b"line one\r\nline two\r\n.\r\nlast\r\n")
    assert_signed(arrived.content, internet)
    internet.mail_to("php-bcc@accept.test")


@peer("bsd-mailx")
def test_bsd_mailx(sendmail: Path, world: World, internet: Internet, tmp_path: Path) -> None:
    whom = recipient("bsd", world)
    (tmp_path / "mailrc").write_text(f"set sendmail={sendmail}\n")
    world[0]["MAILRC"] = str(tmp_path / "mailrc")

    call(world, "bsd-mailx", "-s", "hello", whom, given=b"It works.\n")

    arrived = internet.mail_to(whom)
    assert b"\r\nSubject: hello\r\n" in arrived.content
    assert arrived.content.endswith(b"\r\n\r\nIt works.\r\n")


@peer("s-nail")
def test_s_nail(sendmail: Path, world: World, internet: Internet, tmp_path: Path) -> None:
    whom = recipient("nail", world)
    (tmp_path / "picture.bin").write_bytes(bytes(range(256)))

    call(
        world,
        *("s-nail", "-:/", "-S", f"mta=file://{sendmail}", "-r", "ann@app.test", "-s", "hello"),
        *("-a", str(tmp_path / "picture.bin"), whom),
        given=b"It works.\n",
    )

    arrived = internet.mail_to(whom)
    assert arrived.sender == "ann@app.test"
    assert b'filename="picture.bin"' in arrived.content


def has_git_send_email() -> bool:
    asked = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip(), "git-send-email").exists()


@peer("git")
def test_git_send_email(sendmail: Path, world: World, internet: Internet, tmp_path: Path) -> None:
    if not has_git_send_email():
        pytest.skip("git send-email is not installed")
    whom = recipient("git", world)
    patch = repository_with_a_patch(tmp_path)
    world[0]["HOME"] = str(tmp_path)

    call(
        world,
        *("git", "-C", str(tmp_path / "repository"), "send-email", "--confirm=never", "--quiet"),
        *(f"--smtp-server={sendmail}", "--from=Ann <ann@app.test>", f"--to={whom}"),
        *("--cc=git-cc@accept.test", "--suppress-cc=all", "--envelope-sender=auto", str(patch)),
    )

    arrived = internet.mail_to(whom)
    assert arrived.sender == "ann@app.test"
    assert b"\r\nSubject: [PATCH] Say hello\r\n" in arrived.content
    assert b"\r\n+.\r\n+..\r\n+hello\r\n" in arrived.content


def repository_with_a_patch(folder: Path) -> Path:
    """A repository with two commits, and the second as a mail."""
    there = folder / "repository"
    git = ("git", "-C", str(there))
    run("git", "init", "-q", str(there))
    run(*git, "config", "user.name", "Ann")
    run(*git, "config", "user.email", "ann@app.test")
    run(*git, "commit", "-q", "--allow-empty", "-m", "Begin")
    (there / "file").write_text(".\n..\nhello\n")
    run(*git, "add", "file")
    run(*git, "commit", "-q", "-m", "Say hello")
    return Path(run(*git, "format-patch", "-o", str(folder), "-1").stdout.decode().strip())
