"""Mail of others, passed on under a sender and a seal of ours."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest

from mta.model.address import Address, parse_address
from mta.model.envelope import Client
from mta.model.outcome import Reply
from mta.model.trouble import SigningError
from mta.model.user import User

from mta.rules.message.arc import Chain, DkimResult, Findings, Sealer
from mta.rules.message.srs import Srs
from mta.rules.submission.preflight import Preflight

from mta.flow.submission.forwarding import Forwarders, Forwarding

from tests.flow.house import DAY, UNKNOWN, House, Peer, story

LISTS = Client("192.0.2.1", "lists", "ESMTPSA", user="lists")
PROXY = Client("192.0.2.7", "other", "ESMTP")
APP = Client("192.0.2.1", "app", "ESMTPSA", user="app")
SRS = Srs("here.test", b"a secret of sixteen")
SEALER = Sealer("mta.test", "here.test", "s1", lambda octets: b"signed")
MESSAGE = b"From: ann@there.test\r\nSubject: hello\r\n\r\nBody\r\n"
FORWARDERS = Forwarders(frozenset({"lists"}), (ip_network("192.0.2.7/32"),))


class Scene(House):
    """A house that passes mail on."""

    def __init__(
        self,
        *,
        peers: dict[str, Peer] | None = None,
        sealer: Sealer | None = SEALER,
        srs: Srs | None = SRS,
        preflight: Preflight = Preflight.OFF,
        error: type[Exception] | None = None,
    ) -> None:
        users = [User("lists"), User("app")]
        domains = peers or {"there.test": Peer(), "far.test": Peer()}
        super().__init__(domains, users=users, senders=("here.test",), preflight=preflight)
        self.verified: list[bytes] = []
        self._error = error
        self.intake.forwarding = Forwarding(
            forwarders=FORWARDERS, sealer=sealer, srs=srs, verify=self._verify, clock=self.clock
        )

    async def _verify(self, content: bytes) -> Findings:
        self.verified.append(content)
        if self._error is not None:
            raise self._error
        return Findings((DkimResult("pass", "there.test", "s1"),), Chain.NONE)

    def bring(self, client: Client, recipient: str, sender: str | None = "ann@there.test") -> Reply:
        return asyncio.run(self.brought(client, recipient, sender))

    async def brought(
        self, client: Client, recipient: str, sender: str | None = "ann@there.test"
    ) -> Reply:
        message = self.message(recipient, sender=sender, content=MESSAGE)
        submission = replace(message, client=client)
        objection = self.intake.objection_to_envelope(submission)
        return objection or await self.intake.accept(submission)

    @property
    def sender(self) -> str:
        (envelope,) = self.queued()
        return str(envelope.sender)

    @property
    def recipient(self) -> str:
        (envelope,) = self.queued()
        return str(envelope.recipients[0].address)

    @property
    def content(self) -> bytes:
        (envelope,) = self.queued()
        return asyncio.run(self.spool.content(envelope.id))


@pytest.mark.parametrize("client", [LISTS, PROXY])
def test_mail_of_a_forwarder_goes_on_under_a_sender_of_ours_and_a_seal(client: Client) -> None:
    scene = Scene()

    reply = scene.bring(client, "bob@far.test")

    assert reply.code == 250
    assert scene.sender.startswith("SRS0=")
    assert scene.sender.endswith("=there.test=ann@here.test")
    assert scene.content.startswith(b"ARC-Seal: i=1;")
    assert b"dkim=pass header.d=there.test" in scene.content


def test_what_is_verified_is_the_message_as_it_came() -> None:
    scene = Scene()

    scene.bring(LISTS, "bob@far.test")

    assert scene.verified == [MESSAGE]


def test_the_domains_of_senders_bind_a_forwarder_as_little_as_preflight_does() -> None:
    scene = Scene(preflight=Preflight.REFUSE)

    assert scene.bring(LISTS, "bob@far.test").code == 250
    assert scene.bring(APP, "bob@far.test").code == 550


def test_mail_of_others_is_neither_rewritten_nor_sealed() -> None:
    scene = Scene()

    assert scene.bring(APP, "bob@far.test", sender="app@here.test").code == 250

    assert scene.sender == "app@here.test"
    assert scene.verified == []
    assert b"ARC-" not in scene.content


def test_the_null_sender_stays() -> None:
    scene = Scene()

    scene.bring(LISTS, "bob@far.test", sender=None)

    assert scene.sender == "None"


def test_a_bounce_to_a_sender_of_ours_reaches_the_first_sender() -> None:
    scene = Scene()
    ours = SRS.forward(parse_address("ann@there.test"), scene.now)

    assert scene.bring(APP, str(ours), sender=None).code == 250

    assert scene.recipient == "ann@there.test"


@pytest.mark.parametrize("client", [APP, LISTS])
def test_nobody_can_make_us_send_to_whom_he_likes(client: Client) -> None:
    scene = Scene()

    reply = scene.bring(client, "SRS0=aaaaaa=aa=victim.test=bob@here.test", sender=None)

    assert str(reply) == "550 5.1.1 No such rewritten sender: its hash is wrong"
    assert scene.queued() == []


def test_a_rewritten_sender_ends_after_three_weeks() -> None:
    scene = Scene()
    ours = SRS.forward(parse_address("ann@there.test"), scene.now)
    scene.now += 22 * DAY

    assert scene.bring(APP, str(ours), sender=None).code == 550


@story
async def test_our_own_report_on_forwarded_mail_goes_to_the_first_sender() -> None:
    scene = Scene(peers={"far.test": Peer({"bob": [UNKNOWN]}), "there.test": Peer()})
    await scene.brought(LISTS, "bob@far.test")

    await scene.step()

    (report,) = scene.letters_to("there.test")
    assert report.sender is None
    assert [str(recipient) for recipient in report.recipients] == ["ann@there.test"]


def test_a_sender_that_does_not_fit_goes_on_as_it_is() -> None:
    scene = Scene()
    long = f"{'a' * 60}@there.test"

    scene.bring(LISTS, "bob@far.test", sender=long)

    assert scene.sender == long


@pytest.mark.parametrize("error", [TimeoutError, SigningError])
def test_mail_that_cannot_be_verified_goes_on_without_a_seal(error: type[Exception]) -> None:
    scene = Scene(error=error)

    assert scene.bring(LISTS, "bob@far.test").code == 250

    assert b"ARC-" not in scene.content


def test_each_can_be_had_without_the_other() -> None:
    rewriting, sealing = Scene(sealer=None), Scene(srs=None)

    rewriting.bring(LISTS, "bob@far.test")
    sealing.bring(LISTS, "bob@far.test")

    assert rewriting.sender.startswith("SRS0=")
    assert rewriting.verified == []
    assert b"ARC-" not in rewriting.content
    assert sealing.sender == "ann@there.test"
    assert sealing.content.startswith(b"ARC-Seal")


def test_a_house_that_passes_nothing_on_knows_no_rewritten_senders() -> None:
    scene = Scene()
    scene.intake.forwarding = None

    assert scene.bring(APP, "SRS0=x@far.test", sender="a@here.test").code == 250


@pytest.mark.parametrize(
    ("client", "is_one"),
    [
        (LISTS, True),
        (PROXY, True),
        (APP, False),
        (replace(PROXY, user="app"), False),  # who logs in is himself, wherever he is
        (Client("unix:1000", "", "local"), False),
        (Client("local", "", "local"), False),
        (Client("192.0.2.8", "x", "ESMTP"), False),
    ],
)
def test_who_passes_mail_on(client: Client, is_one: bool) -> None:
    assert FORWARDERS.has(client) is is_one


def test_an_address_of_ours_is_read_in_any_case() -> None:
    scene = Scene()
    ours = SRS.forward(parse_address("ann@there.test"), scene.now)
    assert ours is not None

    scene.bring(APP, str(Address(ours.local.lower(), ours.domain)), sender=None)

    assert scene.recipient == "ann@there.test"
