"""How a person brings a file: it is looked at line by line first, and handed in to where files arrive when it is right.

::

    upload ─ look_at ─▶ uploads/<SHA-256>, readings/<SHA-256>.json ─ somebody has seen it ─ hand_in
                        ─▶ incoming/... ─ the bucket's event ─▶ the inbox accepts it, and a run compares it
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.errors import BodyTooLarge, FileRejected, NotFound, WriteConflict
from payonce.reconciliation.readers.line_by_line import read_line_by_line
from payonce.reconciliation.readers.read import file_id_of
from payonce.reconciliation.runs.file_inbox import BANK_FOLDER, GATEWAY_FOLDER, INCOMING
from payonce.reconciliation.runs.files import find_file
from payonce.reconciliation.runs.uploads import Upload, UploadState, change_upload, get_upload, remember_upload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from payonce.ports import Clock, Database, FileStore, Write
    from payonce.reconciliation.readers.line_readings import LineReading
    from payonce.reconciliation.runs.files import KnownFile
    from payonce.reconciliation.runs.run_policy import RunPolicy

# Lambda takes a request of 6 MB, in which a file is a third longer (base64), beside the form and the headers.
MAX_UPLOAD_BYTES: Final = 4_000_000
UPLOADS: Final = "uploads/"
READINGS: Final = "readings/"
MAX_READING_BYTES: Final = 4 * 1024 * 1024  # a thousand lines take some 400 KB
MAX_NAME_CHARACTERS: Final = 200
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_FILE_ID: Final = re.compile(r"[0-9a-f]{64}")


class UploadDesk:
    """What people do with files. ``gateways`` are the names of those that are configured.

    ``policy`` returns the policy in force, which has the mappings of tables. Its methods raise ``StoreUnavailable``.
    """

    def __init__(
        self,
        *,
        files: FileStore,
        database: Database,
        clock: Clock,
        gateways: Collection[str],
        policy: Callable[[], RunPolicy],
    ) -> None:
        self._files = files
        self._database = database
        self._clock = clock
        self._gateways = gateways
        self._policy = policy

    def look_at(self, name: str, data: bytes, *, by: str, may_go_on: Callable[[], bool] = lambda: True) -> Upload:
        """Read the file line by line, keep what was found, and return it. Idempotent for the same bytes.

        Raises ``BodyTooLarge`` and, for no bytes at all, ``FileRejected``; whatever else is wrong is told by the
        reading.
        """
        if len(data) > MAX_UPLOAD_BYTES:
            raise BodyTooLarge(
                f"The file has {len(data):,} bytes; {MAX_UPLOAD_BYTES:,} can be uploaded here. Split it by day or "
                f"account, or put it into the bucket under {INCOMING}, which takes 256 MB."
            )
        if not data:
            raise FileRejected("No file was chosen, or it is empty.")
        policy = self._policy()
        reading = read_line_by_line(
            data, mappings=policy.mappings, strict=policy.strict, zone=policy.zone, may_go_on=may_go_on
        )
        upload = Upload(
            file_id=reading.file_id,
            name=_told_name(name),
            state=UploadState.WRONG if reading.wrong else UploadState.READABLE,
            size_bytes=len(data),
            line_count=reading.line_count,
            wrong_count=len(reading.wrong),
            uploaded_by=by,
            uploaded_at_ms=self._clock.now_ms(),
            file_format=reading.file_format,
            is_bank=reading.is_bank,
        )
        # Stored before it is registered, so that a registered upload can always be shown and handed in.
        self._files.write(UPLOADS + reading.file_id, data)
        self._files.write(_reading_name(reading.file_id), _document(reading))
        return remember_upload(self._database, upload)

    def known(self, file_id: str) -> KnownFile | None:
        """Return the accepted file of the same bytes, ``None`` if it was not accepted yet."""
        return find_file(self._database, file_id)

    def hand_in(self, file_id: str, *, gateway: str | None, by: str, beside: Sequence[Write] = ()) -> Upload:
        """Put the file where files arrive, as the ``gateway``'s report or the bank's statement, and return the upload.

        Idempotent: a file that was handed in stays where it is. Raises ``NotFound``, and ``FileRejected`` for a file
        that is wrong, known already, or of a gateway that is not configured. ``beside`` are further writes for the
        transaction.
        """
        upload = get_upload(self._database, checked_file_id(file_id))
        if upload.state is UploadState.HANDED_IN:
            return upload
        self._refuse(upload, gateway)
        data = self._files.read(UPLOADS + file_id, max_bytes=MAX_UPLOAD_BYTES)
        if data is None or file_id_of(data) != file_id:
            raise NotFound("The uploaded file is kept for some days, and is gone by now. Upload it again.")
        owner = None if upload.is_bank else gateway
        after = replace(
            upload,
            state=UploadState.HANDED_IN,
            placed_as=_place(upload, owner),
            gateway=owner,
            handed_in_by=by,
            handed_in_at_ms=self._clock.now_ms(),
        )
        # Its content names the place, so that whoever does it again, after a crash between, puts it there again.
        self._files.write(str(after.placed_as), data)
        try:
            change_upload(self._database, upload, after, beside=beside)
        except WriteConflict:
            return get_upload(self._database, file_id)
        return after

    def _refuse(self, upload: Upload, gateway: str | None) -> None:
        if upload.state is UploadState.WRONG:
            raise FileRejected("This file can't be accepted: its page says which line is wrong and what to do.")
        if (known := self.known(upload.file_id)) is not None:
            raise FileRejected(f"This file was accepted already, as {known.name}. There is nothing to do.")
        if not upload.is_bank and gateway not in self._gateways:
            named = ", ".join(sorted(self._gateways)) or "none is configured"
            raise FileRejected(f"This is a gateway's report. Say which gateway it is of: {named}.")


def reading_of(files: FileStore, file_id: str) -> dict[str, Any]:
    """Return what was found in an uploaded file, as ``LineReading`` has it. Raises ``NotFound``."""
    data = files.read(_reading_name(checked_file_id(file_id)), max_bytes=MAX_READING_BYTES)
    if data is None:
        raise NotFound("What was found in this file is kept for some days, and is gone by now. Upload it again.")
    found: dict[str, Any] = json.loads(data)
    return found


def checked_file_id(file_id: str) -> str:
    """Return the id. Raises ``NotFound`` for what is no SHA-256 in hexadecimal."""
    if not _FILE_ID.fullmatch(file_id):
        raise NotFound("There is no such file.")
    return file_id


def _reading_name(file_id: str) -> str:
    return f"{READINGS}{file_id}.json"


def _document(reading: LineReading) -> bytes:
    return json.dumps(asdict(reading), separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _told_name(name: str) -> str:
    # What a browser sends may be a path, and may hold anything.
    last = re.split(r"[/\\]", name)[-1]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in last)[:MAX_NAME_CHARACTERS] or "file"


def _place(upload: Upload, gateway: str | None) -> str:
    folder = BANK_FOLDER if gateway is None else f"{GATEWAY_FOLDER}/{gateway}"
    name = _UNSAFE.sub("_", upload.name).lstrip(".")[-80:] or "file"
    return f"{INCOMING}{folder}/console/{upload.file_id[:16]}-{name}"
