"""P2, P3 and P8 as a client sees them: what is acknowledged is stored, and a replay is the first answer."""

from __future__ import annotations

import json

from payonce.ports import Table
from simulation.facts import Answered, Facts, Violated
from simulation.goals import Goal
from simulation.promises.setups import acknowledged_setup
from simulation.promises.shared import HELD, entry_in, payment_version, told_in


def p2_acknowledged_is_stored(facts: Facts, answer: Answered) -> None:
    """A 2xx means that the payment, its journal entry and its event are committed."""
    if answer.status not in {201, 202} or answer.operation.kind in {"surplus", "stranger"}:
        return
    if answer.document["object"] in {"setup", "payment_method"}:
        acknowledged_setup(facts, answer.operation.merchant, answer.document)
        return
    seen = answer.document if answer.document["object"] == "payment" else answer.document["payment"]
    merchant, identity = answer.operation.merchant, seen["id"]
    stored = payment_version(facts.database, merchant, identity)
    if stored is None or stored["version"] < seen["version"]:
        raise Violated("P2", f"version {seen['version']} of {identity} was acknowledged and is not stored")
    if answer.operation.kind == "confirm":
        return  # it tells the payment as it is, whatever its last change was
    version = f"{seen['version']:010d}"
    event = facts.database.item(Table.OUTBOX, {"pk": identity, "sk": version})
    if event is None or json.loads(told_in(event)[1])["data"] != json.loads(answer.body):
        raise Violated("P2", f"the event of version {seen['version']} of {identity} is missing, or says something else")
    moved = answer.document["status"] not in HELD and not _canceled_without_hold(facts, answer)
    if answer.status == 201 and moved and entry_in(event) is None:
        raise Violated("P2", f"version {seen['version']} of {identity} was acknowledged and is not in the journal")


def _canceled_without_hold(facts: Facts, answer: Answered) -> bool:
    """Return whether a payment was canceled for which no amount was held: it waited for its payer."""
    created = facts.operations.get(answer.operation.of)
    return answer.operation.kind == "cancel" and created is not None and created.hold is not None


def p2_refused_is_not_executed(facts: Facts, answer: Answered) -> None:
    """A 503 means that this request was not executed and never will be: keep the promise, for the check below."""
    if answer.status == 503:
        facts.unsettled[answer.record_id].discard(answer.actor)
        if not facts.unsettled[answer.record_id]:
            facts.promised.add(answer.record_id)


def p3_replay_is_the_first_answer(facts: Facts, answer: Answered) -> None:
    """Once a client has a final answer, every later one to the same request is the same."""
    first = facts.finals.get(answer.record_id)
    # A request that began before may have seen what was so then.
    knew = first is not None and facts.final_at_us[answer.record_id] < answer.began_us
    in_progress = answer.document.get("type", "").endswith("key-in-progress")
    if "Idempotency-Expires" not in answer.headers:
        if knew and in_progress:
            raise Violated("P3", f"{answer.record_id} has its final answer, and is said to be in progress")
        return
    facts.served[answer.record_id].add(answer.asked)
    if len(facts.served[answer.record_id]) > 1:
        raise Violated("P3", f"two different requests with the key of {answer.record_id} were answered as one")
    if answer.status == 202:
        facts.history.reached[Goal.REPLAYED_IN_DOUBT] += answer.record_id in facts.claimed and first is None
        if knew:
            raise Violated("P3", f"{answer.record_id} has its final answer, and now is in doubt")
        return
    now = (answer.status, answer.headers.get("Location", ""), answer.body)
    if first is not None:
        facts.history.reached[Goal.REPLAYED] += 1
    facts.final_at_us.setdefault(answer.record_id, facts.scheduler.now_us)
    if facts.finals.setdefault(answer.record_id, now) != now:
        raise Violated("P3", f"{answer.record_id} was answered with {facts.finals[answer.record_id]}, then with {now}")


def p8_answers_are_the_merchants_own(facts: Facts, answer: Answered) -> None:
    """No merchant sees another's payment, and none is refused because of another's key."""
    kind = answer.document.get("type", "")
    if kind.endswith("key-reused") and len(facts.bodies[answer.record_id]) < 2:
        raise Violated("P8", f"{answer.record_id} was refused as used otherwise; its merchant has sent one body only")
    if kind.endswith("key-in-progress") and answer.record_id not in facts.claimed:
        raise Violated("P8", f"{answer.record_id} is said to be in progress, and was never claimed")
    if answer.operation.kind == "stranger":
        if answer.status not in {404, 503}:
            raise Violated("P8", f"{answer.operation.merchant} read another's payment: {answer.status} {answer.body}")
        facts.history.reached[Goal.STRANGER_REFUSED] += answer.status == 404
