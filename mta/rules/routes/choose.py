"""Which route a recipient's mail takes: the first rule whose every condition holds."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mta.model.address import Address
from mta.model.value import value

from mta.rules.message.headers import Header, values_of
from mta.rules.routes.patterns import AddressPattern, Glob

DEFAULT = ""  # the name of the route that all mail takes for which no rule fits


@dataclass(frozen=True, slots=True)
class Rule:
    """When mail takes the route `name`: where each condition that is not empty holds.

    A condition holds where one of its values does; `headers` are names in lower case with
    patterns of a value, and each of them must hold.
    """

    name: str
    recipients: tuple[AddressPattern, ...] = ()
    senders: tuple[AddressPattern, ...] = ()
    users: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    headers: tuple[tuple[bytes, Glob], ...] = ()


@value
class Mail:
    """What rules ask of a message; `user` is "" for a client that did not log in."""

    sender: Address | None
    user: str
    tags: Collection[str]
    header: Header


def route_for_mail(rules: Iterable[Rule], recipient: Address, mail: Mail) -> str:
    """The name of the route that one recipient's mail takes; DEFAULT where no rule fits."""
    return route_for(rules_for(rules, mail), recipient)


def rules_for(rules: Iterable[Rule], mail: Mail) -> Sequence[Rule]:
    """The rules that may fit a message, as far as its recipients have no say."""
    return [rule for rule in rules if not any(_objections_to_mail(rule, mail))]


def route_for(rules: Iterable[Rule], recipient: Address) -> str:
    """The name of the first of the `rules` for a message that fits a recipient of it."""
    return next((rule.name for rule in rules if _fits(rule, recipient)), DEFAULT)


def objection(rule: Rule, mail: Mail, recipient: Address) -> str:
    """Why a rule does not fit, for people; "" where it does."""
    if not _fits(rule, recipient):
        return f"recipient is not {_either(rule.recipients)}"
    return next(_objections_to_mail(rule, mail), "")


def grounds(rule: Rule) -> str:
    """Why a rule fits, for people, where it does."""
    asked = [
        f"{what} is {_either(values)}"
        for what, values in (
            ("recipient", rule.recipients),
            ("sender", rule.senders),
            ("user", sorted(rule.users)),
            ("tag", sorted(rule.tags)),
        )
        if values
    ]
    asked += [f"{name.decode()} is {pattern}" for name, pattern in rule.headers]
    return " and ".join(asked) or "it takes all mail"


def _fits(rule: Rule, recipient: Address) -> bool:
    patterns = rule.recipients
    return not patterns or any(pattern.matches(recipient) for pattern in patterns)


def _objections_to_mail(rule: Rule, mail: Mail) -> Iterator[str]:
    if rule.senders and not any(pattern.matches(mail.sender) for pattern in rule.senders):
        yield f"sender is not {_either(rule.senders)}"
    if rule.users and mail.user not in rule.users:
        yield f"user is not {_either(sorted(rule.users))}"
    if rule.tags and rule.tags.isdisjoint(mail.tags):
        yield f"no tag is {_either(sorted(rule.tags))}"
    for name, pattern in rule.headers:
        if not any(pattern.matches(text) for text in values_of(mail.header, name)):
            yield f"no field {name.decode()} is {pattern}"


def _either(values: Iterable[object]) -> str:
    return " or ".join(map(str, values))
