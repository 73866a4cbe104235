"""The TLA+ specification: every change of a claim and every submission is a step of it (``spec/steps.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.payments.operations import REFERENCES
from payonce.ports import Table
from simulation.facts import Facts, Violated
from simulation.promises.shared import changes_of
from spec.steps import NotAllowed, Step, check, owners_of, record_step

if TYPE_CHECKING:
    from simulation.database import Commit
    from simulation.gateway_books import Sent


def spec_allows_the_change(facts: Facts, commit: Commit) -> None:
    """Every transition of a claim is one of the specification's."""
    clock_ms = facts.scheduler.true_ms() + commit.skew_ms
    for change in changes_of(commit, Table.IDEMPOTENCY):
        before, record_id = change.before or {}, change.key[0]
        sent = (record_id, before.get("claim_id"), before.get("fence")) in facts.sent_under
        _check(record_step(record_id, change.before, change.after, clock_ms=clock_ms, sent=sent), record_id)


def spec_allows_the_submission(facts: Facts, sent: Sent) -> None:
    """Only the owner of the newest fence sends, only what is stored, and a later owner only after asking."""
    reference = sent.instruction.gateway_reference
    record_id = facts.record_of[reference]
    item = facts.database.item(Table.IDEMPOTENCY, {"id": record_id}) or {}
    owned = (record_id, item.get("claim_id", ""), item.get("fence", 0))
    plan = item.get("plan", {})
    present = reference == plan.get(REFERENCES, [""])[-1] and not plan.get("spent")
    asked = (sent.actor, reference) in facts.gateways[sent.gateway].asked
    is_owner = "same" if facts.owner_of.get(owned) == sent.actor else "other"
    step = Step(
        event="sent",
        before=item.get("status", "none"),
        after=item.get("status", "none"),
        owners=owners_of(owned[2]),
        fence=is_owner,
        claim=is_owner,
        sent="first" if owned[2] == 1 else "asked" if asked else "not asked",
        reference="same" if present else "other",
    )
    _check(step, record_id)
    facts.sent_under.add(owned)


def _check(step: Step, record_id: str) -> None:
    try:
        check(step)
    except NotAllowed as error:
        raise Violated("SPEC", f"{record_id}: {error}") from error
