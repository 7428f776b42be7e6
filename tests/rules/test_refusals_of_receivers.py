"""Replies of the large receivers, as they say them, and what we take them for."""

import pytest

from mta.model.outcome import Stage
from mta.model.ruling import Cause, Response

from mta.rules.refusals.classify import SHIPPED

from tests.rules.test_refusals import ruling_on

GOOGLE = "gmail-smtp-in.l.google.com"
CONSUMER = "outlook-com.olc.protection.outlook.com"
TENANT = "example-com.mail.protection.outlook.com"
YAHOO = "mta5.am0.yahoodns.net"
APPLE = "mx01.mail.icloud.com"
OTHER = "mx.there.test"

HOLD, SLOW, PAUSE = Response.HOLD, Response.SLOW, Response.PAUSE
REROUTE, NOTHING = Response.REROUTE, Response.NOTHING


@pytest.mark.parametrize(
    ("host", "text", "rule", "response"),
    [
        (
            GOOGLE,
            "421 4.7.28 Gmail has detected an unusual rate of unsolicited email originating from "
            "your IP address 192.0.2.1. To protect our users from spam, email sent from your IP "
            "address has been temporarily rate limited. abc - gsmtp",
            "google-rate-4.7.28",
            SLOW,
        ),
        (GOOGLE, "421 4.7.28 in words of tomorrow - gsmtp", "google-rate", SLOW),
        (
            GOOGLE,
            "421 4.7.0 Our system has detected an unusual rate of unsolicited mail - gsmtp",
            "google-rate-4.7.28",
            SLOW,
        ),
        (
            GOOGLE,
            "550 5.7.28 There is an unusual rate of unsolicited mail originating from your IP "
            "address. - gsmtp",
            "google-rate-block",
            HOLD,
        ),
        (
            GOOGLE,
            "450 4.2.1 The user you are trying to contact is receiving email at a rate that "
            "prevents additional messages from being delivered. - gsmtp",
            "google-mailbox-rate",
            NOTHING,
        ),
        (
            GOOGLE,
            "550 5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail "
            "requires all senders to authenticate with either SPF or DKIM. - gsmtp",
            "google-authentication",
            HOLD,
        ),
        (
            GOOGLE,
            "421 4.7.27 SPF authentication didn't pass - gsmtp",
            "google-authentication",
            HOLD,
        ),
        (GOOGLE, "421 4.7.30 DKIM authentication didn't pass", "google-authentication", HOLD),
        (
            GOOGLE,
            "550 5.7.25 The IP address sending this message does not have a PTR record setup",
            "google-reverse-name",
            HOLD,
        ),
        (
            GOOGLE,
            "550 5.7.1 Our system has detected that this message is likely suspicious due to the "
            "very low reputation of the sending IP address. - gsmtp",
            "google-reputation-address",
            HOLD,
        ),
        (
            GOOGLE,
            "550 5.7.1 Our system has detected that this message is likely suspicious due to the "
            "very low reputation of the sending domain. - gsmtp",
            "google-reputation-domain",
            SLOW,
        ),
        (
            GOOGLE,
            "550 5.7.1 Our system has detected that this message is likely unsolicited mail. To "
            "reduce the amount of spam sent to Gmail, this message has been blocked. - gsmtp",
            "google-unsolicited",
            REROUTE,
        ),
        (
            GOOGLE,
            "550 5.1.1 The email account that you tried to reach does not exist. - gsmtp",
            "google-no-such-user",
            NOTHING,
        ),
        (GOOGLE, "552 5.2.2 The recipient's inbox is out of storage", "over-quota", NOTHING),
        (
            CONSUMER,
            "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
            "reputation. For e-mail delivery information, see https://aka.ms/postmaster (S775)",
            "microsoft-reputation",
            SLOW,
        ),
        (CONSUMER, "451 4.7.651 The mail server [192.0.2.1]", "microsoft-reputation", SLOW),
        (
            CONSUMER,
            "421 RP-001 The mail server IP connecting to Outlook.com server has exceeded the rate "
            "limit allowed.",
            "microsoft-rate",
            SLOW,
        ),
        (
            CONSUMER,
            "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
            "Internet service provider since part of their network is on our block list (S3150).",
            "microsoft-block-list",
            HOLD,
        ),
        (CONSUMER, "550 5.7.1 block list (AS3140).", "microsoft-block-list", HOLD),
        (
            CONSUMER,
            "550 5.7.515 Access denied, sending domain EXAMPLE.COM doesn't meet the required "
            "authentication level.",
            "microsoft-authentication",
            HOLD,
        ),
        (CONSUMER, "550 SC-004 (COL004-MC1F9) Unfortunately", "microsoft-policy-address", HOLD),
        (CONSUMER, "550 OU-002 (COL004-MC1F9) Unfortunately", "microsoft-policy-spam", REROUTE),
        (
            CONSUMER,
            "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)",
            "microsoft-mailbox-unavailable",
            NOTHING,
        ),
        (
            TENANT,
            "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS843)",
            "microsoft-busy",
            SLOW,
        ),
        (TENANT, "550 5.7.606 Access denied, banned sending IP", "microsoft-banned", HOLD),
        (TENANT, "550 5.7.708 Access denied, traffic not accepted", "microsoft-banned", HOLD),
        (
            TENANT,
            "550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by there.test using "
            "Customer Block list (AS16012607)",
            "microsoft-customer-block",
            REROUTE,
        ),
        (
            TENANT,
            "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
            "microsoft-no-recipient",
            NOTHING,
        ),
        (
            TENANT,
            "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To "
            "request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.1",
            "spamhaus",
            HOLD,
        ),
        (
            YAHOO,
            "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected "
            "volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
            "yahoo-tss04",
            PAUSE,
        ),
        (
            YAHOO,
            "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying "
            "will NOT succeed. See https://postmaster.yahooinc.com/error-codes",
            "yahoo-permanent",
            HOLD,
        ),
        (
            YAHOO,
            "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred",
            "yahoo-permanent",
            HOLD,
        ),
        (
            YAHOO,
            "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is "
            "in Spamhaus's list; see http://postmaster.yahoo.com/550-bl23.html",
            "yahoo-listed",
            HOLD,
        ),
        (YAHOO, "554 5.7.9 Message not accepted for policy reasons.", "yahoo-policy", NOTHING),
        (
            YAHOO,
            "550 5.7.9 This mail has been blocked because the sender is unauthenticated.",
            "yahoo-authentication",
            HOLD,
        ),
        (
            YAHOO,
            "554 delivery error: dd This user doesn't have a yahoo.com account",
            "yahoo-no-such-user",
            NOTHING,
        ),
        (APPLE, "550 5.7.1 [CS01] Message rejected due to local policy.", "apple-policy", REROUTE),
        (APPLE, "554 5.7.1 [HM08] Message rejected due to local policy.", "apple-policy", REROUTE),
        (
            APPLE,
            "421 4.7.1 Messages to bob@icloud.com deferred due to excessive volume.",
            "apple-rate",
            SLOW,
        ),
        (
            APPLE,
            "550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL",
            "apple-domain-listed",
            NOTHING,
        ),
        (
            OTHER,
            "550 5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1",
            "proofpoint",
            HOLD,
        ),
        (
            OTHER,
            "554 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; "
            "Error: open resolver; https://check.spamhaus.org/returnc/pub/192.0.2.53",
            "spamhaus-cannot-be-asked",
            REROUTE,
        ),
        (
            OTHER,
            "550 5.7.1 Local CT IP Reputation - (reject)",
            "mimecast-reputation",
            REROUTE,
        ),
        (OTHER, "450 4.2.0 <bob@there.test>: Greylisted for 300 s", "greylisting", NOTHING),
        (OTHER, "421 4.7.0 too many connections from 192.0.2.1", "too-fast", SLOW),
    ],
)
def test_a_reply_of_a_large_receiver_is_known(
    host: str, text: str, rule: str, response: Response
) -> None:
    found = ruling_on(text, Stage.RECIPIENT, host)

    assert (found.rule, found.response) == (rule, response)


def test_nobody_else_speaks_with_the_codes_of_google() -> None:
    assert ruling_on("550 5.7.30 no REQUIRETLS", host=OTHER).rule == "tls-required-by-sender"
    assert ruling_on("550 5.7.30 no DKIM", host=GOOGLE).cause is Cause.AUTHENTICATION


def test_who_names_himself_after_a_receiver_is_not_that_receiver() -> None:
    assert ruling_on("450 4.7.28 x", host="google.com.attacker.test").rule == "flood"


def test_one_tenants_list_does_not_shut_the_site_of_all_tenants() -> None:
    found = ruling_on("550 5.7.513 blocked using Customer Block list", host=TENANT)

    assert found.opens_second_road
    assert not found.is_of_our_address


@pytest.mark.parametrize("id", ["microsoft-block-list", "yahoo-permanent", "spamhaus"])
def test_an_address_that_is_blocked_is_never_the_recipients_trouble(id: str) -> None:
    rule = SHIPPED.rule(id)

    assert rule is not None
    assert rule.ruling.is_of_our_address
