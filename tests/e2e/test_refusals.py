"""What the server makes of refusals, and what it tells of them."""

import json
import subprocess
import sys

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e.test_roads import send

HELD = {
    "rule": "ours-to-mend",
    "site": "blocked.test",
    "text": "your ip address",
    "cause": "sender-blocked",
    "response": "hold",
    "for": "1h",
}


def explained(server: ServerProcess, what: str) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "mta", "explain", what, "--json"]
    done = subprocess.run(
        [*command, "--config", str(server.config)], capture_output=True, check=True, timeout=60
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def test_what_is_ours_to_mend_is_held_said_and_explained(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"] |= {"mode": "direct", "give_up_after": "1d"}
    own.settings["refusals"] = [HELD]
    own.start()

    id = send(own, "held@blocked.test")

    held = own.event(event="held", id=id)
    assert (held["cause"], held["rule"]) == ("sender-blocked", "ours-to-mend")
    own.says(
        "ERROR mail to blocked.test is refused for our sake .* mta explain --rule ours-to-mend"
    )
    (found,) = explained(own, id)
    assert (found["recipient"], found["rule"]) == ("held@blocked.test", "ours-to-mend")

    own.settings["refusals"] = []
    own.reload()
    own.says("reloaded")
    failed = own.event(event="failed", id=send(own, "not-held@blocked.test"))
    assert (failed["cause"], failed["rule"]) == ("sender-blocked", "blocked")


def test_a_rule_fails_what_would_have_been_tried_for_long(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"] |= {"give_up_after": "1d"}
    own.settings["refusals"] = [
        {"rule": "full-is-gone", "code": 452, "cause": "mailbox-full", "response": "fail"}
    ]
    own.start()

    failed = own.event(event="failed", id=send(own, "full@busy.test"))

    assert (failed["attempts"], failed["rule"]) == (1, "full-is-gone")
