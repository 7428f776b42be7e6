"""Who counts as one client."""

import pytest

from mta.model.site import site_of


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("unix:1000", "unix:1000"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_a_client_is_counted_by_what_one_host_has_to_itself(address: str, site: str) -> None:
    assert site_of(address) == site
