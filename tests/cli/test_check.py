import asyncio
import json
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from mta.edge.certificates import ensure_self_signed

from mta.cli import main
from mta.sandbox.dns import DnsServer, Records

KEYS = Path(__file__).parent.parent.parent / "keys.example"

Output = tuple[int, str, str]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> "Check":
    return Check(tmp_path / "config.yaml", capsys)


class Check:
    """`mta check` on a configuration with a given text."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def __call__(self, text: str, *options: str) -> Output:
        self.path.write_text(text)
        status = main(["check", "--config", str(self.path), *options])
        output = self._capsys.readouterr()
        return status, output.out, output.err


def test_a_sound_configuration_is_printed_as_yaml(check: Check) -> None:
    status, out, err = check("hostname: mail.example.com\ndelivery: {port: 2525}")

    assert (status, err) == (0, "")
    shown = yaml.safe_load(out)
    assert shown["hostname"] == "mail.example.com"
    assert shown["delivery"]["port"] == 2525
    assert shown["delivery"]["give_up_after"] == "5d"


def test_what_is_printed_is_a_configuration_itself(check: Check) -> None:
    _, out, _ = check("hostname: mail.example.com\nlisten: [{address: '[::1]:25'}]")

    assert check(out)[1] == out


def test_a_sound_configuration_is_printed_as_json_for_programs(check: Check) -> None:
    status, out, err = check("hostname: mail.example.com", "--json")

    assert status == 0
    assert json.loads(out)["hostname"] == "mail.example.com"
    assert json.loads(err) == {"warnings": []}


def test_every_mistake_is_printed_and_the_status_is_2(check: Check) -> None:
    status, out, err = check("hostnam: x\nshutdown: soon")

    assert (status, out) == (2, "")
    assert err.splitlines() == [
        'shutdown: expected a duration such as 15m, got "soon"',
        "hostnam: expected a known key; did you mean hostname?",
    ]


def test_mistakes_are_json_for_programs(check: Check) -> None:
    status, out, err = check("shutdown: soon", "--json")

    assert (status, out) == (2, "")
    assert json.loads(err) == {
        "problems": ['shutdown: expected a duration such as 15m, got "soon"']
    }


def test_warnings_go_to_standard_error(check: Check) -> None:
    status, out, err = check("hostname: localhost")

    assert status == 0
    assert err.startswith("warning: hostname: localhost has no dot")
    assert "no dot" not in out


def test_secrets_are_hidden(check: Check) -> None:
    _, out, err = check(
        "delivery: {mode: smarthost, smarthost: {host: a.test, username: u, password: s3cret}}"
    )

    assert "s3cret" not in out + err
    assert "********" in out


def test_keys_that_can_be_read_pass(check: Check) -> None:
    certificate, key = ensure_self_signed(check.path.parent, "a.test", 1_750_000_000)

    status, _, _ = check(
        f"dkim: [{{domain: example.com, selector: s1, key: {KEYS}/example.com.s1.pem}}]\n"
        f"tls: {{certificate: {certificate}, key: {key}}}",
        "--offline",
    )

    assert status == 0


def test_every_key_that_cannot_be_read_is_a_mistake(check: Check) -> None:
    folder = check.path.parent
    (folder / "junk.pem").write_text("junk")

    status, out, err = check(
        "dkim:\n"
        "  - {domain: example.com, selector: s1, key: none.pem}\n"
        "  - {domain: example.com, selector: s2, key: junk.pem}\n"
        "tls: {certificate: cert.pem, key: junk.pem}"
    )

    assert (status, out) == (2, "")
    assert err.splitlines() == [
        f"dkim[0].key: {folder}/none.pem: no such file; `mta dkim new` makes a key",
        f"dkim[1].key: {folder}/junk.pem: expected a private key in PEM "
        "(-----BEGIN PRIVATE KEY-----)",
        f"tls: {folder}/cert.pem: No such file or directory; let the user that mta runs as read it",
    ]


def test_the_default_configuration_is_the_one_in_this_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("hostname: here.example.com")

    with chdir(tmp_path):
        assert main(["check"]) == 0

    assert "hostname: here.example.com" in capsys.readouterr().out


def test_without_any_configuration_the_defaults_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(tmp_path):
        assert main(["check"]) == 0

    assert "mode: direct" in capsys.readouterr().out


def test_a_configuration_that_is_named_and_not_there_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(tmp_path / "none.yaml")]) == 2

    assert "expected a readable file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["check"], ["dkim"], ["dkim", "new"], ["dkim", "rotate"], ["dkim", "list"]]
)
def test_help_shows_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])

    assert stopped.value.code == 0
    assert f"example:\n  mta {words[0]}" in capsys.readouterr().out


# Our names in the DNS

REVERSE = "9.9.9.9.in-addr.arpa"


def warned_with(check: Check, zone: dict[str, Records], delivery: str) -> str:
    async def scene() -> str:
        async with DnsServer(zone) as server:
            nameserver = "{}:{}".format(*server.address)
            text = f"hostname: us.test\ndns: {{nameservers: ['{nameserver}']}}\n{delivery}"
            status, _, err = await asyncio.to_thread(check, text)
            assert status == 0
            return err

    return asyncio.run(scene())


FROM_NINE = "delivery: {sources: [{address: 9.9.9.9}]}"


def test_an_address_without_a_reverse_name_is_warned_of(check: Check) -> None:
    assert "9.9.9.9 has no reverse name; large receivers expect" in warned_with(
        check, {}, FROM_NINE
    )


def test_a_reverse_name_that_leads_elsewhere_is_warned_of(check: Check) -> None:
    zone = {REVERSE: Records(ptr=("us.test",)), "us.test": Records(a=("9.9.9.8",))}

    err = warned_with(check, zone, FROM_NINE)

    assert "9.9.9.9 has the reverse name us.test, and that name has 9.9.9.8" in err


def test_a_reverse_name_that_holds_is_not_warned_of(check: Check) -> None:
    zone = {REVERSE: Records(ptr=("us.test",)), "us.test": Records(a=("9.9.9.9",))}

    assert "9.9.9.9" not in warned_with(check, zone, FROM_NINE)


def test_names_are_no_concern_where_a_smarthost_takes_all_mail(check: Check) -> None:
    delivery = (
        "delivery: {mode: smarthost, smarthost: {host: relay.test}, sources: [{address: 9.9.9.9}]}"
    )

    assert "9.9.9.9" not in warned_with(check, {}, delivery)


def test_the_files_of_forwarding_are_looked_into(check: Check) -> None:
    (check.path.parent / "srs.secret").write_text("short\n")

    status, _, err = check(
        "forwarding:\n"
        "  users: [lists]\n"
        "  arc: {domain: example.com, selector: s1, key: none.pem}\n"
        "  srs: {domain: example.com, secret_file: srs.secret}\n",
        "--offline",
    )

    folder = check.path.parent
    assert status == 2
    assert err.splitlines() == [
        f"forwarding.arc.key: {folder}/none.pem: no such file; `mta dkim new` makes a key",
        "forwarding.srs.secret_file: expected 16 characters or more in "
        f"{folder}/srs.secret, found 5",
    ]
