"""Who lives in the sandbox: each domain with its exchangers, and what becomes of mail to it."""

from dataclasses import dataclass
from enum import StrEnum

from mta.model.envelope import Road

from mta.sandbox.exchangers import Manners, Starttls

SENDER_DOMAIN = "app.test"  # the application's own: signed for, and where reports come back to
SMARTHOST_DOMAIN = "smarthost.test"
SMARTHOST_LOGIN = ("app", "sandbox")  # name and password


class Fate(StrEnum):
    """What becomes of a recipient, by the name of the event that tells it."""

    DELIVERED = "delivered"
    FAILED = "failed"
    DEFERRED = "deferred"  # and for longer than anybody here waits


@dataclass(frozen=True, slots=True)
class Expected:
    """What should become of mail to one recipient.

    `status` is how the last reply's enhanced status begins; `attempts` is None where their
    number depends on the schedule; `tls` says whether the delivery is encrypted.
    """

    recipient: str
    fate: Fate
    status: str
    attempts: int | None = 1
    tls: bool = True
    road: Road = Road.DIRECT


@dataclass(frozen=True, slots=True)
class Character:
    """A domain. `hosts` are its exchangers by preference; None is one where nothing listens.

    Without any it publishes a null MX (RFC 7505); with `exists` false it publishes nothing.
    """

    domain: str
    does: str
    expected: tuple[Expected, ...]
    hosts: tuple[Manners | None, ...] = (Manners(),)
    exists: bool = True


def _delivered(
    domain: str, *, attempts: int = 1, tls: bool = True, road: Road = Road.DIRECT
) -> Expected:
    return Expected(f"anna@{domain}", Fate.DELIVERED, "2.", attempts, tls=tls, road=road)


def _failed(address: str, status: str, *, attempts: int | None = 1) -> Expected:
    return Expected(address, Fate.FAILED, status, attempts, tls=False)


CHARACTERS = (
    Character("accept.test", "accepts, over TLS", (_delivered("accept.test"),)),
    Character(
        "clear.test",
        "accepts, and knows no TLS",
        (_delivered("clear.test", tls=False),),
        (Manners(starttls=Starttls.ABSENT),),
    ),
    Character(
        "brokentls.test",
        "offers TLS, then breaks the handshake",
        (_delivered("brokentls.test", tls=False),),
        (Manners(starttls=Starttls.BROKEN),),
    ),
    Character(
        "grey.test",
        "greylists, then accepts",
        (_delivered("grey.test", attempts=2),),
        (Manners(puts_off=1),),
    ),
    Character(
        "picky.test",
        "knows anna, but no nobody",
        (_delivered("picky.test"), _failed("nobody@picky.test", "5.1.1")),
        (Manners(unknown=frozenset({"nobody"})),),
    ),
    Character(
        "second.test",
        "first host is dead, second accepts",
        (_delivered("second.test"),),
        (None, Manners()),
    ),
    Character(
        "cut.test",
        "hangs up after the final dot, once: may have it, so is left in peace for a while",
        (_delivered("cut.test", attempts=2),),
        (Manners(hangs_up=1),),
    ),
    Character(
        "slow.test",
        "takes a second for each reply",
        (_delivered("slow.test"),),
        (Manners(delay=1.0),),
    ),
    Character(
        "blocked.test",
        "refuses our address by policy",
        (_delivered("blocked.test", attempts=2, road=Road.SMARTHOST),),
        (Manners(at_sender="550 5.7.1 Blocked: your IP address is on a blocklist"),),
    ),
    Character(
        "dead.test",
        "no host of it answers",
        (_delivered("dead.test", attempts=2, road=Road.SMARTHOST),),
        (None,),
    ),
    Character(
        "busy.test",
        "always says: try again later",
        (_failed("anna@busy.test", "4.2.2", attempts=None),),
        (Manners(at_recipient="452 4.2.2 Mailbox full: try again later"),),
    ),
    Character(
        "null.test",
        "publishes that it takes no mail",
        (_failed("anna@null.test", "5.1.10"),),
        (),
    ),
    Character(
        "nowhere.test",
        "does not exist",
        (_failed("anna@nowhere.test", "5.1.2"),),
        exists=False,
    ),
)

SENDER = Character(SENDER_DOMAIN, "is the application's own: reports come here", ())
SMARTHOST = Character(
    SMARTHOST_DOMAIN,
    "is the smarthost, for those who log in",
    (),
    (Manners(logins=dict([SMARTHOST_LOGIN])),),
)
