"""Asks the servers of a zone themselves, by way of dnspython: what does each of them show?

No resolver stands between, so nothing is remembered anywhere, and an old answer is an old server.
"""

from collections.abc import Iterator
from itertools import islice

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.TXT import TXT
from dns.rrset import RRset

from mta.model.domain import Answer, Finding
from mta.model.zone import Alias, Delegation, ZoneAnswer

_EDNS_PAYLOAD = 1232  # octets: what passes every path unfragmented
_MAX_RECORDS = 50
_MAX_TEXT = 300  # characters of an explanation


class Authority:
    """Keeps the flow's promise of the same name. `timeout` bounds one question, in seconds."""

    def __init__(self, *, port: int = 53, timeout: float = 5.0) -> None:
        self._port = port
        self._timeout = timeout

    async def texts(self, address: str, name: str) -> ZoneAnswer:
        """What the server at this IP address has of a name's TXT records. Never raises."""
        try:
            query = dns.message.make_query(
                dns.name.from_text(name), RdataType.TXT, payload=_EDNS_PAYLOAD, flags=0
            )
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, address, self._timeout, self._port
            )
            return _read(response)
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            text = str(error) or type(error).__name__
            return Answer(Finding.UNKNOWN, text=f"{address}: {text}"[:_MAX_TEXT])


def _read(response: dns.message.Message) -> ZoneAnswer:
    if not isinstance(response, dns.message.QueryMessage):
        return Answer(Finding.UNKNOWN, text="the answer is to something else")
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Answer(Finding.UNKNOWN, text=dns.rcode.to_text(response.rcode()))
    delegated = tuple(islice(_delegated(response), _MAX_RECORDS))
    if delegated:
        return Delegation(delegated)
    if not response.flags & dns.flags.AA:
        return Answer(Finding.UNKNOWN, text="it does not serve the zone")
    chain = response.resolve_chaining()
    if chain.answer is not None:
        return Answer(Finding.RECORDS, tuple(islice(_texts(chain.answer), _MAX_RECORDS)))
    if chain.cnames:
        return Alias(_plain(chain.canonical_name))
    is_there = response.rcode() == dns.rcode.NOERROR
    return Answer(Finding.NO_DATA if is_there else Finding.NO_NAME)


def _delegated(response: dns.message.Message) -> Iterator[str]:
    """The servers of the zone below that this is a referral to (RFC 1034 §4.3.2)."""
    if response.answer or response.flags & dns.flags.AA:
        return
    for rrset in response.authority:
        yield from (_plain(record.target) for record in rrset if isinstance(record, NS))


def _texts(records: RRset) -> Iterator[str]:
    return (
        b"".join(record.strings).decode("utf-8", "backslashreplace")
        for record in records
        if isinstance(record, TXT)
    )


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
