"""Patterns as an operator writes them: of addresses, and of texts with * in them."""

from collections.abc import Callable

from mta.model.address import Address
from mta.model.value import value


@value
class Glob:
    """A text in which each * stands for anything; upper and lower case are one."""

    text: str

    def matches(self, text: str) -> bool:
        """Whether `text` is of this shape. Takes time in proportion to its length for each *."""
        first, *rest = self.text.casefold().split("*")
        folded = text.casefold()
        if not rest:
            return folded == first
        *between, last = rest
        if len(folded) < len(first) + len(last) or not folded.startswith(first):
            return False
        position, end = len(first), len(folded) - len(last)
        for piece in between:  # the leftmost place leaves most room for what follows
            found = folded.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return folded.endswith(last)

    def __str__(self) -> str:
        return self.text


@value
class AddressPattern:
    """Which addresses are meant: "example.com", "*.example.com", "user@example.com", "*", or "<>".

    `local` is None for any. `domain` is in lower-case A-labels; one that begins with "*." stands
    for all below the rest of it, "*" for any, and "" for the null sender.
    """

    local: Glob | None
    domain: str

    def matches(self, address: Address | None) -> bool:
        """Whether an address is meant; None is the null sender."""
        if address is None or not self.domain:
            return address is None and not self.domain
        return self._has_domain(address.domain) and (
            self.local is None or self.local.matches(address.local)
        )

    def _has_domain(self, domain: str) -> bool:
        if self.domain == "*":
            return True
        if self.domain.startswith("*."):
            return domain.endswith(self.domain[1:])
        return domain == self.domain

    def __str__(self) -> str:
        if not self.domain:
            return "<>"
        return self.domain if self.local is None else f"{self.local}@{self.domain}"


def read_pattern(
    text: str, read_domain: Callable[[str], str], *, null_allowed: bool = False
) -> AddressPattern:
    """The pattern that stands in the settings. `read_domain` reads a name, or raises ValueError.

    `null_allowed`: "<>" is one, too. Raises ValueError, which says what was expected.
    """
    if text == "<>" and null_allowed:
        return AddressPattern(None, "")
    local, at, domain = text.rpartition("@")
    if at and not local:
        raise ValueError(_EXPECTED)
    if domain != "*":
        prefix = "*." if domain.startswith("*.") else ""
        try:
            domain = prefix + read_domain(domain.removeprefix(prefix))
        except ValueError as error:
            raise ValueError(_EXPECTED) from error
    return AddressPattern(Glob(local) if at and local != "*" else None, domain)


_EXPECTED = "expected a pattern such as example.com, *.example.com, user@example.com or *"
