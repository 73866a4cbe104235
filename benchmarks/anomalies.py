"""Double charges under two keys: recall and false positives at a larger size than the test's."""

from __future__ import annotations

from tests.support.double_charge_score import HEADER, score
from tests.support.repeat_buyers import HABITS

SEEDS = range(201, 204)
CHARGES = 60_000


def main() -> None:
    """Print the table."""
    print(HEADER)
    for habit in HABITS:
        print(score(habit, seeds=SEEDS, charges=CHARGES).line(habit.name), flush=True)


if __name__ == "__main__":
    main()
