"""Who it is that refuses, by the name of the host."""

from mta.model.outcome import Outcome

_SUFFIXES = (
    (".olc.protection.outlook.com", "microsoft-consumer"),
    (".mail.protection.outlook.com", "microsoft"),
    (".mx.microsoft", "microsoft"),
    (".google.com", "google"),
    (".googlemail.com", "google"),
    (".yahoodns.net", "yahoo"),
    (".icloud.com", "apple"),
)


def receiver_of(outcome: Outcome) -> str:
    """The name under which the tables know who refused, as "google"; "" for who is not in them."""
    if outcome.host is None:
        return ""
    name = outcome.host.name
    return next((receiver for suffix, receiver in _SUFFIXES if name.endswith(suffix)), "")
