"""What Outlook.com (consumers) and Exchange Online (tenants of Microsoft 365) say."""

from mta.model.outcome import Stage
from mta.model.ruling import Cause, Response

from mta.rules.refusals.pattern import Rule

_POSTMASTER = "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting.aspx"
_REPORTS = (
    "https://learn.microsoft.com/exchange/mail-flow-best-practices/"
    "non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online"
)
_BULK = (
    "https://support.microsoft.com/topic/"
    "fix-ndr-error-550-5-7-515-in-outlook-com-34cfe8f8-6fbf-457e-9e8b-9e4dbaf4e0ef"
)
_NO_RECIPIENT = (
    "https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/"
    "fix-error-code-550-5-4-1-in-exchange-online"
)
_SEEN = "seen in practice, undocumented"
_MICROSOFT = "microsoft microsoft-consumer"
_HOUR = 3600.0

# fmt: off
RULES = (
    Rule(id="microsoft-block-list", cause=Cause.SENDER_BLOCKED, response=Response.HOLD,
         seconds=_HOUR, words=("s3140", "s3150", "as3140", "as3150"),
         what="Our address or its network is on the block list of Outlook.com: as a rule because "
              "deferrals before it were not heeded. Ask for its removal.",
         source=_POSTMASTER),
    Rule(id="microsoft-rate", cause=Cause.RATE, response=Response.SLOW, seconds=_HOUR, code="4",
         words=("rp 001", "rp 002", "rp 003"),
         what="More mail or connections than the reputation of our address allows.",
         source=_POSTMASTER),
    Rule(id="microsoft-reputation", site=_MICROSOFT, cause=Cause.RATE, response=Response.SLOW,
         seconds=_HOUR, status="4.7.650 4.7.651",
         what="The reputation of our address allows less mail than this. Who goes on is blocked.",
         source="https://aka.ms/postmaster"),
    Rule(id="microsoft-policy-address", cause=Cause.SENDER_BLOCKED, response=Response.HOLD,
         seconds=_HOUR, code="5",
         words=("sc 002", "sc 003", "sc 004", "dy 001", "dy 002", "ou 001"),
         what="Outlook.com takes no mail from our address: complaints, guessed recipients, an open "
              "relay, a dynamic address or one listed by Spamhaus.",
         source=_POSTMASTER),
    Rule(id="microsoft-policy-spam", cause=Cause.SENDER_BLOCKED, response=Response.REROUTE,
         code="5", words=("sc 001", "ou 002"),
         what="Spam to Outlook.com, by its content or by the reputation of our address.",
         source=_POSTMASTER),
    Rule(id="microsoft-authentication", site=_MICROSOFT, cause=Cause.AUTHENTICATION,
         response=Response.HOLD, seconds=_HOUR, status="5.7.515",
         what="Outlook.com wants SPF, DKIM and DMARC from whom many messages come.", source=_BULK),
    Rule(id="microsoft-dmarc", site=_MICROSOFT, cause=Cause.AUTHENTICATION,
         response=Response.HOLD, seconds=_HOUR, status="5.7.509 *.7.26",
         what="SPF and DKIM do not show that the message is the sender's.", source=_REPORTS),
    Rule(id="microsoft-busy", site=_MICROSOFT, cause=Cause.RATE, response=Response.SLOW,
         seconds=_HOUR, status="4.7.500-699 4.7.850-899",
         what="Suspicious traffic from our address is slowed until it is understood.",
         source=_REPORTS),
    Rule(id="microsoft-banned", site=_MICROSOFT, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR, status="5.7.511 5.7.606-649 5.7.708",
         what="Our address is banned. Ask for its removal at https://sender.office.com.",
         source=_REPORTS),
    Rule(id="microsoft-spam-abuse", site=_MICROSOFT, cause=Cause.SENDER_BLOCKED,
         response=Response.HOLD, seconds=_HOUR, status="5.7.501-503 5.7.705 5.7.750",
         what="Too much spam came from our address, account or tenant.", source=_REPORTS),
    Rule(id="microsoft-customer-block", site=_MICROSOFT, cause=Cause.POLICY,
         response=Response.REROUTE, status="5.7.507 5.7.513",
         what="The recipient's organization has put our address on a list of its own.",
         source=_REPORTS),
    Rule(id="microsoft-hello", site=_MICROSOFT, cause=Cause.OURS, status="5.7.506",
         what="Our name in EHLO is not ours.", source=_REPORTS),
    Rule(id="microsoft-no-ipv6", site=_MICROSOFT, cause=Cause.POLICY, status="5.7.510",
         what="The recipient's domain takes no mail over IPv6.", source=_REPORTS),
    Rule(id="microsoft-form", site=_MICROSOFT, cause=Cause.CONTENT, status="5.7.512 5.6.11",
         what="The message's header or its line ends are not as RFC 5322 has them.",
         source=_REPORTS),
    Rule(id="microsoft-no-recipient", site=_MICROSOFT, cause=Cause.RECIPIENT_GONE,
         stages=(Stage.RECIPIENT,), status="5.4.1",
         what="There is no such recipient in the organization's directory.",
         source=_NO_RECIPIENT),
    Rule(id="microsoft-recipient-not-found", site=_MICROSOFT, cause=Cause.RECIPIENT_GONE,
         status="5.1.10",
         what="There is no such recipient.", source=_REPORTS),
    Rule(id="microsoft-mailbox-unavailable", site=_MICROSOFT, cause=Cause.RECIPIENT_GONE,
         status="5.5.0", words=("mailbox unavailable",), stages=(Stage.RECIPIENT,),
         what="There is no such mailbox.", source=_SEEN),
    Rule(id="microsoft-mailbox-rate", site=_MICROSOFT, cause=Cause.RATE, status="4.3.2",
         words=("thread limit exceeded",),
         what="One mailbox gets more mail than it can take; others take theirs.",
         source=_REPORTS),
)
# fmt: on
