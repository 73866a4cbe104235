"""Where a payment stands, in a plain sentence, and what happens next: by itself, or by whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from payonce.console.views.key_rows import LATE_MS
from payonce.console.views.time_line import BAD, DOUBT, GOOD, PLAIN, Fact
from payonce.corrections.record import CorrectionStatus
from payonce.domain.dispute import DECIDED
from payonce.domain.payment import WAITING, OperationStatus, PaymentStatus
from payonce.domain.webhooks import DeliveryStatus
from payonce.idempotency.records import RecordStatus
from payonce.reconciliation.cases.case import CaseStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.console.views.claim_stories import ClaimStory
    from payonce.console.views.gathering import Gathered
    from payonce.domain.payment import Payment
    from payonce.idempotency.records import IdempotencyRecord

_S = PaymentStatus
ANOTHER_TRY: Final = "For another try the shop uses a new key."
SETTLED: Final[Mapping[PaymentStatus, tuple[str, str]]] = MappingProxyType(
    {
        _S.AUTHORIZED: (
            "The payment is authorized: the payer's bank holds the amount, and nothing is captured.",
            "Nothing happens by itself: the merchant captures or cancels it. Banks let a hold lapse after some days.",
        ),
        _S.PARTIALLY_CAPTURED: (
            "Part of the payment is captured; the rest is held.",
            "The merchant captures the rest, or releases it.",
        ),
        _S.CAPTURED: ("The payment is captured and booked.", "Nothing is left to do."),
        _S.PARTIALLY_REFUNDED: ("Part of the captured payment is refunded.", "Nothing is left to do."),
        _S.REFUNDED: ("The payment is refunded in full.", "Nothing is left to do."),
        _S.VOIDED: ("The payment was canceled before a capture: the payer keeps the money.", "Nothing is left to do."),
        _S.DECLINED: ("The payment was declined: nobody was charged.", ANOTHER_TRY),
        _S.FAILED: ("The gateway did not execute the payment: nobody was charged.", ANOTHER_TRY),
        _S.EXPIRED: ("The payer did not act in time: nobody was charged.", ANOTHER_TRY),
        _S.REVERSED: ("The payer's bank took all of the payment back.", "Nothing happens by itself."),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the payment stands. ``stands`` and ``next_step`` are sentences; ``also`` what is open beside it.

    ``is_settled``: nothing of it will change by itself, so that the page needs no refresh. ``facts`` explain a doubt.
    """

    stands: str
    next_step: str
    tone: str
    is_settled: bool
    facts: tuple[Fact, ...] = ()
    also: tuple[str, ...] = ()


def standing_of(gathered: Gathered) -> Standing:
    """Return where the payment stands."""
    also = tuple(_also(gathered))
    payment = gathered.payment
    if payment is None:
        return _in_flight(gathered, also)
    undecided = any(each.status in _UNDECIDED for each in gathered.operations)
    if payment.status is PaymentStatus.IN_DOUBT:
        return _in_doubt(gathered, payment, also)
    if payment.status in WAITING:
        return _waiting(gathered, payment, also)
    stands, next_step = SETTLED[payment.status]
    bad = payment.status in {_S.DECLINED, _S.FAILED, _S.EXPIRED, _S.REVERSED}
    tone = BAD if bad else GOOD
    if undecided:
        tone, next_step = DOUBT, "An operation on it is not decided yet: see below."
    return Standing(stands=stands, next_step=next_step, tone=tone, is_settled=not undecided, also=also)


_UNDECIDED = frozenset({OperationStatus.IN_DOUBT.value, OperationStatus.PROCESSING.value})


def asked_next(record: IdempotencyRecord | None, gateway: str, now_ms: int) -> tuple[str, Fact | None]:
    """Return who asks the gateway when next, as a sentence and the time; of an open claim."""
    if record is None or record.status is RecordStatus.COMPLETED:
        return f"Its claim was not found: if this stays so, look at recovery ({gateway}).", None
    due = Fact(name="next question", at_ms=record.lease_expires_at_ms)
    if record.status is RecordStatus.IN_PROGRESS and record.lease_expires_at_ms >= now_ms:
        return f"Owner {record.fence} is at work on it now and asks {gateway}.", due
    if record.lease_expires_at_ms >= now_ms:
        return (
            f"payonce's recovery asks {gateway} again by itself; an event of the gateway's makes it ask at once.",
            due,
        )
    if record.lease_expires_at_ms >= now_ms - LATE_MS:
        return f"payonce's recovery asks {gateway} within a minute.", due
    return f"payonce's recovery should have asked {gateway} by now: it is behind, or failing.", due


