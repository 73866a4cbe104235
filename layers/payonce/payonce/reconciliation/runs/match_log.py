"""The file of people's decisions, beside the policy: JSON lines that are only ever added to. Pure but for the file.

``{"record": "match", "match_id", "at_ms", "by", "reason", "rows": ["ledger:KEY", ...], "accept_difference"}``, and
``{"record": "unmatch", "match_id", "at_ms", "by", "reason"}``, which takes a match back.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from payonce.domain.errors import BodyMalformed, NotFound
from payonce.extras import needs
from payonce.reconciliation.cases.manual_match import MATCH_ID_PATTERN, check_reason, row_ref
from payonce.reconciliation.manual import MAX_MATCH_ROWS, MAX_MATCHES, Match, RowRef
from payonce.reconciliation.matching.digest import canonical_json

with needs("reconcile"):
    from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

if TYPE_CHECKING:
    from pathlib import Path

MAX_AT_MS: Final = 253_402_300_799_999  # the end of the year 9999
MAX_LOG_BYTES: Final = 64 * 1024 * 1024  # every match that there may be, and as many taken back, of some rows each


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    match_id: Annotated[str, Field(pattern=f"^{MATCH_ID_PATTERN}$")]
    at_ms: Annotated[int, Field(ge=0, le=MAX_AT_MS)]
    by: Annotated[str, Field(min_length=1, max_length=200)]
    reason: str

    @field_validator("reason")
    @classmethod
    def _can_be_read(cls, reason: str) -> str:
        try:
            check_reason(reason)
        except BodyMalformed as error:
            raise ValueError(error.detail) from None
        return reason


class _Matched(_Record):
    record: Literal["match"]
    rows: Annotated[list[str], Field(min_length=2, max_length=MAX_MATCH_ROWS)]
    accept_difference: bool = False

    @field_validator("rows")
    @classmethod
    def _are_rows(cls, rows: list[str]) -> list[str]:
        for text in rows:
            if row_ref(text) is None:
                raise ValueError(f"{text!r} is no row, such as ledger:KEY, gateway:KEY or bank:KEY")
        if twice := [text for text, count in Counter(rows).items() if count > 1]:
            raise ValueError(f"{twice[0]!r} is there twice")
        return rows


class _Unmatched(_Record):
    record: Literal["unmatch"]


_LINE: Final = TypeAdapter[_Matched | _Unmatched](Annotated[_Matched | _Unmatched, Field(discriminator="record")])


@dataclass(frozen=True, slots=True)
class MatchLog:
    """The decisions of a file: those in force, in the order of the file, and the ids of those taken back."""

    in_force: tuple[Match, ...] = ()
    taken_back: frozenset[str] = frozenset()

    @property
    def rows(self) -> dict[RowRef, str]:
        """Return the rows of the decisions in force, with their ids."""
        return {row: match.match_id for match in self.in_force for row in match.rows}


def read_match_log(file: Path, *, may_lack: bool = False) -> MatchLog:
    """Return the decisions in ``file``; a missing one has none if it ``may_lack``. Raises ``BodyMalformed``."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_LOG_BYTES + 1)
    except FileNotFoundError:
        if may_lack:
            return MatchLog()
        raise BodyMalformed(f"{file}: the file can't be read: there is none") from None
    except OSError as error:
        raise BodyMalformed(f"{file}: the file can't be read: {error.strerror}") from None
    return parse_match_log(data, str(file))


def parse_match_log(data: bytes, source: str) -> MatchLog:
    """Return the decisions in these bytes; ``source`` is what an error calls them.

    The same record twice is one. Matches that share a row are taken as they are: a run names them, and applies neither.
    Raises ``BodyMalformed`` with the line and what is wrong.
    """
    if len(data) > MAX_LOG_BYTES:
        raise BodyMalformed(f"{source}: the file is larger than {MAX_LOG_BYTES:,} bytes")
    if data and not data.endswith(b"\n"):
        raise BodyMalformed(f"{source}: the last line is not complete: it has no end of line")
    made: dict[str, Match] = {}
    taken_back: set[str] = set()
    for number, line in enumerate(data.splitlines(), start=1):
        record = _record(line, f"{source}: line {number}")
        if isinstance(record, _Unmatched):
            if record.match_id not in made:
                raise BodyMalformed(f"{source}: line {number}: there is no match {record.match_id} before it")
            taken_back.add(record.match_id)
        elif made.setdefault(record.match_id, match := _match(record)) != match:
            raise BodyMalformed(f"{source}: line {number}: {record.match_id} is there already, with another content")
    in_force = tuple(match for match_id, match in made.items() if match_id not in taken_back)
    if len(in_force) > MAX_MATCHES:
        raise BodyMalformed(f"{source}: there are {len(in_force):,} matches in force, more than {MAX_MATCHES:,}")
    return MatchLog(in_force, frozenset(taken_back))


def match_line(match: Match) -> bytes:
    """Return the line of a decision."""
    return _line(
        {
            "record": "match",
            "match_id": match.match_id,
            "at_ms": match.at_ms,
            "by": match.by,
            "reason": match.reason,
            "rows": [str(row) for row in match.rows],
            "accept_difference": match.accept_difference,
        }
    )


def unmatch_line(log: MatchLog, match_id: str, *, reason: str, by: str, at_ms: int) -> bytes:
    """Return the line that takes a decision back. Raises ``NotFound`` for none in force, ``BodyMalformed``."""
    check_reason(reason)
    if match_id in log.taken_back:
        raise NotFound(f"The match {match_id} is taken back already.")
    if all(match.match_id != match_id for match in log.in_force):
        raise NotFound(f"There is no match {match_id}.")
    return _line({"record": "unmatch", "match_id": match_id, "at_ms": at_ms, "by": by, "reason": reason})


def add_to_match_log(file: Path, line: bytes) -> None:
    """Add the line at the end of the file. Raises ``BodyMalformed`` if that fails."""
    try:
        with file.open("ab") as opened:
            opened.write(line)
    except OSError as error:
        raise BodyMalformed(f"{file} can't be written: {error.strerror}") from None


def _line(record: dict[str, object]) -> bytes:
    return canonical_json(record) + b"\n"


def _record(line: bytes, place: str) -> _Matched | _Unmatched:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise BodyMalformed(f"{place}: it is not JSON") from None
    try:
        return _LINE.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"] if part not in ("match", "unmatch"))
        raise BodyMalformed(
            f"{place}: {name + ': ' if name else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from None


def _match(record: _Matched) -> Match:
    rows = tuple(row for text in record.rows if (row := row_ref(text)) is not None)
    return Match(
        match_id=record.match_id,
        rows=rows,
        reason=record.reason,
        by=record.by,
        at_ms=record.at_ms,
        accept_difference=record.accept_difference,
    )
