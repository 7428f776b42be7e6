"""Which receiver a domain's mail counts for."""

import pytest

from mta.model.domain import Mx

from mta.rules.pacing.sites import PROVIDERS, provider_of, registered_name, site_of


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("aspmx.l.google.com", "google"),
        ("smtp.google.com", "google"),
        ("aspmx5.googlemail.com", "google"),
        ("example-com.mail.protection.outlook.com", "microsoft"),
        ("example-com.o-v1.mx.microsoft", "microsoft"),
        ("outlook-com.olc.protection.outlook.com", "microsoft-consumer"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("mx-aol.mail.gm0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "apple"),
        ("mx0a-001b2d01.pphosted.com", "proofpoint"),
        ("us-smtp-inbound-1.mimecast.com", "mimecast"),
        ("d12345a.ess.barracudanetworks.com", "barracuda"),
        ("mx.example.com", ""),
        ("mx.notgoogle.com", ""),
        ("google.com.example.net", ""),
        ("", ""),
    ],
)
def test_a_provider_is_known_by_the_end_of_its_hosts_names(host: str, provider: str) -> None:
    assert provider_of(host) == provider


@pytest.mark.parametrize(
    ("exchangers", "site"),
    [
        ([(1, "aspmx.l.google.com"), (5, "alt1.aspmx.l.google.com")], "google"),
        ([(10, "mx1.there.test"), (10, "mx2.there.test")], "there.test"),
        ([(10, "mx1.eu.there.test"), (10, "mx.us.there.test")], "there.test"),
        ([(10, "mx.there.test")], "there.test"),
        ([(10, "mx.there.test"), (20, "backup.else.test")], "there.test"),
        ([(10, "mx.mail.example.co.uk")], "example.co.uk"),
        ([(10, "mx.one.test"), (10, "mx.two.test")], "domain.test"),
        ([(10, "aspmx.l.google.com"), (10, "mx.two.test")], "domain.test"),
        ([(10, "localhost")], "localhost"),
        ([(0, "")], "domain.test"),
        ([], "domain.test"),
    ],
)
def test_a_site_is_who_has_the_hosts_of_the_best_preference(
    exchangers: list[tuple[int, str]], site: str
) -> None:
    records = [Mx(preference, host) for preference, host in exchangers]

    assert site_of("domain.test", records) == site


def test_an_operators_own_suffix_goes_before_ours_where_it_is_longer() -> None:
    named = {**PROVIDERS, "big.example.net": "big"}

    assert site_of("domain.test", [Mx(0, "mx1.big.example.net")], named) == "big"
    assert site_of("domain.test", [Mx(0, "mx1.small.example.net")], named) == "example.net"


@pytest.mark.parametrize("host", ["", ".", "..", "a..b", "x" * 300, "co.uk", "com.au."])
def test_no_name_that_the_dns_may_hold_is_too_strange_for_a_site(host: str) -> None:
    assert isinstance(registered_name(host), str)
    assert isinstance(site_of("domain.test", [Mx(0, host)]), str)
