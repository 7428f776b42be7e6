"""What is said to each command: the state of one SMTP session, without its octets and its time.

The order of commands is RFC 5321 §4.1.4; enhanced status codes stand in every reply but the
positive ones to HELO and EHLO and the 354 (RFC 2034 §3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mta.model.address import Address
from mta.model.envelope import Client, Submission
from mta.model.outcome import Reply
from mta.model.request import NOTHING, NOTHING_FOR_RECIPIENT, MessageRequest, RecipientRequest
from mta.model.user import LoginRefused, User

from mta.rules.delivery.deadline import is_over
from mta.rules.submission.commands import (
    RECIPIENT,
    SENDER,
    Command,
    Mail,
    Rcpt,
    address_in,
    parse_bdat,
    parse_helo,
    parse_mail,
    parse_rcpt,
    read_command,
)
from mta.rules.submission.parameters import NOTHING_ASKED, Asked
from mta.rules.submission.sasl import Credentials

from mta.edge.submission.answers import Answer, ChunkToRead, Step, line_of
from mta.edge.submission.login import Login
from mta.edge.submission.terms import Terms

# A browser can be made to send these to a port of its own host, with our commands behind them.
_FOREIGN = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

_OK = Answer(b"250 2.0.0 OK\r\n")
_SENDER_OK = Answer(b"250 2.1.0 Sender OK\r\n")
_PRIORITY_LOWERED = Answer(b"250 2.3.6 0 is the priority of the message\r\n")
_RECIPIENT_OK = Answer(b"250 2.1.5 Recipient OK\r\n")
_GO_ON = Answer(b"354 Send the message, and end it with a dot alone\r\n", Step.CONTENT)
_SECURE = Answer(b"220 2.0.0 Ready to start TLS\r\n", Step.SECURE)
_BYE = Answer(b"221 2.0.0 Bye\r\n", Step.END)

_IN_TRANSACTION = Reply(503, "Expected RCPT, DATA or RSET after MAIL", 5, 1)
_ORIGINAL_BEYOND_ASCII = Reply(  # RFC 6533 §3
    501, "An ORCPT that is not ASCII needs SMTPUTF8", 6, 7
)
_IN_CHUNKS = Reply(503, "Expected BDAT or RSET after BDAT", 5, 1)


@dataclass(slots=True)
class _Transaction:
    """A message's envelope as it grows between MAIL and its content."""

    sender: Address | None
    client: Client
    is_smtputf8: bool
    request: MessageRequest = NOTHING
    recipients: list[Address] = field(default_factory=list)
    requests: list[RecipientRequest] = field(default_factory=list)
    asks_for_some: bool = False  # whether any of these asks for anything
    has_chunks: bool = False  # whether BDAT has begun to bring its content
    tried: int = 0


