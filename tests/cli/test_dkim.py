import json
import stat
from contextlib import chdir
from pathlib import Path

import dkim
import pytest
import yaml

from mta.rules.message.signing import SigningKey

from mta.edge.keys import load_key
from mta.edge.signer import Draft, signatures

from mta.cli import main

KEYS = Path(__file__).parent.parent.parent / "keys.example"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        "dkim:\n"
        f"- {{domain: example.com, selector: s1, key: {KEYS}/example.com.s1.pem}}\n"
        f"- {{domain: example.org, selector: s1, key: {KEYS}/example.org.s1.pem}}\n"
    )
    return path


def test_new_makes_a_key_that_signs_and_a_record_that_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["dkim", "new", "Example.COM", "--dir", str(tmp_path / "keys"), "--json"])

    made = json.loads(capsys.readouterr().out)
    key = load_key(Path(made["key"]))
    content = b"From: ann@example.com\r\n\r\nHello\r\n"
    keys = (SigningKey("example.com", "s1", key.sign),)
    signed = signatures(Draft(content, keys, 0)) + content
    assert status == 0
    assert made["name"] == "s1._domainkey.example.com"
    assert "".join(made["strings"]) == made["value"]
    assert dkim.verify(signed, dnsfunc=lambda name, timeout: made["value"].encode())


def test_new_keeps_the_key_from_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["dkim", "new", "example.com", "--dir", str(tmp_path / "keys")])

    path = tmp_path / "keys" / "example.com.s1.pem"
    assert str(path) in capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_new_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "example.com.s1.pem").write_text("precious")

    status = main(["dkim", "new", "example.com", "--dir", str(tmp_path)])

    assert status == 1
    assert "choose another --selector" in capsys.readouterr().err
    assert (tmp_path / "example.com.s1.pem").read_text() == "precious"


def test_new_prints_lines_that_make_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(tmp_path):
        main(["dkim", "new", "example.com", "--selector", "2024"])
    lines = capsys.readouterr().out.split("config.yaml.\n")[1].split("3. Run")[0]
    (tmp_path / "config.yaml").write_text(lines)

    assert yaml.safe_load(lines)["dkim"][0]["key"] == "keys/example.com.2024.pem"
    assert main(["dkim", "show", "--config", str(tmp_path / "config.yaml")]) == 0
    assert "2024._domainkey.example.com" in capsys.readouterr().out


def test_new_keeps_the_key_beside_the_configuration_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dkim", "new", "example.com", "--config", str(tmp_path / "config.yaml")])

    assert (tmp_path / "keys" / "example.com.s1.pem").exists()
    assert "key: keys/example.com.s1.pem" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["a b"], "expected a domain such as example.com, got 'a b'"),
        (["example.com", "--selector", "../x"], "expected a selector such as s1"),
        ([], "the following arguments are required: DOMAIN"),
    ],
)
def test_new_refuses_what_is_no_domain_or_selector(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["dkim", "new", *words])

    assert stopped.value.code == 2
    assert problem in capsys.readouterr().err


def test_new_says_why_a_folder_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    status = main(["dkim", "new", "example.com", "--dir", str(tmp_path / "file" / "keys")])

    assert status == 1
    assert "Not a directory" in capsys.readouterr().err


