"""What a break compares, in money: what is expected, what there is, and the difference between them. Pure.

*Expected* is what our ledger, the contract, the payout or the statement before says; *actual* is what the gateway or
the bank has instead; the difference is actual less expected. So the differences of a currency add up to what the
gateway moved more than our ledger, and the bank more than the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from payonce.domain.durations import HOUR_MS
from payonce.reconciliation.matching.contract_fee import contract_fee
from payonce.reconciliation.matching.evidence_sums import amount_of, booked_of, chosen, number, readings, rows_of
from payonce.reconciliation.model import Source
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.reconciliation.model import Break, Evidence, RunSettings


@dataclass(frozen=True, slots=True)
class Comparison:
    """Expected, actual and difference of one break.

    An amount is ``None`` where the rows do not say it: the evidence was cut, or the two sides have two currencies,
    which have no difference. ``difference_minor`` is in the break's currency. ``note`` says more, "" for nothing.
    """

    expected_minor: int | None
    actual_minor: int | None
    expected_currency: str
    actual_currency: str
    note: str = ""

    @property
    def difference_minor(self) -> int | None:
        """Return actual less expected."""
        if self.expected_minor is None or self.actual_minor is None or self.expected_currency != self.actual_currency:
            return None
        return self.actual_minor - self.expected_minor


def compared(found: Break, settings: RunSettings) -> Comparison:
    """Return what the break compares."""
    return _RULES[found.break_class][0](found, settings)


def sides_of(break_class: BreakClass) -> tuple[str, str]:
    """Return whose word the expected amount is, and whose the actual one."""
    return _RULES[break_class][1:]


def _comparison(found: Break, expected: int | None, actual: int | None, note: str = "") -> Comparison:
    return Comparison(expected, actual, found.currency, found.currency, note)


def _two_sides(found: Break, settings: RunSettings) -> Comparison:
    """Compare our ledger with the gateway; a surplus row stands alone, beside what it is too many of."""
    if len(found.subject) > 2:
        return _surplus(found, settings)
    ours = readings(rows_of(found, Source.LEDGER, currency=found.currency), booked_of)
    theirs = readings(rows_of(found, Source.GATEWAY, currency=found.currency), amount_of)
    is_stake = found.break_class not in (BreakClass.LATE_SETTLEMENT, BreakClass.AMBIGUOUS)
    return _comparison(found, *chosen(found, ours, theirs, is_stake=is_stake))


def _surplus(found: Break, settings: RunSettings) -> Comparison:
    """Compare one row too many with nothing. What was given back of it since is at stake no more."""
    name = found.subject[2] if len(found.subject) > 2 else ""
    rows = [row for row in found.evidence if name and (row.row_key == name or row.row_key.endswith(f"|{name}"))]
    if not rows:
        return _two_sides(found, settings) if not name else _comparison(found, None, None)
    row = next((one for one in rows if abs(amount_of(one)) == found.amount_minor), rows[0])
    amount = -found.amount_minor if amount_of(row) < 0 else found.amount_minor
    return _comparison(found, amount, 0) if row.source is Source.LEDGER else _comparison(found, 0, amount)


def _double_charge(found: Break, _: RunSettings) -> Comparison:
    return _comparison(found, 0, found.amount_minor)


def _two_currencies(found: Break, _: RunSettings) -> Comparison:
    ours, theirs = rows_of(found, Source.LEDGER), rows_of(found, Source.GATEWAY)
    if not ours or not theirs:
        return _comparison(found, None, None)
    currencies = [str(rows[0].fields.get("currency") or found.currency) for rows in (ours, theirs)]
    expected, actual = (readings(rows, amount_of)[0] for rows in (ours, theirs))
    return Comparison(expected, actual, *currencies)


def _late(found: Break, settings: RunSettings) -> Comparison:
    comparison = _two_sides(found, settings)
    for row in rows_of(found, Source.GATEWAY):
        if available_ms := number(row, "available_at_ms"):
            hours = (available_ms - number(row, "created_at_ms")) // HOUR_MS
            note = f"Available {hours:,} hours after the charge; {settings.settlement_sla_hours:,} are agreed."
            return _comparison(found, comparison.expected_minor, comparison.actual_minor, note)
    return comparison


def _fee(found: Break, settings: RunSettings) -> Comparison:
    for row in rows_of(found, Source.GATEWAY):
        fee = contract_fee(row.fields, settings.fees)
        charged = number(row, "fee_minor")
        if fee is not None and abs(charged - fee.minor) == found.amount_minor:
            return _comparison(found, fee.minor, charged, fee.text)
    return _comparison(found, None, None)


def _rate(found: Break, _: RunSettings) -> Comparison:
    for row in rows_of(found, Source.GATEWAY):
        measured, presented = number(row, "measured_rate_millionths"), abs(number(row, "presented_minor"))
        if measured and presented:
            actual = amount_of(row)
            more = found.amount_minor if abs(actual) * 1_000_000 // presented > measured else -found.amount_minor
            return _comparison(found, actual - more if actual > 0 else actual + more, actual)
    return _comparison(found, None, None)


def _excess(found: Break, _: RunSettings) -> Comparison:
    """A refund is too large by the stake; what it may have been at most is expected."""
    name = found.subject[2] if len(found.subject) > 2 else None
    rows = [row for row in rows_of(found, Source.GATEWAY) if amount_of(row) <= -found.amount_minor]
    named = [row for row in rows if name and row.row_key.endswith(f"|{name}")] or rows
    if not named:
        return _comparison(found, None, None)
    return _comparison(found, amount_of(named[0]) + found.amount_minor, amount_of(named[0]))


def _came(found: Break) -> Callable[[Evidence], int]:
    def amount(row: Evidence) -> int:
        is_sent = row.fields.get("sent_currency") == found.currency
        return number(row, "sent_minor") if is_sent else amount_of(row)

    return amount


def _payout(found: Break, _: RunSettings) -> Comparison:
    """Compare what was paid out with what the bank shows, else with what it is made of."""
    payouts = rows_of(found, Source.GATEWAY, currency=found.currency)
    sent = readings(payouts, lambda row: -amount_of(row))
    lines = [
        row
        for row in rows_of(found, Source.BANK)
        if found.currency in (row.fields.get("currency", found.currency), row.fields.get("sent_currency"))
    ]
    came = [*readings(lines, _came(found)), *readings(lines, amount_of)]
    more = sum(number(row, "members_more_minor") for row in payouts)
    expected, actual = chosen(found, sent, came)
    if more and (expected is None or actual is None or abs(actual - expected) != found.amount_minor):
        return _comparison(found, sent[0] + more, sent[0], "The rows of the report that it is made of add up to more.")
    if len(lines) < len(rows_of(found, Source.BANK)):
        return _comparison(found, expected, None, "A line of another currency is part of it.")
    return _comparison(found, expected, actual)


def _opening(found: Break, _: RunSettings) -> Comparison:
    for row in rows_of(found, Source.STATEMENT):
        before = row.fields.get("goes_on_from_minor")
        if isinstance(before, int):
            return _comparison(found, before, number(row, "opening_minor"))
    return _comparison(found, None, None)


def _turnover(row: Evidence) -> int:
    return number(row, "closing_minor") - number(row, "opening_minor")


def _conflict(found: Break, _: RunSettings) -> Comparison:
    rows = rows_of(found, Source.STATEMENT)
    taken = [_turnover(row) for row in rows if number(row, "is_taken")]
    others = [_turnover(row) for row in rows if not number(row, "is_taken")]
    if not taken or not others:
        return _comparison(found, None, None)
    return _comparison(found, taken[0], max(others, key=lambda turnover: abs(turnover - taken[0])))


def _ambiguous(found: Break, settings: RunSettings) -> Comparison:
    if rows_of(found, Source.BANK):
        sent = readings(rows_of(found, Source.GATEWAY, currency=found.currency), lambda row: -amount_of(row))
        came = readings(rows_of(found, Source.BANK, currency=found.currency), _came(found))
        return _comparison(found, *chosen(found, sent, came, is_stake=False))
    return _two_sides(found, settings)


_C = BreakClass
_NOTHING = "nothing"
_LEDGER, _GATEWAY, _BANK = "our ledger", "the gateway's report", "the bank's lines"
_RULES: Final[Mapping[BreakClass, tuple[Callable[[Break, RunSettings], Comparison], str, str]]] = MappingProxyType(
    {
        _C.MISSING_IN_GATEWAY: (_two_sides, _LEDGER, f"{_NOTHING} in {_GATEWAY}"),
        _C.MISSING_IN_LEDGER: (_two_sides, f"{_NOTHING} in {_LEDGER}", _GATEWAY),
        _C.ORPHAN_REFUND: (_two_sides, f"{_NOTHING} in {_LEDGER}", _GATEWAY),
        _C.LATE_SETTLEMENT: (_late, _LEDGER, _GATEWAY),
        _C.DUPLICATE_CAPTURE: (_surplus, "no further charge", "the surplus charge, less what was given back of it"),
        _C.DOUBLE_CHARGE: (_double_charge, "no further charge", "the later of the two charges"),
        _C.DUPLICATE_POSTING: (_surplus, "the surplus entry of our ledger", f"{_NOTHING} more in {_GATEWAY}"),
        _C.PAYLOAD_CONFLICT: (_surplus, f"{_NOTHING} more in {_LEDGER}", "the row that contradicts"),
        _C.DUPLICATE_ROW: (_surplus, "no further row", "the row that tells it again"),
        _C.AMOUNT_MISMATCH: (_two_sides, _LEDGER, _GATEWAY),
        _C.CURRENCY_MISMATCH: (_two_currencies, _LEDGER, _GATEWAY),
        _C.FEE_MISMATCH: (_fee, "the fee by the policy", "the fee that was taken"),
        _C.FX_MISMATCH: (_rate, "at the rate that it is held against", _GATEWAY),
        _C.STATUS_MISMATCH: (_two_sides, "our ledger holds that nothing moved", _GATEWAY),
        _C.REFUND_EXCEEDS_CAPTURE: (_excess, "what was left to refund", "the refund"),
        _C.REFUND_FAILED: (_two_sides, _LEDGER, "what is left of the refund at the gateway"),
        _C.SETTLEMENT_REVERSED: (_two_sides, _LEDGER, "what is left of the charge at the gateway"),
        _C.DISPUTE_OPEN: (_two_sides, f"{_NOTHING} written off in {_LEDGER}", "what the dispute took"),
        _C.DISPUTE_LOST: (_two_sides, f"{_NOTHING} written off in {_LEDGER}", "what the dispute took"),
        _C.PAYOUT_MISSING: (_payout, "the payout", f"{_NOTHING} at the bank"),
        _C.PAYOUT_DIFFERENT: (_payout, "the payout, or what it is made of", "the bank's lines, or the payout"),
        _C.DUPLICATE_CREDIT: (_surplus, "no further credit", "the surplus credit"),
        _C.PAYOUT_RETURNED: (_payout, "the payout", "what is left of it at the bank"),
        _C.STATEMENT_GAP: (_opening, "the last balance before the gap", "the opening balance after it"),
        _C.BALANCE_BREAK: (_opening, "the closing balance before", "the opening balance"),
        _C.STATEMENT_CONFLICT: (_conflict, "movements of the statement that counts", "of the other statement"),
        _C.AMBIGUOUS: (_ambiguous, "one side, together", "the other side, together"),
    }
)
