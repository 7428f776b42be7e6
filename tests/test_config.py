import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from mta.model.domain import TlsLevel
from mta.model.listener import Endpoint

from mta.rules.delivery.progress import Mode
from mta.rules.pacing.sites import provider_of

from mta.config import ConfigError, Settings, load_settings, warnings
from mta.config.document import MAX_OCTETS
from mta.config.problems import section_in
from mta.config.quantities import (
    read_duration,
    read_endpoint,
    read_nameserver,
    read_size,
    shown_duration,
    shown_size,
)
from mta.config.routes import Smarthost
from mta.wiring.fittings import room_of

EXAMPLE = Path(__file__).parent.parent / "config.yaml.example"


def loaded(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    (tmp_path / "config.yaml").write_text(text)
    return load_settings(tmp_path / "config.yaml", environment or {})


def problems(
    tmp_path: Path, text: str, environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text, environment)
    return caught.value.problems


# Defaults and the example


def test_without_a_file_the_defaults_are_in_force() -> None:
    settings = load_settings(None, {})

    assert settings.spool == Path("spool")
    assert [str(listen.address) for listen in settings.listen] == ["127.0.0.1:8025"]
    assert [str(network) for network in settings.listen[0].networks] == ["127.0.0.0/8", "::1/128"]
    assert settings.delivery.mode is Mode.DIRECT
    assert settings.delivery.tls is TlsLevel.OPPORTUNISTIC
    assert list(settings.delivery.retry) == [60, 300, 900, 1800, 3600, 14400, 28800]
    assert settings.keep.failed == 7 * 86400
    assert settings.limits.message_size == 25 * 1024 * 1024


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "tls:\nlimits:\nlisten:\n"])
def test_a_key_with_nothing_after_it_keeps_its_default(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).limits == load_settings(None, {}).limits


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "dns: {nameservers: [192.0.2.53]}")

    with pytest.raises(ValidationError):
        settings.delivery.port = 26
    with pytest.raises(FrozenInstanceError):
        settings.dns.nameservers[0].port = 26  # type: ignore[misc]


def test_the_example_is_nothing_but_defaults() -> None:
    example = load_settings(EXAMPLE, {}).shown()

    assert example == load_settings(None, {}).shown() | {
        "spool": str(EXAMPLE.parent / "spool"),
        "maildrop": str(EXAMPLE.parent / "spool" / "maildrop"),
        "dkim_keys": str(EXAMPLE.parent / "keys"),
    }


@pytest.mark.parametrize(
    ("keys", "folder"),
    [
        ({}, "spool/maildrop"),
        ({"spool": "/s"}, "/s/maildrop"),
        ({"spool": "/s", "maildrop": "/m"}, "/m"),
        ({"spool": "/s", "maildrop": None}, None),
    ],
)
def test_the_drop_folder_is_in_the_spool_by_default(
    keys: dict[str, object], folder: str | None
) -> None:
    found = Settings.model_validate(keys).maildrop

    assert found == (None if folder is None else Path(folder))


def keys_below(section: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], object]]:
    """The path of every key, and its default; None where it has none."""
    for name, field in section.model_fields.items():
        inner = section_in(field.annotation)
        if inner is None:
            has_default = field.default_factory is None and not field.is_required()
            yield (field.alias or name,), field.default if has_default else None
        else:
            yield from (((name, *path), default) for path, default in keys_below(inner))


# Keys that are words of Python's.
NAMES = {"from": "signs_from", "until": "signs_until", "for": "lasts"}


def uncommented_example() -> dict[str, object]:
    """The example with those keys that stand in comments: their # touches them."""
    text = re.sub(r"(?m)^[a-z]+: \[\]\n#(?=[a-z]+:$)", "", EXAMPLE.read_text())
    document: dict[str, object] = yaml.safe_load(re.sub(r"(?m)^( *)#(?=[a-z-])", r"\1", text))
    return document


@pytest.mark.parametrize(("path", "default"), list(keys_below(Settings)), ids=str)
def test_every_key_is_in_the_example_with_its_true_default(
    path: tuple[str, ...], default: object
) -> None:
    document = uncommented_example()

    raw: Any = document
    read: Any = Settings.model_validate(document)
    for part in path:
        raw = (raw[0] if isinstance(raw, list) else raw)[part]
        read = getattr(read[0] if isinstance(read, tuple) else read, NAMES.get(part, part))
    assert default is None or read == default


