"""Files of banks and gateways: uploading one, what it says line by line, and what has arrived.

Allowed: dynamodb:Query on ReconciliationTable with the leading keys FILES, UPLOADS and REFUSED; dynamodb:GetItem and
dynamodb:BatchGetItem with FILE#* and UPLOAD#*; s3:GetObject of readings/* in ReconciliationBucket.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from payonce.console.exports import MAX_ROWS, Instant, Sheet, collected, saved
from payonce.console.page import Rendered
from payonce.domain.errors import BodyMalformed
from payonce.paging import make_cursor, read_cursor
from payonce.reconciliation.runs.files import find_file, list_files
from payonce.reconciliation.runs.upload_desk import MAX_UPLOAD_BYTES, reading_of
from payonce.reconciliation.runs.uploads import UploadState, get_upload, list_refusals, list_uploads, uploads_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.console.page import Download, PageRequest, Services
    from payonce.paging import Listing
    from payonce.reconciliation.runs.files import KnownFile
    from payonce.reconciliation.runs.uploads import RefusedFile, Upload

PAGE_SIZE: Final = 50
LATELY: Final = 20  # uploads and refused files that are shown beside the accepted ones
LINES: Final = 100  # of a file, on a page
COLUMNS: Final = (("file", 40), ("sha256", 64), ("format", 20), ("gateway", 16), ("accepted", 20))


def files(services: Services, request: PageRequest) -> Rendered:
    """Return the page of files.

    Four round trips, whatever there is. Raises ``BodyMalformed`` for a cursor of another list.
    """
    accepted, cursor = _page(services, request.query.get("cursor") or None)
    uploads = list_uploads(services.database, limit=LATELY)
    refused = list_refusals(services.database, limit=LATELY)
    return Rendered(
        "files.html",
        {
            "accepted": accepted,
            "next_cursor": cursor or "",
            "uploads": [(upload, *_state(upload, known, refused)) for upload, known in uploads],
            "refused": refused,
            "lately": LATELY,
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


def accepted_list(services: Services, request: PageRequest) -> Download:
    """Return the files that were accepted as a file. Raises as ``files`` does."""
    found, cursor = collected(lambda cursor: _page(services, cursor), request.query.get("cursor") or None)
    rows = [(one.name, one.file_id, one.file_format, one.gateway or "", Instant(one.received_at_ms)) for one in found]
    return saved(request, Sheet("files", COLUMNS, rows), cursor)


def uploads_list(services: Services, request: PageRequest) -> Download:
    """Return the uploads as a file, newest first. Raises as ``files`` does."""
    refused = list_refusals(services.database, limit=MAX_ROWS)
    found, cursor = collected(
        lambda cursor: _positioned(partial(uploads_page, services.database), ("console", "uploads"), cursor),
        request.query.get("cursor") or None,
    )
    columns = (("file", 40), ("sha256", 64), ("state", 20), ("lines", 8), ("uploaded", 20), ("by", 24))
    rows = [
        (
            upload.name, upload.file_id, _state(upload, known, refused)[0], upload.line_count,
            Instant(upload.uploaded_at_ms), upload.uploaded_by,
        )
        for upload, known in found
    ]  # fmt: skip
    return saved(request, Sheet("Uploads", columns, rows), cursor)


def refused_list(services: Services, request: PageRequest) -> Download:
    """Return the files that were refused on their way in as a file, the last thousand."""
    refused = list_refusals(services.database, limit=MAX_ROWS)
    rows = [(one.name, one.reason, Instant(one.at_ms)) for one in refused]
    return saved(request, Sheet("Refused files", (("file", 40), ("why", 60), ("when", 20)), rows))


def _state(upload: Upload, known: KnownFile | None, refused: Sequence[RefusedFile]) -> tuple[str, str]:
    """Return what became of an upload, and the tone of its badge."""
    if known is not None:
        return "accepted", "good"
    if upload.state is UploadState.WRONG:
        return "can't be accepted", "bad"
    if upload.state is not UploadState.HANDED_IN:
        return "not handed in", "warn"
    # It may be refused when it arrives, although it was right when somebody looked at it.
    handed_in_at_ms = upload.handed_in_at_ms or 0
    later = any(one.name == upload.placed_as and handed_in_at_ms <= one.at_ms for one in refused)
    return ("refused", "bad") if later else ("handed in", "")


def _first(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise BodyMalformed("The place in the file is a number of lines.")
    return int(text)


def _page(services: Services, cursor: str | None) -> tuple[list[KnownFile], str | None]:
    return _positioned(partial(list_files, services.database), ("console", "files"), cursor)


def _positioned[Row](
    page_from: Callable[..., tuple[list[Row], str | None]], listing: Listing, cursor: str | None
) -> tuple[list[Row], str | None]:
    before = read_cursor(cursor, listing) if cursor else None
    found, following = page_from(limit=PAGE_SIZE, before=before)
    return found, make_cursor(following, listing) if following else None
