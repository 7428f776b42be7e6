"""How a host is called."""

import pytest

from mta.model.domain import Host


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        (Host("mx.there.test", "192.0.2.1", 25), "mx.there.test[192.0.2.1]:25"),
        (Host("mx.there.test", "2001:db8::1", 587), "mx.there.test[2001:db8::1]:587"),
        (Host("[192.0.2.1]", "192.0.2.1", 25), "[192.0.2.1]:25"),
        (Host("[IPv6:2001:db8::1]", "2001:db8::1", 25), "[IPv6:2001:db8::1]:25"),
    ],
)
def test_a_host_is_shown_with_name_address_and_port(host: Host, shown: str) -> None:
    assert str(host) == shown


@pytest.mark.parametrize(
    ("host", "label"),
    [
        (Host("mx.there.test", "192.0.2.1", 25), "mx.there.test:25"),
        (Host("2001:db8::1", "2001:db8::1", 25), "[2001:db8::1]:25"),
        (Host("/run/dovecot/lmtp", "", 0), "/run/dovecot/lmtp"),
    ],
)
def test_a_host_is_known_again_whichever_its_address(host: Host, label: str) -> None:
    assert host.label == label
