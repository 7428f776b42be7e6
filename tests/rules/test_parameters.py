"""What the parameters of MAIL and RCPT ask for, and the reply to those that ask for nothing."""

import pytest

from mta.model.outcome import Reply
from mta.model.request import (
    NOTHING,
    NOTHING_FOR_RECIPIENT,
    Deadline,
    Late,
    MessageRequest,
    Notice,
    RecipientRequest,
    Returned,
)

from mta.rules.submission.commands import parse_mail, parse_rcpt
from mta.rules.submission.parameters import BASIC, MAX_ENVELOPE_ID, MAX_ORIGINAL

ALL = BASIC | {"DSN", "REQUIRETLS", "FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "AUTH"}
NOW = 1_700_000_000.0


def mail(parameters: str, offered: frozenset[str] = ALL) -> MessageRequest | str:
    read = parse_mail(f"FROM:<a@b.test> {parameters}", offered)
    return _status(read) if isinstance(read, Reply) else read.asked.request(NOW)


def rcpt(parameters: str, offered: frozenset[str] = ALL) -> RecipientRequest | str:
    read = parse_rcpt(f"TO:<a@b.test> {parameters}", offered)
    return _status(read) if isinstance(read, Reply) else read.asked


def _status(reply: Reply) -> str:
    return f"{reply.code} {reply.status}"


@pytest.mark.parametrize(
    ("parameters", "request_"),
    [
        ("", NOTHING),
        ("SIZE=5 BODY=8BITMIME SMTPUTF8 AUTH=<>", NOTHING),
        ("AUTH=e+3Dmc2@example.test", NOTHING),
        ("RET=hdrs", MessageRequest(returned=Returned.HEADERS)),
        ("RET=FULL ENVID=Qq+3D+41", MessageRequest(Returned.FULL, "Qq+3D+41")),
        ("REQUIRETLS", MessageRequest(needs_tls=True)),
        ("HOLDFOR=60", MessageRequest(hold_until=NOW + 60)),
        ("HOLDUNTIL=2023-11-15T00:00:00Z", MessageRequest(hold_until=1_700_006_400.0)),
        ("HOLDUNTIL=2023-11-15t00:00:00.5z", MessageRequest(hold_until=1_700_006_400.0)),
        ("BY=120;R", MessageRequest(deadline=Deadline(NOW + 120))),
        ("BY=-3;nt", MessageRequest(deadline=Deadline(NOW - 3, Late.NOTIFY, is_traced=True))),
        ("MT-PRIORITY=-9", MessageRequest(priority=-9)),
        ("MT-PRIORITY=3", MessageRequest(priority=3)),
    ],
)
def test_mail_asks_for_a_message(parameters: str, request_: MessageRequest) -> None:
    assert mail(parameters) == request_


@pytest.mark.parametrize(
    ("parameters", "request_"),
    [
        ("", NOTHING_FOR_RECIPIENT),
        ("NOTIFY=NEVER", RecipientRequest(frozenset({Notice.NEVER}))),
        (
            "NOTIFY=success,Delay ORCPT=rfc822;Bob+40x",
            RecipientRequest(frozenset({Notice.SUCCESS, Notice.DELAY}), "rfc822;Bob+40x"),
        ),
        ("ORCPT=utf-8;b\u00f6b@there.test", RecipientRequest(None, "utf-8;b\u00f6b@there.test")),
    ],
)
def test_rcpt_asks_for_a_recipient(parameters: str, request_: RecipientRequest) -> None:
    assert rcpt(parameters) == request_


@pytest.mark.parametrize(
    "parameters",
    [
        *("SIZE=x", "SIZE", "BODY=BINARYMIME", "SMTPUTF8=1", "REQUIRETLS=1", "RET=BODY", "RET"),
        *("ENVID=", "ENVID=+4", "ENVID=a+b", "ENVID=+3d", f"ENVID={'x' * (MAX_ENVELOPE_ID + 1)}"),
        *("HOLDFOR=-1", "HOLDFOR=1234567890", "HOLDFOR=1 HOLDUNTIL=2023-11-15T00:00:00Z"),
        *(
            "HOLDUNTIL=2023-02-30T00:00:00Z",
            "HOLDUNTIL=2023-11-15",
            "HOLDUNTIL=0000-01-01T00:00:00Z",
        ),
        *("BY=0;R", "BY=-1;R", "BY=1", "BY=1;X", "BY=1;T", "BY=1234567890;N"),
        *("MT-PRIORITY=10", "MT-PRIORITY=+1", "MT-PRIORITY", "AUTH", "AUTH=a+b"),
        *("RET=FULL RET=FULL", "=x", "A B=", "-X=1"),
    ],
)
def test_a_parameter_of_mail_in_another_shape_is_refused(parameters: str) -> None:
    assert mail(parameters) in {"501 5.5.4", "555 5.5.4"}


@pytest.mark.parametrize(
    "parameters",
    [
        *("NOTIFY", "NOTIFY=NEVER,DELAY", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=ALL", "NOTIFY=DELAY,"),
        *("ORCPT=bob@there.test", "ORCPT=rfc822;", "ORCPT=-x;bob", "ORCPT=rfc822;a+b"),
        f"ORCPT=rfc822;{'x' * MAX_ORIGINAL}",
        "NOTIFY=DELAY NOTIFY=DELAY",
    ],
)
def test_a_parameter_of_rcpt_in_another_shape_is_refused(parameters: str) -> None:
    assert rcpt(parameters) == "501 5.5.4"


@pytest.mark.parametrize(
    "parameter",
    ["RET=FULL", "ENVID=x", "REQUIRETLS", "HOLDFOR=1", "BY=1;R", "MT-PRIORITY=1", "AUTH=<>", "X=1"],
)
def test_what_is_not_offered_is_not_known(parameter: str) -> None:
    assert mail(parameter, BASIC) == "555 5.5.4"


def test_each_verb_has_its_own_parameters() -> None:
    assert mail("NOTIFY=NEVER") == "555 5.5.4"
    assert rcpt("RET=FULL") == "555 5.5.4"
    assert rcpt("SIZE=1") == "555 5.5.4"
