"""Probable double charges: a client that retried under a new idempotency key, so that no key can show it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from payonce.reconciliation.anomalies.calibration import SECOND_MS, Calibration, calibrate
from payonce.reconciliation.model import Break, Evidence, LedgerKind, LedgerRow, LedgerState, Source
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class _Same(NamedTuple):
    """What two charges have in common when one may be the other's double."""

    merchant_id: str
    payer: str
    currency: str
    amount_minor: int


type _Payment = tuple[str, str]  # (merchant_id, payment_id)


@dataclass(frozen=True, slots=True)
class DoubleCharges:
    """The breaks, sorted by break id, and the window of every merchant by which they were judged."""

    breaks: tuple[Break, ...]
    calibrations: Mapping[str, Calibration]


def find_double_charges(rows: Iterable[LedgerRow], *, judged_from_ms: int) -> DoubleCharges:
    """Return the doubles among charges booked from ``judged_from_ms`` on.

    Earlier rows calibrate the windows, with the refunds known by then: nothing looks ahead. The order of ``rows``
    changes nothing. A charge whose payment was given back in full is no double and has none: a correction is proven
    by the absence of its break in a later run. Memory grows with the charges that name a payer, not with other rows.
    """
    groups: defaultdict[_Same, list[LedgerRow]] = defaultdict(list)
    left: defaultdict[_Payment, int] = defaultdict(int)
    left_before: defaultdict[_Payment, int] = defaultdict(int)
    for row in rows:
        if row.state is not LedgerState.BOOKED:
            continue
        payment = (row.merchant_id, row.payment_id)
        left[payment] += row.amount_minor
        if row.booked_at_ms < judged_from_ms:
            left_before[payment] += row.amount_minor
        if row.kind is LedgerKind.CHARGE and row.amount_minor > 0 and row.payer and row.reverses_entry_id is None:
            groups[_Same(row.merchant_id, row.payer, row.currency, row.amount_minor)].append(row)
    calibrations = _calibrations(groups, left_before, judged_from_ms)
    breaks: list[Break] = []
    for same, charges in groups.items():
        calibration = calibrations[same.merchant_id]
        if len(charges) < 2 or calibration.window_seconds == 0:
            continue
        kept = [row for row in charges if left[row.merchant_id, row.payment_id] > 0]
        for first, later in _pairs(kept, calibration.window_seconds * SECOND_MS):
            if later.booked_at_ms >= judged_from_ms:
                breaks.append(_break(first, later, left[later.merchant_id, later.payment_id], calibration))
    return DoubleCharges(tuple(sorted(breaks, key=lambda found: found.break_id)), calibrations)


def _calibrations(
    groups: Mapping[_Same, list[LedgerRow]], left_before: Mapping[_Payment, int], judged_from_ms: int
) -> dict[str, Calibration]:
    history: defaultdict[str, list[list[int]]] = defaultdict(list)
    for same, charges in groups.items():
        times = sorted(
            row.booked_at_ms
            for row in charges
            if row.booked_at_ms < judged_from_ms and left_before[row.merchant_id, row.payment_id] > 0
        )
        history[same.merchant_id].append(times)
    return {merchant_id: calibrate(merchant_id, times) for merchant_id, times in history.items()}


def _pairs(charges: list[LedgerRow], window_ms: int) -> Iterator[tuple[LedgerRow, LedgerRow]]:
    """Yield (anchor, surplus). A surplus row is consumed: it is no anchor, so three copies are two pairs.

    One payment or one reference booked twice is a duplicate posting, which the keys do show: it is passed over.
    """
    anchor: LedgerRow | None = None
    payments: set[str] = set()
    references: set[str] = set()
    for row in sorted(charges, key=lambda row: (row.booked_at_ms, row.payment_id, row.entry_id)):
        if row.payment_id in payments or row.reference in references:
            continue
        payments.add(row.payment_id)
        references.add(row.reference)
        if anchor is not None and row.booked_at_ms - anchor.booked_at_ms <= window_ms:
            yield anchor, row
        else:
            anchor = row


def _break(first: LedgerRow, later: LedgerRow, left_minor: int, calibration: Calibration) -> Break:
    seconds = (later.booked_at_ms - first.booked_at_ms) // SECOND_MS
    rate = -(-calibration.upper_bound_per_10_000.numerator // calibration.upper_bound_per_10_000.denominator)
    return Break(
        break_class=BreakClass.DOUBLE_CHARGE,
        subject=(later.merchant_id, later.payment_id),
        amount_minor=min(later.amount_minor, left_minor),
        currency=later.currency,
        occurred_at_ms=later.booked_at_ms,
        merchant_id=later.merchant_id,
        payment_id=later.payment_id,
        gateway=later.gateway,
        surplus_gateway_payment_id=later.gateway_payment_id,
        evidence=(_evidence(first), _evidence(later)),
        why=(
            f"two keys charged the same payer the same amount {seconds} s apart; this merchant's window is "
            f"{calibration.window_seconds} s ({calibration.basis.value}: {calibration.pairs} such pairs in "
            f"{calibration.history_charges} earlier charges, at most {rate} per 10,000)"
        ),
    )


def _evidence(row: LedgerRow) -> Evidence:
    return Evidence(
        source=Source.LEDGER,
        row_key=row.entry_id,
        fields={
            "payment_id": row.payment_id,
            "reference": row.reference,
            "amount_minor": row.amount_minor,
            "currency": row.currency,
            "booked_at_ms": row.booked_at_ms,
            "gateway_payment_id": row.gateway_payment_id,
            "idempotency_record_id": row.idempotency_record_id,
        },
    )
