"""Whatever a peer says, and however long: it is taken for one thing, known by a rule."""

from hypothesis import given
from hypothesis import strategies as st

from mta.model.outcome import Reply, Stage, Verdict, judge

from mta.rules.refusals.classify import SHIPPED, classify
from mta.rules.refusals.pattern import MAX_TEXT, words_of
from mta.rules.refusals.shipped import RULES

from tests.rules.test_refusals import MX

WORDS = sorted({word for rule in RULES for phrase in rule.words for word in phrase.split()})
TEXTS = st.one_of(
    st.text(max_size=2 * MAX_TEXT),
    st.lists(st.sampled_from([*WORDS, ".", "|", "* ", "\x00", "Ⅷ", "İ"]), max_size=500).map(
        " ".join
    ),
    st.sampled_from(WORDS).map(lambda word: f"{word} " * 500),
)


@given(
    text=TEXTS,
    code=st.integers(400, 599),
    subject=st.integers(0, 999),
    detail=st.integers(0, 999),
    stage=st.sampled_from(Stage),
)
def test_every_refusal_has_a_rule(
    text: str, code: int, subject: int, detail: int, stage: Stage
) -> None:
    outcome = judge(Reply(code, text, subject, detail), stage, MX)
    found = classify(outcome)

    assert outcome.verdict is not Verdict.DELIVERED
    assert found is not None
    assert SHIPPED.rule(found.rule) is not None


@given(TEXTS)
def test_words_have_one_blank_around_each(text: str) -> None:
    words = words_of(text)

    assert words.startswith(" ")
    assert words.endswith(" ")
    assert "  " not in words.strip()
