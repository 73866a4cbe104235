"""Two small months, reconciled by the command as a user would, and scored against what was planted in them.

Twenty of 3,000 payments: ``make outside-month``.
"""

from pathlib import Path

from tests.outside_month.seeds import below, month, together

SEEDS = (
    1,
    4,
)  # Easter and Christmas; between them both kinds of ids in the ledger, and a policy with rates and without
PAYMENTS = 800
MOST_AMBIGUOUS = 0.005


def test_two_months_are_told_as_they_are(tmp_path: Path) -> None:
    """Fails when of any class more than one in a hundred is missed, invented, misnamed or of another amount."""
    scores = {seed: month(tmp_path / str(seed), seed, PAYMENTS) for seed in SEEDS}
    wrong = [line for score in scores.values() for line in (*score.alarms, *score.misses)]
    classes = together(scores)
    assert not below(classes), "\n".join(wrong)
    assert sum(tally.planted for tallies in classes.values() for tally in tallies) > 100
    assert max(score.ambiguous_share for score in scores.values()) < MOST_AMBIGUOUS
