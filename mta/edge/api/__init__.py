"""The HTTP door: messages handed in as JSON, and asked after.

`entrance` listens and is all that is loaded until somebody comes; `http` is the one module that
knows the library; `service` says what is answered; `orders`, `reading`, `forms` and `fields` read
what is asked; `problems` and `receipts` say what came of it; `openapi` describes it all.
"""

from mta.edge.api.calls import ApiLimits, Respond
from mta.edge.api.entrance import ApiServer

__all__ = ["ApiLimits", "ApiServer", "Respond"]
