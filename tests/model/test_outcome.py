"""What a reply means: for whom, how far, and whether for good."""

import pytest

from mta.model.domain import Host, TlsFacts
from mta.model.outcome import (
    Outcome,
    Reply,
    Scope,
    Stage,
    Verdict,
    broken,
    judge,
    parse_reply,
    undeliverable,
    unresolved,
)

HOST = Host("mx.there.test", "192.0.2.1", 25)
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False)

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED

# Each stage, how far a refusal there reaches, and whether a 5yz there is for good.
STAGES = {
    Stage.LOOKUP: (Scope.DESTINATION, FAILED),
    Stage.CONNECT: (Scope.HOST, FAILED),
    Stage.GREETING: (Scope.HOST, FAILED),
    Stage.HELLO: (Scope.HOST, FAILED),
    Stage.TLS: (Scope.HOST, DEFERRED),
    Stage.LOGIN: (Scope.HOST, DEFERRED),
    Stage.SENDER: (Scope.MESSAGE, FAILED),
    Stage.RECIPIENT: (Scope.RECIPIENT, FAILED),
    Stage.CONTENT: (Scope.MESSAGE, FAILED),
}


def judged(code: int, stage: Stage, subject: int = 0, detail: int = 0) -> tuple[Verdict, Scope]:
    outcome = judge(Reply(code, "words", subject, detail), stage, HOST)
    return outcome.verdict, outcome.scope


def test_the_table_of_stages_is_whole() -> None:
    assert list(STAGES) == list(Stage)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [400, 450, 451, 452, 454, 455, 499])
def test_a_4yz_is_tried_again_at_every_stage(stage: Stage, code: int) -> None:
    assert judged(code, stage) == (DEFERRED, STAGES[stage][0])


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [500, 535, 550, 551, 553, 554, 556, 571, 599])
def test_a_5yz_is_for_good_except_where_the_fault_may_be_ours(stage: Stage, code: int) -> None:
    scope, verdict = STAGES[stage]

    assert judged(code, stage) == (verdict, scope)


@pytest.mark.parametrize("stage", Stage)
def test_a_host_that_is_closing_or_takes_no_mail_leaves_the_others_to_try(stage: Stage) -> None:
    assert judged(421, stage) == (DEFERRED, Scope.HOST)
    assert judged(521, stage) == (STAGES[stage][1], Scope.HOST)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [200, 220, 250, 252, 299])
def test_nothing_but_a_2yz_to_the_content_is_a_delivery(stage: Stage, code: int) -> None:
    verdict, _ = judged(code, stage)

    assert verdict is (DELIVERED if stage is Stage.CONTENT else DEFERRED)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [-1, 0, 1, 99, 100, 199, 300, 334, 354, 399, 600, 999, 5500])
def test_what_no_server_should_say_is_tried_again(stage: Stage, code: int) -> None:
    assert judged(code, stage) == (DEFERRED, STAGES[stage][0])


@pytest.mark.parametrize(
    ("stage", "subject", "detail", "verdict"),
    [
        (Stage.RECIPIENT, 0, 0, DEFERRED),  # too many recipients, RFC 5321 §4.5.3.1.10
        (Stage.RECIPIENT, 5, 3, DEFERRED),  # and so in as many digits
        (Stage.RECIPIENT, 2, 2, FAILED),  # mailbox full
        (Stage.RECIPIENT, 3, 4, FAILED),
        (Stage.SENDER, 0, 0, FAILED),  # larger than the host takes
        (Stage.CONTENT, 0, 0, FAILED),
        (Stage.CONTENT, 5, 3, FAILED),
    ],
)
def test_a_552_to_a_recipient_may_mean_too_many(
    stage: Stage, subject: int, detail: int, verdict: Verdict
) -> None:
    assert judged(552, stage, subject, detail)[0] is verdict


