"""One payment's whole story on one time line, from what ``gathering`` has read. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.views.later_moments import of_breaks, of_delivery, of_gateways_events
from payonce.console.views.time_line import BAD, DOUBT, GOOD, PLAIN, Fact, Moment
from payonce.idempotency.audit import Transition
from payonce.payments.settlement import OPERATION as SETTLEMENT_OPERATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.console.views.claim_stories import ClaimStory
    from payonce.console.views.gathering import Gathered
    from payonce.domain.ledger import JournalEntry
    from payonce.idempotency.audit import AuditEntry
    from payonce.ports import Item


def moments_of(gathered: Gathered) -> tuple[Moment, ...]:
    """Return the time line, oldest first."""
    made = [
        *(each for claim in gathered.claims for each in moments_of_claim(claim)),
        *_of_routing(gathered),
        *map(_of_event, gathered.events),
        *map(_of_entry, gathered.entries),
        *(each for endpoint, delivery in gathered.deliveries for each in of_delivery(endpoint, delivery)),
        *of_gateways_events(gathered),
        *of_breaks(gathered),
    ]
    return tuple(sorted(made, key=lambda moment: moment.order))


def moments_of_claim(claim: ClaimStory) -> list[Moment]:
    """Return the claim's moments in their order. The trail's times are the stream's, which are whole seconds.

    ::

        trail    08:00:05 taken over ─ 08:00:05 concluded (its record says: 08:00:05.412)
        events                    08:00:05.410 captured
        shown    captured, taken over, concluded would be wrong: a moment is at most as late as the next of its claim
    """
    whose = "payonce's own follow-up" if claim.operation == SETTLEMENT_OPERATION else claim.operation
    record = claim.record
    moments = [_of_transition(entry, whose) for entry in claim.history]
    if record is not None and all(entry.transition is not Transition.CLAIMED for entry in claim.history):
        facts = _about(claim.record_id, 1)
        moments.insert(0, Moment(at_ms=record.created_at_ms, kind="claim", title=f"Claimed: {whose}", facts=facts))
    if record is not None and record.ended_at_ms and claim.history[-1:] and claim.history[-1].transition in _ENDED:
        took = Fact(name="from claim to conclusion", text=f"{record.ended_at_ms - record.created_at_ms} ms")
        facts = (*moments[-1].facts, took) if record.fence == 1 else moments[-1].facts
        moments[-1] = replace(moments[-1], at_ms=record.ended_at_ms, before_ms=None, facts=facts)
    latest_ms = None
    for place in range(len(moments) - 1, -1, -1):
        moment = moments[place]
        if latest_ms is not None and moment.order[0] > latest_ms:
            moments[place] = replace(moment, before_ms=latest_ms)
        latest_ms = moments[place].order[0]
    return moments


_ENDED = frozenset({Transition.COMPLETED, Transition.PARKED})


def _of_transition(entry: AuditEntry, whose: str) -> Moment:
    kind, title, tone = "key", f"{entry.transition.value} by {entry.principal}: {whose}", PLAIN
    facts: tuple[Fact, ...] = ()
    match entry.transition:
        case Transition.CLAIMED:
            kind, title = "claim", f"Claimed: {whose}"
            facts = (Fact(name="by", text=entry.principal), *_about(entry.record_id, entry.fence))
        case Transition.TAKEN_OVER:
            kind, title = "gateway", f"Owner {entry.fence} took over and asks the gateway: {whose}"
        case Transition.PARKED:
            title, tone = f"Outcome unknown, left in doubt: {whose}", DOUBT
            facts = (Fact(name="asked again at", at_ms=entry.lease_expires_at_ms),)
            if whose == "payonce's own follow-up":
                title, tone = "Not decided yet: payonce asks the gateway again", PLAIN
        case Transition.COMPLETED:
            title = f"Concluded, and its answer stored: {whose}"
            facts = (Fact(name="answer", text=f"HTTP {entry.response_status}"),)
        case Transition.RELEASED:
            title = f"Key given back by {entry.principal}: {whose}"
            facts = tuple(
                Fact(name=name, text=text)
                for name, text in (("reason", entry.reason), ("found", entry.finding))
                if text
            )
            facts += (Fact(name="forced", text="yes"),) if entry.forced else ()
        case Transition.UNFORESEEN:
            tone = BAD
    last_ms = entry.at_ms + 999 if entry.at_ms % 1000 == 0 and entry.transition is not Transition.CLAIMED else None
    return Moment(at_ms=entry.at_ms, kind=kind, title=title, facts=facts, tone=tone, before_ms=last_ms)


def _about(record_id: str, fence: int) -> tuple[Fact, ...]:
    return (Fact(name="record", text=record_id, is_id=True), Fact(name="owner", text=str(fence)))


def _of_routing(gathered: Gathered) -> Iterator[Moment]:
    """Yield where it was sent. A payment is routed once, before its claim; each reference is one attempt there."""
    known = gathered.payment or gathered.plan
    if known is None:
        return
    passed_over = known.passed_over
    facts = (Fact(name="passed over, which took nothing of it", text=", ".join(passed_over)),) if passed_over else ()
    yield Moment(
        at_ms=known.created_at_ms,
        kind="routing",
        title=f"Routed to {known.gateway}",
        facts=facts,
        path="/gateways",
    )
    attempts = gathered.payment.attempts if gathered.payment is not None else known.submission  # type: ignore[union-attr]
    references = tuple(
        Fact(name=f"attempt {number + 1}", text=f"{gathered.payment_id}-{number + 1}", is_id=True)
        for number in range(attempts)
    )
    charge_id = "" if gathered.payment is None else gathered.payment.gateway_charge_id or ""
    at_gateway = (Fact(name="charge there", text=charge_id, is_id=True),) if charge_id else ()
    yield Moment(
        at_ms=known.created_at_ms,
        kind="gateway",
        title=f"Sent to {known.gateway}" + (", or about to be" if gathered.payment is None else ""),
        facts=(*references, *at_gateway),
    )


_TONES: Mapping[str, str] = MappingProxyType(
    {"in_doubt": DOUBT, "declined": BAD, "failed": BAD, "expired": BAD, "lost": BAD, "reversed": BAD, "won": GOOD,
     "succeeded": GOOD, "captured": GOOD, "authorized": GOOD, "succeeded_in_part": GOOD}
)  # fmt: skip


def _of_event(event: Item) -> Moment:
    body = json.loads(event["body"])
    data = body["data"]
    resource, _, change = str(event["event_type"]).partition(".")
    facts = [
        Fact(name="event", text=event["event_id"], is_id=True),
        Fact(name="amount", amount_minor=data["amount_minor"], currency=data["currency"]),
    ]
    if data["object"] != "payment":
        facts.append(Fact(name=data["object"], text=data["id"], is_id=True))
    if data.get("decline_code"):
        facts.append(Fact(name="code", text=data["decline_code"]))
    if data.get("reason"):
        facts.append(Fact(name="reason given", text=data["reason"]))
    if data.get("evidence_due_at_ms"):
        facts.append(Fact(name="evidence due", at_ms=data["evidence_due_at_ms"]))
    return Moment(
        at_ms=event["created_at_ms"],
        kind="dispute" if resource == "dispute" else "payment",
        title=f"{resource.capitalize()} {change.replace('_', ' ')}",
        facts=tuple(facts),
        tone=_TONES.get(change, PLAIN),
    )


def _of_entry(entry: JournalEntry) -> Moment:
    booked = tuple(
        Fact(name=posting.account, amount_minor=posting.amount_minor, currency=entry.currency)
        for posting in entry.postings
    )
    of = f" by the correction of {entry.break_id}" if entry.break_id else ""
    return Moment(
        at_ms=entry.booked_at_ms,
        kind="journal",
        title=f"Booked: {entry.description.replace('_', ' ')}{of}",
        facts=(*booked, Fact(name="entry", text=entry.entry_id, is_id=True)),
    )
