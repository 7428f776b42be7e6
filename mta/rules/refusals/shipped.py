"""The table that comes with the server: the large receivers, then everybody, then the standards."""

from mta.rules.refusals import general, standard

RULES = (*general.RULES, *standard.BY_OURSELVES, *standard.BY_STATUS, *standard.BY_CODE)
