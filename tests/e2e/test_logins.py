"""Clients log in, with the programs that people use, over both kinds of TLS."""

import smtplib
import ssl
from pathlib import Path

import pytest

from mta.edge.memory import read_homes
from mta.edge.passwords import hash_of

from mta.config.rewriting import rewrite
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.checks import assert_signed, peer, run

HASH = f'"{hash_of("correct horse")}"'  # with the quotes that its commas want
WAYS = pytest.mark.parametrize("tls", ["starttls", "implicit"])


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def demand_logins(own: ServerProcess, tls: str, users: str = f"ann: {{password: {HASH}}}") -> Path:
    path = own.config.parent / "users.yaml"
    rewrite(path, users)
    own.settings["users"] = str(path)
    own.settings["listen"][0] |= {"tls": tls, "auth": "required"}
    own.start()
    return path


def connected(own: ServerProcess, tls: str) -> smtplib.SMTP:
    if tls == "implicit":
        return smtplib.SMTP_SSL("127.0.0.1", own.port, timeout=20, context=trusting_anybody())
    client = smtplib.SMTP("127.0.0.1", own.port, timeout=20)
    client.starttls(context=trusting_anybody())
    return client


def log_in(own: ServerProcess, name: str, password: str) -> int:
    with connected(own, "starttls") as client:
        try:
            return client.login(name, password)[0]
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code


@WAYS
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtplib(own: ServerProcess, internet: Internet, tls: str, mechanism: str) -> None:
    recipient = f"login-{tls}-{mechanism}@accept.test"
    demand_logins(own, tls)

    with connected(own, tls) as client:
        with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))
        client.rset()
        client.user, client.password = "ann", "correct horse"
        client.ehlo()
        client.auth(mechanism, client.auth_plain if mechanism == "PLAIN" else client.auth_login)
        client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))

    arrived = internet.mail_to(recipient)
    assert b"with ESMTPSA id" in arrived.content
    assert b"ann" not in arrived.content.partition(b"From:")[0]
    assert own.event(event="accepted")["user"] == "ann"
    assert_signed(arrived.content, internet)


@pytest.mark.peers
@peer("curl")
@WAYS
def test_curl(own: ServerProcess, internet: Internet, tmp_path: Path, tls: str) -> None:
    recipient = f"curl-login-{tls}@accept.test"
    demand_logins(own, tls)
    (tmp_path / "letter.eml").write_bytes(letters.plain(recipient))
    scheme = "smtps" if tls == "implicit" else "smtp"

    run(
        *(
            "curl",
            "-sS",
            "--ssl-reqd",
            "--insecure",
            f"{scheme}://127.0.0.1:{own.port}/client.test",
        ),
        *("--user", "ann:correct horse", "--mail-from", letters.SENDER, "--mail-rcpt", recipient),
        *("--upload-file", str(tmp_path / "letter.eml")),
    )

    assert b"with ESMTPSA id" in internet.mail_to(recipient).content


@pytest.mark.peers
@peer("swaks")
@WAYS
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(own: ServerProcess, internet: Internet, tls: str, mechanism: str) -> None:
    recipient = f"swaks-login-{tls}-{mechanism}@accept.test"
    demand_logins(own, tls)

    run(
        *("swaks", "--server", "127.0.0.1", "--port", str(own.port), "--helo", "client.test"),
        *("--from", letters.SENDER, "--to", recipient),
        *("--auth", mechanism, "--auth-user", "ann", "--auth-password", "correct horse"),
        "--tls-on-connect" if tls == "implicit" else "--tls",
    )

    assert b"with ESMTPSA id" in internet.mail_to(recipient).content


@pytest.mark.peers
@peer("msmtp")
@WAYS
def test_msmtp(own: ServerProcess, internet: Internet, tls: str) -> None:
    recipient = f"msmtp-login-{tls}@accept.test"
    demand_logins(own, tls)

    run(
        *("msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={own.port}", "--auth=on"),
        *("--user=ann", "--passwordeval=echo correct horse", "--tls=on", "--tls-certcheck=off"),
        *(f"--tls-starttls={'off' if tls == 'implicit' else 'on'}", f"--from={letters.SENDER}"),
        *("--", recipient),
        given=letters.plain(recipient).replace(b"\r\n", b"\n"),
    )

    assert b"with ESMTPSA id" in internet.mail_to(recipient).content


def test_a_user_that_is_added_may_log_in_at_once(own: ServerProcess) -> None:
    path = demand_logins(own, "starttls")
    assert log_in(own, "bob", "correct horse") == 535
    assert own.event(event="login-failed")["text"] == "no such user"

    rewrite(path, f"bob: {{password: {HASH}}}")
    own.says("users.yaml has changed; users in it: 1")

    assert log_in(own, "Bob", "correct horse") == 235
    assert log_in(own, "ann", "correct horse") == 535


def test_a_broken_file_of_users_changes_nothing_and_is_complained_of(own: ServerProcess) -> None:
    path = demand_logins(own, "starttls")

    rewrite(path, "ann: {password: hunter2}")
    own.says("the users stay as they were: .*ann.password: expected an argon2id hash")
    assert log_in(own, "ann", "correct horse") == 235

    own.reload()
    own.says("not reloaded, the old settings stay in force: .*ann.password")
    assert log_in(own, "ann", "correct horse") == 235


def test_who_guesses_waits_and_is_locked_out(own: ServerProcess) -> None:
    demand_logins(own, "starttls", f"ann: {{password: {HASH}, senders: [app.test]}}")

    assert log_in(own, "ann", "wrong horse") == 535
    failed = own.event(event="login-failed")

    assert (failed["user"], failed["client"]) == ("ann", "127.0.0.1")
    assert "horse" not in str(own.events)


def test_where_a_user_is_known_survives_a_restart(own: ServerProcess) -> None:
    demand_logins(own, "starttls")
    assert log_in(own, "ann", "correct horse") == 235

    own.stop()

    assert read_homes(Path(own.settings["spool"]) / "logins.json") == {"ann": ("",)}
    own.start()
    assert log_in(own, "ann", "correct horse") == 235


def test_a_user_sends_in_his_own_name_alone(own: ServerProcess) -> None:
    demand_logins(own, "starttls", f"ann: {{password: {HASH}, senders: [app.test]}}")

    with connected(own, "starttls") as client:
        client.login("ann", "correct horse")
        assert client.mail("ann@app.test")[0] == 250
        client.rset()
        for sender in ("ann@other.test", '"ann@app.test"@other.test', "ann%app.test@other.test"):
            assert client.mail(sender)[0] == 550
