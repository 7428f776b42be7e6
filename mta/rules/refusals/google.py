"""What Gmail and Google Workspace say.

Their page gives the words of each reply; the words below are those that tell replies of one code
apart. Some of their codes mean something else in the registry (5.7.27, 5.7.29, 5.7.30).
"""

from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_CODES = "https://support.google.com/a/answer/3726730"
_GUIDELINES = "https://support.google.com/mail/answer/81126"
_GOOGLE = "google"
_HOUR = 3600.0

# fmt: off
RULES = (
    Rule(id="google-mailbox-rate", site=_GOOGLE, cause=Cause.RATE, status="*.2.1",
         words=("receiving email too quickly", "receiving mail too quickly",
                "rate that prevents additional messages"),
         what="One mailbox gets more mail than it may; other mailboxes take theirs.",
         source=_CODES),
    Rule(id="google-relay-limit", site=_GOOGLE, cause=Cause.RATE, response=Response.HOLD,
         seconds=_HOUR, words=("relay limit exceeded", "relay sending limit exceeded",
                               "user sending limit exceeded", "sending quota exceeded"),
         what="The account that sends through Google has sent all that it may for now.",
         source=_CODES),
    Rule(id="google-inactive", site=_GOOGLE, cause=Cause.RECIPIENT_GONE, status="5.2.1",
         what="The account is inactive or disabled.", source=_CODES),
    Rule(id="google-no-such-user", site=_GOOGLE, cause=Cause.RECIPIENT_GONE, status="5.1.1",
         what="There is no such account.", source=_CODES),
    Rule(id="google-busy", site=_GOOGLE, cause=Cause.RATE, response=Response.SLOW,
         seconds=300.0, status="4.4.5", what="Google is busy.", source=_CODES),
    Rule(id="google-same-message-id", site=_GOOGLE, cause=Cause.CONTENT,
         words=("same message id",), what="Many messages have one Message-ID.", source=_CODES),
    Rule(id="google-rate-4.7.28", site=_GOOGLE, cause=Cause.RATE, response=Response.SLOW,
         seconds=_HOUR, code="4", words=("unusual rate", "unusual amount"),
         what="More mail comes from our address, network or domain than Google likes.",
         source=_CODES),
    Rule(id="google-rate", site=_GOOGLE, cause=Cause.RATE, response=Response.SLOW,
         seconds=_HOUR, status="4.7.28",
         what="More mail comes from our address, network or domain than Google likes.",
         source=_CODES),
    Rule(id="google-rate-block", site=_GOOGLE, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR, code="5", words=("unusual rate", "unusual amount"),
         what="Our address is blocked for a while: too much mail that nobody asked for.",
         source=_CODES),
    Rule(id="google-reverse-name", site=_GOOGLE, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR,
         words=("ptr record", "ptr records", "the hostname specified"),
         what="Our address has no reverse name that leads back to it.", source=_GUIDELINES),
    Rule(id="google-reverse-name-code", site=_GOOGLE, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR, status="*.7.23 *.7.25",
         what="Our address has no reverse name that leads back to it.", source=_CODES),
    Rule(id="google-reputation-domain", site=_GOOGLE, cause=Cause.SENDER_BLOCKED,
         response=Response.SLOW, seconds=_HOUR, words=("reputation of the sending domain",),
         what="The sending domain has a bad name with Google; another road would not help.",
         source=_CODES),
    Rule(id="google-reputation-address", site=_GOOGLE, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR, words=("reputation of the sending ip",),
         what="Our address has a bad name with Google.", source=_CODES),
    Rule(id="google-not-authorized", site=_GOOGLE, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR, words=("not authorized to send email directly",),
         what="Our address is one from which Google takes no mail, as those of homes.",
         source=_CODES),
    Rule(id="google-authentication", site=_GOOGLE, cause=Cause.AUTHENTICATION,
         response=Response.HOLD, seconds=_HOUR,
         status="*.7.24 *.7.26 *.7.27 *.7.30 *.7.32 *.7.40",
         what="SPF, DKIM or DMARC do not show that the message is the sender's.", source=_CODES),
    Rule(id="google-unauthenticated", site=_GOOGLE, cause=Cause.AUTHENTICATION,
         response=Response.HOLD, seconds=_HOUR, words=("authentication checks", "unauthenticated"),
         what="SPF, DKIM or DMARC do not show that the message is the sender's.", source=_CODES),
    Rule(id="google-tls", site=_GOOGLE, cause=Cause.OURS, status="*.7.29",
         what="The message came in clear.", source=_CODES),
    Rule(id="google-unsolicited", site=_GOOGLE, cause=Cause.CONTENT, response=Response.REROUTE,
         words=("likely unsolicited", "nature of the content"),
         what="The message looks like spam to Google, for its content and where it comes from.",
         source=_CODES),
    Rule(id="google-form", site=_GOOGLE, cause=Cause.CONTENT,
         words=("not rfc 5322 compliant", "missing a valid", "multiple addresses in",
                "encoded word syntax", "disallowed header", "message is malformed"),
         what="The message's header is not as RFC 5322 has it.", source=_CODES),
    Rule(id="google-attachment", site=_GOOGLE, cause=Cause.CONTENT, status="5.7.0",
         words=("potential security issue", "illegal attachment"),
         what="A part of the message is of a kind that Google does not take.", source=_CODES),
    Rule(id="google-domain-policy", site=_GOOGLE, cause=Cause.POLICY,
         words=("gcdp", "has a policy that prohibit*", "not in whitelist for rcpt domain",
                "tls required for rcpt domain"),
         what="The recipient's domain has rules of its own.", source=_CODES),
    Rule(id="google-too-many-sessions", site=_GOOGLE, cause=Cause.RATE, response=Response.SLOW,
         seconds=900.0, status="4.7.0", words=("try again later",),
         what="Too many sessions in a short time.", source=_CODES),
)
# fmt: on
