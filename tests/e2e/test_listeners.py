"""Listeners of each kind, side by side in the real server, and real clients at each of them."""

import os
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mta.edge.certificates import ensure_self_signed

from mta.sandbox.internet import Internet
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.checks import peer, run, until_it_listens
from tests.e2e.watching import wait_until, workers_of

OURSELVES = f"(unix uid {os.getuid()})".encode()


class UnixSmtp(smtplib.SMTP):
    """smtplib at a Unix socket."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(timeout)
        try:
            made.connect(host)
        except OSError:
            made.close()
            raise
        return made


def send_by(path: Path, recipient: str) -> None:
    with UnixSmtp(str(path), timeout=20) as client:
        client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def swaks(server: str, *options: str, recipient: str) -> "subprocess.CompletedProcess[bytes]":
    return run("swaks", *server.split(), "--from", letters.SENDER, "--to", recipient, *options)


# Side by side


@pytest.mark.parametrize("processes", [1, 2])
def test_all_kinds_of_listeners_take_mail_side_by_side(
    processes: int, own: ServerProcess, internet: Internet, tmp_path: Path
) -> None:
    clear, starttls, implicit = "127.0.0.1:0", free_port(), free_port()
    own.settings |= {
        "processes": processes,
        "listen": [
            {"address": clear},
            {"address": f"127.0.0.1:{starttls}", "tls": "starttls"},
            {"address": f"127.0.0.1:{implicit}", "tls": "implicit"},
            {"address": "unix:submit.sock", "mode": "0666"},
        ],
    }
    own.start()
    context = ssl.create_default_context(cafile=tmp_path / "spool/tls/self-signed.cert.pem")
    context.check_hostname = False

    def to(kind: str) -> tuple[str, list[str], bytes]:
        recipient = f"{kind}{processes}@accept.test"
        return letters.SENDER, [recipient], letters.plain(recipient)

    with smtplib.SMTP("127.0.0.1", own.port, timeout=20) as client:
        client.sendmail(*to("clear"))
    with smtplib.SMTP("127.0.0.1", starttls, timeout=20) as client:
        client.starttls(context=context)
        client.sendmail(*to("starttls"))
    with smtplib.SMTP_SSL("127.0.0.1", implicit, timeout=20, context=context) as client:
        client.sendmail(*to("implicit"))
    send_by(tmp_path / "submit.sock", f"unix{processes}@accept.test")

    for kind, said in (
        ("clear", b"([127.0.0.1])"),
        ("starttls", b"with ESMTPS"),
        ("implicit", b"with ESMTPS"),
        ("unix", OURSELVES),
    ):
        assert said in internet.mail_to(f"{kind}{processes}@accept.test").content
    assert stat.S_IMODE((tmp_path / "submit.sock").stat().st_mode) == 0o666
    own.says(rf"ready: .*, 127\.0\.0\.1:{implicit}, unix:{tmp_path}/submit\.sock")
    assert own.stop() == 0
    own.start()  # in the place of the file that was left
    assert own.stop() == 0


def test_a_unix_socket_outlives_every_process_that_serves_it(
    own: ServerProcess, tmp_path: Path
) -> None:
    own.settings |= {
        "processes": 2,
        "listen": [{"address": "127.0.0.1:0"}, {"address": "unix:submit.sock"}],
    }
    own.start()
    before = workers_of(own)
    for worker in before:
        os.kill(worker, 9)

    send_by(tmp_path / "submit.sock", "outlives@accept.test")  # waits until one is there again

    own.events_with(1, event="settled")
    assert own.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        send_by(tmp_path / "submit.sock", "outlives@accept.test")


def test_a_listener_more_is_for_the_next_start_and_ends_nobody(own: ServerProcess) -> None:
    own.settings["processes"] = 2
    own.start()
    own.settings["listen"] = [{"address": f"127.0.0.1:{own.port}"}, {"address": "127.0.0.1:0"}]
    own.settings["senders"] = ["elsewhere.test"]

    own.reload()

    own.says("listen has changed: that needs a restart")

    def is_reloaded() -> bool:
        with smtplib.SMTP("127.0.0.1", own.port, timeout=20) as client:
            client.ehlo()
            return client.mail(letters.SENDER)[0] == 550

    wait_until(lambda: all(is_reloaded() for _ in range(10)))
    assert not own._lines("ended")
    assert own.stop() == 0


@pytest.mark.peers
@peer("curl")
def test_curl_at_a_unix_socket(own: ServerProcess, internet: Internet, tmp_path: Path) -> None:
    own.settings["listen"] = [{"address": "127.0.0.1:0"}, {"address": "unix:submit.sock"}]
    own.start()
    (tmp_path / "letter.eml").write_bytes(letters.plain("curl-unix@accept.test"))

    run(
        *("curl", "-sS", "--unix-socket", str(tmp_path / "submit.sock"), "smtp://localhost/c.test"),
        *("--mail-from", letters.SENDER, "--mail-rcpt", "curl-unix@accept.test"),
        *("--upload-file", str(tmp_path / "letter.eml")),
    )

    assert OURSELVES in internet.mail_to("curl-unix@accept.test").content


@pytest.mark.peers
@peer("swaks")
def test_swaks_at_a_unix_socket(own: ServerProcess, internet: Internet, tmp_path: Path) -> None:
    own.settings["listen"] = [{"address": "127.0.0.1:0"}, {"address": "unix:submit.sock"}]
    own.start()

    swaks(f"--socket {tmp_path}/submit.sock", recipient="swaks-unix@accept.test")

    assert OURSELVES in internet.mail_to("swaks-unix@accept.test").content


# Behind a proxy


@pytest.mark.peers
@peer("swaks")
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_swaks_as_a_proxy(version: str, tls: str, own: ServerProcess, internet: Internet) -> None:
    recipient = f"proxy{version}-{tls}@accept.test"
    own.settings["listen"][0] |= {"tls": tls, "proxy": ["127.0.0.1"], "networks": ["192.0.2.7"]}
    own.start()

    swaks(
        f"--server 127.0.0.1 --port {own.port}",
        *{"none": [], "starttls": ["--tls"], "implicit": ["--tls-on-connect"]}[tls],
        *("--proxy-version", version, "--proxy-family", "TCP4" if version == "1" else "AF_INET"),
        *("--proxy-source", "192.0.2.7", "--proxy-source-port", "40000"),
        *("--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25"),
        *(["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"] if version == "2" else []),
        recipient=recipient,
    )

    assert b"([192.0.2.7])" in internet.mail_to(recipient).content
    assert own.event(event="accepted")["client"] == "192.0.2.7"


@pytest.mark.peers
@peer("curl")
def test_curl_as_a_proxy(own: ServerProcess, internet: Internet, tmp_path: Path) -> None:
    own.settings["listen"][0] |= {"proxy": ["127.0.0.0/8"]}
    own.start()
    (tmp_path / "letter.eml").write_bytes(letters.plain("curl-proxy@accept.test"))

    run(
        *("curl", "-sS", "--haproxy-protocol", f"smtp://127.0.0.1:{own.port}/c.test"),
        *("--mail-from", letters.SENDER, "--mail-rcpt", "curl-proxy@accept.test"),
        *("--upload-file", str(tmp_path / "letter.eml")),
    )

    assert b"([127.0.0.1])" in internet.mail_to("curl-proxy@accept.test").content


# Sockets from systemd


# It starts the server at the first connection; the environment is what we name.
ACTIVATE = ("systemd-socket-activate", "-E", "PYTHONPATH")


@pytest.mark.peers
@peer("systemd-socket-activate")
@pytest.mark.parametrize("processes", [1, 2])
def test_sockets_from_systemd_take_mail(
    processes: int, own: ServerProcess, internet: Internet, tmp_path: Path
) -> None:
    port, path = free_port(), tmp_path / "handed.sock"
    own.environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    own.starter = (
        *(*ACTIVATE, "--fdname=smtp:submit", "-l", f"127.0.0.1:{port}", "-l", str(path)),
    )
    own.settings |= {
        "processes": processes,
        "listen": [{"address": "systemd:smtp"}, {"address": "systemd:submit"}],
    }
    own.launch()
    until_it_listens("127.0.0.1", port)
    own.says(rf"ready: .* on 127\.0\.0\.1:{port}, systemd:submit")

    recipients = [f"handed{kind}{processes}@accept.test" for kind in ("tcp", "unix")]
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail(letters.SENDER, recipients[:1], letters.plain(recipients[0]))
    send_by(path, recipients[1])

    assert b"([127.0.0.1])" in internet.mail_to(recipients[0]).content
    assert OURSELVES in internet.mail_to(recipients[1]).content
    assert own.stop() == 0


@pytest.mark.peers
@peer("systemd-socket-activate")
def test_a_socket_that_systemd_did_not_hand_over_is_named(own: ServerProcess) -> None:
    port = free_port()
    own.environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    own.starter = (*ACTIVATE, "--fdname=smtp", "-l", f"127.0.0.1:{port}")
    own.settings["listen"] = [{"address": "systemd:submission"}]
    own.launch()
    until_it_listens("127.0.0.1", port)

    own.says(
        "mta cannot start: systemd:submission: expected a socket of this name from systemd, "
        "found systemd:smtp"
    )
    own.says("systemd:smtp: a socket from systemd that no listener takes")
    assert own.ended() == 1


def test_without_systemd_its_sockets_are_missed(own: ServerProcess) -> None:
    own.settings["listen"] = [{"address": "systemd:submission"}]

    with pytest.raises(
        SandboxError, match="expected a socket of this name from systemd, found none"
    ):
        own.start()


# TLS, as OpenSSL sees it


def openssl(*options: str, port: int) -> str:
    """The words of a client that connects, asks for a renegotiation, and goes."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
        input=b"R\nQ\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.peers
