"""P3 and P5 in the store: a completed record is final, and only the owner of a claim writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.ports import Table
from simulation.drawing import MERCHANTS
from simulation.facts import Facts, Violated
from simulation.goals import Goal
from simulation.promises.shared import (
    COMPLETED,
    IN_PROGRESS,
    changes_of,
    completes,
    says_never_executed,
    told_in,
)

if TYPE_CHECKING:
    from simulation.database import Change, Commit

NOTABLE_SKEW_MS = 2_000
EVENT = "event-"  # what the actors of gateways' events are called


def p3_completed_is_final(facts: Facts, commit: Commit) -> None:
    """A completed record is never changed nor deleted: what it answers is answered for good."""
    del facts
    for change in changes_of(commit, Table.IDEMPOTENCY):
        if change.before is not None and change.before["status"] == COMPLETED:
            raise Violated("P3", f"{commit.actor} changed {change.key[0]}, which is completed")


def p5_only_the_owner_writes(facts: Facts, commit: Commit) -> None:
    """Every write of a claim comes from the owner of its newest fence."""
    for change in changes_of(commit, Table.IDEMPOTENCY):
        before, after = change.before, change.after
        if before is None:
            continue
        owned = (change.key[0], before["claim_id"], before["fence"])
        if after is not None and after["fence"] == before["fence"] + 1 and after["claim_id"] == before["claim_id"]:
            continue  # a takeover: see below
        if facts.owner_of[owned] != commit.actor:
            raise Violated("P5", f"{commit.actor} wrote {change.key[0]}, which {facts.owner_of[owned]} owns")
        if after is not None and (after["claim_id"], after["fence"]) != owned[1:]:
            raise Violated("P5", f"{commit.actor} changed the identity of the claim {change.key[0]}")


def p5_no_takeover_from_a_running_owner(facts: Facts, commit: Commit) -> None:
    """A claim is taken over when its owner's time is over, by the owner's own clock."""
    for change in changes_of(commit, Table.IDEMPOTENCY):
        before, after = change.before, change.after
        if before is None or after is None or after["fence"] == before["fence"]:
            continue
        owner = facts.scheduler.actors.get(facts.owner_of[change.key[0], before["claim_id"], before["fence"]])
        if owner is None or owner.over or before["status"] != IN_PROGRESS:
            continue
        its_time_ms = facts.scheduler.true_ms() + owner.skew_ms
        if its_time_ms < before["lease_expires_at_ms"] - LEASE_MARGIN_MS:
            raise Violated("P5", f"{commit.actor} took {change.key[0]} from {owner.name}, whose time is not over")


def p5_money_moves_under_a_fence(facts: Facts, commit: Commit) -> None:
    """Payments, journal and events change only together with the claim that asked for it, or as a gateway's event."""
    if any(change.table is Table.IDEMPOTENCY for change in commit.changes) or _is_brought_in(commit):
        return
    for change in commit.changes:
        correction = change.table is Table.PAYMENTS and change.key[1].startswith("CORRECTION#")
        head = change.table is Table.PAYMENTS and change.before is None and _is_as_it_was(facts, change)
        if change.table in {Table.PAYMENTS, Table.LEDGER, Table.OUTBOX} and not (correction or head):
            raise Violated("P5", f"{commit.actor} changed {'/'.join(change.key)} without a claim")


def _is_brought_in(commit: Commit) -> bool:
    """Return whether a commit is what a gateway's event brings into one payment, and nothing else.

    It is fenced by the payment's version: its head gets one version for each change, and the changes are the versions
    after the one that was stored. Beside them it marks refunds that had succeeded as returned, and moves balances.
    """
    heads = [each for each in changes_of(commit, Table.PAYMENTS) if each.key[1] == "PAYMENT"]
    if not commit.actor.startswith(EVENT) or len(heads) != 1 or heads[0].before is None or heads[0].after is None:
        return False
    before, after = heads[0].before["version"], heads[0].after["version"]
    told = {each.key for each in changes_of(commit, Table.OUTBOX) if each.before is None}
    wanted = {(heads[0].after["payment_id"], f"{version:010d}") for version in range(before + 1, after + 1)}
    others = [each for each in commit.changes if each.table not in {Table.OUTBOX, Table.LEDGER} and each not in heads]
    return bool(told) and told == wanted and all(_is_return(each) for each in others)


def _is_return(change: Change) -> bool:
    if change.table is not Table.PAYMENTS or not change.key[1].startswith("OPERATION#"):
        return False
    before, after = change.before or {}, change.after or {}
    return (before.get("kind"), before.get("status"), after.get("status")) == ("refund", "succeeded", "returned")


def _is_as_it_was(facts: Facts, change: Change) -> bool:
    """Return whether a new item is the head of a payment that says what the payment's first version says."""
    after = change.after or {}
    first = facts.database.item(Table.OUTBOX, {"pk": after.get("payment_id", ""), "sk": "0000000001"})
    if change.key[1] != "PAYMENT" or first is None:
        return False
    said = json.loads(told_in(first)[1])["data"]
    return all(after[name] == said[name] for name in said if name in after)


def note_commit(facts: Facts, commit: Commit) -> None:
    """Keep who owns which claim, and under which references it may be sent."""
    reached = facts.history.reached
    for change in changes_of(commit, Table.IDEMPOTENCY):
        record_id, after = change.key[0], change.after
        if after is None:
            reached[Goal.RELEASED] += 1
            continue
        if change.before is None or after["fence"] > change.before["fence"]:
            facts.owner_of[record_id, after["claim_id"], after["fence"]] = commit.actor
            own, _, key = record_id.partition("#")
            reached[Goal.KEY_SHARED] += any(f"{other}#{key}" in facts.claimed for other in MERCHANTS if other != own)
            facts.claimed.add(record_id)
            reached[Goal.TAKEN_OVER] += after["fence"] == 2
            reached[Goal.TAKEN_OVER_TWICE] += after["fence"] == 3
            _note_takeover(facts, change, commit)
        for reference in after.get("plan", {}).get("gateway_references", ()):
            facts.record_of[reference] = record_id
        if completes(change) and after["response_status"] == 402:
            reached[Goal.NEVER_EXECUTED] += says_never_executed(change)


def _note_takeover(facts: Facts, change: Change, commit: Commit) -> None:
    if change.before is None or change.before["status"] != IN_PROGRESS:
        return
    owner = facts.scheduler.actors[facts.owner_of[change.key[0], change.before["claim_id"], change.before["fence"]]]
    if commit.skew_ms - owner.skew_ms > NOTABLE_SKEW_MS:
        facts.history.reached[Goal.TAKEN_OVER_AT_ANOTHER_TIME] += 1
