"""From the opening to the closing balance of each account: what moved it, by kind, and what nothing explains.

An account is a gateway's balance or a bank account, in one currency. A gateway's report states movements and no
balances; a bank's statement states both, so that what its lines do not explain shows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.model import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from payonce.reconciliation.model import BalanceMovement

    Query = Callable[[str], Iterable[Sequence[Any]]]

# The lines of the statements that count, each once; what no statement with balances tells is set apart.
_LINES: Final = """
SELECT l.account, l.currency, CASE WHEN s.line_key IS NULL THEN 0 ELSE 1 END AS is_stated,
    CASE
        WHEN j.break_class <> '' THEN 'in breaks'
        WHEN j.settled = 'matched' THEN 'payouts'
        ELSE j.reason
    END AS kind,
    count(*), sum(l.amount_minor)
FROM bank_row AS l
JOIN bank_judged AS j ON j.source = 'bank' AND j.row_key = l.line_key
LEFT JOIN (
    SELECT DISTINCT m.line_key FROM bank_line AS m JOIN bank_chained AS c ON c.statement_key = m.statement_key
) AS s ON s.line_key = l.line_key
WHERE l.counts = 1
GROUP BY 1, 2, 3, 4
"""
_BALANCES: Final = (
    "SELECT account, currency, opening_minor, closing_minor, coalesce(first_day, last_day, 0), "
    "coalesce(last_day, first_day, 0), coalesce(sequence, 0), statement_key FROM bank_chained"
)
# A report that names payouts in their members alone has no row of them.
_DERIVED: Final = "SELECT gateway, currency, count(*), sum(expected_minor) FROM bank_derived GROUP BY gateway, currency"


@dataclass(frozen=True, slots=True)
class Movement:
    """What the rows of one kind moved the account by. ``is_stated``: a statement with balances has them."""

    kind: str
    rows: int
    amount_minor: int
    is_stated: bool = True


@dataclass(frozen=True, slots=True)
class RollForward:
    """One account in one currency. A balance that no file states is ``None``; days are since 1970."""

    source: Source
    account: str
    currency: str
    movements: tuple[Movement, ...]
    opening_minor: int | None = None
    closing_minor: int | None = None
    first_day: int | None = None
    last_day: int | None = None

    @property
    def moved_minor(self) -> int:
        """Return what moved the account between its balances, without lines that stand in no such statement."""
        return sum(one.amount_minor for one in self.movements if one.is_stated)

    @property
    def unexplained_minor(self) -> int | None:
        """Return the stated closing balance less opening and movements, ``None`` where no balances are stated."""
        if self.opening_minor is None or self.closing_minor is None:
            return None
        return self.closing_minor - self.opening_minor - self.moved_minor


def roll_forwards(query: Query, balance: Iterable[BalanceMovement]) -> tuple[RollForward, ...]:
    """Return the gateways' balances, then the bank accounts, in a fixed order."""
    return (*_of_gateways(query, balance), *_of_bank(query))


def _of_gateways(query: Query, balance: Iterable[BalanceMovement]) -> list[RollForward]:
    moved: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for one in balance:
        kinds = moved[one.gateway, one.currency]
        kinds[one.kind][0] += one.rows
        kinds[one.kind][1] += one.amount_minor
        if one.fee_minor:
            kinds["fees within these rows"][1] -= one.fee_minor
    for gateway, currency, payouts, amount in query(_DERIVED):
        moved[gateway, currency]["payouts, as the sums of their rows"] = [int(payouts), -int(amount)]
    return [
        RollForward(
            Source.GATEWAY,
            gateway,
            currency,
            tuple(Movement(kind, kinds[kind][0], kinds[kind][1]) for kind in sorted(kinds, key=_last)),
        )
        for (gateway, currency), kinds in sorted(moved.items())
    ]


def _last(kind: str) -> tuple[bool, str]:
    return kind.startswith("fees"), kind


def _of_bank(query: Query) -> list[RollForward]:
    movements: dict[tuple[str, str], list[Movement]] = defaultdict(list)
    for account, currency, is_stated, kind, rows, amount in query(_LINES):
        movements[account, currency].append(Movement(kind, int(rows), int(amount), bool(is_stated)))
    statements: dict[tuple[str, str], list[Sequence[Any]]] = defaultdict(list)
    for row in query(_BALANCES):
        statements[row[0], row[1]].append(row[2:])
    rolls = []
    for key in sorted({*movements, *statements}):
        kinds = tuple(sorted(movements[key], key=lambda one: (not one.is_stated, one.kind)))
        if not (told := statements[key]):
            rolls.append(RollForward(Source.BANK, *key, kinds))
            continue
        first, last = _first(told), _last_of(told)
        rolls.append(RollForward(Source.BANK, *key, kinds, int(first[0]), int(last[1]), int(first[2]), int(last[3])))
    return rolls


def _first(told: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Return the statement that nothing of its day comes before."""
    day = min(row[2] for row in told)
    of_day = sorted((tuple(row[2:]), row) for row in told if row[2] == day)
    closings = {row[1] for _, row in of_day if row[3] == day and row[0] != row[1]}
    lowest = of_day[0][1]
    return next((row for _, row in of_day if row[4] == lowest[4] and row[0] not in closings), lowest)


def _last_of(told: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Return the statement that nothing of its day goes on from."""
    day = max(row[3] for row in told)
    of_day = sorted(((row[4], row[2], row[5]), row) for row in told if row[3] == day)
    openings = {row[0] for _, row in of_day if row[2] == day and row[0] != row[1]}
    highest = of_day[-1][1]
    return next((row for _, row in reversed(of_day) if row[4] == highest[4] and row[1] not in openings), highest)