class Dialogue:
    """Answers one client's commands. A new one starts after STARTTLS (RFC 3207 §4.2)."""

    def __init__(self, terms: Terms, client: str) -> None:
        """`client` is its IP address."""
        self._terms = terms
        self._door = terms.door
        self._limits = terms.limits
        self._client = client
        self._helo = ""
        self._is_extended = False
        self._transaction: _Transaction | None = None
        self._login: Login | None = None
        self._user = ""
        self._errors = 0
        self._fruitless_commands = 0

    def answer(self, line: bytes) -> Answer:
        """The answer to a command line, without its CRLF."""
        command = read_command(line)
        if isinstance(command, Reply):
            is_bdat = line[:4].upper() == b"BDAT"  # and what follows it may be no command
            return Answer(line_of(command), Step.CUT) if is_bdat else self.error(command)
        handler = self._HANDLERS.get(command.verb)
        if handler is not None:
            return handler(self, command)
        if command.verb in _FOREIGN:
            return Answer(line_of(Reply(554, "This is an SMTP server", 5, 1)), Step.CUT)
        return self.error(Reply(500, "Command not recognised", 5, 1))

    def error(self, reply: Reply) -> Answer:
        """Answer a mistake of the client's: many of them slowly, and too many end the session."""
        self._errors += 1
        if self._errors > self._limits.errors:
            return Answer(line_of(Reply(421, "Too many errors", 7, 0)), Step.CUT)
        is_slow = self._errors > self._limits.forgiven_errors and self._limits.error_delay_seconds
        return Answer(line_of(reply), Step.LATER if is_slow else Step.NEXT)

    def submission(self, content: bytes) -> Submission:
        """The message, whose content came after the answer of step CONTENT."""
        transaction = self._transaction
        if transaction is None:
            raise RuntimeError("expected a transaction")
        self._fruitless_commands = 0
        return Submission(
            transaction.sender,
            tuple(transaction.recipients),
            content,
            transaction.client,
            transaction.is_smtputf8,
            transaction.request,
            tuple(transaction.requests) if transaction.asks_for_some else (),
        )

    def hear(self, line: bytes | None) -> Answer:
        """The answer to a line after an answer of step RESPONSE; None: it was too long."""
        return self._said(self._begun_login.hear(line))

    def take_credentials(self) -> Credentials:
        """What the client claims, after an answer of step LOGIN."""
        return self._begun_login.take_credentials()

    def conclude_login(self, result: User | LoginRefused) -> Answer:
        """The answer once the claim was looked at."""
        answer = self._begun_login.conclude(result)
        self._user = self._begun_login.user
        return self._said(answer)

    @property
    def _begun_login(self) -> Login:
        if self._login is None:
            raise RuntimeError("expected AUTH")
        return self._login

    def reset(self) -> None:
        """Forget the transaction: after its content, and where RSET or EHLO say so."""
        self._transaction = None

    @property
    def has_chunks(self) -> bool:
        """Whether a part of a content was taken, and more is to come."""
        return self._transaction is not None and self._transaction.has_chunks

    def _fruitless(self, answer: Answer) -> Answer:
        """Answer a command that is no mistake, but brings no message nearer."""
        self._fruitless_commands += 1
        if self._fruitless_commands > self._limits.fruitless:
            return Answer(
                line_of(Reply(421, "Too many commands without a message", 7, 0)), Step.CUT
            )
        return answer

    def _refusal(self, reply: Reply) -> Answer:
        return self._fruitless(Answer(line_of(reply)))

    def _on_helo(self, command: Command) -> Answer:
        return self._greet(command, self._terms.helo, is_extended=False)

    def _on_ehlo(self, command: Command) -> Answer:
        return self._greet(command, self._terms.ehlo, is_extended=True)

    def _greet(self, command: Command, answer: Answer, *, is_extended: bool) -> Answer:
        name = parse_helo(command.argument)
        if isinstance(name, Reply):
            return self.error(name)
        self.reset()
        self._helo, self._is_extended = name, is_extended
        return self._fruitless(answer)

    def _on_mail(self, command: Command) -> Answer:
        if not self._helo:
            return self.error(Reply(503, "Expected EHLO or HELO before MAIL", 5, 1))
        if self._transaction is not None:
            return self.error(_IN_CHUNKS if self.has_chunks else _IN_TRANSACTION)
        if self._terms.needs_login and not self._user:
            return self.error(Reply(530, "Authentication required", 7, 0))
        known = command.meaning
        mail = (
            known if isinstance(known, Mail) else parse_mail(command.argument, self._terms.offered)
        )
        if isinstance(mail, Reply):
            return self.error(mail)
        if mail.has_parameters and not self._is_extended:
            return self.error(Reply(555, "Parameters need EHLO", 5, 4))
        if mail.size > self._limits.message_size:
            return self._refusal(Reply(552, "The message is too large", 3, 4))
        sender = self._sender(mail)
        if isinstance(sender, Reply):
            return self.error(sender)
        client = Client(self._client, self._helo, self._protocol(mail.is_smtputf8), self._user)
        objection = self._door.objection_to_sender(sender, mail.size, client)
        if objection is not None:
            return self._refusal(objection)
        request = NOTHING if mail.asked is NOTHING_ASKED else self._request(mail.asked)
        if isinstance(request, Reply):
            return self.error(request)
        self._transaction = _Transaction(sender, client, mail.is_smtputf8, request)
        return _SENDER_OK if request.priority == mail.asked.priority else _PRIORITY_LOWERED

    def _request(self, asked: Asked) -> MessageRequest | Reply:
        """What is asked of the message from now on; the reply says what cannot be had."""
        now = self._terms.clock()
        request = asked.request(now)
        longest = self._limits.hold_seconds
        if request.hold_until > now + longest:  # RFC 4865 §4
            text = f"Expected HOLDFOR or HOLDUNTIL of at most {longest:.0f} seconds"
            return Reply(501, text, 5, 4)
        if is_over(request.deadline, request.hold_until):
            return Reply(501, "Expected BY to end after HOLDFOR or HOLDUNTIL", 5, 4)
        if request.priority > 0 and self._terms.takes_logins and not self._user:
            return replace(request, priority=0)  # anybody's mail is urgent (RFC 6710 §4)
        return request

    def _on_rcpt(self, command: Command) -> Answer:
        transaction = self._transaction
        if transaction is None:  # no mistake where MAIL was refused and RCPT pipelined behind it
            return self._refusal(Reply(503, "Expected MAIL before RCPT", 5, 1))
        if transaction.has_chunks:
            return self.error(_IN_CHUNKS)
        known = command.meaning
        rcpt = (
            known if isinstance(known, Rcpt) else parse_rcpt(command.argument, self._terms.offered)
        )
        if isinstance(rcpt, Reply):
            return self.error(rcpt)
        recipient = rcpt.mailbox or self._recipient(rcpt.path, transaction.is_smtputf8)
        if isinstance(recipient, Reply):
            return self.error(recipient)
        if not (rcpt.asked.original.isascii() or transaction.is_smtputf8):
            return self.error(_ORIGINAL_BEYOND_ASCII)
        transaction.tried += 1
        if len(transaction.recipients) >= self._limits.recipients:
            return self._surplus(Reply(452, "Too many recipients", 5, 3), transaction)
        objection = self._door.objection_to_recipient(
            transaction.sender, recipient, len(transaction.recipients) + 1, transaction.client
        )
        if objection is not None:
            return self._surplus(objection, transaction)
        transaction.recipients.append(recipient)
        transaction.requests.append(rcpt.asked)
        transaction.asks_for_some |= rcpt.asked is not NOTHING_FOR_RECIPIENT
        return _RECIPIENT_OK

    def _surplus(self, reply: Reply, transaction: _Transaction) -> Answer:
        """Refuse a recipient: a client may well name thousands of them, but not for ever."""
        is_endless = transaction.tried > 10 * self._limits.recipients
        return self.error(reply) if is_endless else Answer(line_of(reply))

    def _on_data(self, command: Command) -> Answer:
        if command.argument:
            return self.error(Reply(501, "Expected DATA alone", 5, 4))
        transaction = self._transaction_for("DATA")
        if isinstance(transaction, Reply):
            return self._refusal(transaction)
        return self.error(_IN_CHUNKS) if transaction.has_chunks else _GO_ON

    def _on_bdat(self, command: Command) -> Answer:
        chunk = parse_bdat(command.argument)
        if isinstance(chunk, Reply):
            # Nobody knows how much of what follows is content: none of it may be obeyed.
            return Answer(line_of(chunk), Step.CUT)
        transaction = self._transaction_for("BDAT")
        if isinstance(transaction, Reply):
            refused = ChunkToRead(chunk.octets, objection=transaction)
            return self._fruitless(Answer(b"", Step.CHUNK, refused))
        to_read = ChunkToRead(chunk.octets, not transaction.has_chunks, chunk.is_last)
        transaction.has_chunks = True
        answer = Answer(b"", Step.CHUNK, to_read)
        return answer if chunk.octets or chunk.is_last else self._fruitless(answer)

    def _transaction_for(self, verb: str) -> _Transaction | Reply:
        """The transaction that a content may come for; the reply says why there is none."""
        if self._transaction is None:
            return Reply(503, f"Expected MAIL and RCPT before {verb}", 5, 1)
        if not self._transaction.recipients:
            return Reply(554, "No valid recipients", 5, 1)
        return self._transaction

    def _on_rset(self, command: Command) -> Answer:
        if command.argument:
            return self.error(Reply(501, "Expected RSET alone", 5, 4))
        self.reset()
        return self._fruitless(_OK)

    def _on_noop(self, command: Command) -> Answer:
        del command  # its argument is allowed, and ignored (RFC 5321 §4.1.1.9)
        return self._fruitless(_OK)

    def _on_vrfy(self, command: Command) -> Answer:
        if not command.argument:
            return self.error(Reply(501, "Expected VRFY and a mailbox", 5, 4))
        return self._fruitless(Answer(line_of(Reply(252, "Send a message and see"))))

    def _on_help(self, command: Command) -> Answer:
        del command
        verbs = "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT"
        return self._fruitless(Answer(line_of(Reply(214, verbs))))

    def _on_quit(self, command: Command) -> Answer:
        if command.argument:
            return self.error(Reply(501, "Expected QUIT alone", 5, 4))
        return _BYE

    def _on_starttls(self, command: Command) -> Answer:
        if command.argument:
            return self.error(Reply(501, "Expected STARTTLS alone", 5, 4))
        if self._terms.is_secured:
            return self.error(Reply(503, "TLS is on already", 5, 1))
        if not self._terms.offers_tls:
            return self.error(Reply(502, "TLS is not offered here", 5, 1))
        if self.has_chunks:
            return self.error(_IN_CHUNKS)
        return _SECURE

    def _on_auth(self, command: Command) -> Answer:
        if not self._terms.takes_logins:
            return self._on_other(command)
        if self._user:
            return self.error(Reply(503, "You are logged in already", 5, 1))
        if not self._is_extended:
            return self.error(Reply(503, "Expected EHLO before AUTH", 5, 1))
        if self._transaction is not None:
            return self.error(Reply(503, "Expected AUTH before MAIL", 5, 1))
        if not self._terms.offers_login:
            return self.error(Reply(538, "Logging in needs TLS here", 7, 11))
        self._login = self._login or Login()
        return self._said(self._login.begin(command.argument))

    def _said(self, answer: Answer | Reply) -> Answer:
        return self.error(answer) if isinstance(answer, Reply) else answer

    def _on_other(self, command: Command) -> Answer:
        del command
        return self.error(Reply(502, "Command not implemented", 5, 1))

    def _sender(self, mail: Mail) -> Address | Reply | None:
        if not mail.path:
            return None
        return mail.mailbox or self._address(mail.path, SENDER, mail.is_smtputf8)

    def _recipient(self, path: str, is_smtputf8: bool) -> Address | Reply:
        if path.lower() == "postmaster":  # every host has one (RFC 5321 §4.1.1.3)
            path = f"{path}@{self._terms.hostname}"
        return self._address(path, RECIPIENT, is_smtputf8)

    def _address(self, path: str, detail: int, is_smtputf8: bool) -> Address | Reply:
        return address_in(path, detail, is_smtputf8=is_smtputf8, to_ascii=self._terms.to_ascii)

    def _protocol(self, is_smtputf8: bool) -> str:
        """The word for Received: RFC 3848, RFC 6531 §4.3."""
        if not self._is_extended:
            return "SMTP"
        word = ("UTF8SMTP" if is_smtputf8 else "ESMTP") + ("S" if self._terms.is_secured else "")
        return word + "A" if self._user else word

    _HANDLERS: Mapping[str, Callable[["Dialogue", Command], Answer]] = MappingProxyType(
        {
            "HELO": _on_helo,
            "EHLO": _on_ehlo,
            "MAIL": _on_mail,
            "RCPT": _on_rcpt,
            "DATA": _on_data,
            "BDAT": _on_bdat,
            "RSET": _on_rset,
            "NOOP": _on_noop,
            "VRFY": _on_vrfy,
            "HELP": _on_help,
            "QUIT": _on_quit,
            "STARTTLS": _on_starttls,
            "EXPN": _on_other,
            "AUTH": _on_auth,
        }
    )
