"""What can happen to us, as exceptions. What can happen to mail is an Outcome."""


class SpoolError(Exception):
    """The spool could not do what was asked; nothing that it acknowledged is lost."""


class SpoolFull(SpoolError):
    """No room for another message now: a full disk, a full queue, too few inodes."""


class MaildropError(Exception):
    """The drop folder could not be read or written; what is in it stays there."""


class SigningError(Exception):
    """A key could not be read or used; the message names the key and the cure."""


class NoNameserver(Exception):
    """There is no DNS server to ask; the message names the file and the cure."""


class LedgerError(Exception):
    """What was handed in cannot be written down, or read, now."""
