"""The process: how it starts, reloads, stops, and what a crash leaves."""

import signal
import smtplib
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mta.cli.serve import SAME_SIGNAL
from mta.sandbox.internet import Internet
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess
from tests.e2e import letters


def send(server: ServerProcess, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))


def test_sigterm_ends_it_in_good_order(own: ServerProcess) -> None:
    own.start()

    status = own.stop()

    assert status == 0


def test_what_is_under_way_arrives_before_it_ends(own: ServerProcess, internet: Internet) -> None:
    own.start()
    send(own, "under-way@slowish.test")
    own.event(event="accepted")

    status = own.stop(within=40)

    assert status == 0
    assert [event["event"] for event in own.events][-1] == "settled"
    internet.mail_to("under-way@slowish.test", within=1)


def test_a_signal_that_comes_twice_at_once_is_one(own: ServerProcess) -> None:
    own.start()
    send(own, "twice@slowish.test")
    own.event(event="accepted")

    own._running.terminate()
    status = own.stop(within=40)

    assert status == 0
    assert [event["event"] for event in own.events][-1] == "settled"


def test_a_second_signal_stops_it_at_once_and_loses_nothing(
    own: ServerProcess, internet: Internet
) -> None:
    own.start()
    send(own, "second@slow.test")
    own.event(event="accepted")
    own._running.terminate()
    own.says("stopping")
    time.sleep(2 * SAME_SIGNAL)  # nothing tells when a signal counts as another

    status = own.stop()
    own.start()

    assert status == 1
    own.says("stopped at once")
    own.event(event="delivered", recipient="second@slow.test")
    internet.mail_to("second@slow.test", within=5)


def test_what_was_accepted_survives_a_crash(own: ServerProcess, internet: Internet) -> None:
    own.settings["delivery"]["retry"] = ["2s"]
    own.start()
    send(own, "crash@grey.test")
    own.event(event="deferred", recipient="crash@grey.test")

    own.kill()
    own.start()

    own.event(event="delivered", recipient="crash@grey.test")
    internet.mail_to("crash@grey.test", within=5)


def test_every_event_of_a_message_s_life_is_told(own: ServerProcess) -> None:
    own.start()
    send(own, "life@grey.test")
    own.event(event="settled")

    assert [event["event"] for event in own.events] == [
        "accepted",
        "deferred",
        "delivered",
        "settled",
    ]


def test_sighup_brings_new_settings_into_force(own: ServerProcess, internet: Internet) -> None:
    own.start()
    own.settings["senders"] = ["elsewhere.test"]

    own.reload()
    own.says("(?i)reload")

    with pytest.raises(smtplib.SMTPSenderRefused, match=r"app\.test"):
        send(own, "reload@accept.test")


def test_sighup_with_wrong_settings_changes_nothing(own: ServerProcess, internet: Internet) -> None:
    own.start()
    own.settings["hostnmae"] = "typo.test"

    own.reload()
    own.says("hostnmae")

    send(own, "same@accept.test")
    internet.mail_to("same@accept.test")


def test_sighup_does_not_take_the_defaults_for_a_file_that_is_gone(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text('{"listen": [{"address": "127.0.0.1:0"}], "hostname": "mail.app.test"}')
    command = [sys.executable, "-m", "mta", "serve"]  # it finds the file itself
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = iter(server.stderr.readline, "")
        assert any("see what waits" in line for line in said)
        config.unlink()

        server.send_signal(signal.SIGHUP)

        answer = next(said)
        server.terminate()
    assert answer.startswith("ERROR not reloaded, the old settings stay in force: config.yaml")


def test_a_closed_standard_output_is_named(tmp_path: Path) -> None:
    command = ["sh", "-c", f"exec {sys.executable} -m mta serve >&-"]

    ended = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=20)

    assert ended.returncode == 1
    assert ended.stderr == (
        "ERROR mta cannot start: standard output is closed; give it a file or /dev/null\n"
    )


def test_wrong_settings_end_it_with_all_mistakes(own: ServerProcess) -> None:
    own.settings["hostnmae"] = "typo.test"
    own.settings["delivery"]["retry"] = ["soon"]

    with pytest.raises(SandboxError) as error:
        own.start()

    assert "hostnmae" in str(error.value)
    assert "delivery.retry[0]" in str(error.value)
    assert own.ended() == 2


def test_a_second_process_on_the_same_spool_does_not_start(
    own: ServerProcess, internet: Internet
) -> None:
    own.start()
    folder = own.config.parent / "second"
    folder.mkdir()
    second = ServerProcess(own.settings, folder)

    with pytest.raises(SandboxError, match=r"lock|another|in use"):
        second.start()

    assert second.ended() == 1


def test_a_port_that_is_taken_is_named(own: ServerProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        own.settings["listen"] = [{"address": address}]

        with pytest.raises(SandboxError, match=address):
            own.start()

        assert own.ended() == 1


def test_a_reload_says_what_needs_a_restart(own: ServerProcess) -> None:
    own.start()
    own.settings |= {"limits": {"queue": 5, "errors": 3}, "processes": 2}

    own.reload()

    own.says("limits.queue has changed: that needs a restart")
    own.says("processes has changed: that needs a restart")
    own.says("reloaded")
    assert not [line for line in own.log if "listen has changed" in line]
    assert own.stop() == 0
