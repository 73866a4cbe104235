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

# What somebody has to do about a break of the class.
TO_DO: Mapping[BreakClass, str] = MappingProxyType(
    {
        _C.MISSING_IN_GATEWAY: "Look it up at the gateway by our reference. If it is there, ask for the report that "
        "lacks it; if not, take the booking back.",
        _C.MISSING_IN_LEDGER: "Find out by its reference or at the gateway whose payment it is, then book it or give "
        "it back.",
        _C.ORPHAN_REFUND: "Ask who refunded it at the gateway, and book the refund.",
        _C.LATE_SETTLEMENT: "There is nothing to book. Ask the gateway for the reason, or correct the time in the "
        "policy.",
        _C.DUPLICATE_CAPTURE: "Refund the surplus charge at the gateway: the payer has paid more than once.",
        _C.DOUBLE_CHARGE: "Compare the two orders. If they are one sale, refund the later charge; if they are two, "
        "dismiss the break.",
        _C.DUPLICATE_POSTING: "Take the surplus entry back in our ledger.",
        _C.PAYLOAD_CONFLICT: "Look both movements up at the gateway, and book or give back the one that our ledger "
        "does not have.",
        _C.DUPLICATE_ROW: "Ask the gateway for a corrected report. Give nothing back: the payer has paid once.",
        _C.AMOUNT_MISMATCH: "See from the order which amount is right. Correct our entry, or refund or collect the "
        "difference.",
        _C.CURRENCY_MISMATCH: "See from the order which currency was agreed. Correct our entry, or have the gateway "
        "correct the charge.",
        _C.FEE_MISMATCH: "Compare it with the contract. Claim what was taken too much, or correct the fee in the "
        "policy.",
        _C.FX_MISMATCH: "Compare it with the rate agreed for the day. Claim the difference, or give that rate in the "
        "policy.",
        _C.STATUS_MISMATCH: "Ask the gateway for the movement's state. If the money moved, book the movement or give "
        "it back.",
        _C.REFUND_EXCEEDS_CAPTURE: "Stop further refunds of the payment, and claim back what was paid beyond its "
        "capture.",
        _C.REFUND_FAILED: "Take the refund back in our ledger, and pay the payer in another way.",
        _C.SETTLEMENT_REVERSED: "Take the charge back in our ledger, and ask the payer to pay in another way.",
        _C.DISPUTE_OPEN: "Answer the dispute within the gateway's time with proof of the order, or accept it and write "
        "it off.",
        _C.DISPUTE_LOST: "Write the charge off in our ledger.",
        _C.PAYOUT_MISSING: "Ask the gateway for the payout's trace and check its bank details, then ask the bank with "
        "that trace.",
        _C.PAYOUT_DIFFERENT: "Ask the bank what it took of the payout, and the gateway what it is made of; book the "
        "difference.",
        _C.DUPLICATE_CREDIT: "Keep the money apart and tell the gateway, which will take it back.",
        _C.PAYOUT_RETURNED: "Correct the bank details at the gateway, and ask for the payout again.",
        _C.STATEMENT_GAP: "Ask the bank for the missing statement, and run again with it.",
        _C.BALANCE_BREAK: "Ask the bank for the statements between the two balances, and run again with them.",
        _C.STATEMENT_CONFLICT: "Ask the bank which statement is right, and run again without the other one.",
        _C.AMBIGUOUS: "Tell the rows apart by hand: by their orders, their payers or their times at the gateway.",
    }
)
