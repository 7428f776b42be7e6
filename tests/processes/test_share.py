"""What one of several processes has of the settings."""

from pathlib import Path

import pytest

from mta.config import Settings
from mta.config.doors import Quota
from mta.processes.share import Share, number_of, process_count, spool_of, spools_in


def settings() -> Settings:
    return Settings.model_validate(
        {
            "hostname": "mail.app.test",
            "spool": "/spool",
            "listen": [{"address": "127.0.0.1:0"}, {"address": "[::1]:587"}],
            "limits": {"connections": 1000, "queue": 10, "buffer": "30MiB"},
            "quotas": {"client_per_hour": {"messages": 100}},
        }
    )


def test_it_has_its_own_spool_the_common_ports_and_its_part_of_the_limits() -> None:
    share = Share(number=1, count=3, ports=(40_000, 587), channel=5)

    mine = share.of(settings())

    assert mine.spool == Path("/spool/process-2")
    assert [str(listen.address) for listen in mine.listen] == ["127.0.0.1:40000", "[::1]:587"]
    assert mine.limits.connections == 334
    assert mine.limits.queue == 4
    assert mine.quotas.client_per_hour == Quota(messages=34)
    assert mine.limits.buffer == mine.limits.message_size  # one message fits everywhere
    assert mine.tls.certificate == Path("/spool/tls/self-signed.cert.pem")
    assert mine.delivery == settings().delivery


def test_the_first_alone_takes_from_the_drop_folder() -> None:
    folders = [Share(number, 2, (0, 587), 5).of(settings()).maildrop for number in (0, 1)]

    assert folders == [Path("/spool/maildrop"), None]


def test_a_certificate_of_the_operator_s_stays() -> None:
    given = Settings.model_validate({"tls": {"certificate": "c.pem", "key": "k.pem"}})

    assert Share(0, 2, (8025,), 5).of(given).tls == given.tls


def test_it_travels_as_one_argument() -> None:
    share = Share(2, 4, (8025, 587, 0), 7, {"unix:/run/mta/s": [8, 9]})

    assert Share.from_text(share.to_text()) == share


@pytest.mark.parametrize(
    ("setting", "cores", "count"),
    [(None, 1, 1), (None, 2, 1), (None, 3, 2), (None, 8, 7), (1, 8, 1), (4, 1, 4)],
)
def test_auto_leaves_a_core_to_the_peers(setting: int | None, cores: int, count: int) -> None:
    assert process_count(setting, cores) == count


def test_the_spools_of_all_processes_are_found_in_their_order(tmp_path: Path) -> None:
    made = [spool_of(tmp_path, number) for number in range(11)]
    for spool in made:
        spool.mkdir(exist_ok=True)
    (tmp_path / "process-2.moved").mkdir()

    assert spools_in(tmp_path) == made
    assert [number_of(spool) for spool in made] == list(range(11))
