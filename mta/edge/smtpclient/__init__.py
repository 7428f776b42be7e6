"""The road's edge: an SMTP client, on aiosmtplib.

    connector     opens: connect, greet, secure, log in
    session       what an open conversation is to the flow
    transaction   one letter: MAIL, RCPT, DATA
    conversation  how far it has come; makes every Outcome
    wire          one connection: which reply belongs to which command
    watch         its time limits
    offers        what the answer to EHLO offers
    replies       a peer's bytes, bounded, read and escaped

Whatever a peer does becomes an Outcome; no exception of this package leaves it.
"""

from mta.edge.smtpclient.connector import Login, SmtpConnector
from mta.edge.smtpclient.conversation import Timeouts
from mta.edge.smtpclient.session import SmtpSession

__all__ = ["Login", "SmtpConnector", "SmtpSession", "Timeouts"]
