"""The ceilings of partition keys, from traffic that is counted by hand."""

from __future__ import annotations

import pytest

from benchmarks.units.ceilings import ceilings, rows
from benchmarks.units.charges import Charge, Index, Schema
from benchmarks.units.meter import Metered
from benchmarks.units.traffic import Timed, Traffic

ULID = "01JD0Z2VJ6K0Q5M8YB3W7T9XR"
SCHEMAS = {"T": Schema("T", ("id",), (Index("i", ("shard",)),)), "Other": Schema("Other", ("id",))}


def traffic(merchants: int, payments: int = 40) -> Traffic:
    """Return payments that write their own item, a counter of their merchant and one of four shards."""
    names = [f"mer_{ULID}{number}" for number in range(merchants)]
    sent = []
    for number in range(payments):
        merchant = names[number % merchants]
        charges = (
            Charge("T", "", f"{merchant}#pay_{ULID[:-2]}{number:03d}", write=2),
            Charge("T", "", f"SUM#{merchant}", write=4),
            Charge("T", "i", f"2026-11-29#{number % 4}", write=1),
            Charge("T", "i", "seldom", read=0.5 if number == 0 else 0),
        )
        sent.append(Timed(number, Metered("TransactWriteItems", "", charges)))
    return Traffic(1_000, merchants, payments, webhooks=False, sent=tuple(sent), names=tuple(names))


def test_the_busiest_partition_is_the_ceiling() -> None:
    """Fails when units of different partitions are added up, or the limit is not 1,000 units a second."""
    found = {one.form: one for one in ceilings(traffic(1)).values()}
    assert found["SUM#{merchant}"].payments_per_second == pytest.approx(250)
    assert found["*-*-*#*"].payments_per_second == pytest.approx(4_000)
    assert found["{merchant}#pay_*"].partitions == 40
    assert (found["{merchant}#pay_*"].units, found["SUM#{merchant}"].units) == (2, 4)


def test_the_page_says_whose_ceiling_it_is() -> None:
    """Fails when a merchant's own ceiling is shown as everybody's, or a table is left out that no payment touches."""
    cells = {(row[0], row[1]): row[2:] for row in rows(traffic(1), traffic(10), SCHEMAS)}
    own = "Nothing has to: each payment has its own."
    assert cells["T", "`{merchant}#pay_*`"] == ("2.0", "no limit", "no limit", own)
    merchants = ("4.0", "250", "grows with the merchants", "More partitions for the merchant.")
    assert cells["T", "`SUM#{merchant}`"] == merchants
    assert cells["i", "`*-*-*#*`"] == ("1.0", "4,000", "4,000", "More shards, for all merchants.")
    assert cells["i", "`seldom`"][-1] == "Nothing has to: far from a limit."
    assert cells["Other", ""] == ("0", "-", "-", "Not written or read by these payments.")
