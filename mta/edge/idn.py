"""Internationalised domain names, by way of the `idna` package (IDNA 2008, RFC 5891)."""

import idna

_MAX_LENGTH = 253  # characters: what the DNS leaves room for
_MAX_REASON = 120


def to_ascii(domain: str) -> str:
    """The domain in lower-case A-labels, as in "xn--bcher-kva.example" for "Bücher.example".

    Case and width are folded first (UTS #46), since that is how people type. Raises ValueError,
    whose text is printable ASCII and says why there is no such form.
    """
    if len(domain) > _MAX_LENGTH:
        raise ValueError(f"expected at most {_MAX_LENGTH} characters, got {len(domain)}")
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        reason = str(error).encode("ascii", "backslashreplace").decode("ascii")
        raise ValueError(f"not a name by IDNA 2008: {reason[:_MAX_REASON]}") from error
