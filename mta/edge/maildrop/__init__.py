"""The drop folder: where `mta sendmail` leaves a message when no server answers.

Any user of this host may leave files in it, and may neither list it nor touch another's: it is
writable for all, sticky, and not readable. It gives its group to what is left in it, so that a
server that is not root can read it, and no other user can. docs/submission.md has the states of a
file.
"""

TEMPORARY = ".tmp"  # at the end of a name: not whole yet