# Writing quantities


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("15m", 900), ("8h", 28800), ("5d", 432000), ("2w", 1209600), ("250ms", 0.25)],
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(("text", "octets"), [("512B", 512), ("64KiB", 65536), ("1.5kB", 1500)])
def test_a_size_is_a_number_with_a_unit(text: str, octets: int) -> None:
    assert read_size(text) == octets


@pytest.mark.parametrize("value", ["soon", "15", 15, "-1s", "1 fortnight", "", None, True, "1e3s"])
def test_what_has_no_unit_is_neither_duration_nor_size(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 15m"):
        read_duration(value)
    with pytest.raises(ValueError, match="expected a size such as 25MiB"):
        read_size(value)


@pytest.mark.parametrize("value", [0, "0"])
def test_nothing_needs_no_unit(value: object) -> None:
    assert read_duration(value) == 0
    assert read_size(value) == 0


@given(st.integers(0, 10**9))
def test_what_is_shown_reads_back_as_the_same(number: int) -> None:
    assert read_duration(shown_duration(number / 1000)) == number / 1000
    assert read_size(shown_size(number)) == number


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:8025", Endpoint("127.0.0.1", 8025)),
        ("[::1]:0", Endpoint("::1", 0)),
        ("localhost:25", Endpoint("localhost", 25)),
    ],
)
def test_a_place_to_listen_at_is_host_and_port(text: str, endpoint: Endpoint) -> None:
    assert read_endpoint(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "value", ["::1:25", ":25", "127.0.0.1", "127.0.0.1:", "a b:25", "a:65536", "a:-1", 25, "[]:1"]
)
def test_anything_else_is_no_place_to_listen_at(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_endpoint(value)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("192.0.2.53", Endpoint("192.0.2.53", 53)),
        ("192.0.2.53:5353", Endpoint("192.0.2.53", 5353)),
        ("2001:db8::53", Endpoint("2001:db8::53", 53)),
        ("[2001:db8::53]", Endpoint("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", Endpoint("2001:db8::53", 5353)),
    ],
)
def test_a_nameserver_is_an_address_with_or_without_a_port(text: str, endpoint: Endpoint) -> None:
    assert read_nameserver(text) == endpoint


@pytest.mark.parametrize("value", ["resolver.test", "192.0.2.53:0", "192.0.2.53:x", 53, ""])
def test_a_nameserver_has_no_name(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_nameserver(value)


# The environment


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "delivery: {mode: smarthost, port: 2525, smarthost: {host: a.test, port: 26}}",
        {"MTA_DELIVERY__SMARTHOST__HOST": "b.test", "MTA_DELIVERY__RETRY": '["1s", "2s"]'},
    )

    smarthost = settings.delivery.smarthost
    assert isinstance(smarthost, Smarthost)
    assert (smarthost.host, smarthost.port) == ("b.test", 26)
    assert settings.delivery.port == 2525
    assert settings.delivery.retry == (1, 2)


def test_the_environment_overrides_one_entry_of_a_list(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "listen: [{address: 127.0.0.1:1, tls: starttls}, {address: 127.0.0.1:2}]",
        {"MTA_LISTEN__0__ADDRESS": "127.0.0.1:3", "MTA_LISTEN__1__NETWORKS": '["10.0.0.0/8"]'},
    )

    assert [str(listen.address) for listen in settings.listen] == ["127.0.0.1:3", "127.0.0.1:2"]
    assert settings.listen[0].tls == "starttls"
    assert [str(network) for network in settings.listen[1].networks] == ["10.0.0.0/8"]


def test_the_environment_alone_can_make_a_list() -> None:
    settings = load_settings(
        None,
        {
            "MTA_LISTEN__0__ADDRESS": "127.0.0.1:0",
            "MTA_SENDERS": '["example.com"]',
            "MTA_DKIM": '[{"domain": "example.com", "selector": "s1", "key": "k.pem"}]',
        },
    )

    assert [str(listen.address) for listen in settings.listen] == ["127.0.0.1:0"]
    assert settings.senders == ("example.com",)
    assert settings.dkim[0].key == Path("k.pem")


