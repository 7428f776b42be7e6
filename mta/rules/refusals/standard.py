"""What the standards say of enhanced codes, and of plain ones where a peer gives no more.

The last table: each refusal finds its rule here, if none before was about it.
"""

from mta.model.outcome import Stage
from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_SYSTEM = "RFC 3463"
_REGISTRY = "https://www.iana.org/assignments/smtp-enhanced-status-codes/"
_SMTP = "RFC 5321 §4.2"

_SLOW_FOR = 900.0

# fmt: off
BY_STATUS = (
    Rule(id="null-mx", cause=Cause.RECIPIENT_GONE, status="*.1.10",
         what="The recipient's domain says that it takes no mail.", source="RFC 7505 §4"),
    Rule(id="sender-address", cause=Cause.OURS, status="*.1.7 *.1.8",
         what="The sender's address is wrong, or its domain cannot be found in the DNS.",
         source=f"{_SYSTEM} §3.2"),
    Rule(id="recipient-address", cause=Cause.RECIPIENT_GONE, status="*.1.*",
         what="There is no such mailbox, or no such domain.", source=f"{_SYSTEM} §3.2"),
    Rule(id="mailbox-disabled", cause=Cause.RECIPIENT_GONE, code="5", status="*.2.1",
         what="The mailbox is there, and takes no mail.", source=f"{_SYSTEM} §3.3"),
    Rule(id="mailbox-busy", cause=Cause.RATE, code="4", status="*.2.1",
         what="The mailbox takes no mail now.", source=f"{_SYSTEM} §3.3"),
    Rule(id="mailbox-full", cause=Cause.MAILBOX_FULL, status="*.2.2",
         what="The mailbox is full.", source=f"{_SYSTEM} §3.3"),
    Rule(id="too-large", cause=Cause.CONTENT, status="*.2.3 *.3.4",
         what="The message is too large.", source=f"{_SYSTEM} §3.3, §3.4"),
    Rule(id="mailbox", cause=Cause.POLICY, status="*.2.*",
         what="Something about the mailbox keeps it from taking the message.",
         source=f"{_SYSTEM} §3.3"),
    Rule(id="system-incapable", cause=Cause.POLICY, status="*.3.3",
         what="The system cannot do what the message needs.", source=f"{_SYSTEM} §3.4"),
    Rule(id="system", cause=Cause.NETWORK, status="*.3.*",
         what="The receiving system is full, shut or in trouble.", source=f"{_SYSTEM} §3.4"),
    Rule(id="congestion", cause=Cause.RATE, response=Response.SLOW, seconds=_SLOW_FOR,
         code="4", status="*.4.5",
         what="The receiving system has more mail than it can take.", source=f"{_SYSTEM} §3.5"),
    Rule(id="loop", cause=Cause.POLICY, status="*.4.6",
         what="The message goes around in a circle.", source=f"{_SYSTEM} §3.5"),
    Rule(id="network", cause=Cause.NETWORK, status="*.4.*",
         what="The way to the recipient, beyond who answered us, is in trouble.",
         source=f"{_SYSTEM} §3.5"),
    Rule(id="too-many-recipients", cause=Cause.POLICY, status="*.5.3",
         what="More recipients than it takes at once; the others go in the next transaction.",
         source=f"{_SYSTEM} §3.6"),
    Rule(id="protocol", cause=Cause.OURS, code="5", status="*.5.*",
         what="The peer does not understand, or does not allow, what we said.",
         source=f"{_SYSTEM} §3.6"),
    Rule(id="content", cause=Cause.CONTENT, status="*.6.*",
         what="The message's form or content is not taken.", source=f"{_SYSTEM} §3.7"),
    Rule(id="not-authenticated", cause=Cause.AUTHENTICATION,
         status="*.7.20-24 *.7.26 *.7.29",
         what="SPF, DKIM, DMARC or ARC do not show that the message is the sender's.",
         source="RFC 7372 §3, RFC 8617 §10.3"),
    Rule(id="no-reverse-name", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         status="*.7.25",
         what="Our address has no reverse name, or one that does not lead back to it.",
         source="RFC 7372 §3.3"),
    Rule(id="sender-takes-no-mail", cause=Cause.OURS, status="*.7.27",
         what="The sender's domain says that it takes no mail, so that nobody could answer.",
         source="RFC 7505 §4"),
    Rule(id="flood", cause=Cause.RATE, response=Response.SLOW, seconds=3600.0, status="*.7.28",
         what="More mail of one kind comes from us than the receiver likes.", source=_REGISTRY),
    Rule(id="tls-required-by-sender", cause=Cause.POLICY, status="*.7.30",
         what="The message asks for TLS all the way, and the peer cannot promise it.",
         source="RFC 8689 §4.2.1"),
    Rule(id="login", cause=Cause.OURS, status="*.7.8 *.7.9 *.7.11 *.7.12 *.7.14",
         what="Who logs in is not known, or not in that way.", source="RFC 4954 §6, RFC 5248"),
    Rule(id="policy", cause=Cause.POLICY, status="*.7.*",
         what="The receiver's rules do not allow it.", source=f"{_SYSTEM} §3.8"),
)

