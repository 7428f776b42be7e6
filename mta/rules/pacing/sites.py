"""Who serves a destination: its site, as the MX records of its domain tell.

A receiver counts what an address of ours sends to it, whichever of the domains that it serves
the mail is for. So limits are kept by site, not by domain.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mta.model.domain import Mx

# The hosts of large providers, by the end of their names. Whoever ends in several of these is
# named by the longest. Names are words of ours: they stand in settings, events and rules.
PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        # Gmail and Google Workspace: aspmx.l.google.com, smtp.google.com, aspmx2.googlemail.com.
        "google.com": "google",
        "googlemail.com": "google",
        "psmtp.com": "google",
        # outlook.com, hotmail.com, live.com, msn.com: mailboxes of people.
        "olc.protection.outlook.com": "microsoft-consumer",
        # Microsoft 365: tenant.mail.protection.outlook.com; with DNSSEC, tenant.x-v1.mx.microsoft.
        "mail.protection.outlook.com": "microsoft",
        "mail.protection.office365.us": "microsoft",
        "mail.eo.outlook.com": "microsoft",
        "mx.microsoft": "microsoft",
        # Yahoo and AOL, and who rents from them.
        "yahoodns.net": "yahoo",
        "mx.aol.com": "yahoo",
        # iCloud, also for domains of one's own.
        "mail.icloud.com": "apple",
        "apple.com": "apple",
        # Gateways in front of companies.
        "pphosted.com": "proofpoint",
        "ppe-hosted.com": "proofpoint",
        "gpphosted.com": "proofpoint",
        "mimecast.com": "mimecast",
        "mimecast.co.za": "mimecast",
        "mimecast-offshore.com": "mimecast",
        "barracudanetworks.com": "barracuda",
        "iphmx.com": "cisco",
        "messagelabs.com": "broadcom",
        # Mailboxes of people again, in Europe and elsewhere.
        "comcast.net": "comcast",
        "gmx.net": "gmx",
        "kundenserver.de": "ionos",
        "ionos.com": "ionos",
        "ionos.de": "ionos",
        "t-online.de": "t-online",
        "orange.fr": "orange",
        "free.fr": "free",
        "mail.ru": "mail-ru",
        "yandex.net": "yandex",
        "yandex.ru": "yandex",
        "qq.com": "qq",
        "netease.com": "netease",
        "zoho.com": "zoho",
        "zoho.eu": "zoho",
        "messagingengine.com": "fastmail",
        "protonmail.ch": "proton",
        "ovh.net": "ovh",
        "secureserver.net": "godaddy",
        "emailsrvr.com": "rackspace",
    }
)

# Second labels under which countries register names, as in co.uk, com.au and or.jp.
_PUBLIC = frozenset(("ac", "co", "com", "edu", "gob", "gov", "gv", "mil", "ne", "net", "or", "org"))


def provider_of(host: str, named: Mapping[str, str] = PROVIDERS) -> str:
    """The provider that a mail exchanger belongs to, by the end of its name; "" for no such one.

    `host` is in lower case without a final dot; so are the keys of `named`.
    """
    while host:
        found = named.get(host)
        if found is not None:
            return found
        host = host.partition(".")[2]
    return ""


def site_of(domain: str, exchangers: Sequence[Mx], named: Mapping[str, str] = PROVIDERS) -> str:
    """Who serves a domain with these MX records: a provider's name, or the name of its hosts.

    Only the hosts of the best preference count: the others are for bad days, and often another's.
    Where they have no registered name in common, or there are none, the domain is its own site.
    """
    best = min((record.preference for record in exchangers), default=0)
    hosts = {record.host for record in exchangers if record.preference == best}
    sites = {provider_of(host, named) or registered_name(host) for host in hosts}
    return sites.pop() or domain if len(sites) == 1 else domain


def registered_name(host: str) -> str:
    """The end of a host's name that somebody registered, as well as its labels tell.

    Two labels, or three as in mail.example.co.uk; a list of all public suffixes would know
    better and be out of date. An error costs little: a site too large goes a little slower.
    """
    labels = host.split(".")
    is_public = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _PUBLIC
    return ".".join(labels[-3 if is_public else -2 :])
