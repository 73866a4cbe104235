"""Reports that somebody else wrote from the vendors' documentation, with what must be read from them: ``vendors``.

A folder is a dialect, its README the sources. ``expected*.json`` has the rows in the file's order, with what the
documents make certain; a key that is left out is open.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.readers.rows import GatewayRow

VENDORS = Path(__file__).parent / "vendors"
EXPECTED = sorted(VENDORS.glob("*/expected*.json"))
ZONE = ZoneInfo("Europe/Amsterdam")  # of the times whose zone a report does not state: they are not expected either


def report_of(expected: Path) -> Path:
    """Return the report beside its expected rows."""
    name = expected.stem.removeprefix("expected").removeprefix("_")
    return expected.with_name(f"{name}.csv" if name.startswith("public") else f"report{name and f'_{name}'}.csv")


def told(row: GatewayRow) -> dict[str, Any]:
    """Return a row as the expected ones are written."""
    fields = {name: getattr(row, name) for name in row.__slots__}
    return fields | {"created_at": row.created_at_ms, "available_at": row.available_at_ms}


def by_action(rows: Iterable[GatewayRow]) -> list[dict[str, Any]]:
    """Return Checkout.com's rows of fees alone by their action, as the expected ones are: each is a row here."""
    summed: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        if row.kind is RowKind.FEE and row.gateway_object_id in summed:
            for name in ("amount_minor", "net_minor"):
                summed[row.gateway_object_id][name] += row.net_minor
        else:
            summed[row.gateway_object_id or row.transaction_id] = told(row)
    return list(summed.values())


def plain(value: Any, name: str) -> Any:
    """Return an expected value as a row has it."""
    if name in ("created_at", "available_at") and value is not None:
        return round(datetime.fromisoformat(value).timestamp() * 1000)
    return value


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_report_is_read_as_its_vendor_documents_it(path: Path) -> None:
    """Fails when a row is lost, invented or of another kind, amount, fee, sign, time, name or payout."""
    expected = json.loads(path.read_text("utf-8"))
    read = read_file(report_of(path).read_bytes(), zone=ZONE)
    # What Klarna's totals alone say, and what rounding makes of a payout, are rows of no line of a movement.
    aside = {one["line"] for one in expected["not_movements"]}
    rows = [row for row in read.gateway_rows if row.row_number not in aside and row.category != "rounding"]
    found = by_action(rows) if path.parent.name.startswith("checkout") else list(map(told, rows))
    wanted = [{name: plain(value, name) for name, value in row.items()} for row in expected["rows"]]
    assert [{name: row[name] for name in one} for row, one in zip(found, wanted, strict=False)] == wanted
    assert len(found) == len(wanted)
    assert read.notices == ()


def test_every_report_has_its_expected_rows() -> None:
    """Fails when a report of a folder is held to nothing."""
    assert sorted(VENDORS.glob("*/*.csv")) == sorted(map(report_of, EXPECTED))
    assert len(EXPECTED) >= 20