def _in_flight(gathered: Gathered, also: tuple[str, ...]) -> Standing:
    plan, record = gathered.plan, _record(gathered.claim)
    gateway = "the gateway" if plan is None else plan.gateway
    sentence, due = asked_next(record, gateway, gathered.now_ms)
    running = record is not None and record.lease_expires_at_ms >= gathered.now_ms
    stands = "The payment is being made right now: its request is in flight, and nothing is committed."
    if not running:
        stands = (
            "The payment's request stopped before its end: it may have charged the payer, and nothing is committed."
        )
    return Standing(
        stands=stands,
        next_step=sentence if not running else "Its owner answers, or recovery takes over when its lease has ended.",
        tone=PLAIN if running else DOUBT,
        is_settled=False,
        facts=() if due is None else (due,),
        also=also,
    )


def _in_doubt(gathered: Gathered, payment: Payment, also: tuple[str, ...]) -> Standing:
    gateway, record = payment.gateway, _record(gathered.claim)
    sentence, due = asked_next(record, gateway, gathered.now_ms)
    return Standing(
        stands=f"In doubt: it is not known whether {gateway} has charged the payer. Nothing is sent elsewhere.",
        next_step=f"{sentence} The answer decides it: captured, declined, or never executed.",
        tone=DOUBT,
        is_settled=False,
        facts=(*_why(record, gateway), *(() if due is None else (due,))),
        also=also,
    )


def _why(record: IdempotencyRecord | None, gateway: str) -> Iterator[Fact]:
    if record is None:
        return
    spent = bool(record.plan.get("spent"))
    lost = (
        f"{gateway} gave no answer that says what became of it: a timeout, a broken connection, or an error in between."
    )
    kept = f"{gateway} answered with a failure that it may have stored under the reference, which is never sent again."
    yield Fact(name="why", text=kept if spent else lost)
    yield Fact(name="in doubt since", at_ms=record.ended_at_ms or record.created_at_ms)
    yield Fact(name="last moment at which anything can have been sent", at_ms=record.submit_horizon_ms)
    yield Fact(name="owners that have asked so far", text=str(record.fence))
    references = record.plan.get("gateway_references", ())
    yield Fact(name=f"look it up at {gateway} as", text=", ".join(references), is_id=True)


def _waiting(gathered: Gathered, payment: Payment, also: tuple[str, ...]) -> Standing:
    settlement = next((each for each in gathered.claims if each.operation == "settle_payment"), None)
    sentence, due = asked_next(_record(settlement), payment.gateway, gathered.now_ms)
    facts = [] if due is None else [due]
    if payment.status is PaymentStatus.REQUIRES_ACTION:
        stands = "The payer has to act: the payment waits, and nobody was charged."
        expires_at_ms = (payment.next_action or {}).get("expires_at_ms")
        facts += [Fact(name="the payer has time until", at_ms=expires_at_ms)] if isinstance(expires_at_ms, int) else []
    else:
        stands = f"{payment.gateway} has accepted the payment and has not decided it: this takes minutes or days."
    return Standing(stands=stands, next_step=sentence, tone=PLAIN, is_settled=False, facts=tuple(facts), also=also)


def _also(gathered: Gathered) -> Iterator[str]:
    for operation in gathered.operations:
        if operation.status in _UNDECIDED:
            yield f"The {operation.kind} {operation.operation_id} is {operation.status.replace('_', ' ')}."
    for dispute in gathered.disputes:
        if dispute.state.status not in DECIDED:
            yield f"The payer disputes it ({dispute.dispute_id}): {dispute.state.status.value.replace('_', ' ')}."
    open_cases = [case for case in gathered.cases if case.status is CaseStatus.OPEN]
    yield from (
        f"Reconciliation has an open break of it: {case.break_class.value.replace('_', ' ')}." for case in open_cases
    )
    if any(each.status is CorrectionStatus.AWAITING_APPROVAL for each in gathered.corrections):
        yield "A correction waits for a second person's approval."
    statuses = [delivery.status for _, delivery in gathered.deliveries]
    yield from (
        f"Webhook deliveries {said}: {statuses.count(status)}." for status, said in _UNDELIVERED if status in statuses
    )


_UNDELIVERED: Final = (
    (DeliveryStatus.FAILED, "failed for good: redeliver them once the receiver works"),
    (DeliveryStatus.HELD, "held, because their endpoint is disabled"),
    (DeliveryStatus.PENDING, "on their way, or waiting for their next attempt"),
)


def _record(claim: ClaimStory | None) -> IdempotencyRecord | None:
    return None if claim is None else claim.record
