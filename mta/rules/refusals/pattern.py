"""A rule about refusals, and whether it is about this one.

Words are compared, not characters, and there are no regular expressions in the tables: what a
peer says cannot make the comparison slow, nor can what an operator writes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mta.model.outcome import Reply, Stage
from mta.model.ruling import Cause, Response, Ruling

MAX_TEXT = 1_000  # characters of a reply that are looked at
MAX_GAP = 4  # words that a `*` in a phrase stands for

_SENTENCE_ENDS = re.compile(r"[.,:;!?](?=\s|$)")
_NO_WORD = re.compile(r"[^\w|]+")
_NO_WORD_OF_A_PHRASE = re.compile(r"[^\w*]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a table: the refusals that it is about, what they mean, and who says so.

    All that is given must hold. `code` has reply codes, or "4" and "5" for all of a class;
    `status` enhanced ones, as in "4.7.28", "*.7.25" or "5.7.606-649", several apart by spaces,
    of which one is enough. So is one of the phrases in `words`, as in "blocked using" or
    "greylist*"; a lone `*` is up to four words of the same sentence. None of `but_not` may occur.
    `site` has names of receivers, as "google", or the ends of
    their hosts' names, several apart by spaces. `is_from_peer` tells a peer's words from our own.
    `seconds` is as in `Ruling`. `what` is a sentence for people, `source` says where it is written.
    """

    id: str
    cause: Cause
    response: Response = Response.NOTHING
    seconds: float = 0.0
    site: str = ""
    stages: tuple[Stage, ...] = ()
    code: str = ""
    status: str = ""
    words: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()
    is_from_peer: bool = True
    what: str = ""
    source: str = ""

    @property
    def ruling(self) -> Ruling:
        """What it says of a refusal."""
        return Ruling(self.cause, self.id, self.response, self.seconds)


class Matcher:
    """A rule made ready to be compared. Raises ValueError where its patterns cannot be read."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.ruling = rule.ruling
        self._sites = tuple(rule.site.lower().split())
        self._codes = tuple([code_range(code) for code in rule.code.split()])
        self._statuses = tuple([status_range(status) for status in rule.status.split()])
        self._words = tuple([phrase(words) for words in rule.words])
        self._but_not = tuple([phrase(words) for words in rule.but_not])

    def matches(
        self, reply: Reply, stage: Stage, words: str, site: str, *, is_from_peer: bool
    ) -> bool:
        """Whether the rule is about this refusal; `words` are those of the reply's text."""
        rule = self.rule
        return (
            (not self._sites or self._is_of(site))
            and rule.is_from_peer is is_from_peer
            and (not rule.stages or stage in rule.stages)
            and self._fits_numbers(reply)
            and self._fits_words(words)
        )

    def _is_of(self, site: str) -> bool:
        return any(site == one or site.endswith(f".{one}") for one in self._sites)

    def _fits_numbers(self, reply: Reply) -> bool:
        if self._codes and not any(first <= reply.code <= last for first, last in self._codes):
            return False
        if not self._statuses:
            return True
        kind = reply.code // 100
        return any(
            reply.subject == subject and first <= reply.detail <= last and of in (0, kind)
            for of, subject, first, last in self._statuses
        )

    def _fits_words(self, words: str) -> bool:
        if self._words and not any(is_in(words) for is_in in self._words):
            return False
        return not any(is_in(words) for is_in in self._but_not)


def words_of(text: str) -> str:
    """The words of a reply's text in lower case, one blank around each, " | " between sentences."""
    shown = _SENTENCE_ENDS.sub(" | ", text[:MAX_TEXT].lower())
    return f" {_NO_WORD.sub(' ', shown).strip()} "


def phrase(text: str) -> Callable[[str], bool]:
    """Whether a phrase occurs in `words_of` a text. Raises ValueError for one without words."""
    words = _NO_WORD_OF_A_PHRASE.sub(" ", text.lower()).split()
    if not words or words[0] == "*" or words[-1] == "*" or "**" in text:
        raise ValueError('expected words such as "blocked using" or "user * unknown"')
    if "*" in words:
        return _with_gaps(words)
    if any("*" in word[:-1] for word in words) or any("*" in word for word in words[:-1]):
        raise ValueError('expected a "*" alone or at the end, as in "greylist*"')
    literal = " " + " ".join(words)
    literal = literal[:-1] if literal.endswith("*") else literal + " "
    return lambda said: literal in said


def _with_gaps(words: list[str]) -> Callable[[str], bool]:
    # A gap's words have one way to be read, so that no text makes the search long.
    parts = [_GAP if word == "*" else " " + re.escape(word) for word in words]
    if any("*" in word for word in words if word != "*"):
        raise ValueError('expected each "*" alone among words')
    pattern = "".join(parts) + "(?= )"  # compiled when it is needed first, and kept by `re`
    return lambda said: re.search(pattern, said) is not None


_GAP = rf"(?: [^ |]+){{0,{MAX_GAP}}}?"


def code_range(text: str) -> tuple[int, int]:
    """First and last reply code. Raises ValueError."""
    if re.fullmatch("[45]", text, re.ASCII):
        return int(text) * 100, int(text) * 100 + 99
    if re.fullmatch("[45][0-9][0-9]", text, re.ASCII):
        return int(text), int(text)
    raise ValueError("expected a reply code such as 421, or 4 for all of its class")


_STATUS = re.compile(r"([45*])\.([0-9]{1,3})\.(?:(\*)|([0-9]{1,3})(?:-([0-9]{1,3}))?)", re.ASCII)


def status_range(text: str) -> tuple[int, int, int, int]:
    """Class (0 for any), subject, first and last detail. Raises ValueError."""
    found = _STATUS.fullmatch(text)
    if found is None:
        raise ValueError("expected a status such as 4.7.28, *.7.25 or 5.7.606-649")
    kind = 0 if found[1] == "*" else int(found[1])
    first = 0 if found[3] else int(found[4])
    last = 999 if found[3] else int(found[5] or found[4])
    return kind, int(found[2]), first, last
