"""What many receivers say in the same words, whoever they are."""

from mta.model.outcome import Stage
from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_SEEN = "seen in practice, undocumented"
_NO_STATUS_OR_POLICY = "*.0.* *.7.*"  # words under another subject speak of something else
_MINUTES = 60.0

# Said of a recipient, or of what is in the message: true on every road.
_NOT_OF_OUR_ADDRESS = (
    *("mailbox * blocked", "user * blocked", "account * blocked", "recipient * blocked"),
    *("mailbox * banned", "user * banned", "account * banned", "recipient * banned"),
    *("mailbox * blacklisted", "user * blacklisted", "recipient * blacklisted"),
    *("mailbox * listed", "user * listed", "account * listed", "recipient * listed"),
    *("message * blocked", "email * blocked", "mail has been blocked"),
    *("content", "attachment", "attachments", "virus", "malware"),
)

# fmt: off
RULES = (
    Rule(id="blocklist", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         status=_NO_STATUS_OR_POLICY,
         words=("spamcop", "abusix", "spamrats", "psbl", "sorbs", "uceprotect",
                "client host * blocked", "blocked using", "dnsbl*", "dnswl", "dnbl", "rbl",
                "rbls"),
         but_not=_NOT_OF_OUR_ADDRESS,
         what="Our address is on a list of addresses to be refused.", source=_SEEN),
    Rule(id="greylisting", cause=Cause.POLICY, code="4",
         words=("greylist*", "graylist*", "grey list*", "gray list*"),
         what="The receiver wants to see a second try.", source="RFC 6647"),
    Rule(id="no-such-user", cause=Cause.RECIPIENT_GONE, code="5", status="*.0.* *.1.* *.5.0 *.7.1",
         stages=(Stage.RECIPIENT, Stage.CONTENT),
         words=("no such user", "no such mailbox", "no such recipient", "no such account",
                "user unknown", "unknown user", "unknown recipient", "recipient unknown",
                "user not found", "mailbox not found", "recipient not found",
                "user * does not exist", "mailbox * does not exist", "account * does not exist",
                "recipient * does not exist", "address * does not exist",
                "user * doesn't exist", "mailbox * doesn't exist", "not a valid mailbox",
                "invalid recipient", "invalid mailbox", "no mailbox here", "unrouteable address",
                "not listed in * directory", "not listed in * address book"),
         what="There is no such mailbox.", source=_SEEN),
    Rule(id="over-quota", cause=Cause.MAILBOX_FULL, stages=(Stage.RECIPIENT, Stage.CONTENT),
         words=("mailbox full", "mailbox is full", "over quota", "overquota", "quota exceeded",
                "exceeded * quota", "inbox is full", "out of storage"),
         what="The mailbox is full.", source=_SEEN),
    Rule(id="too-fast", cause=Cause.RATE, response=Response.SLOW, seconds=15 * _MINUTES,
         words=("too many connections", "too many concurrent", "too many messages", "too fast",
                "too quickly", "rate limit*", "ratelimit*", "rate exceeded", "throttl*",
                "excessive volume", "unusual rate"),
         what="We send more, or faster, than the receiver takes.", source=_SEEN),
    Rule(id="no-reverse-name-said", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         status=_NO_STATUS_OR_POLICY,
         words=("cannot find your hostname", "cannot find your reverse hostname", "no ptr",
                "ptr record", "reverse dns", "rdns"),
         what="Our address has no reverse name, or one that does not lead back to it.",
         source="https://www.postfix.org/postconf.5.html#reject_unknown_client_hostname"),
    Rule(id="not-authenticated-said", cause=Cause.AUTHENTICATION, status=_NO_STATUS_OR_POLICY,
         words=("dmarc", "spf", "dkim", "unauthenticated"),
         what="SPF, DKIM or DMARC do not show that the message is the sender's.", source=_SEEN),
    Rule(id="blocked", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         status=_NO_STATUS_OR_POLICY,
         words=("block list*", "blocklist*", "black list*", "blacklist*", "deny list*", "denylist*",
                "blocked", "banned", "barracuda*", "reputation", "listed at", "listed by",
                "listed in", "listed on", "dynamic ip*", "dynamic address*", "residential",
                "s3140", "s3150", "as3140", "as3150"),
         but_not=_NOT_OF_OUR_ADDRESS,
         what="Our address is not liked.", source=_SEEN),
    Rule(id="spam", cause=Cause.CONTENT, code="5", stages=(Stage.CONTENT,),
         words=("spam", "virus", "malware", "phish*", "unsolicited", "attachment*", "content"),
         what="What is in the message is not liked.", source=_SEEN),
    Rule(id="refused-before-hello", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         code="5", stages=(Stage.GREETING, Stage.HELLO),
         what="Refused before it knew anything of us but our address.", source="RFC 5321 §3.1"),
)
# fmt: on
