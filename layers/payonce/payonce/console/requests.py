"""A request as the console receives it, and the fields and files of a form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from payonce.console.page import UploadedFile
from payonce.domain.errors import BodyMalformed
from payonce.extras import needs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Deadline

MAX_FIELDS = 200
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request. ``path`` is below ``base``; names of headers are in lower case; ``query`` has each last value."""

    path: str
    base: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes
    address: str
    deadline: Deadline
    request_id: str

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks for the part of a page that it swaps. What restores history is a whole page."""
        return self.headers.get("hx-request") == "true" and self.headers.get("hx-history-restore-request") != "true"

    @property
    def takes_gzip(self) -> bool:
        """Whether the coding gzip is accepted by name, and not with the weight 0 (RFC 9110, 12.5.3)."""
        codings = (coding.partition(";") for coding in self.headers.get("accept-encoding", "").lower().split(","))
        weights = {name.strip(): weight.replace(" ", "") for name, _, weight in codings}
        return "gzip" in weights and not re.fullmatch(r"q=0(\.0*)?", weights["gzip"])

    @property
    def is_boosted(self) -> bool:
        """Whether a person followed a link or sent a form. Other fragments come from a page that refreshes itself."""
        return self.headers.get("hx-boosted") == "true"


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds: each field's last value, and its files."""

    fields: Mapping[str, str]
    files: Mapping[str, UploadedFile]


def form_of(incoming: Incoming) -> Form:
    """Return the form in the body. Raises ``BodyMalformed`` for a body that is none, or has more than 200 fields."""
    content_type = incoming.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return _multipart(content_type, incoming.body)
    if kind != URLENCODED and incoming.body:
        raise BodyMalformed("This is no form of the console.")
    try:
        pairs = parse_qsl(
            incoming.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict", encoding="utf-8"
        )
    except ValueError:
        raise BodyMalformed("The form can't be read. Open the page again, and send it from there.") from None
    return Form(dict(pairs), {})


def _multipart(content_type: str, body: bytes) -> Form:
    with needs("console"):
        from python_multipart import create_form_parser
        from python_multipart.exceptions import FormParserError
    fields: dict[str, str] = {}
    files: dict[str, UploadedFile] = {}

    def take_field(field: object) -> None:
        name, value = field.field_name, field.value  # type: ignore[attr-defined]
        fields[_text(name)] = _text(value)
        _require_few(len(fields))

    def take_file(file: object) -> None:
        handle = file.file_object  # type: ignore[attr-defined]
        handle.seek(0)
        name = _text(file.field_name)  # type: ignore[attr-defined]
        files[name] = UploadedFile(_text(file.file_name), handle.read())  # type: ignore[attr-defined]
        _require_few(len(files))

    headers = {"Content-Type": content_type.encode("latin-1", "replace")}
    try:
        # In memory: the whole body is there already.
        parser = create_form_parser(headers, take_field, take_file, config={"MAX_MEMORY_FILE_SIZE": len(body) + 1})
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise BodyMalformed("The form can't be read. Choose the file again, and send it once more.") from None
    return Form(fields, files)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _require_few(number: int) -> None:
    if number > MAX_FIELDS:
        raise BodyMalformed(f"The form has more than {MAX_FIELDS} fields.")
