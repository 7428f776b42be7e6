"""What iCloud Mail says. Apple's page gives rules for senders; the replies are known by use."""

from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_RULES = "https://support.apple.com/102322"
_SEEN = f"seen in practice, undocumented; the rules for senders are at {_RULES}"
_APPLE = "apple"
_HOUR = 3600.0

# fmt: off
RULES = (
    Rule(id="apple-rate", site=_APPLE, cause=Cause.RATE, response=Response.SLOW, seconds=900.0,
         code="4", words=("excessive volume", "too many errors"),
         what="More mail than Apple takes at once.", source=_SEEN),
    Rule(id="apple-busy", site=_APPLE, cause=Cause.RATE, response=Response.SLOW, seconds=900.0,
         status="4.7.0 4.7.1", words=("service unavailable", "try again later"),
         what="Apple takes no mail now, as at full hours, when everybody sends.", source=_SEEN),
    Rule(id="apple-authentication", site=_APPLE, cause=Cause.AUTHENTICATION,
         response=Response.HOLD, seconds=_HOUR, words=("hme1", "dmarc policy", "spf and dkim"),
         what="SPF, DKIM or DMARC do not show that the message is the sender's.", source=_SEEN),
    Rule(id="apple-domain-listed", site=_APPLE, cause=Cause.CONTENT,
         words=("spamhaus dbl", "in the spamhaus * dbl"),
         what="A domain in the message is listed by Spamhaus.", source=_SEEN),
    Rule(id="apple-policy", site=_APPLE, cause=Cause.CONTENT, response=Response.REROUTE,
         status="5.7.1",
         words=("cs01", "cs02", "hm07", "hm08", "due to local policy"),
         what="Against Apple's rules, by content or by the reputation of our address or domain.",
         source=_SEEN),
    Rule(id="apple-inactive", site=_APPLE, cause=Cause.RECIPIENT_GONE, status="5.1.1",
         what="There is no such account, or it is inactive.", source=_SEEN),
)
# fmt: on