@peer("openssl")
@pytest.mark.parametrize(("tls", "start"), [("implicit", ()), ("starttls", ("-starttls", "smtp"))])
def test_openssl_finds_what_is_recommended_and_nothing_else(
    own: ServerProcess, tls: str, start: tuple[str, ...]
) -> None:
    own.settings["listen"][0]["tls"] = tls
    own.start()

    for version, protocol in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        words = openssl(version, *start, port=own.port)
        assert f"New, {protocol}, Cipher is" in words
        assert "Compression: NONE" in words
        assert "no renegotiation" in words or version == "-tls1_3"

    for options in (
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"),
    ):
        assert "Cipher is (NONE)" in openssl(*options, *start, port=own.port)
    assert own.stop() == 0


# Certificates


def shown_by(port: int) -> bytes:
    """The certificate that a client is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.1", port, timeout=20, context=context) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        shown = client.sock.getpeercert(binary_form=True)
        assert shown is not None
        return shown


def put(folder: Path, name: str) -> tuple[Path, Path]:
    """A new pair of files at the same paths, as a renewal leaves them."""
    made = ensure_self_signed(folder / name, "mail.app.test", 1_790_000_000.0)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    for source, target in zip(made, (certificate, key), strict=True):
        source.rename(target)
    return certificate, key


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_certificate_is_replaced_while_the_server_runs(
    processes: int, own: ServerProcess, tmp_path: Path
) -> None:
    certificate, key = put(tmp_path, "first")
    own.settings |= {
        "processes": processes,
        "tls": {"certificate": str(certificate), "key": str(key)},
    }
    own.settings["listen"][0]["tls"] = "implicit"
    own.start()
    first = shown_by(own.port)

    put(tmp_path, "second")
    wait_until(lambda: first not in {shown_by(own.port) for _ in range(8)})
    second = shown_by(own.port)
    own.says("the certificate has changed: using the new one")

    certificate.write_text("not a certificate")
    own.says("the old certificate stays in use: .*expected a certificate and its key in PEM")
    assert shown_by(own.port) == second
    assert own.stop() == 0


# Descriptors


@peer("prlimit")
def test_too_few_descriptors_are_told_of(own: ServerProcess) -> None:
    own.starter = ("prlimit", "--nofile=300")
    own.start()

    own.says(
        "1100 connections want 1164 descriptors, and a process may have 300; raise LimitNOFILE="
    )
    assert own.stop() == 0
