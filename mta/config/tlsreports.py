"""The settings of the daily reports on TLS (RFC 8460)."""

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from mta.model.address import Address, parse_address

from mta.config.kinds import Section, Text


def _address(value: object) -> object:
    if not isinstance(value, str):
        # pydantic collects ValueErrors
        raise ValueError("expected an address, as in tls@example.com")  # noqa: TRY004
    return parse_address(value)


Mailbox = Annotated[Address, BeforeValidator(_address), PlainSerializer(str)]


class TlsReports(Section):
    """Who reports, to the domains that ask for it."""

    organization: Text
    contact: Text
    sender: Mailbox
