"""The two sides: their configurations say what an order says."""

from pathlib import Path

import pytest
import yaml

from mta.config import load_settings
from mta.config.routes import Smarthost
from tests.bench import ours, postfix
from tests.bench.machine import filesystem
from tests.bench.ours import Ours
from tests.bench.postfix import Postfix
from tests.bench.servers import Order, Side


def order(folder: Path, *, is_signed: bool = False) -> Order:
    return Order(
        folder, sink_port=2626, connections=30, is_far=True, retry=90.0, is_signed=is_signed
    )


@pytest.mark.parametrize("is_signed", [False, True])
def test_our_configuration_is_one_that_the_server_takes(tmp_path: Path, is_signed: bool) -> None:
    side: Side = Ours()

    port = side.prepare(order(tmp_path, is_signed=is_signed))

    settings = load_settings(tmp_path / "config.yaml", {})
    assert str(settings.listen[0].address) == f"127.0.0.1:{port}"
    assert isinstance(settings.delivery.smarthost, Smarthost)
    assert settings.delivery.smarthost.port == 2626
    assert settings.delivery.per_destination == 30
    assert settings.delivery.retry == (90.0,)
    assert [key.domain for key in settings.dkim] == (["app.test"] if is_signed else [])


def test_our_settings_are_the_defaults_but_for_the_road(tmp_path: Path) -> None:
    text = yaml.safe_dump(ours.settings(order(tmp_path), 2525))

    assert "limits" not in text


def test_a_side_of_ours_may_differ_from_its_order_section_by_section(tmp_path: Path) -> None:
    side = Ours({"limits": {"queue": 5}, "delivery": {"mode": "direct", "smarthost": None}})

    side.prepare(order(tmp_path))

    settings = load_settings(tmp_path / "config.yaml", {})
    assert settings.limits.queue == 5
    assert settings.delivery.smarthost is None
    assert settings.delivery.per_destination == 30


@pytest.mark.parametrize("is_tuned", [False, True])
def test_postfix_stays_in_its_folder_and_on_loopback(tmp_path: Path, is_tuned: bool) -> None:
    text = postfix.settings(order(tmp_path), is_tuned=is_tuned)

    assert f"queue_directory = {tmp_path}/queue\n" in text
    assert f"data_directory = {tmp_path}/data\n" in text
    assert "inet_interfaces = loopback-only\n" in text
    assert "relayhost = [127.0.0.1]:2626\n" in text
    assert "{" not in text


def test_the_tuned_postfix_has_more_than_the_other(tmp_path: Path) -> None:
    plain = postfix.settings(order(tmp_path), is_tuned=False)
    tuned = postfix.settings(order(tmp_path), is_tuned=True)

    assert tuned.startswith(plain)
    assert "smtp_destination_concurrency_limit = 30\n" in tuned.removeprefix(plain)


def test_postfix_listens_where_it_was_told_to(tmp_path: Path) -> None:
    text = postfix.services(order(tmp_path), 2525, is_tuned=True)

    assert text.startswith("127.0.0.1:2525 inet ")
    assert "\nsmtp unix - - n - 30 smtp\n" in text


def test_both_sides_have_names_of_their_own() -> None:
    sides: list[Side] = [Ours(), Postfix(), Postfix(is_tuned=False)]

    assert len({side.name for side in sides}) == 3


def test_a_folders_file_system_is_that_of_the_mount_next_above_it(tmp_path: Path) -> None:
    mounts = f"/dev/vda / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\nproc /proc proc rw 0 0\n"

    assert filesystem(tmp_path / "spool", mounts) == "tmpfs"
    assert filesystem(Path("/"), mounts) == "ext4"
