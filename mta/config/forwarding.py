"""The settings of forwarded mail: by whom it comes, who seals it, how its senders are rewritten."""

from mta.config.dkim import Selector
from mta.config.doors import ClientNetwork
from mta.config.kinds import Domain, FilePath, Section, Text


class Seal(Section):
    """Who seals (RFC 8617): a domain and its key, whose record is that of a DKIM key."""

    domain: Domain
    selector: Selector
    key: FilePath


class SenderRewriting(Section):
    """Below which domain senders are rewritten, and the secret that proves that we did it."""

    domain: Domain
    secret_file: FilePath


class Forwarding(Section):
    """Mail of others that is passed on."""

    users: tuple[Text, ...] = ()
    networks: tuple[ClientNetwork, ...] = ()
    arc: Seal | None = None
    srs: SenderRewriting | None = None