def test_a_key_may_have_dates(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "dkim:\n"
        "- {domain: a.test, selector: s1, key: k, from: 2026-12-01, until: 2027-01-01T12:00:00Z}\n"
        "- {domain: a.test, selector: s2, key: k, from: '2026-12-01T01:00:00+01:00'}\n"
    )

    settings = load_settings(path, {})

    first, second = settings.dkim
    assert (first.signs_from, first.signs_until) == (1_796_083_200, 1_798_804_800)
    assert (second.signs_from, second.signs_until) == (1_796_083_200, None)
    shown = settings.shown()["dkim"]
    assert isinstance(shown, list)
    assert shown[0]["from"] == "2026-12-01T00:00:00Z"


def test_a_section_given_whole_comes_before_its_keys() -> None:
    settings = load_settings(
        None, {"MTA_KEEP__SENT": "1d", "MTA_KEEP": '{"sent": "2d", "failed": "3d"}'}
    )

    assert (settings.keep.sent, settings.keep.failed) == (86400, 3 * 86400)


def test_null_in_the_environment_takes_a_value_away(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "admin: {address: 127.0.0.1:1}\nusers: u.yaml",
        {"MTA_ADMIN": "null", "MTA_USERS": "null"},
    )

    assert settings.admin is None
    assert settings.users is None


def test_a_password_is_never_taken_for_json() -> None:
    settings = load_settings(
        None,
        {
            "MTA_DELIVERY__SMARTHOST__HOST": "a.test",
            "MTA_DELIVERY__SMARTHOST__USERNAME": "123",
            "MTA_DELIVERY__SMARTHOST__PASSWORD": "[1]",
        },
    )

    smarthost = settings.delivery.smarthost
    assert isinstance(smarthost, Smarthost)
    assert smarthost.username == "123"
    assert smarthost.password is not None
    assert smarthost.password.get_secret_value() == "[1]"


def test_what_others_put_into_the_environment_is_theirs() -> None:
    theirs = {"MTA_SERVICE_HOST": "10.0.0.1", "MTA_PORT": "tcp://x", "mta_hostname": "x"}

    assert load_settings(None, theirs) == load_settings(None, {})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MTA_HOSTNAMES", "a.test", "MTA_HOSTNAMES: expected a known key"),
        ("MTA_DELIVERY__MOD", "x", "delivery.mod: expected a known key; did you mean mode?"),
        ("MTA_DELIVERY__RETRY", "1m,5m", 'delivery.retry: expected a list, got "1m,5m"'),
        ("MTA_DELIVERY", "direct", 'delivery: expected keys with values, got "direct"'),
        ("MTA_TLS__KEY__X", "1", 'tls.key: expected a path, got {"x": "1"}'),
        ("MTA_DELIVERY__PORT", "smtp", 'delivery.port: expected a whole number, got "smtp"'),
    ],
)
def test_a_mistake_in_the_environment_is_reported_like_any_other(
    name: str, value: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {name: value})

    assert caught.value.problems[0] == problem


# Paths and secrets


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, "tls: {certificate: c.pem, key: /k.pem}\nusers: u", {"MTA_USERS": "v"}
    )

    assert settings.spool == tmp_path / "spool"
    assert settings.tls.certificate == tmp_path / "c.pem"
    assert settings.tls.key == Path("/k.pem")
    assert settings.users == tmp_path / "v"


SMARTHOST = "delivery: {mode: smarthost, smarthost: {host: a.test, username: u, %s}}"


@pytest.mark.parametrize("text", ["s3cret \n", "s3cret \r\n", "s3cret "])
def test_a_password_can_stand_in_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "password").write_bytes(text.encode())

    settings = loaded(tmp_path, SMARTHOST % "password_file: password")

    assert isinstance(settings.delivery.smarthost, Smarthost)
    assert settings.delivery.smarthost.password is not None
    assert settings.delivery.smarthost.password.get_secret_value() == "s3cret "


def test_a_password_file_is_missed_beside_other_mistakes(tmp_path: Path) -> None:
    found = problems(tmp_path, "shutdown: soon\n" + SMARTHOST % "password_file: none")

    assert len(found) == 2


