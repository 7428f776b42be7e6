"""What the signatures and seals of a message are worth when it comes, by dkimpy.

It blocks: the DNS is asked, and RSA reckoned, in a thread. Whatever is in the message, and whatever
dkimpy thinks of it, the answer is a finding.
"""

import logging
from collections.abc import Callable

import dkim

from mta.rules.message.arc import MAX_RESULTS, Chain, DkimResult, Findings
from mta.rules.message.headers import read_header

# dkimpy logs what stands in messages.
_SILENT = logging.getLogger(f"{__name__}.dkimpy")
_SILENT.disabled = True

# Octets that are hashed for one message, all its signatures together: dkimpy goes over the whole
# body for each of them, 60 ms for a MiB, and a stranger says how many there are.
MAX_WORK = 48 * 1024 * 1024

Texts = Callable[[str], tuple[str, ...] | None]  # the TXT records of a name; None: unknown


class _Unknown(Exception):
    """The DNS does not say."""


def findings(content: bytes, texts: Texts) -> Findings:
    """Verify a message as it came. Never raises for what is in it.

    Of a large message not all signatures are looked at; of a long chain on top of it, nothing is
    known.
    """
    names = [field.name for field in read_header(content).fields]
    rounds = max(1, MAX_WORK // len(content)) if content else 1
    count = min(names.count(b"dkim-signature"), MAX_RESULTS, rounds)
    results = tuple(_dkim(content, place, texts) for place in range(count))
    return Findings(results, _chain(content, names.count(b"arc-seal"), rounds, texts))


def _dkim(content: bytes, place: int, texts: Texts) -> DkimResult:
    verifier = None
    try:
        verifier = dkim.DKIM(content, logger=_SILENT)
        result = "pass" if verifier.verify(place, dnsfunc=_dns(texts)) else "fail"
    except _Unknown:
        result = "temperror"
    except dkim.ValidationError:
        result = "fail"
    except Exception:  # noqa: BLE001 - a stranger's text in a library that was not made for it
        result = "permerror"
    return DkimResult(result, _text(verifier, "domain"), _text(verifier, "selector"))


def _text(verifier: object, name: str) -> str:
    """A tag as far as the verifier has come; "" where it has not."""
    found = getattr(verifier, name, b"")
    return found.decode("latin-1") if isinstance(found, bytes) else ""


def _chain(content: bytes, seals: int, rounds: int, texts: Texts) -> Chain | None:
    if not seals:
        return Chain.NONE
    if seals > rounds:
        return None
    try:
        verdict, _, _ = dkim.ARC(content, logger=_SILENT).verify(dnsfunc=_dns(texts))
    except _Unknown:
        return None
    except Exception:  # noqa: BLE001 - as above, and what is not known to hold does not
        return Chain.FAIL
    return Chain.PASS if verdict == dkim.CV_Pass else Chain.FAIL


def _dns(texts: Texts) -> Callable[..., bytes | None]:
    def get(name: bytes, timeout: float = 5) -> bytes | None:
        found = texts(name.decode("ascii").removesuffix("."))
        if found is None:
            raise _Unknown
        return found[0].encode() if found else None

    return get
