"""What follows a payment's changes, as moments: webhook deliveries, gateways' events, breaks and corrections. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.views.time_line import BAD, GOOD, Fact, Moment
from payonce.corrections.record import steps_of
from payonce.domain.webhooks import DeliveryStatus
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.console.views.gathering import Gathered
    from payonce.domain.endpoint import Endpoint
    from payonce.webhooks.deliveries import Delivery


def of_delivery(endpoint: Endpoint, delivery: Delivery) -> Iterator[Moment]:
    path = f"/webhooks/{endpoint.endpoint_id}/deliveries/{delivery.delivery_id}"
    about = (
        Fact(name="to", text=endpoint.url),
        Fact(name="event", text=delivery.event_id, is_id=True),
    )
    for attempt in delivery.attempts:
        status = attempt.get("status")
        answered = status is not None and 200 <= status < 300
        said = f"HTTP {status}" if status is not None else str(attempt.get("error") or "no answer")
        yield Moment(
            at_ms=attempt["at_ms"],
            kind="webhook",
            title=f"{delivery.event_type} {'delivered' if answered else 'not accepted'}: {said}",
            facts=(*about, Fact(name="took", text=f"{attempt['latency_ms']} ms")),
            tone=GOOD if answered else BAD,
            path=path,
        )
    if delivery.status is DeliveryStatus.PENDING:
        due = Fact(name="next attempt", at_ms=delivery.not_before_ms)
        yield Moment(
            at_ms=delivery.created_at_ms,
            kind="webhook",
            title=f"{delivery.event_type} to be delivered",
            facts=(*about, due),
            path=path,
        )
    elif delivery.status is not DeliveryStatus.DELIVERED:
        yield Moment(
            at_ms=delivery.updated_at_ms,
            kind="webhook",
            title=f"Delivery of {delivery.event_type} {delivery.status.value}",
            facts=about,
            tone=BAD,
            path=path,
        )


def of_gateways_events(gathered: Gathered) -> Iterator[Moment]:
    for told in gathered.told:
        if told.outcome is not None:
            said = "executed" if told.outcome.executed else "undone" if told.outcome.undone else "not executed"
            facts = [
                Fact(name="amount", amount_minor=told.outcome.amount_minor, currency=told.outcome.currency),
                Fact(name="at the gateway", text=told.outcome.gateway_operation_id, is_id=True),
            ]
            facts += [Fact(name="code", text=told.outcome.code)] if told.outcome.code else []
            title = f"The gateway's event told: {told.outcome.kind.value} {said}"
            yield Moment(at_ms=told.told_at_ms, kind="gateway", title=title, facts=tuple(facts))
        elif told.dispute is not None:
            title = f"The gateway's event told of a dispute: {told.dispute.status.value.replace('_', ' ')}"
            yield Moment(at_ms=told.told_at_ms, kind="dispute", title=title)


def of_breaks(gathered: Gathered) -> Iterator[Moment]:
    for case in gathered.cases:
        about = (
            Fact(name="at stake", amount_minor=case.amount_minor, currency=case.currency),
            Fact(name="meaning", text=CLASSES[case.break_class].meaning),
            *((Fact(name="why", text=case.why),) if case.why else ()),
        )
        words = case.break_class.value.replace("_", " ")
        path = f"/breaks/{case.break_id}"
        found = f"Reconciliation found a break: {words}"
        yield Moment(at_ms=case.opened_at_ms, kind="break", title=found, facts=about, tone=BAD, path=path)
        if case.status is not CaseStatus.OPEN:
            ended = f"Break {case.status.value}: {words}"
            yield Moment(at_ms=case.updated_at_ms, kind="break", title=ended, tone=GOOD, path=path)
    for correction in gathered.corrections:
        for step in steps_of(correction):
            by = Fact(name="by", text=step["by"]) if step["by"] else None
            yield Moment(
                at_ms=step["at_ms"],
                kind="correction",
                title=f"Correction {step['status'].replace('_', ' ')}",
                facts=(
                    Fact(name="amount", amount_minor=step["amount_minor"], currency=correction.currency),
                    *((by,) if by else ()),
                ),
                path=f"/breaks/{correction.break_id}",
            )
