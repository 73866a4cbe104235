"""docs/capacity.md says what the code does: ``python -m benchmarks.capacity --write`` writes it."""

from __future__ import annotations

from benchmarks.capacity import KEYS, LOADS
from benchmarks.units.ceilings import ceilings
from benchmarks.units.dollars import PARTS, Prices
from benchmarks.units.page import read
from benchmarks.units.template import Template
from benchmarks.units.traffic import capture
from benchmarks.write_units import CASES, DOLLARS

SHARED = (
    0.1  # dollars a million payments at 10,000 a second, for what schedules and the overview write for many at once
)
ROUNDING = 0.11  # of the page's figures, and of batches that are not full in a short capture


def test_every_table_and_index_is_on_the_page() -> None:
    """Fails when a table or an index of template.yaml has no row, or a row has none of its own any more."""
    schemas = Template({}, "").schemas().values()
    declared = {*(one.name for one in schemas), *(index.name for one in schemas for index in one.indexes)}
    assert {row[0] for row in read(KEYS)} == declared


def test_the_pages_keys_are_the_codes() -> None:
    """Fails when a payment writes another partition key than the page says, or other units."""
    said = {(place, form.strip("`")): float(units) for place, form, units, *_ in read(KEYS) if form}
    made = {
        (one.index or one.table, one.form): one.units
        for one in ceilings(capture(1_000, 1, 0.25, webhooks=True)).values()
    }
    assert set(made) <= set(said)
    assert {key: units for key, units in made.items() if abs(said[key] - units) > ROUNDING} == {}


def test_the_loads_are_on_the_page() -> None:
    """Fails when the page lacks a load that the issue of capacity is about."""
    found = read(LOADS)
    assert {("1,000", "1"), ("10,000", "100")} <= {(rate, merchants) for rate, merchants, *_ in found}


def test_the_dollars_are_of_the_same_units() -> None:
    """Fails when one of the two tables was written without the other, or with other prices."""
    price = Prices.read().document["dynamodb"]["write_request_units_per_million"]
    (units,) = [float(row[2]) for row in read(CASES) if row[0] == "fresh payment"]
    writes = 3 + PARTS.index("DynamoDB writes")
    (dollars,) = [float(row[writes]) for row in read(DOLLARS) if row[:2] == ["payonce", "10,000"]]
    assert abs(dollars - units * price) < SHARED
