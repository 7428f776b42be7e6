"""The spool on disk: a journal for mail on its way, a file each for mail that has to wait."""

from mta.edge.spool.disk import Disk
from mta.edge.spool.files import FileSpool
from mta.edge.spool.gauge import Watermarks
from mta.edge.spool.inspection import inspect, read_content
from mta.edge.spool.kept import Keep

__all__ = ["Disk", "FileSpool", "Keep", "Watermarks", "inspect", "read_content"]
