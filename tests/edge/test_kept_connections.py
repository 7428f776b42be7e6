"""A connection that is kept for more mail costs no message and no attempt when its peer ends it."""

from collections.abc import Awaitable, Callable

import pytest

from mta.model.address import parse_address
from mta.model.domain import Answer, Finding, Host, Mx, TlsDemand, TlsLevel
from mta.model.envelope import Destination, Letter, MessageId, Road
from mta.model.outcome import Verdict

from mta.flow.delivery.courier import Courier, Way
from mta.flow.tls.assurance import Assurance

from mta.edge.smtpclient import SmtpConnector

from tests.edge.scripted_peer import Caller, Script, ScriptedPeer, run

Ending = Callable[[Caller], Awaitable[None]]


class OneHost:
    """A DNS that knows one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def mx(self, domain: str) -> Answer[Mx]:
        return Answer(Finding.RECORDS, (Mx(10, self._host.name),))

    async def addresses(self, name: str) -> Answer[str]:
        return Answer(Finding.RECORDS, (self._host.address,))


async def take_letter(client: Caller) -> None:
    for reply in ("250 sender", "250 recipient", "354 go ahead"):
        await client.hear()
        await client.say(reply)
    await client.hear_content()
    await client.say("250 taken")


def first_ending(end: Ending) -> Script:
    async def script(client: Caller) -> None:
        await client.greet()
        await take_letter(client)
        await end(client)

    return script


async def taking_more(client: Caller) -> None:
    await client.greet()
    await take_letter(client)
    await client.take_leave()


async def closes(client: Caller) -> None:
    client.stop_speaking()
    await client.hear_end()


async def resets(client: Caller) -> None:
    client.reset()


async def says_that_it_closes(client: Caller) -> None:
    await client.say("421 4.4.2 idle for too long")
    client.stop_speaking()
    await client.hear_end()


async def closes_at_the_next_sender(client: Caller) -> None:
    assert (await client.hear()).startswith(b"MAIL")
    client.stop_speaking()
    await client.hear_end()


async def refuses_to_go_on(client: Caller) -> None:
    assert (await client.hear()).startswith(b"MAIL")
    await client.say("421 4.7.0 too many messages in this session")
    client.stop_speaking()
    await client.hear_end()


async def closes_before_the_content(client: Caller) -> None:
    for reply in ("250 sender", "250 recipient"):
        await client.hear()
        await client.say(reply)
    assert await client.hear() == b"DATA"
    client.stop_speaking()
    await client.hear_end()


@pytest.mark.parametrize(
    "end",
    [
        closes,
        resets,
        says_that_it_closes,
        closes_at_the_next_sender,
        refuses_to_go_on,
        closes_before_the_content,
    ],
    ids=lambda end: end.__name__,
)
def test_the_next_letter_goes_over_a_new_connection(end: Ending) -> None:
    peer = ScriptedPeer(first_ending(end), taking_more)
    recipient = parse_address("bob@there.test")
    letters = [
        Letter(MessageId(f"m{n}"), parse_address("ann@us.test"), (recipient,), b"Hello\r\n")
        for n in (1, 2)
    ]

    async def scene() -> list[Verdict]:
        async with peer as host:
            courier = Courier(
                Destination(Road.DIRECT, "there.test"),
                ways=[
                    Way(
                        connector=SmtpConnector(hostname="client.test"),
                        demand=TlsDemand(TlsLevel.NONE),
                        port=host.port,
                        private_allowed=True,
                    )
                ],
                lookup=OneHost(host),
                own_names=(),
                chance=lambda: 0.5,
                assurance=Assurance(()),
            )
            verdicts = [(await courier.deliver(letter))[0].verdict for letter in letters]
            await courier.close()
            return verdicts

    assert run(scene()) == [Verdict.DELIVERED] * 2
    assert len(peer.callers) == 2
