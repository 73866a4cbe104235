"""Files of banks and gateways: uploading one, what it says line by line, and what has arrived.

Allowed: dynamodb:Query on ReconciliationTable with the leading keys FILES, UPLOADS and REFUSED; dynamodb:GetItem and
dynamodb:BatchGetItem with FILE#* and UPLOAD#*; s3:GetObject of readings/* in ReconciliationBucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.exports import Instant, Sheet, collected, export_form, exported
from payonce.console.page import Download, Rendered
from payonce.domain.errors import BodyMalformed
from payonce.paging import make_cursor, read_cursor
from payonce.reconciliation.runs.files import find_file, list_files
from payonce.reconciliation.runs.upload_desk import MAX_UPLOAD_BYTES, reading_of
from payonce.reconciliation.runs.uploads import get_upload, list_refusals, list_uploads

if TYPE_CHECKING:
    from payonce.console.page import PageRequest, Services
    from payonce.reconciliation.runs.files import KnownFile

PAGE_SIZE: Final = 50
LATELY: Final = 20  # uploads and refused files that are shown beside the accepted ones
LINES: Final = 100  # of a file, on a page
COLUMNS: Final = (("file", 40), ("sha256", 64), ("format", 20), ("gateway", 16), ("accepted", 20))


def files(services: Services, request: PageRequest) -> Rendered | Download:
    """Return the page of files, or the file of those that were accepted.

    Four round trips, whatever there is. Raises ``BodyMalformed`` for a cursor of another list.
    """
    form = export_form(request.query)
    if form is not None:
        found, cursor = collected(lambda cursor: _page(services, cursor), request.query.get("cursor") or None)
        rows = [
            (one.name, one.file_id, one.file_format, one.gateway or "", Instant(one.received_at_ms)) for one in found
        ]
        file = exported(form, Sheet("files", COLUMNS, rows), next_cursor=cursor)
        return Download(file.name, file.media_type, file.body)
    accepted, cursor = _page(services, request.query.get("cursor") or None)
    uploads = list_uploads(services.database, limit=LATELY)
    refused = list_refusals(services.database, limit=LATELY)
    placed = {upload.placed_as: upload.handed_in_at_ms or 0 for upload, _ in uploads if upload.placed_as}
    return Rendered(
        "files.html",
        {
            "accepted": accepted,
            "next_cursor": cursor or "",
            "uploads": uploads,
            "refused": refused,
            # An upload that was refused when it arrived, although it was right when somebody looked at it.
            "refused_names": {one.name for one in refused if placed.get(one.name, one.at_ms + 1) <= one.at_ms},
            "max_bytes": MAX_UPLOAD_BYTES,
        },
    )


def one_file(services: Services, request: PageRequest) -> Rendered:
    """Return what an uploaded file says, 100 lines a page. Three round trips.

    Raises ``NotFound`` for a file that was not uploaded, or so long ago that it is gone.
    """
    file_id = request.path_parameters["file_id"]
    reading = reading_of(services.files, file_id)
    upload = get_upload(services.database, file_id)
    gateways = [(name, name) for name in sorted(services.settings.gateways)]
    first = _first(request.query.get("from", ""))
    return Rendered(
        "file.html",
        {
            "upload": upload,
            "reading": reading,
            "known": find_file(services.database, file_id),
            "lines": reading["lines"][first : first + LINES],
            "first": first,
            "next_from": first + LINES if first + LINES < len(reading["lines"]) else 0,
            "gateways": gateways if len(gateways) == 1 else [("", "choose one"), *gateways],
        },
    )


def _first(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise BodyMalformed("The place in the file is a number of lines.")
    return int(text)


def _page(services: Services, cursor: str | None) -> tuple[list[KnownFile], str | None]:
    listing = ("console", "files")
    before = read_cursor(cursor, listing) if cursor else None
    found, following = list_files(services.database, limit=PAGE_SIZE, before=before)
    return found, make_cursor(following, listing) if following else None
