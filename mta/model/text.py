"""Text that came from elsewhere, made fit for a terminal, a log or a report."""


def printable(text: str) -> str:
    """`text` on one line; characters that move a terminal or cannot be seen are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_ascii(text: str) -> str:
    """The same in ASCII."""
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")
