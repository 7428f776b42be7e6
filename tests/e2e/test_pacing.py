"""The real server and receivers that count: the domains of a site share its limits."""

import json
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from mta.sandbox.characters import CHARACTERS, Character
from mta.sandbox.exchangers import Manners
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters

ONE, TWO, BUSY = "one.shared.test", "two.shared.test", "busy.shared.test"
SLOW_DOWN = "421 4.7.28 Unusual rate of mail from your address: temporarily rate limited"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """Three domains whose mail exchangers are one company's."""
    three = (
        Character(ONE, "accepts", ()),
        Character(TWO, "accepts", ()),
        Character(BUSY, "wants peace", (), (Manners(at_sender=SLOW_DOWN),)),
    )
    with Internet(tmp_path_factory.mktemp("town"), (*CHARACTERS, *three)) as world:
        yield world


@pytest.fixture
def here(tmp_path: Path, town: Internet) -> Iterator[ServerProcess]:
    """A server that delivers directly alone, and tries for a long time."""
    settings = town.world.settings() | {"spool": str(tmp_path / "spool")}
    settings["delivery"] |= {"mode": "direct", "retry": ["1m"], "give_up_after": "1d"}
    with closing(ServerProcess(settings, tmp_path)) as process:
        yield process


def send(server: ServerProcess, *recipients: str) -> None:
    for recipient in recipients:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))


def sites(server: ServerProcess) -> list[dict[str, object]]:
    """What `mta queue sites --json` prints."""
    command = [sys.executable, "-m", "mta", "queue", "sites", "--json"]
    shown = subprocess.run(
        [*command, "--config", str(server.config)], capture_output=True, check=True, timeout=30
    )
    found: list[dict[str, object]] = json.loads(shown.stdout)
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_the_domains_of_one_site_share_its_pause_over_all_processes(
    here: ServerProcess, town: Internet, processes: int
) -> None:
    here.settings["processes"] = processes
    here.settings["pacing"] = [
        {"site": "shared.test", "pause": "500ms", "messages_per_connection": 1}
    ]
    here.start()
    names = [f"p{processes}-{number}" for number in range(3)]

    send(here, *(f"{name}@{domain}" for name in names for domain in (ONE, TWO)))
    here.events_with(6, event="delivered")

    came = [
        mail.at
        for domain in (ONE, TWO)
        for mail in town.received(domain)
        if mail.recipients[0].partition("@")[0] in names
    ]
    assert len(came) == 6
    assert min(later - sooner for sooner, later in pairwise(sorted(came))) > 0.3


@pytest.mark.parametrize("processes", [1, 2])
def test_a_site_that_complains_is_sent_less_it_is_seen_and_outlives_a_restart(
    here: ServerProcess, town: Internet, processes: int
) -> None:
    here.settings["processes"] = processes
    here.start()
    send(here, f"first@{BUSY}")

    throttled = here.event(event="throttled", site="shared.test")
    assert throttled["text"] == "1/min"
    assert throttled["reply"]["status"] == "4.7.28"
    assert throttled["rule"]
    assert throttled["next_at"]
    assert here.stop() == 0

    here.start()
    second, third = f"second{processes}@{ONE}", f"third{processes}@accept.test"
    send(here, second, third)
    here.event(event="delivered", recipient=third)
    assert town.received_by(ONE, second) == []
    (shared,) = sites(here)
    assert shared["site"] == "shared.test"
    assert shared["state"] == "slow"
    assert shared["rule"] == throttled["rule"]
    assert "4.7.28" in str(shared["reply"])

    here.settings["pacing"] = [{"site": "shared.test", "connections": 2}]
    here.reload()  # loses nothing of what waits, nor of what was learned
    here.says("reloaded")
    (shared,) = sites(here)
    assert shared["state"] == "slow"


def test_a_warm_up_spills_to_the_smarthost_and_counts_over_a_restart(
    here: ServerProcess, town: Internet
) -> None:
    here.settings["delivery"]["mode"] = "fallback"
    here.settings["pacing"] = [
        {"site": "shared.test", "warm_up": {"since": "2099-01-01", "daily": [2]}}
    ]
    here.start()

    send(here, *(f"warm{number}@{TWO}" for number in range(2)))
    here.events_with(2, event="delivered", road="direct")
    assert here.stop() == 0
    here.start()
    send(here, f"cold@{TWO}")

    rerouted = here.event(event="rerouted", recipient=f"cold@{TWO}")
    assert rerouted["text"] == "warm-up"
    delivered = here.event(event="delivered", recipient=f"cold@{TWO}")
    assert delivered["road"] == "smarthost"
    assert len(town.received(TWO)) >= 2
    (shared,) = sites(here)
    assert (shared["sent_today"], shared["cap_today"]) == (2, 2)
