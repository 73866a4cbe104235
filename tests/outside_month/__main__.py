"""python -m tests.outside_month OUT_DIR --seed 1 --payments 50000"""

import argparse
import shlex
import sys
from datetime import date
from pathlib import Path

from tests.outside_month.bank import FAULTS
from tests.outside_month.month import Size, build, command
from tests.outside_month.planted import PLANTS


def main(arguments: list[str] | None = None) -> int:
    """Make a month, and say how to reconcile it."""
    parser = argparse.ArgumentParser(prog="python -m tests.outside_month", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--payments", type=int, default=3000)
    parser.add_argument("--month", default="2026-03", help="YYYY-MM")
    parser.add_argument("--faults", action="append", default=[], metavar="CLASS=N", help=", ".join([*PLANTS, *FAULTS]))
    parser.add_argument(
        "--charge-ids", action="store_true", help="the ledger knows Stripe's charges, not its payment intents"
    )
    parser.add_argument("--payout-rows", action="store_true", help="Stripe's report lists the payouts themselves, too")
    parser.add_argument("--batches", action="store_true", help="the bank books two payouts with other credits, as one")
    parser.add_argument("--rates", action="store_true", help="the policy has the days' rates, too")
    given = parser.parse_args(arguments)
    faults = {name: int(count) for name, _, count in (text.partition("=") for text in given.faults)}
    if unknown := faults.keys() - PLANTS.keys() - FAULTS.keys():
        parser.error(f"no such class of faults: {', '.join(sorted(unknown))}")
    month = date.fromisoformat(given.month + "-01")
    size = Size(given.payments, month, faults, given.charge_ids, given.payout_rows, given.rates, given.batches)
    w = build(given.out, given.seed, size)
    sys.stdout.write(
        f"{len(w.entries)} bookings, {len(w.movements)} movements, {len(w.payouts)} payouts, {len(w.faults)} faults\n"
    )
    (given.out / "command.sh").write_text(shlex.join(command(given.out)) + ' "$@"\n', encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
