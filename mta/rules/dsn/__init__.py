"""Reports to senders: delivery status notifications (RFC 3461, 3464, 6522, 6533 and 3834)."""

from mta.rules.dsn.owed import TOGETHER, Action, others_are_due, owed
from mta.rules.dsn.report import Occasion, report_for

__all__ = ["TOGETHER", "Action", "Occasion", "others_are_due", "owed", "report_for"]