def test_the_environment_can_name_the_password_s_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")

    settings = loaded(
        tmp_path,
        SMARTHOST % "port: 25",
        {"MTA_DELIVERY__SMARTHOST__PASSWORD_FILE": str(tmp_path / "password")},
    )

    assert "s3cret" not in str(settings.shown())
    assert isinstance(settings.delivery.smarthost, Smarthost)
    assert settings.delivery.smarthost.password is not None


@pytest.mark.parametrize("octets", [None, b"", b"\n", b"\xff", b"x" * 5000])
def test_a_password_file_that_holds_no_password_is_a_mistake(
    tmp_path: Path, octets: bytes | None
) -> None:
    if octets is not None:
        (tmp_path / "password").write_bytes(octets)

    (problem,) = problems(tmp_path, SMARTHOST % "password_file: password")

    assert problem.startswith("delivery.smarthost.password_file: expected")
    assert str(tmp_path / "password") in problem


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMARTHOST % "password: s3cret")

    assert "s3cret" not in f"{settings} {settings!r} {settings.shown()}"
    assert "********" in str(settings.shown())


def test_a_password_of_the_wrong_type_is_not_shown_either(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, SMARTHOST % "password: 123456")

    assert "123456" not in problem


# All mistakes at once


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    text = """
        hostnam: x
        limits: {errors: many, disk_low: 1GiB}
        delivery: {mode: smarthost, retry: [1m, soon]}
        dkim: [{domain: example.com}]
    """

    found = problems(tmp_path, text, {"MTA_NONE__SUCH": "1"})

    assert sorted(found) == [
        "MTA_NONE__SUCH: expected a known key",
        'delivery.retry[1]: expected a duration such as 15m, got "soon"',
        "delivery.smarthost: expected a smarthost for mode: smarthost, found none",
        "dkim[0].key: expected a value, found none",
        "dkim[0].selector: expected a value, found none",
        "hostnam: expected a known key; did you mean hostname?",
        "limits.disk_high: expected at least limits.disk_low (1GiB), got 128MiB",
        'limits.errors: expected a whole number, got "many"',
    ]


def test_a_mistake_is_not_reported_twice_under_another_name(tmp_path: Path) -> None:
    found = problems(tmp_path, "delivery: {mode: smarthost, smarthost: {hots: a.test}}")

    assert sorted(found) == [
        "delivery.smarthost.host: expected a value, found none",
        "delivery.smarthost.hots: expected a known key; did you mean host?",
    ]


def test_the_message_of_the_exception_is_every_mistake_on_a_line_of_its_own() -> None:
    assert str(ConfigError(["a: x", "b: y"])) == "a: x\nb: y"


# Hostile files


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: expected a readable file, No such file"):
        load_settings(tmp_path / "none.yaml", {})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"hostname: \xff")

    with pytest.raises(ConfigError, match="expected UTF-8"):
        load_settings(tmp_path / "config.yaml", {})


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "#" * (MAX_OCTETS + 1))

    assert "expected at most" in problem


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_and_not_followed(tmp_path: Path, opening: str) -> None:
    (problem,) = problems(tmp_path, opening * 10_000)

    assert "expected" in problem


@given(text=st.text(alphabet="ab:-[]{},&*!|>#\"' \n\t0?%@", max_size=30))
def test_no_text_makes_any_other_exception_than_a_config_error(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text)

    with suppress(ConfigError):
        load_settings(path, {})


