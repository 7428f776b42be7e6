"""Real clients hand their mail in as they do everywhere."""

import smtplib
from pathlib import Path

import pytest

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.checks import assert_signed, fields_before, peer, run


def test_smtplib(server: ServerProcess, internet: Internet) -> None:
    original = letters.plain("smtplib@accept.test")

    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.sendmail(letters.SENDER, ["smtplib@accept.test"], original)

    arrived = internet.mail_to("smtplib@accept.test")
    assert fields_before(original, arrived.content) == [b"dkim-signature", b"received"]
    assert arrived.sender == letters.SENDER
    assert arrived.helo == "mail.app.test"
    assert arrived.tls == "TLSv1.3"
    assert_signed(arrived.content, internet)


@pytest.mark.peers
@peer("curl")
def test_curl(server: ServerProcess, internet: Internet, tmp_path: Path) -> None:
    original = letters.plain("curl@accept.test")
    (tmp_path / "letter.eml").write_bytes(original)

    run(
        *("curl", "-sS", f"smtp://127.0.0.1:{server.port}/client.test"),
        *("--mail-from", letters.SENDER, "--mail-rcpt", "curl@accept.test"),
        *("--upload-file", str(tmp_path / "letter.eml")),
    )

    arrived = internet.mail_to("curl@accept.test")
    fields_before(original, arrived.content)
    assert_signed(arrived.content, internet)


@pytest.mark.peers
@peer("swaks")
@pytest.mark.parametrize("way", [["--protocol", "ESMTP"], ["--pipeline"], ["--protocol", "SMTP"]])
def test_swaks(server: ServerProcess, internet: Internet, tmp_path: Path, way: list[str]) -> None:
    recipient = f"swaks{''.join(way)}@accept.test"
    original = letters.plain(recipient)
    (tmp_path / "letter.eml").write_bytes(original)

    run(
        *("swaks", "--server", "127.0.0.1", "--port", str(server.port), "--helo", "client.test"),
        *("--from", letters.SENDER, "--to", recipient, "--data", f"@{tmp_path / 'letter.eml'}"),
        *way,
    )

    arrived = internet.mail_to(recipient)
    fields_before(original + b"\r\n", arrived.content)  # swaks ends it with one line more
    assert_signed(arrived.content, internet)


@pytest.mark.peers
@peer("msmtp")
def test_msmtp(server: ServerProcess, internet: Internet) -> None:
    original = letters.plain("msmtp@accept.test")

    run(
        *("msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={server.port}"),
        *(f"--from={letters.SENDER}", "--", "msmtp@accept.test"),
        given=original.replace(b"\r\n", b"\n"),
    )

    arrived = internet.mail_to("msmtp@accept.test")
    fields_before(original, arrived.content)
    assert_signed(arrived.content, internet)


@pytest.mark.peers
@peer("smtp-source")
def test_smtp_source_sends_many_at_once(server: ServerProcess, internet: Internet) -> None:
    before = len(internet.received("second.test"))

    run(
        *("smtp-source", "-m", "50", "-s", "10", "-l", "5000"),
        *("-f", letters.SENDER, "-t", "source@second.test", f"127.0.0.1:{server.port}"),
    )

    arrived = internet.mail("second.test", before + 50)
    assert len(arrived) == before + 50


@pytest.mark.peers
@peer("curl")
@pytest.mark.parametrize(("tls", "scheme"), [("starttls", "smtp"), ("implicit", "smtps")])
def test_curl_over_tls(
    own: ServerProcess, internet: Internet, tmp_path: Path, tls: str, scheme: str
) -> None:
    recipient = f"curl-{tls}@accept.test"
    own.settings["listen"][0]["tls"] = tls
    own.start()
    (tmp_path / "letter.eml").write_bytes(letters.plain(recipient))

    run(
        *(
            "curl",
            "-sS",
            "--ssl-reqd",
            "--insecure",
            f"{scheme}://127.0.0.1:{own.port}/client.test",
        ),
        *("--mail-from", letters.SENDER, "--mail-rcpt", recipient),
        *("--upload-file", str(tmp_path / "letter.eml")),
    )

    arrived = internet.mail_to(recipient)
    assert b"with ESMTPS id" in arrived.content
    assert_signed(arrived.content, internet)
