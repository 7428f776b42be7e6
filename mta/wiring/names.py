"""Who asks the DNS, as the settings say."""

import time

from mta.flow.keyrecords import KeyRecords

from mta.edge.authority import Authority
from mta.edge.lookup import DnsLookup, OnAnswer

from mta.config import Settings


def lookup_for(settings: Settings, on_answer: OnAnswer | None = None) -> DnsLookup:
    """Who asks a resolver; `on_answer` hears what came. Raises NoNameserver."""
    servers = [(server.host, server.port) for server in settings.dns.nameservers]
    return DnsLookup(
        servers,
        timeout=settings.dns.timeout,
        clock=time.time,
        on_answer=on_answer,
        validation=settings.dns.validates,
    )


def key_records_for(settings: Settings, lookup: DnsLookup) -> KeyRecords:
    """Who looks for the records of DKIM keys."""
    dns = settings.dns
    return KeyRecords(
        names=lookup, authority=Authority(port=dns.authority_port, timeout=dns.timeout / 2)
    )