# What is legal and will surprise


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("hostname: localhost", "hostname: localhost has no dot"),
        (
            "maildrop: null\nlisten: [{auth: required, tls: starttls}]",
            "listen[0].auth: nobody can log in: there is no file of users",
        ),
        (
            "users: u\nlisten: [{auth: optional}]",
            "listen[0].auth: nobody can log in here without",
        ),
        (
            "maildrop: null\nusers: u\nlisten: [{auth: required, plaintext_auth: true}]",
            "listen[0].plaintext_auth: passwords may cross the network in clear",
        ),
        (
            "users: u\nlisten: [{auth: required, tls: starttls}]",
            "maildrop: every user of this host may send by it without logging in",
        ),
        (
            "listen: [{plaintext_auth: true}]",
            "listen[0].plaintext_auth: not used while auth is none",
        ),
        ("limits: {disk_low: 0}", "limits.disk_low: a disk that is full to its end"),
        (
            "admin: {plaintext_tokens: true}",
            "admin.plaintext_tokens: whoever is on the way can read the tokens, and send with them",
        ),
        (
            "senders: [a.test]\nlisten: [{networks: [0.0.0.0/0]}]",
            "listen[0].networks: anybody may send here",
        ),
        ("delivery: {smarthost: {host: a.test}}", "delivery.smarthost: not used while mode"),
        ("delivery: {give_up_after: 1s}", "delivery.give_up_after: shorter than every wait"),
        (
            "delivery: {mode: fallback, smarthost: {host: a.test}, fallback: {reasons: []}}",
            "delivery.fallback.reasons: without any the smarthost is never used",
        ),
        ("delivery: {timeouts: {final_dot: 1m}}", "delivery.timeouts.final_dot: under 10m"),
        (
            "delivery: {ipv6: never, sources: [{address: 192.0.2.1}, {address: '2001:db8::1'}]}",
            "delivery.sources[1]: not used while delivery.ipv6 is never",
        ),
        (
            "delivery: {mode: smarthost, smarthost: {host: a.test}, sources: [{address: 9.9.9.9}]}",
            "delivery.sources: not used while mode is smarthost",
        ),
        (
            "delivery: {mode: smarthost, smarthost: {host: a.test, verify: false}}",
            "delivery.smarthost.verify: anybody on the way",
        ),
    ],
)
def test_what_will_surprise_is_warned_of(tmp_path: Path, text: str, warning: str) -> None:
    base = "" if text.startswith("hostname") else "hostname: mail.example.com\n"

    (found,) = warnings(loaded(tmp_path, base + text))

    assert found.startswith(warning)


def test_a_secret_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text("key")
    (tmp_path / "k.pem").chmod(0o644)
    text = "hostname: a.test\ndkim: [{domain: a.test, selector: s1, key: k.pem}]"

    (found,) = warnings(loaded(tmp_path, text))

    assert found.startswith("dkim[0].key: everybody on this machine can read it; chmod o=")


def test_a_sound_configuration_warns_of_nothing(tmp_path: Path) -> None:
    assert warnings(loaded(tmp_path, "hostname: mail.example.com")) == []


def test_an_open_listener_that_demands_a_login_is_no_open_relay(tmp_path: Path) -> None:
    demanding = "{auth: required, tls: starttls, networks: [0.0.0.0/0, '::/0']}"

    settings = loaded(tmp_path, f"listen: [{demanding}]")

    assert len(settings.listen[0].networks) == 2


def test_names_in_unicode_become_a_labels(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "hostname: Mail.MÜNCHEN.example\nsenders: [bücher.example]")

    assert settings.hostname == "mail.xn--mnchen-3ya.example"
    assert settings.senders == ("xn--bcher-kva.example",)


def test_brackets_come_in_pairs() -> None:
    for text in ("[::1:25", "::1]:25", "[::1]25"):
        with pytest.raises(ValueError, match="expected"):
            read_endpoint(text)
        with pytest.raises(ValueError, match="expected"):
            read_nameserver(text)


# Pacing


def test_an_operator_s_pacing_goes_over_the_shipped_table(tmp_path: Path) -> None:
    text = """
        pacing:
          - { site: default, pause: 1s }
          - { site: apple, connections: 2 }
          - { site: "*.Example.NET", messages_per_hour: 100, warm_up: { since: 2026-12-01 } }
    """
    room = room_of(loaded(tmp_path, text))
    apple, theirs = room.limits_of("apple"), room.limits_of("example.net")

    assert (apple.connections, apple.messages, apple.pause) == (2, 5, 1)
    assert (theirs.connections, theirs.per_hour) == (10, 100)
    assert theirs.warm_up is not None
    assert theirs.warm_up.cap_at(theirs.warm_up.begins_at) == 50
    assert provider_of("mx.eu.example.net", room.pacing.names) == "example.net"


def test_a_site_may_be_what_a_route_has_as_pacing(tmp_path: Path) -> None:
    text = """
        routes: [{ name: letters, tag: newsletter, via: mx, pacing: letters }]
        pacing: [{ site: letters, messages_per_hour: 100 }]
    """

    assert room_of(loaded(tmp_path, text)).limits_of("letters").per_hour == 100
