"""The closed list of what can be wrong between our ledger, a gateway's report and a bank's statement.

Every row of a run ends in exactly one of *matched*, *break*, *excluded*; a break has exactly one class of this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class BreakClass(StrEnum):
    """The name of a discrepancy."""

    # presence
    MISSING_IN_GATEWAY = "missing_in_gateway"
    MISSING_IN_LEDGER = "missing_in_ledger"
    ORPHAN_REFUND = "orphan_refund"
    LATE_SETTLEMENT = "late_settlement"
    # idempotency
    DUPLICATE_CAPTURE = "duplicate_capture"
    DOUBLE_CHARGE = "double_charge"
    DUPLICATE_POSTING = "duplicate_posting"
    PAYLOAD_CONFLICT = "payload_conflict"
    DUPLICATE_ROW = "duplicate_row"
    # value and status
    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    FEE_MISMATCH = "fee_mismatch"
    FX_MISMATCH = "fx_mismatch"
    STATUS_MISMATCH = "status_mismatch"
    REFUND_EXCEEDS_CAPTURE = "refund_exceeds_capture"
    # what came back later
    REFUND_FAILED = "refund_failed"
    SETTLEMENT_REVERSED = "settlement_reversed"
    # disputes
    DISPUTE_OPEN = "dispute_open"
    DISPUTE_LOST = "dispute_lost"
    # bank
    PAYOUT_MISSING = "payout_missing"
    PAYOUT_DIFFERENT = "payout_different"
    DUPLICATE_CREDIT = "duplicate_credit"
    PAYOUT_RETURNED = "payout_returned"
    STATEMENT_GAP = "statement_gap"
    BALANCE_BREAK = "balance_break"
    STATEMENT_CONFLICT = "statement_conflict"
    # more than one reading is possible
    AMBIGUOUS = "ambiguous"


class Severity(StrEnum):
    """How urgent a break is. It decides the time within which somebody has to look at it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Family(StrEnum):
    """The part of the list that a class belongs to."""

    PRESENCE = "presence"
    IDEMPOTENCY = "idempotency"
    VALUE = "value"
    DISPUTE = "dispute"
    BANK = "bank"
    AMBIGUOUS = "ambiguous"


SLA_HOURS: Mapping[Severity, int] = MappingProxyType(
    # A payer who was charged twice waits for money; a fee that is off by a cent waits for nobody.
    {Severity.CRITICAL: 4, Severity.HIGH: 24, Severity.MEDIUM: 72, Severity.LOW: 168}
)


@dataclass(frozen=True, slots=True)
class ClassRule:
    """What is known of a class beforehand.

    ``deterministic``: it follows from the rows alone, so that no threshold can make it another class.
    """

    family: Family
    severity: Severity
    deterministic: bool
    meaning: str


_F, _S, _C = Family, Severity, BreakClass

CLASSES: Mapping[BreakClass, ClassRule] = MappingProxyType(
    {
        _C.MISSING_IN_GATEWAY: ClassRule(_F.PRESENCE, _S.HIGH, True, "We booked it; the gateway's report lacks it."),
        _C.MISSING_IN_LEDGER: ClassRule(_F.PRESENCE, _S.CRITICAL, True, "The gateway booked it; we did not."),
        _C.ORPHAN_REFUND: ClassRule(_F.PRESENCE, _S.HIGH, True, "The gateway paid back what we did not refund."),
        _C.LATE_SETTLEMENT: ClassRule(_F.PRESENCE, _S.LOW, True, "Matched, but available later than agreed."),
        _C.DUPLICATE_CAPTURE: ClassRule(_F.IDEMPOTENCY, _S.CRITICAL, True, "One reference was charged repeatedly."),
        _C.DOUBLE_CHARGE: ClassRule(_F.IDEMPOTENCY, _S.CRITICAL, False, "One sale, probably paid twice by two keys."),
        _C.DUPLICATE_POSTING: ClassRule(_F.IDEMPOTENCY, _S.HIGH, True, "We booked one movement more than once."),
        _C.PAYLOAD_CONFLICT: ClassRule(_F.IDEMPOTENCY, _S.HIGH, True, "One reference, several different movements."),
        _C.DUPLICATE_ROW: ClassRule(
            _F.IDEMPOTENCY, _S.MEDIUM, True, "The report tells one movement twice, under two ids."
        ),
        _C.AMOUNT_MISMATCH: ClassRule(_F.VALUE, _S.HIGH, True, "Same movement, another amount."),
        _C.CURRENCY_MISMATCH: ClassRule(_F.VALUE, _S.HIGH, True, "Same movement, another currency."),
        _C.FEE_MISMATCH: ClassRule(_F.VALUE, _S.LOW, True, "The fee is not what the schedule says."),
        _C.FX_MISMATCH: ClassRule(_F.VALUE, _S.MEDIUM, True, "Converted at a rate outside the agreed margin."),
        _C.STATUS_MISMATCH: ClassRule(_F.VALUE, _S.HIGH, True, "The gateway moved money that we hold not moved."),
        _C.REFUND_EXCEEDS_CAPTURE: ClassRule(_F.VALUE, _S.CRITICAL, True, "More was paid back than was captured."),
        _C.REFUND_FAILED: ClassRule(_F.VALUE, _S.HIGH, True, "A refund came back: the payer does not have the money."),
        _C.SETTLEMENT_REVERSED: ClassRule(
            _F.VALUE, _S.HIGH, True, "A settled charge was taken back; our ledger still has it."
        ),
        _C.DISPUTE_OPEN: ClassRule(_F.DISPUTE, _S.HIGH, True, "The payer disputes the charge; it is not decided."),
        _C.DISPUTE_LOST: ClassRule(_F.DISPUTE, _S.HIGH, True, "A dispute was lost, and nothing of it is written off."),
        _C.PAYOUT_MISSING: ClassRule(_F.BANK, _S.CRITICAL, True, "The gateway paid out; the bank has not seen it."),
        _C.PAYOUT_DIFFERENT: ClassRule(_F.BANK, _S.HIGH, True, "The bank saw another amount than was paid out."),
        _C.DUPLICATE_CREDIT: ClassRule(_F.BANK, _S.HIGH, True, "One payout was credited more than once."),
        _C.PAYOUT_RETURNED: ClassRule(_F.BANK, _S.CRITICAL, True, "The bank sent a payout back."),
        _C.STATEMENT_GAP: ClassRule(_F.BANK, _S.HIGH, True, "A statement is missing from its account's sequence."),
        _C.BALANCE_BREAK: ClassRule(_F.BANK, _S.CRITICAL, True, "A statement does not open where the last one closed."),
        _C.STATEMENT_CONFLICT: ClassRule(
            _F.BANK, _S.HIGH, True, "A statement was sent again with other movements or balances."
        ),
        _C.AMBIGUOUS: ClassRule(_F.AMBIGUOUS, _S.MEDIUM, True, "Several rows fit equally well; none is chosen."),
    }
)
