"""The table that comes with the server: the large receivers, then everybody, then the standards."""

from mta.rules.refusals import apple, general, google, lists, microsoft, standard, yahoo

RULES = (
    *google.RULES,
    *microsoft.RULES,
    *yahoo.RULES,
    *apple.RULES,
    *lists.RULES,
    *general.RULES,
    *standard.BY_OURSELVES,
    *standard.BY_STATUS,
    *standard.BY_CODE,
)
