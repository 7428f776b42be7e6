"""Who asks the DNS, as the settings say."""

import time

from mta.flow.keyrecords import KeyRecords

from mta.edge.authority import Authority
from mta.edge.lookup import DnsLookup

from mta.config import Settings


def lookup_for(settings: Settings) -> DnsLookup:
    """Who asks a resolver. Raises NoNameserver."""
    servers = [(server.host, server.port) for server in settings.dns.nameservers]
    return DnsLookup(servers, timeout=settings.dns.timeout, clock=time.time)


def key_records_for(settings: Settings, lookup: DnsLookup) -> KeyRecords:
    """Who looks for the records of DKIM keys."""
    dns = settings.dns
    return KeyRecords(
        names=lookup, authority=Authority(port=dns.authority_port, timeout=dns.timeout / 2)
    )
