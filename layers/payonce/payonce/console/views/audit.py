"""The audit page: who did what at the console, newest first.

Allowed: dynamodb:Query on ConsoleTable with the leading keys ACTS#*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.page import Download, Rendered
from payonce.console.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.console.audit import Act, Acts
    from payonce.console.exports import ExportForm
    from payonce.console.page import PageRequest, Services

COLUMNS = (("time", 19), ("who", 24), ("what", 40), ("path", 50), ("merchant", 32), ("done", 8), ("result", 60))


def audit(services: Services, request: PageRequest) -> Rendered | Download:
    """Return the page of acts, those about the chosen merchant or all, or with ``?format=`` the list as a file.

    A page has 50 rows and costs one round trip. Raises ``BodyMalformed`` for a cursor of another list, and for a form
    of a file that there is not.
    """
    acts, cursor = Parts(services).acts, request.query.get("cursor", "")
    if request.query.get("format"):
        # Imported here: a page needs none of it, and it takes a quarter of the console's cold start.
        from payonce.console.exports import export_form

        if (form := export_form(request.query)) is not None:
            return _saved(acts, request, cursor, form)
    page = acts.page(request.merchant_id, cursor)
    return Rendered("audit.html", {"acts": page.acts, "next_cursor": page.next_cursor, "cursor": cursor})


def _saved(acts: Acts, request: PageRequest, cursor: str, form: ExportForm) -> Download:
    from payonce.console.exports import Instant, Sheet, collected, exported

    def page_from(place: str | None) -> tuple[Sequence[Act], str | None]:
        found = acts.page(request.merchant_id, place or "")
        return found.acts, found.next_cursor or None

    rows, further = collected(page_from, cursor or None)
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
    file = exported(form, Sheet("audit", COLUMNS, cells), next_cursor=further)
    return Download(file.name, file.media_type, file.body)
