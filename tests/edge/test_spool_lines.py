"""Lines of JSON as they stand on disk: what was written once can be read for ever."""

import pytest

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Envelope, MessageId, Reason, Recipient, Road, State
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import (
    Deadline,
    Late,
    MessageRequest,
    Notice,
    RecipientRequest,
    Returned,
)

from mta.edge.spool.lines import (
    LineError,
    changes_line,
    envelope_line,
    read_changes,
    read_envelope,
)

PLAIN = Envelope(
    MessageId("a1"),
    Address("ann", "here.test"),
    (Recipient(Address("bob", "there.test")), Recipient(Address('"b@b"', "[192.0.2.1]"))),
    1700000000.25,
    4096,
)
PLAIN_LINE = (
    b'{"id":"a1","sender":"ann@here.test","recipients":[{"address":"bob@there.test"},'
    b'{"address":"\\"b@b\\"@[192.0.2.1]"}],"accepted_at":1700000000.25,"size":4096}'
)

FULL = Envelope(
    MessageId("a2"),
    None,
    (
        Recipient(
            Address("b\u00f6b", "there.test"),
            State.FAILED,
            3,
            1700000060.0,
            Road.SMARTHOST,
            may_have_arrived=True,
            last=Outcome(
                Verdict.FAILED,
                Reply(550, "no \udcff user", 1, 12),
                Stage.RECIPIENT,
                Scope.RECIPIENT,
                Host("mx.there.test", "192.0.2.1", 25),
                is_from_peer=True,
                may_have_arrived=True,
                tls=TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False),
            ),
        ),
    ),
    0.0,
    0,
    is_8bit=True,
    needs_smtputf8=True,
)
FULL_RECIPIENT_LINE = (
    b'{"address":"b\\u00f6b@there.test","state":"failed","attempts":3,"next_at":1700000060.0,'
    b'"road":"smarthost","may_have_arrived":true,"last":{"verdict":"failed","reply":{"code":550,'
    b'"text":"no \\udcff user","subject":1,"detail":12},"stage":"recipient","scope":"recipient",'
    b'"host":{"name":"mx.there.test","address":"192.0.2.1","port":25},"is_from_peer":true,'
    b'"may_have_arrived":true,"tls":{"version":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384",'
    b'"is_verified":false}}}'
)
FULL_LINE = (
    b'{"id":"a2","sender":null,"recipients":[' + FULL_RECIPIENT_LINE + b'],"accepted_at":0.0,'
    b'"size":0,"is_8bit":true,"needs_smtputf8":true}'
)


@pytest.mark.parametrize(("envelope", "line"), [(PLAIN, PLAIN_LINE), (FULL, FULL_LINE)])
def test_an_envelope_stands_in_a_line_as_it_always_did(envelope: Envelope, line: bytes) -> None:
    assert envelope_line(envelope) == line
    assert read_envelope(line) == envelope


def test_changes_stand_in_a_line_as_they_always_did() -> None:
    changes = {0: FULL.recipients[0], 12: PLAIN.recipients[0]}
    line = b'{"0":' + FULL_RECIPIENT_LINE + b',"12":{"address":"bob@there.test"}}'

    assert changes_line(changes) == line
    assert read_changes(line) == changes


def test_a_field_that_is_missing_has_its_default_and_one_that_is_unknown_is_passed_over() -> None:
    line = b'{"later":[1],"id":"a","sender":null,"recipients":[{"address":"b@c","x":{}}],'
    line += b'"accepted_at":1.0,"size":0}'

    found = read_envelope(line)

    assert found.recipients == (Recipient(Address("b", "c")),)


def test_outcomes_that_are_equal_are_one_in_memory() -> None:
    recipient = FULL_RECIPIENT_LINE.replace(b"\\udcff", b"such")
    line = b'{"0":' + recipient + b',"1":' + recipient + b"}"

    first, second = read_changes(line).values()

    assert first.last is second.last


@pytest.mark.parametrize(
    "line",
    [
        b'{"0":{}}',
        b'{"0":{"address":7}}',
        b'{"0":{"address":"a@b","state":"lost"}}',
        b'{"0":{"address":"a@b","state":[]}}',
        b'{"0":{"address":"a@b","last":{}}}',
        b'{"0":[]}',
        b'{"zero":{"address":"a@b"}}',
        b"[" * 100_000,
    ],
)
def test_a_line_with_a_wrong_value_is_a_line_error(line: bytes) -> None:
    with pytest.raises(LineError):
        read_changes(line)


ASKED = Envelope(
    MessageId("a3"),
    Address("ann", "here.test"),
    (
        Recipient(
            Address("bob", "there.test"),
            request=RecipientRequest(
                frozenset({Notice.SUCCESS, Notice.DELAY}), "utf-8;b\u00f6b@there.test"
            ),
        ),
        Recipient(Address("cay", "there.test"), request=RecipientRequest(original="rfc822;c")),
    ),
    1.5,
    10,
    request=MessageRequest(
        Returned.HEADERS,
        "Qq+3D",
        needs_tls=True,
        hold_until=5.0,
        deadline=Deadline(9.5, Late.NOTIFY, is_traced=True),
        priority=-3,
        is_bulk=True,
        tags=("welcome",),
        metadata=(("order", "7"),),
    ),
)
ASKED_LINE = (
    b'{"id":"a3","sender":"ann@here.test","recipients":[{"address":"bob@there.test","request":'
    b'{"notices":["DELAY","SUCCESS"],"original":"utf-8;b\\u00f6b@there.test"}},'
    b'{"address":"cay@there.test","request":{"original":"rfc822;c"}}],"accepted_at":1.5,"size":10,'
    b'"request":{"returned":"HDRS","envelope_id":"Qq+3D","needs_tls":true,"hold_until":5.0,'
    b'"deadline":{"at":9.5,"if_late":"N","is_traced":true},"priority":-3,"is_bulk":true,"tags":["welcome"],'
    b'"metadata":[["order","7"]]}}'
)


TOLD = Recipient(
    Address("bob", "there.test"),
    State.RELAYED,
    1,
    last=Outcome(
        Verdict.DELIVERED, Reply(250, "OK"), Stage.CONTENT, Scope.MESSAGE, peer_reports=True
    ),
    tried_at=1700000061.5,
    is_delay_told=True,
    rerouted=Reason.WARM_UP,
)
TOLD_LINE = (
    b'{"0":{"address":"bob@there.test","state":"relayed","attempts":1,"last":{"verdict":"delivered",'
    b'"reply":{"code":250,"text":"OK"},"stage":"content","scope":"message","peer_reports":true},'
    b'"tried_at":1700000061.5,"is_delay_told":true,"rerouted":"warm-up"}}'
)


def test_what_was_told_and_what_is_to_be_told_is_kept() -> None:
    assert changes_line({0: TOLD}) == TOLD_LINE
    assert read_changes(TOLD_LINE) == {0: TOLD}


def test_what_the_client_asked_for_is_kept() -> None:
    assert envelope_line(ASKED) == ASKED_LINE
    assert read_envelope(ASKED_LINE) == ASKED
