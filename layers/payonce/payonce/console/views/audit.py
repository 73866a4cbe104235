"""The audit page: who did what at the console, newest first.

Allowed: dynamodb:Query on ConsoleTable with the leading keys ACTS#*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.page import Rendered
from payonce.console.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.console.audit import Act
    from payonce.console.page import Download, PageRequest, Services

COLUMNS = (("time", 19), ("who", 24), ("what", 40), ("path", 50), ("merchant", 32), ("done", 8), ("result", 60))


def audit(services: Services, request: PageRequest) -> Rendered:
    """Return the page of acts, those about the chosen merchant or all.

    A page has 50 rows and costs one round trip. Raises ``BodyMalformed`` for a cursor of another list.
    """
    page = Parts(services).acts.page(request.merchant_id, request.query.get("cursor", ""))
    return Rendered("audit.html", {"acts": page.acts, "next_cursor": page.next_cursor})


def acts_list(services: Services, request: PageRequest) -> Download:
    """Return the acts as a file. Raises as ``audit`` does."""
    # Imported here: a page needs none of it, and it takes a quarter of the console's cold start.
    from payonce.console.exports import Instant, Sheet, collected, saved

    acts = Parts(services).acts

    def page_from(place: str | None) -> tuple[Sequence[Act], str | None]:
        found = acts.page(request.merchant_id, place or "")
        return found.acts, found.next_cursor or None

    rows, further = collected(page_from, request.query.get("cursor") or None)
    cells = [
        (
            Instant(act.at_ms),
            act.principal,
            act.operation,
            act.on,
            act.merchant_id,
            "refused" if act.refused else "done",
            act.result,
        )
        for act in rows
    ]
    return saved(request, Sheet("audit", COLUMNS, cells), further)