def test_a_judgement_keeps_the_peers_words_and_where_they_were_said() -> None:
    reply = Reply(550, "No such user", 1, 1)

    assert judge(reply, Stage.RECIPIENT, HOST, TLS) == Outcome(
        FAILED, reply, Stage.RECIPIENT, Scope.RECIPIENT, HOST, is_from_peer=True, tls=TLS
    )


@pytest.mark.parametrize(
    ("code", "text", "reply"),
    [
        (550, "5.1.1 No such user", Reply(550, "No such user", 1, 1)),
        (250, "2.0.0 Ok", Reply(250, "Ok", 0, 0)),
        (451, "4.7.650 Slow down", Reply(451, "Slow down", 7, 650)),
        (550, "5.1.1", Reply(550, "", 1, 1)),
        (550, "5.1.1   spaced", Reply(550, "spaced", 1, 1)),
        (550, "", Reply(550, "")),
        (550, "No such user", Reply(550, "No such user")),
        # A class of another kind than the code's, so that nobody turns a refusal around
        (550, "2.1.5 Ok", Reply(550, "2.1.5 Ok")),
        (550, "4.2.1 Later", Reply(550, "4.2.1 Later")),
        (451, "5.1.1 Never", Reply(451, "5.1.1 Never")),
        (354, "3.0.0 Go on", Reply(354, "3.0.0 Go on")),
        # What only looks like a status
        (550, "5.1 x", Reply(550, "5.1 x")),
        (550, "5.1.1.1 x", Reply(550, "5.1.1.1 x")),
        (550, "5.1.1x", Reply(550, "5.1.1x")),
        (550, "5.1.1000 x", Reply(550, "5.1.1000 x")),
        (550, "see 5.1.1 x", Reply(550, "see 5.1.1 x")),
        (550, "5.１.1 x", Reply(550, "5.１.1 x")),  # noqa: RUF001 - a digit that is none of ours
    ],
)
def test_a_reply_is_parted_into_status_and_words(code: int, text: str, reply: Reply) -> None:
    assert parse_reply(code, text) == reply


@pytest.mark.parametrize(
    ("code", "status"),
    [(250, "2.7.1"), (451, "4.7.1"), (550, "5.7.1"), (354, "4.7.1"), (0, "4.7.1"), (650, "4.7.1")],
)
def test_the_class_of_a_status_is_that_of_its_code(code: int, status: str) -> None:
    assert Reply(code, "words", 7, 1).status == status


@pytest.mark.parametrize(
    ("code", "is_positive"), [(199, False), (200, True), (354, True), (399, True), (400, False)]
)
def test_a_command_that_did_its_work_has_a_2yz_or_a_3yz(code: int, is_positive: bool) -> None:
    assert Reply(code, "words").is_positive is is_positive


def test_a_reply_is_shown_with_code_status_and_words() -> None:
    assert str(Reply(550, "No such user", 1, 1)) == "550 5.1.1 No such user"


def test_a_broken_connection_is_worth_another_host() -> None:
    outcome = broken(Stage.HELLO, HOST, "it hung up", tls=TLS)

    assert (outcome.verdict, outcome.scope, outcome.host) == (DEFERRED, Scope.HOST, HOST)
    assert (outcome.reply.status, outcome.reply.text) == ("4.4.2", "it hung up")
    assert (outcome.is_from_peer, outcome.may_have_arrived, outcome.tls) == (False, False, TLS)


def test_silence_after_the_final_dot_may_mean_that_it_arrived() -> None:
    assert broken(Stage.CONTENT, HOST, "silence", may_have_arrived=True).may_have_arrived


def test_what_a_domain_publishes_decides_for_all_of_it() -> None:
    never, later = undeliverable("takes no mail", 1, 10), unresolved("no answer")

    assert (never.verdict, never.reply.status) == (FAILED, "5.1.10")
    assert (later.verdict, later.reply.status) == (DEFERRED, "4.4.3")
    assert {never.scope, later.scope} == {Scope.DESTINATION}
    assert {never.stage, later.stage} == {Stage.LOOKUP}
