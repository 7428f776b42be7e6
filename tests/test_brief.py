"""What `mta sendmail` reads of the settings, in short and in full."""

from pathlib import Path

import pytest

from mta.model.listener import Endpoint, UnixSocket

from mta.config import ConfigError, load_settings
from mta.config.brief import Brief, _brief, brief_of, own_config, read_brief
from mta.config.document import read_document

EXAMPLE = Path(__file__).parent.parent / "config.yaml.example"

DOCUMENTS = [
    "",
    "spool: /var/spool/mta\n",
    "spool: there\nmaildrop: other\n",
    "maildrop: /drop\n",
    "maildrop: null\n",
    "maildrop:\n",
    "senders: [example.com, Bücher.example]\n",
    "senders:\n",
    "limits: { message_size: 1MiB, line_length: 2000B, recipients: 5 }\n",
    "limits:\n",
    "history: { keep: 0 }\n",
    "history: { keep: 1h, folder: h }\n",
    "history:\n",
    "listen:\n",
    "listen: [{ address: 127.0.0.1:2525 }]\n",
    "listen: [{}]\n",
    "users: u.yaml\nlisten: [{ address: '[::1]:25', tls: starttls, auth: optional }]\n",
    "listen: [{ address: 127.0.0.1:465, tls: implicit }, { address: 127.0.0.1:25 }]\n",
    "users: u.yaml\nlisten: [{ address: 127.0.0.1:587, auth: required, tls: starttls }]\n",
    "listen: [{ address: 127.0.0.1:0 }]\n",
    "listen: [{ address: 0.0.0.0:25, networks: [10.0.0.0/8] }]\n",
    "listen: [{ address: 0.0.0.0:25, networks: [127.0.0.0/8, 10.0.0.0/8] }]\n",
    "listen: [{ address: '[::]:25' }, { address: localhost:26 }, { address: 192.0.2.1:27 }]\n",
    "listen: [{ address: 127.0.0.1:25, proxy: [127.0.0.1/32] }]\n",
    "listen: [{ address: unix:run/submit.sock }, { address: systemd:mta }]\n",
    "listen: [{ address: unix:/run/mta/submit.sock }, { address: 127.0.0.1:25 }]\n",
    "delivery: { smarthost: { host: x.test }, mode: smarthost }\n",
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_short_reading_and_the_full_one_say_the_same(tmp_path: Path, document: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"hostname: Mail.Example.COM\n{document}")

    assert _brief(read_document(path)[0], tmp_path) == brief_of(load_settings(path, {}))


def test_the_example_is_read() -> None:
    assert read_brief(EXAMPLE, {}) == Brief(maildrop=EXAMPLE.parent / "spool" / "maildrop")


def test_without_a_file_the_defaults_hold() -> None:
    assert read_brief(None, {}) == Brief(maildrop=Path("spool/maildrop"))


def test_doors_are_where_a_program_of_this_host_may_come_unnamed_and_in_clear(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "listen: [{ address: 0.0.0.0:587, auth: required }, { address: unix:s }, "
        "{ address: 0.0.0.0:25 }, { address: 192.0.2.1:25 }]\n"
    )

    assert read_brief(path, {}).doors == (
        UnixSocket(str(tmp_path / "s")),
        Endpoint("127.0.0.1", 25),
    )


@pytest.mark.parametrize(
    "document",
    [
        "listen: 5\n",
        "listen: [{ address: here }]\n",
        "hostname: 5\n",
        "maildrop: 5\n",
        "maildrop: ''\n",
        "spool: [x]\n",
        "limits: { recipients: many }\n",
        "senders: example.com\n",
        "senders: [x]\nsenders: [y]\n",
        "spool: [\n",
    ],
)
def test_what_is_wrong_is_said_as_it_always_is(tmp_path: Path, document: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(document if "hostname" in document else f"hostname: x.test\n{document}")

    with pytest.raises(ConfigError) as caught:
        read_brief(path, {})

    with pytest.raises(ConfigError) as usual:
        load_settings(path, {})
    assert caught.value.problems == usual.value.problems


def test_the_environment_counts_as_for_the_server(tmp_path: Path) -> None:
    brief = read_brief(None, {"MTA_MAILDROP": str(tmp_path), "MTA_CONFIG": "elsewhere"})

    assert brief.maildrop == tmp_path


def test_the_configuration_is_the_one_that_the_environment_names() -> None:
    assert own_config({"MTA_CONFIG": "/x.yaml"}, looks_here=False) == Path("/x.yaml")


def test_this_folder_counts_only_where_it_is_to_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("")
    monkeypatch.chdir(tmp_path)

    assert own_config({}, looks_here=True) == Path("config.yaml")
    assert own_config({}, looks_here=False) != Path("config.yaml")
