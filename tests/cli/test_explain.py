"""`mta explain`: of a reply, of a message that waits, of a rule."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mta.cli import main
from tests.cli.test_queue import Output, fill

TSS04 = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"
OWN = """
spool: spool
refusals:
  - { rule: mine, site: partner.example, text: "come * later", cause: rate }
"""


@pytest.fixture
def explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    config = tmp_path / "config.yaml"
    config.write_text(OWN)
    asyncio.run(fill(tmp_path / "spool"))

    def call(*arguments: str) -> Output:
        status = main(["explain", *arguments, "--config", str(config)])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_a_reply_is_explained_with_its_rule_and_where_that_is_written(
    explain: Callable[..., Output],
) -> None:
    status, out, _ = explain(TSS04)

    assert status == 0
    assert "yahoo-tss04" in out
    assert "Nothing is sent to this site for 2h." in out
    assert "https://senders.yahooinc.com/smtp-error-codes/" in out


def test_the_same_is_there_for_programs(explain: Callable[..., Output]) -> None:
    _, out, _ = explain(TSS04, "--json")

    (found,) = json.loads(out)
    assert (found["cause"], found["rule"], found["response"]) == ("rate", "yahoo-tss04", "pause")


def test_who_said_it_and_when_can_be_told(explain: Callable[..., Output]) -> None:
    plain, google, greeting = (
        json.loads(explain(*arguments, "--json")[1])[0]["rule"]
        for arguments in (
            ("550 5.7.27 no",),
            ("550 5.7.27 no", "--site", "google"),
            ("550 no", "--stage", "greeting"),
        )
    )

    assert plain == "sender-takes-no-mail"
    assert google == "google-authentication"
    assert greeting == "refused-before-hello"


def test_the_operator_s_rules_come_first(explain: Callable[..., Output]) -> None:
    _, out, _ = explain("450 come a bit later", "--site", "mx1.partner.example", "--json")

    (found,) = json.loads(out)
    assert (found["rule"], found["source"]) == ("mine", "refusals in config.yaml")


def test_a_message_that_waits_is_explained_recipient_by_recipient(
    explain: Callable[..., Output],
) -> None:
    status, out, _ = explain("m1", "--json")

    (found,) = json.loads(out)
    assert status == 0
    assert (found["recipient"], found["cause"]) == ("bob@there.test", "mailbox-full")


def test_nothing_that_a_peer_said_moves_a_terminal(explain: Callable[..., Output]) -> None:
    _, out, _ = explain("m1")

    assert "\x1b" not in out


def test_a_rule_is_explained_by_its_name(explain: Callable[..., Output]) -> None:
    status, out, _ = explain("--rule", "spamhaus")

    assert status == 0
    assert "https://check.spamhaus.org" in out


@pytest.mark.parametrize("reply", ["250 2.0.0 ok", "354 go on"])
def test_what_is_no_refusal_is_said_to_be_none(explain: Callable[..., Output], reply: str) -> None:
    status, out, _ = explain(reply)

    assert status == 0
    assert "this is no refusal" in out


@pytest.mark.parametrize("arguments", [("m9",), ("--rule", "no-such-rule")])
def test_what_is_not_known_is_said(
    explain: Callable[..., Output], arguments: tuple[str, ...]
) -> None:
    status, out, err = explain(*arguments)

    assert (status, out) == (1, "")
    assert "expected" in err


@pytest.mark.parametrize("arguments", [(), (TSS04, "--rule", "spamhaus")])
def test_one_thing_is_explained_at_a_time(
    explain: Callable[..., Output], arguments: tuple[str, ...]
) -> None:
    assert explain(*arguments)[0] == 2
