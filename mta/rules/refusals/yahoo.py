"""What Yahoo says, and AOL and AT&T, whose mail it serves."""

from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_CODES = "https://senders.yahooinc.com/smtp-error-codes/"
_YAHOO = "yahoo"
_HOUR = 3600.0

# fmt: off
RULES = (
    Rule(id="yahoo-permanent", cause=Cause.SENDER_BLOCKED, response=Response.HOLD,
         seconds=4 * _HOUR,
         words=("tss09", "tss11", "ts03", "will be permanently deferred",
                "retrying will not succeed"),
         what="Yahoo takes no mail from our address, and another try makes it no better. Mend what "
              "people complain of, then ask at https://senders.yahooinc.com/contact.",
         source=_CODES),
    Rule(id="yahoo-listed", site=_YAHOO, cause=Cause.SENDER_BLOCKED, response=Response.HOLD,
         seconds=_HOUR, words=("bl21", "bl23", "spamhaus", "connections will not be accepted",
                               "connections not accepted"),
         what="Our address is listed by Spamhaus.", source=_CODES),
    Rule(id="yahoo-sender-domain", site=_YAHOO, cause=Cause.OURS,
         words=("unresolvable rfc", "unresolvable from domain"),
         what="The sender's domain cannot be found in the DNS.", source=_CODES),
    Rule(id="yahoo-tss04", cause=Cause.RATE, response=Response.PAUSE, seconds=2 * _HOUR, code="4",
         words=("tss04", "tss05", "ts01", "ts02", "ts04", "unexpected volume or user complaints"),
         what="More mail than expected, or complaints. It passes in hours if we keep still.",
         source=_CODES),
    Rule(id="yahoo-unknown-recipients", site=_YAHOO, cause=Cause.RATE, response=Response.PAUSE,
         seconds=2 * _HOUR, words=("excessive unknown recipients",),
         what="Too many of our recipients do not exist.", source=_CODES),
    Rule(id="yahoo-mailbox-rate", site=_YAHOO, cause=Cause.RATE,
         words=("receiving mail too quickly",),
         what="One mailbox gets more mail than it may; others take theirs.", source=_CODES),
    Rule(id="yahoo-messages-per-connection", site=_YAHOO, cause=Cause.RATE, code="421",
         words=("max message per connection", "max messages per connection"),
         what="Enough messages for one connection; the next takes more.", source=_CODES),
    Rule(id="yahoo-busy", site=_YAHOO, cause=Cause.RATE, response=Response.SLOW, seconds=300.0,
         code="4", words=("resources temporarily",),
         what="Yahoo is busy for a short time.", source=_CODES),
    Rule(id="yahoo-deferred", site=_YAHOO, cause=Cause.RATE, response=Response.PAUSE,
         seconds=_HOUR, code="4", words=("temporarily deferred",),
         what="Complaints, spam or unusual traffic from our address.", source=_CODES),
    Rule(id="yahoo-authentication", site=_YAHOO, cause=Cause.AUTHENTICATION,
         response=Response.HOLD, seconds=_HOUR, code="5",
         words=("unauthenticated", "authentication", "dmarc", "dkim", "spf"),
         what="SPF, DKIM or DMARC do not show that the message is the sender's.", source=_CODES),
    Rule(id="yahoo-content", site=_YAHOO, cause=Cause.CONTENT, words=("ph01", "ph02", "ph03"),
         what="Something in the message that Yahoo does not take.", source=_CODES),
    Rule(id="yahoo-policy", site=_YAHOO, cause=Cause.POLICY, words=("for policy reasons",),
         what="Against Yahoo's rules: authentication, header or content.", source=_CODES),
    Rule(id="yahoo-no-such-user", site=_YAHOO, cause=Cause.RECIPIENT_GONE, code="5",
         words=("user doesn't have a", "mailbox not found", "no longer valid",
                "mailbox is disabled"),
         what="There is no such account.", source=_CODES),
)
# fmt: on