BY_CODE = (
    Rule(id="login-refused", cause=Cause.OURS, stages=(Stage.LOGIN,),
         what="Our name or password is not taken.", source="RFC 4954 §4"),
    Rule(id="tls-refused", cause=Cause.NETWORK, stages=(Stage.TLS,),
         what="The peer offers TLS and does not begin it.", source="RFC 3207 §4"),
    Rule(id="closing", cause=Cause.NETWORK, code="421",
         what="The host takes no mail now, and closes the connection.", source=f"{_SMTP}.3"),
    Rule(id="storage", cause=Cause.MAILBOX_FULL, code="552", stages=(Stage.RECIPIENT,),
         what="The mailbox is full.", source=f"{_SMTP}.3"),
    Rule(id="size", cause=Cause.CONTENT, code="552",
         what="The message is too large.", source=f"{_SMTP}.3"),
    Rule(id="not-here", cause=Cause.RECIPIENT_GONE, code="551", stages=(Stage.RECIPIENT,),
         what="The mailbox is somewhere else.", source=f"{_SMTP}.3"),
    Rule(id="syntax", cause=Cause.OURS, code="500 501 502 503 504 555",
         what="The peer does not understand what we said.", source=f"{_SMTP}.2"),
    Rule(id="content-refused", cause=Cause.CONTENT, code="5", stages=(Stage.CONTENT,),
         what="Refused when all of the message was known.", source=f"{_SMTP}.3"),
    Rule(id="refused", cause=Cause.POLICY, code="5",
         what="Refused, and nothing in the reply says why.", source=f"{_SMTP}.1"),
    Rule(id="later", cause=Cause.NETWORK,
         what="Not now, and nothing in the reply says why.", source=f"{_SMTP}.1"),
)

# What no peer said: names that do not lead anywhere, hosts that do not answer, our own limits.
BY_OURSELVES = (
    Rule(id="our-deadline", cause=Cause.POLICY, is_from_peer=False, status="*.4.7",
         what="The time that the sender gave the message is over.", source="RFC 2852 §4"),
    Rule(id="our-dns-name", cause=Cause.RECIPIENT_GONE, is_from_peer=False, code="5",
         stages=(Stage.LOOKUP,),
         what="The recipient's domain does not exist, or takes no mail.", source="RFC 5321 §5.1"),
    Rule(id="our-dns", cause=Cause.NETWORK, is_from_peer=False, stages=(Stage.LOOKUP,),
         what="The recipient's domain could not be looked up.", source="RFC 5321 §5.1"),
    Rule(id="our-login", cause=Cause.OURS, is_from_peer=False, stages=(Stage.LOGIN,),
         what="We could not log in.", source="RFC 4954"),
    Rule(id="our-spool", cause=Cause.OURS, is_from_peer=False, status="*.3.0",
         stages=(Stage.CONTENT,),
         what="Our own spool could not read the message.", source="docs/spool.md"),
    Rule(id="our-tls", cause=Cause.POLICY, is_from_peer=False, status="*.7.*",
         what="The connection does not prove what this mail asks for.",
         source="RFC 3207, RFC 8689"),
    Rule(id="our-needs", cause=Cause.POLICY, is_from_peer=False, code="5",
         what="The peer does not offer what the message needs.", source="RFC 5321 §2.2.1"),
    Rule(id="our-network", cause=Cause.NETWORK, is_from_peer=False,
         what="No host of the recipient's could be reached, or talked with to the end.",
         source="RFC 5321 §4.5.4"),
)
# fmt: on
