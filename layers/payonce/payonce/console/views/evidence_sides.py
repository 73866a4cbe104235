"""The evidence of a break, side by side: what we hold, and what the gateway or the bank says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from payonce.reconciliation.model import Source
from payonce.reconciliation.readers.line_readings import shown_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SIDES: Final = (
    (Source.LEDGER, "Ours: the ledger"),
    (Source.GATEWAY, "Theirs: the gateway"),
    (Source.BANK, "The bank's lines"),
    (Source.STATEMENT, "The bank's statements"),
)
# What both sides tell, and by which they differ. Names that mean the same are compared as one.
_COMPARED: Final = frozenset({"amount_minor", "currency", "kind", "gateway", "reference", "gateway_payment_id"})
_SAME: Final = {"ref": "reference", "created_at_ms": "time", "booked_at_ms": "time"}
_MAX_ROWS: Final = 20
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class EvidenceField:
    """A field of a row. ``form``, how it is written, is money (of ``currency``), time (epoch ms) or text.

    ``differs``: the first rows of both sides tell it differently.
    """

    name: str
    form: str
    value: str | int
    currency: str
    differs: bool


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A row. ``row_name`` is what a match by hand calls it, such as ``ledger:KEY``."""

    row_name: str
    fields: tuple[EvidenceField, ...]


@dataclass(frozen=True, slots=True)
class EvidenceSide:
    """All rows of one source; ``left_out`` counts those that are not shown."""

    title: str
    rows: tuple[EvidenceRow, ...]
    left_out: int


def sides_of(evidence: Iterable[tuple[str, str, Mapping[str, str | int | None]]]) -> tuple[EvidenceSide, ...]:
    """Return the sides that have rows, of (source, row key, fields)."""
    rows = list(evidence)
    of_source = {source: [row for row in rows if row[0] == source.value] for source, _ in SIDES}
    differing = _differing(of_source[Source.LEDGER], of_source[Source.GATEWAY])
    return tuple(
        EvidenceSide(
            title, tuple(_row(row, differing) for row in of_source[source][:_MAX_ROWS]), max(0, len(found) - _MAX_ROWS)
        )
        for source, title in SIDES
        if (found := of_source[source])
    )


type _Row = tuple[str, str, Mapping[str, str | int | None]]


def _differing(ours: Sequence[_Row], theirs: Sequence[_Row]) -> frozenset[str]:
    if not ours or not theirs:
        return frozenset()
    one, other = (_named(rows[0][2]) for rows in (ours, theirs))
    return frozenset(
        name for name in _COMPARED if None not in (one.get(name), other.get(name)) and one[name] != other[name]
    )


def _named(fields: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    return {_SAME.get(name, name): value for name, value in fields.items() if value is not None}


def _row(row: _Row, differing: frozenset[str]) -> EvidenceRow:
    source, row_key, fields = row
    currency = str(fields.get("currency") or "")
    return EvidenceRow(
        f"{source}:{row_key}",
        tuple(
            _field(name, value, currency, fields, differs=_SAME.get(name, name) in differing)
            for name, value in fields.items()
            if value is not None and value != ""
        ),
    )


def _field(
    name: str, value: str | int, currency: str, fields: Mapping[str, str | int | None], *, differs: bool
) -> EvidenceField:
    label = name.removesuffix("_minor").removesuffix("_at_ms").removesuffix("_ms").replace("_", " ")
    if isinstance(value, int) and name.endswith("_minor"):
        presented = str(fields.get("presented_currency") or currency)
        return EvidenceField(label, "money", value, presented if name == "presented_minor" else currency, differs)
    if isinstance(value, int) and name.endswith("_ms"):
        return EvidenceField(label, "time", value, "", differs)
    if isinstance(value, int) and name.endswith("_day"):
        # A bank's calendar date is no moment, and no reader's zone may move it.
        return EvidenceField(label, "text", (_EPOCH + timedelta(days=value)).isoformat(), "", differs)
    return EvidenceField(label, "text", shown_text(str(value)) if isinstance(value, str) else value, "", differs)
