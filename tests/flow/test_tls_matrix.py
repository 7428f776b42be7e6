"""What is asked of a host: the settings, what its domain publishes, the message, what is known.

A row for each thing that a domain may publish, a column for each floor of the settings; each cell
has the demand's level, what is tried after it ("verify, then required"), or that the host is passed
over ("none").
"""

from collections.abc import Mapping

import pytest

from mta.model.domain import Tlsa, TlsDemand, TlsFacts, TlsLevel
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.policy import StsMode, StsPolicy, Unreached
from mta.model.request import NOTHING, MessageRequest

from mta.rules.tls.demand import after_failed_handshake
from mta.rules.tls.memory import MemoryTerms, TlsMemory
from mta.rules.tls.tally import Tally

from mta.flow.tls.assurance import Assurance
from mta.flow.tls.policies import Policies
from mta.flow.tls.tlsrecord import TlsRecord

from tests.flow.house import DAY, START, EventList, story
from tests.flow.test_policies import Domain, text_of

HOST = "mx.elsewhere.test"  # outside of the domain
FLOORS = ("opportunistic", "required", "verify", "fingerprint")
DANE = TlsDemand(TlsLevel.VERIFY, names=(HOST,), tlsa=(Tlsa(3, 1, 1, b"0" * 32),))
UNUSABLE = TlsDemand(TlsLevel.REQUIRED)  # records that nobody can use: TLS all the same
BOGUS = Outcome(Verdict.DEFERRED, Reply(451, "bogus", 7, 5), Stage.LOOKUP, Scope.HOST)


def policy(mode: StsMode, mx: str = HOST) -> bytes:
    return text_of(StsPolicy(mode, (mx,) if mode is not StsMode.NONE else (), 604_800))


OTHER = "mx.other.test"
STS: Mapping[str, bytes | Unreached | None] = {
    "nothing": None,
    "unreachable": Unreached("no answer"),
    "none": policy(StsMode.NONE),
    "testing": policy(StsMode.TESTING),
    "testing, not listed": policy(StsMode.TESTING, OTHER),
    "enforce": policy(StsMode.ENFORCE),
    "enforce, not listed": policy(StsMode.ENFORCE, OTHER),
}
TLSA: Mapping[str, TlsDemand | Outcome | None] = {
    "": None,
    "TLSA": DANE,
    "unusable TLSA": UNUSABLE,
    "bogus TLSA": BOGUS,
}


class FakeDane:
    def __init__(self, said: TlsDemand | Outcome | None) -> None:
        self._said = said

    async def demand(
        self, host: str, domain: str, *, is_secure: bool
    ) -> TlsDemand | Outcome | None:
        return self._said


def assurance(dane: str, sts: str, memory: TlsMemory, *, reports: bool = False) -> Assurance:
    text = STS[sts]
    domain = Domain(id=None) if text is None else Domain(text_=text)
    policies = Policies(texts=domain, web=domain, clock=lambda: START)
    record = TlsRecord(
        policies=policies,
        memory=memory,
        tally=Tally(),
        events=EventList(),
        clock=lambda: START,
        tries_testing=reports,
    )
    return Assurance([FakeDane(TLSA[dane]), policies], record=record)


def floor_of(level: str) -> TlsDemand:
    prints = ("00" * 32,) if level == "fingerprint" else ()
    return TlsDemand(TlsLevel(level), fingerprints=prints)


def said(demand: TlsDemand | Outcome) -> str:
    """A demand in a word, with all that is tried after it."""
    if isinstance(demand, Outcome):
        return "none"
    words = ["dane" if demand.tlsa else str(demand.level)]
    after = after_failed_handshake(demand)
    words += [said(after)] if after is not None else []
    return " > ".join(words).replace("none", "clear")


async def asked(
    whole: Assurance, floor: str, request: MessageRequest = NOTHING, *, is_secure: bool = False
) -> str:
    found = await whole.demand(HOST, "there.test", request, floor_of(floor), is_secure=is_secure)
    return "passed over" if isinstance(found, Outcome) else said(found)


