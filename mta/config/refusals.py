"""Rules of the operator's own about refusals, which stand before ours."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from mta.model.outcome import Stage
from mta.model.ruling import Cause, Response

from mta.rules.refusals.classify import SHIPPED, Table
from mta.rules.refusals.pattern import Rule, code_range, phrase, status_range
from mta.rules.refusals.shipped import RULES

from mta.config.kinds import DurationOrZero, Section

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("expected a name such as partner-is-full")
    return value


def _one_or_many(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _number_or_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _readable_by(read: Callable[[str], object]) -> AfterValidator:
    def check(value: str) -> str:
        read(value)
        return value

    return AfterValidator(check)


_Code = Annotated[str, BeforeValidator(_number_or_text), _readable_by(code_range)]
_Codes = Annotated[tuple[_Code, ...], BeforeValidator(_one_or_many)]
_Status = Annotated[str, _readable_by(status_range)]
_Statuses = Annotated[tuple[_Status, ...], BeforeValidator(_one_or_many)]
_Phrase = Annotated[str, Field(max_length=200), _readable_by(phrase)]
_Phrases = Annotated[tuple[_Phrase, ...], BeforeValidator(_one_or_many)]
_Site = Annotated[str, Field(min_length=1)]
_Sites = Annotated[tuple[_Site, ...], BeforeValidator(_one_or_many)]
_Stages = Annotated[tuple[Stage, ...], BeforeValidator(_one_or_many)]


class Refusal(Section):
    """One rule: which refusals it is about, what they mean, and what to do."""

    rule: Annotated[str, AfterValidator(_id)]
    site: _Sites = ()
    stage: _Stages = ()
    code: _Codes = ()
    status: _Statuses = ()
    text: _Phrases = ()
    but_not: _Phrases = ()
    cause: Cause
    response: Response = Response.NOTHING
    lasts: DurationOrZero = Field(0.0, alias="for")

    @property
    def is_about_all(self) -> bool:
        """Whether it says nothing of which refusals it is about."""
        return not (self.site or self.stage or self.code or self.status or self.text)

    @property
    def as_rule(self) -> Rule:
        """The same, as the table wants it."""
        return Rule(
            id=self.rule,
            cause=self.cause,
            response=self.response,
            seconds=self.lasts,
            site=" ".join(self.site),
            stages=self.stage,
            code=" ".join(self.code),
            status=" ".join(self.status),
            words=self.text,
            but_not=self.but_not,
            what="A rule of this server's configuration.",
            source="refusals in config.yaml",
        )


def table_of(given: Sequence[Refusal]) -> Table:
    """The operator's rules, then ours; one of his with the name of ours takes its place."""
    if not given:
        return SHIPPED
    names = {one.rule for one in given}
    ours = [rule for rule in RULES if rule.id not in names]
    return Table([*(one.as_rule for one in given), *ours])


def objections_to(given: Sequence[Refusal]) -> Iterator[tuple[str, str]]:
    """What cannot be: the key at fault, and a sentence about it."""
    seen: set[str] = set()
    for place, one in enumerate(given):
        if one.rule in seen:
            yield f"refusals[{place}].rule", f"expected each rule once, got {one.rule} again"
        seen.add(one.rule)
        if one.is_about_all:
            text = "expected at least one of site, stage, code, status and text, found none"
            yield f"refusals[{place}]", text
