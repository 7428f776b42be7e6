"""AUTH in one session: the exchange, and what is said when it is over (RFC 4954)."""

from mta.model.outcome import Reply
from mta.model.user import LoginRefused, Refusal, User

from mta.rules.submission.sasl import Challenge, Credentials, Exchange, start

from mta.edge.submission.answers import Answer, Step

_MAX_FAILURES = 5  # of a session; RFC 4954 §4 wants three at least

_WELCOME = Answer(b"235 2.7.0 You are logged in\r\n")
_LOOKING = Answer(b"", Step.LOGIN)
_LONG = Reply(500, "The line is too long for a login", 5, 6)
_WRONG = Reply(535, "The name or the password is wrong", 7, 8)
_BUSY = Reply(454, "Too many log in at this moment; try again later", 7, 0)
_TOO_MANY = Answer(b"421 4.7.0 Too many failed logins\r\n", Step.CUT)


class Login:
    """What a session knows of its user. What it gives as a Reply is a mistake of the client's."""

    def __init__(self) -> None:
        self.user = ""  # the name, once logged in
        self._exchange: Exchange | None = None
        self._credentials: Credentials | None = None
        self._failures = 0

    def begin(self, argument: str) -> Answer | Reply:
        """The answer to AUTH with this argument, where it may be said at all."""
        begun = start(argument)
        if isinstance(begun, Reply):
            return begun
        self._exchange, response = begun
        if response is None:
            return Answer(self._exchange.begin().line, Step.RESPONSE)
        return self.hear(response)

    def hear(self, line: bytes | None) -> Answer | Reply:
        """The answer to a response without its CRLF; None: it was too long."""
        exchange = self._exchange
        if exchange is None:
            raise RuntimeError("expected AUTH before its response")
        heard = _LONG if line is None else exchange.hear(line)
        if isinstance(heard, Challenge):
            return Answer(heard.line, Step.RESPONSE)
        self._exchange = None
        if isinstance(heard, Reply):
            return heard
        self._credentials = heard
        return _LOOKING

    def take_credentials(self) -> Credentials:
        """What the client claims, after an answer of step LOGIN; kept no longer."""
        credentials, self._credentials = self._credentials, None
        if credentials is None:
            raise RuntimeError("expected credentials")
        return credentials

    def conclude(self, result: User | LoginRefused) -> Answer | Reply:
        """The answer to the whole exchange."""
        if isinstance(result, User):
            self.user = result.name
            return _WELCOME
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            return _TOO_MANY
        return _refusal(result)


def _refusal(refused: LoginRefused) -> Reply:
    if refused.why is Refusal.WRONG:
        return _WRONG
    if refused.why is Refusal.BUSY:
        return _BUSY
    minutes = max(1, round(refused.retry_after / 60))
    return Reply(454, f"Too many failed logins; try again in {minutes} minutes", 7, 0)
