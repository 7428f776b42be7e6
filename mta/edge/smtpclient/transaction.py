"""One letter over one conversation: MAIL, RCPT, DATA, and what became of each recipient."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from io import IncrementalNewlineDecoder
from math import inf

from mta.model.domain import TlsFacts
from mta.model.envelope import Letter
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict

from mta.rules.delivery import deadline
from mta.rules.tls.demand import is_fit

from mta.edge.smtpclient.conversation import Conversation, Refused
from mta.edge.smtpclient.offers import Offers
from mta.edge.smtpclient.replies import RawReply
from mta.edge.smtpclient.wire import ConversationError
from mta.edge.smtpclient.wishes import behind_mail, behind_rcpt, has_wishes

BLOCK = 64 * 1024  # octets of content that are written at once

_CONTROLS = bytes((*range(0x20), 0x7F))


class Transaction:
    """Carries a letter, once. Where the peer offers PIPELINING, its envelope is one write.

    The steps below are the same with and without it; `_ask` is where they differ. With it the
    later commands have been said when an earlier one is refused, and all replies must be heard.
    """

    def __init__(self, conversation: Conversation, letter: Letter) -> None:
        self._talk = conversation
        self._letter = letter
        self._is_pipelined = conversation.offers.has_pipelining
        # Then the peer tells the sender what becomes of it, and we do not.
        self._tells_wishes = conversation.offers.has_dsn and has_wishes(letter)
        self._is_complete = False  # the final dot was written: the peer may have the message
        self._own: dict[int, Outcome] = {}  # of recipients that were refused, by their places

    async def outcomes(self) -> tuple[Outcome, ...]:
        """Carry the letter; gives an outcome for each recipient, in their order."""
        self._talk.stage = Stage.SENDER
        self._talk.wire.bound(self._talk.timeouts.transaction)
        try:
            common = await self._common_outcome()
        except Refused as refused:
            common = refused.outcome
        except ConversationError as error:
            common = self._talk.breakdown(error, may_have_arrived=self._is_complete)
        count = len(self._letter.recipients)
        if not self._own:
            return (common,) * count
        return tuple([self._own.get(place, common) for place in range(count)])

    async def _common_outcome(self) -> Outcome:
        """What became of every recipient that was not refused by itself."""
        talk, letter = self._talk, self._letter
        now = talk.clock() if letter.request.deadline is not None else 0.0
        is_local = not talk.host.port
        reply = objection(
            letter, talk.offers, talk.tls, now, is_local=is_local, is_final=talk.is_lmtp
        )
        if reply is not None:
            return self._unfit(reply)
        commands = envelope(letter, talk.offers, now)
        if self._is_pipelined and await self._is_taken_at_once(commands):
            return await self._carry_content()
        mail, *rcpts = commands.splitlines(keepends=True)
        await self._offer_sender(mail)
        await self._offer_recipients(rcpts)
        await self._offer_content()
        return await self._carry_content()

    async def _is_taken_at_once(self, commands: bytes) -> bool:
        """Say the envelope; whether all of it was taken, as nearly every envelope is.

        Where it was not, the steps below hear the replies one by one.
        """
        talk, limits = self._talk, self._talk.timeouts
        count = len(self._letter.recipients)
        talk.wire.say(commands + b"DATA\r\n", count + 2)
        await talk.wire.gather([limits.mail, *([limits.rcpt] * count), limits.data])
        if not talk.wire.has_heard_envelope(count + 2):
            return False
        talk.stage = Stage.CONTENT
        return True

    def _unfit(self, reply: Reply) -> Outcome:
        # Another host may offer more, but what is too large is so for the whole destination.
        scope = Scope.MESSAGE if reply.code == 552 else Scope.HOST
        talk = self._talk
        return Outcome(Verdict.FAILED, reply, talk.stage, scope, talk.host, tls=talk.tls)

    async def _ask(self, command: bytes, limit: float) -> RawReply:
        if self._is_pipelined:  # it has been said already
            return await self._talk.wire.reply(limit)
        return await self._talk.ask(command, limit)

    async def _offer_sender(self, mail: bytes) -> None:
        reply = await self._ask(mail, self._talk.timeouts.mail)
        if reply.is_positive:
            return
        outcome = self._talk.refusal(reply)
        if self._is_pipelined:
            await self._pass_over_envelope()
        raise Refused(outcome)

    async def _pass_over_envelope(self) -> None:
        """Hear the replies to all that was said behind a MAIL that was refused; none counts."""
        wire, limits = self._talk.wire, self._talk.timeouts
        with suppress(ConversationError):  # the refusal stands, and the wire knows of its end
            is_taken = [
                (await wire.reply(limits.rcpt)).is_positive for _ in self._letter.recipients
            ]
            reply = await wire.reply(limits.data)
            if reply.is_go_ahead and any(is_taken):
                # The lone dot that ends this would deliver an empty message.
                wire.end("the peer wants content for a sender that it refused", 5, 0)
            elif reply.is_go_ahead:
                await self._send_nothing()

    async def _offer_recipients(self, rcpts: Sequence[bytes]) -> None:
        self._talk.stage = Stage.RECIPIENT
        outcome = None
        for place, rcpt in enumerate(rcpts):
            reply = await self._ask(rcpt, self._talk.timeouts.rcpt)
            if reply.is_positive:
                continue
            outcome = self._talk.refusal(reply)
            if reply.code == 421:  # meant for all who have no answer yet
                raise Refused(outcome)
            self._own[place] = outcome
        if outcome is not None and len(self._own) == len(rcpts):
            await self._withdraw()
            raise Refused(outcome)

    async def _withdraw(self) -> None:
        """Take back an envelope that no recipient is left in."""
        with suppress(ConversationError):  # every recipient has its outcome already
            if self._is_pipelined:
                reply = await self._talk.wire.reply(self._talk.timeouts.data)
                if reply.is_go_ahead:
                    await self._send_nothing()
            await self._reset()

    async def _send_nothing(self) -> None:
        """Answer a 354 that came although every recipient was refused (RFC 2920 §3.1)."""
        await self._talk.ask(b".\r\n", self._talk.timeouts.data)

    async def _reset(self) -> None:
        """Leave nothing of a failed transaction behind. Raises ConversationError."""
        reply = await self._talk.ask(b"RSET\r\n", self._talk.timeouts.quit)
        if not reply.is_positive:
            raise self._talk.wire.end(f"the peer refused RSET: {reply.legible()}", 5, 0)

    async def _offer_content(self) -> None:
        self._talk.stage = Stage.CONTENT
        if not self._is_pipelined:
            self._expect_time()
        reply = await self._ask(b"DATA\r\n", self._talk.timeouts.data)
        if reply.is_go_ahead:
            return
        outcome = self._talk.refusal(reply)
        with suppress(ConversationError):
            await self._reset()
        raise Refused(outcome)

    async def _carry_content(self) -> Outcome:
        """Send the content; from its final dot on, cancellation waits for the reply."""
        talk, wire = self._talk, self._talk.wire
        self._expect_time()
        wire.expect(self._count_left() if talk.is_lmtp else 1)
        following = blocks(self._letter.content)
        block = next(following)
        for next_block in following:
            wire.put(block)
            block = next_block
            await wire.room(talk.timeouts.block)
            if wire.has_spoken:
                return await self._interrupted()
        if self._letter.request.deadline is not None:
            # The final dot by itself, when the peer has the rest: nobody has it before.
            wire.put(block[:-3])
            block = block[-3:]
            await wire.drained(talk.timeouts.block)
            if wire.has_spoken:
                return await self._interrupted()
            self._expect_time()
        wire.put(block)
        self._is_complete = True
        wire.bound(inf)
        if talk.is_lmtp:
            return await self._hear_for_each()
        return self._last_outcome(await wire.last_word(talk.timeouts.final_dot))

    async def _hear_for_each(self) -> Outcome:
        """A reply for each recipient that was taken, in their order (RFC 2033 §4.2); the last."""
        talk, outcome = self._talk, None
        for place in range(len(self._letter.recipients)):
            if place not in self._own:
                outcome = self._last_outcome(await talk.wire.last_word(talk.timeouts.final_dot))
                if outcome.scope is Scope.MESSAGE:
                    outcome = replace(outcome, scope=Scope.RECIPIENT)
                self._own[place] = outcome
        assert outcome is not None, "no content is carried to nobody"
        return outcome

    def _count_left(self) -> int:
        """How many recipients were not refused by themselves."""
        return len(self._letter.recipients) - len(self._own)

    def _last_outcome(self, reply: RawReply) -> Outcome:
        """What the reply to the final dot means."""
        talk = self._talk
        if not reply.is_positive:
            return talk.refusal(reply)
        outcome = talk.outcome(reply)
        if self._letter.request.deadline is not None and talk.offers.has_deliverby:
            outcome = replace(outcome, peer_keeps_deadline=True)
        return replace(outcome, peer_reports=True) if self._tells_wishes else outcome

    def _expect_time(self) -> None:
        """Break off where nobody may have the message any more. Raises ConversationError."""
        by = self._letter.request.deadline
        if by is not None and deadline.is_over(by, self._talk.clock()):
            raise self._talk.wire.end("the time that its sender gave it is over", 4, 7)

    async def _interrupted(self) -> Outcome:
        """What the peer said before it had the whole content. It cannot have taken the message."""
        outcome = self._talk.refusal(await self._talk.wire.reply(0))
        self._talk.wire.end("the peer refused the content before its end", 5, 0)
        return outcome


def objection(
    letter: Letter,
    offers: Offers,
    tls: TlsFacts | None = None,
    now: float = 0.0,
    *,
    is_local: bool = False,
    is_final: bool = False,
) -> Reply | None:
    """Why a peer with these offers cannot be given this letter at all; None if it can.

    `tls` is what protects the connection. `now` is in Unix seconds. `is_local`: what is said does
    not leave this machine. `is_final`: the peer delivers to mailboxes while we wait.
    """
    by = letter.request.deadline
    if by is not None and not is_final:
        late = deadline.objection(by, now, is_offered=offers.has_deliverby, least=offers.least_by)
        if late is not None:
            return late
    if letter.request.needs_tls and not is_local:  # RFC 8689 §4.2.1
        if not is_fit(tls, letter.request):
            return Reply(550, "the message requires TLS with a verified host", 7, 10)
        if not offers.has_requiretls:
            return Reply(550, "the message needs REQUIRETLS, and the host does not offer it", 7, 30)
    if not offers.has_smtputf8 and _needs_smtputf8(letter):
        return Reply(550, "the message needs SMTPUTF8, and the host does not offer it", 6, 7)
    if letter.is_8bit and not offers.has_8bitmime:
        return Reply(554, "the message needs 8BITMIME, and the host does not offer it", 6, 3)
    size = len(letter.content)
    if 0 < offers.size_limit < size:
        text = f"the message has {size} octets, and the host takes {offers.size_limit} at most"
        return Reply(552, text, 3, 4)
    return None


def envelope(letter: Letter, offers: Offers, now: float = 0.0) -> bytes:
    """MAIL and each RCPT, a line each, with what the peer offers and the letter needs.

    `now` is in Unix seconds.

    Raises ValueError for an address that would become a command of its own: none that came
    through `parse_address` does.
    """
    # The parts of each address stand here, since a call for each of many is what this costs.
    rcpts = "".join([f"RCPT TO:<{to.local}@{to.domain}>\r\n" for to in letter.recipients])
    sender = "" if letter.sender is None else str(letter.sender)
    size = f" SIZE={len(letter.content)}" if offers.has_size else ""  # RFC 1870 §6
    body = " BODY=8BITMIME" if letter.is_8bit else ""  # RFC 6152 §2
    is_utf8 = letter.needs_smtputf8 or not (rcpts.isascii() and sender.isascii())
    utf8 = " SMTPUTF8" if is_utf8 else ""  # RFC 6531 §3.4
    tls = " REQUIRETLS" if letter.request.needs_tls else ""  # RFC 8689 §2
    wishes = ""
    if letter.request.deadline is not None and offers.has_deliverby:
        wishes = deadline.behind_mail(letter.request.deadline, now)
    if offers.has_dsn and has_wishes(letter):
        wishes += behind_mail(letter.request)
        rcpts = _rcpts_with_wishes(letter, is_smtputf8=is_utf8) if letter.requests else rcpts
    if letter.request.priority and offers.has_priority:
        wishes += f" MT-PRIORITY={letter.request.priority}"  # RFC 6710 §4.1
    commands = f"MAIL FROM:<{sender}>{size}{body}{utf8}{tls}{wishes}\r\n{rcpts}".encode()
    controls = len(commands) - len(commands.translate(None, _CONTROLS))
    if controls != 2 * (1 + len(letter.recipients)):  # the ends of our own lines
        raise ValueError(f"expected addresses without control characters, got {commands[:500]!r}")
    return commands


def _rcpts_with_wishes(letter: Letter, *, is_smtputf8: bool) -> str:
    pairs = zip(letter.recipients, letter.requests, strict=True)
    return "".join(
        f"RCPT TO:<{to}>{behind_rcpt(asked, is_smtputf8=is_smtputf8)}\r\n" for to, asked in pairs
    )


def _needs_smtputf8(letter: Letter) -> bool:
    addresses = letter.recipients if letter.sender is None else (letter.sender, *letter.recipients)
    return letter.needs_smtputf8 or not all(address.is_ascii for address in addresses)


def blocks(content: bytes) -> Iterator[bytes | memoryview]:
    """The content as it goes on the wire (RFC 5321 §4.5.2); the last block ends in the final dot.

    Nothing but the dots is touched, or a signature would break. A content without a dot at
    the beginning of a line is not copied, but for its last block.
    """
    assert is_normal(content), "the door takes no bare newline, and nobody behind it makes one"
    ending = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    text = _stuffed(content)
    if len(text) <= BLOCK:
        return iter((text + ending,))
    return _parts(text, ending)


def _parts(text: bytes, ending: bytes) -> Iterator[bytes | memoryview]:
    view = memoryview(text)
    *starts, last = range(0, len(text), BLOCK)
    for start in starts:
        yield view[start : start + BLOCK]
    yield text[last:] + ending


def _stuffed(content: bytes) -> bytes:
    """The content with one more dot on each line that begins with a dot."""
    if b"." not in content:  # twenty times as fast as the search below; encoded files have none
        return content
    text = content.replace(b"\r\n.", b"\r\n..")
    return b"." + text if text.startswith(b".") else text


def is_normal(content: bytes) -> bool:
    """Whether CR and LF stand together everywhere: else a peer may see an end that we do not.

    The decoder of text files keeps account of the newlines that it has seen. It takes a quarter
    of the time that counting CR, LF and CRLF takes: 1.5 µs of 4 KiB. It works on parts, since
    it copies what it reads.
    """
    decoder = IncrementalNewlineDecoder(None, translate=False)
    if len(content) <= BLOCK:
        decoder.decode(str(content, "latin-1"), final=True)
    else:
        view = memoryview(content)
        for start in range(0, len(content), BLOCK):
            decoder.decode(str(view[start : start + BLOCK], "latin-1"))
        decoder.decode("", final=True)
    return decoder.newlines in (None, "\r\n")