def test_show_prints_the_record_of_every_key(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dkim", "show", "--config", str(config)]) == 0

    out = capsys.readouterr().out
    assert "name:  s1._domainkey.example.com\n" in out
    assert "s1._domainkey.example.org. IN TXT (" in out
    assert load_key(KEYS / "example.com.s1.pem").public in out


def test_show_prints_one_domain_s_record_for_programs(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dkim", "show", "example.org", "--config", str(config), "--json"])

    (record,) = json.loads(capsys.readouterr().out)
    assert record["domain"] == "example.org"
    assert all(len(piece) <= 255 for piece in record["strings"])


def test_show_says_where_a_domain_has_no_key(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dkim", "show", "other.test", "--config", str(config)]) == 1

    assert "expected a key for other.test" in capsys.readouterr().err


def rotate(folder: Path, *words: str) -> int:
    config = folder / "config.yaml"
    if not config.exists():
        config.write_text("{}")
    return main(["dkim", "rotate", "example.com", *words, "--config", str(config)])


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert main(["dkim", "list", "--config", str(folder / "config.yaml"), "--json"]) == 0
    return {key["selector"]: key["state"] for key in json.loads(capsys.readouterr().out)}


def test_rotate_makes_a_key_that_waits_for_the_dns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate(tmp_path, "--wait", "0") == 0

    out = capsys.readouterr().out
    assert "name:  s1._domainkey.example.com\n" in out
    assert "the server looks every few minutes" in out
    assert stat.S_IMODE((tmp_path / "keys" / "example.com.s1.pem").stat().st_mode) == 0o600
    assert listed(tmp_path, capsys) == {"s1": "waiting"}


def test_rotate_goes_on_with_the_key_that_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--wait", "0")
    rotate(tmp_path, "--wait", "0")

    assert len(list((tmp_path / "keys").glob("*.pem"))) == 1
    assert rotate(tmp_path, "--selector", "other", "--wait", "0") == 1
    assert "s1 of example.com waits already" in capsys.readouterr().err


def test_rotate_can_sign_at_once_and_the_old_key_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--now")
    assert rotate(tmp_path, "--now") == 0

    assert "signs with s2 from now on, no more with s1" in capsys.readouterr().out
    assert listed(tmp_path, capsys) == {"s1": "retiring", "s2": "signing"}


def test_rotate_takes_the_place_of_a_key_in_the_settings(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate(config.parent, "--now") == 0

    states = listed(config.parent, capsys)
    assert states == {"s1": "signing", "s2": "signing"}  # s1 of example.org stands last


def test_rotate_of_another_kind_leaves_the_rsa_key_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--now")

    assert rotate(tmp_path, "--now", "--kind", "ed25519") == 0

    assert "k=ed25519" in capsys.readouterr().out
    assert listed(tmp_path, capsys) == {"s1": "signing", "e1": "signing"}


def test_rotate_never_takes_a_name_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--now")
    (tmp_path / "keys" / "example.com.s2.pem").write_text("precious")

    assert rotate(tmp_path, "--selector", "s2", "--wait", "0") == 1
    assert "choose another --selector" in capsys.readouterr().err
    assert rotate(tmp_path, "--now") == 0
    assert listed(tmp_path, capsys) == {"s1": "retiring", "s3": "signing"}


def test_rotate_warns_of_an_overlap_shorter_than_mail_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--now", "--overlap", "1d")

    assert "mail is tried for 5d, longer than --overlap" in capsys.readouterr().err


def test_rotate_says_that_the_dns_cannot_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("dns: {nameservers: ['127.0.0.1:1'], timeout: 500ms}")

    assert rotate(tmp_path, "--wait", "1s") == 1

    assert "its name servers are not known" in capsys.readouterr().out


def test_rotate_prints_json_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--wait", "0", "--json")

    made = json.loads(capsys.readouterr().out)
    assert (made["selector"], made["signs"]) == ("s1", False)
    assert made["value"].startswith("v=DKIM1; k=rsa; p=")


def test_list_tells_people_how_far_each_key_has_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(tmp_path, "--now")
    rotate(tmp_path, "--now")
    rotate(tmp_path, "--wait", "0")
    capsys.readouterr()

    main(["dkim", "list", "--config", str(tmp_path / "config.yaml")])

    first, second, third = capsys.readouterr().out.splitlines()
    assert "s1._domainkey.example.com  rsa  signs no more; its record must stay until" in first
    assert second.endswith("rsa  signs")
    assert third.endswith("waits until the DNS shows its record")


def test_new_warns_of_a_domain_without_a_dot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dkim", "new", "example", "--dir", str(tmp_path)]) == 0

    assert "example: has no dot" in capsys.readouterr().err


def test_new_makes_an_ed25519_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dkim", "new", "example.com", "--kind", "ed25519", "--dir", str(tmp_path), "--json"]

    assert main(words) == 0

    made = json.loads(capsys.readouterr().out)
    assert made["name"] == "e1._domainkey.example.com"
    assert made["value"].startswith("v=DKIM1; k=ed25519; p=")
    assert len(made["value"]) < 80


def test_show_says_which_key_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("dkim: [{domain: a.test, selector: s1, key: none.pem}]")

    assert main(["dkim", "show", "--config", str(path)]) == 1

    assert f"{tmp_path}/none.pem: no such file" in capsys.readouterr().err
