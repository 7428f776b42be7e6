"""What filters and lists of addresses say, whoever uses them."""

from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_MIMECAST = (
    "https://community.mimecast.com/s/article/"
    "email-security-cloud-gateway-mimecast-smtp-error-codes"
)
_ANY_OR_POLICY = "*.0.* *.7.*"  # under another subject the words may be part of an address
_HOUR = 3600.0

# fmt: off
RULES = (
    Rule(id="spamhaus-cannot-be-asked", cause=Cause.POLICY, response=Response.REROUTE,
         words=("open resolver", "127.255.255.254", "127.255.255.255", "returnc"),
         what="The receiver asks Spamhaus in a way that is not answered, and takes that for a "
              "listing. It says nothing about us.",
         source="https://www.spamhaus.org/faqs/dnsbl-usage/"),
    Rule(id="spamhaus-domain", cause=Cause.CONTENT, status=_ANY_OR_POLICY,
         words=("spamhaus dbl", "dbl.spamhaus.org", "spamhaus.org/dbl"),
         what="A domain in the message or its sender's is listed by Spamhaus.",
         source="https://www.spamhaus.org/dbl/"),
    Rule(id="spamhaus", cause=Cause.SENDER_BLOCKED, response=Response.HOLD, seconds=_HOUR,
         status=_ANY_OR_POLICY, words=("spamhaus", "spamhaus.org"),
         what="Our address is listed by Spamhaus. See why, and ask for its removal, at "
              "https://check.spamhaus.org.",
         source="https://www.spamhaus.org/blocklists/"),
    Rule(id="proofpoint", cause=Cause.SENDER_BLOCKED, response=Response.HOLD, seconds=_HOUR,
         status=_ANY_OR_POLICY, words=("dnsbl lookup", "ipcheck.proofpoint.com"),
         what="Our address has a bad name with Proofpoint, which guards the recipient's domain.",
         source="https://ipcheck.proofpoint.com/"),
    Rule(id="barracuda", cause=Cause.SENDER_BLOCKED, response=Response.HOLD, seconds=_HOUR,
         status=_ANY_OR_POLICY, words=("barracudacentral*", "barracudanetworks"),
         what="Our address has a bad name with Barracuda, which guards the recipient's domain.",
         source="https://www.barracudacentral.org/lookups"),
    Rule(id="cloudmark", cause=Cause.SENDER_BLOCKED, response=Response.HOLD, seconds=_HOUR,
         status=_ANY_OR_POLICY, words=("csi.cloudmark.com",),
         what="Our address has a bad name with Cloudmark, which guards the recipient's domain.",
         source="https://csi.cloudmark.com/en/reset/"),
    Rule(id="t-online", cause=Cause.SENDER_BLOCKED, response=Response.HOLD, seconds=_HOUR,
         code="5", words=("tosa", "rx.t-online.de"),
         what="T-Online knows nothing of our address yet, or nothing good. Write to the address in "
              "the reply.",
         source="https://postmaster.t-online.de/index.en.html"),
    Rule(id="mimecast-reputation", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         words=("local ct ip reputation",),
         what="Our address has a bad name with Mimecast, which guards the recipient's domain.",
         source=_MIMECAST),
    Rule(id="mimecast-rate", cause=Cause.RATE, response=Response.SLOW, seconds=900.0, code="4",
         words=("ip temporarily blacklisted", "account service is temporarily unavailable"),
         what="Too many connections; Mimecast lets go of it after some minutes.",
         source=_MIMECAST),
    Rule(id="mimecast-greylisting", cause=Cause.POLICY, code="451",
         words=("internal resources are temporarily unavailable",),
         what="The receiver wants to see a second try.", source=_MIMECAST),
    Rule(id="mimecast-policy", cause=Cause.POLICY, code="5",
         words=("anti spoofing policy", "content examination policy", "manually blocked senders",
                "administrative prohibition", "envelope blocked", "header based blocked senders"),
         what="The recipient's organization has a rule against the sender or the content.",
         source=_MIMECAST),
)
# fmt: on