OPEN = "opportunistic > clear"
MATRIX = [
    # TLSA, MTA-STS, and the floors: opportunistic, required, verify, fingerprint
    ("", "nothing", OPEN, "required", "verify", "fingerprint"),
    ("", "unreachable", OPEN, "required", "verify", "fingerprint"),
    ("", "none", OPEN, "required", "verify", "fingerprint"),
    ("", "testing", OPEN, "required", "verify", "fingerprint"),
    ("", "testing, not listed", OPEN, "required", "verify", "fingerprint"),
    ("", "enforce", "verify", "verify", "verify", "fingerprint"),
    ("", "enforce, not listed", "passed over", "passed over", "passed over", "fingerprint"),
    ("TLSA", "nothing", "dane", "dane", "dane", "fingerprint"),
    ("TLSA", "testing", "dane", "dane", "dane", "fingerprint"),
    ("TLSA", "enforce", "dane", "dane", "dane", "fingerprint"),
    ("TLSA", "enforce, not listed", "dane", "dane", "dane", "fingerprint"),
    ("unusable TLSA", "nothing", "required", "required", "verify", "fingerprint"),
    ("bogus TLSA", "nothing", "passed over", "passed over", "passed over", "fingerprint"),
    ("bogus TLSA", "enforce", "passed over", "passed over", "passed over", "fingerprint"),
]


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row[0]} {row[1]}".strip())
def test_what_is_asked_of_a_host(row: tuple[str, ...]) -> None:
    @story
    async def told() -> None:
        dane, sts, *cells = row
        whole = assurance(dane, sts, TlsMemory())

        assert [await asked(whole, floor) for floor in FLOORS] == cells

    told()


NEEDS, WAIVES = MessageRequest(needs_tls=True), MessageRequest(waives_tls=True)
WISHES = [
    # TLSA          MTA-STS            signed  REQUIRETLS     TLS-Required: No
    ("", "nothing", False, "passed over", OPEN),  # nothing vouches for the host's name
    ("", "nothing", True, "verify", OPEN),
    ("", "testing", False, "passed over", OPEN),
    ("", "enforce", False, "verify", OPEN),
    ("", "enforce, not listed", False, "passed over", OPEN),
    ("TLSA", "nothing", True, "dane", OPEN),
    ("bogus TLSA", "enforce", True, "passed over", OPEN),
]


@pytest.mark.parametrize("row", WISHES, ids=lambda row: f"{row[0]} {row[1]} {row[2]}".strip())
def test_what_a_message_may_wish(row: tuple[str, str, bool, str, str]) -> None:
    @story
    async def told() -> None:
        dane, sts, is_secure, *cells = row
        whole = assurance(dane, sts, TlsMemory())

        found = [
            await asked(whole, "opportunistic", wish, is_secure=is_secure)
            for wish in (NEEDS, WAIVES)
        ]

        assert found == cells

    told()


TRIAL = f"verify > {OPEN}"
REMEMBERED = [
    # what is known    MTA-STS                 asked          and where reports are sent
    ("nothing", "testing", OPEN, TRIAL),
    ("nothing", "testing, not listed", OPEN, OPEN),
    ("tls", "nothing", "required", "required"),
    ("tls", "testing", "required", "verify > required"),
    ("tls", "enforce", "verify", "verify"),
    ("proof", "nothing", "verify", "verify"),
    ("broken", "nothing", "clear", "clear"),
    ("broken", "testing", "clear", "verify > clear"),
    ("broken", "enforce", "verify", "verify"),
    ("broken, tls", "nothing", "required", "required"),
]


@pytest.mark.parametrize("row", REMEMBERED, ids=lambda row: f"{row[0]}, {row[1]}")
def test_what_is_remembered_raises_a_demand_and_lowers_none_but_the_lowest(
    row: tuple[str, ...],
) -> None:
    @story
    async def told() -> None:
        known, sts, *cells = row
        memory = TlsMemory(MemoryTerms(3 * DAY, 3 * DAY))
        tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False)
        if "tls" in known or known == "proof":
            memory.saw("there.test", tls, START, is_enforced=known == "proof")
        if "broken" in known:
            memory.went_in_clear(HOST, START)

        found = [
            await asked(assurance("", sts, memory, reports=reports), "opportunistic")
            for reports in (False, True)
        ]

        assert found == cells

    told()
