"""The settings of where connections come from: our own addresses, and the use of IPv6."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mta.model.source import Source

from mta.config.kinds import Domain, Section, Whole
from mta.config.quantities import read_source


class SourceAddress(Section):
    """One of our own addresses to connect from, and our name in EHLO there."""

    address: Annotated[str, BeforeValidator(read_source)]
    hostname: Domain | None = None
    weight: Annotated[Whole, Field(ge=1, le=1000)] = 1

    def source(self) -> Source:
        """The same, for who connects."""
        return Source(self.address, self.hostname or "", self.weight)
