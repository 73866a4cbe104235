"""The audit page: who did what at the console, newest first.

Allowed: dynamodb:Query on ConsoleTable with the leading keys ACTS#*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.page import Rendered
from payonce.console.parts import Parts

if TYPE_CHECKING:
    from payonce.console.page import PageRequest, Services


def audit(services: Services, request: PageRequest) -> Rendered:
    """Return the page of acts: those about the chosen merchant, or all. One round trip; 50 rows.

    Raises ``BodyMalformed`` for a cursor of another list.
    """
    page = Parts(services).acts.page(request.merchant_id, request.query.get("cursor", ""))
    return Rendered("audit.html", {"acts": page.acts, "next_cursor": page.next_cursor})
