"""The promises of the design as functions: each is told of every moment that concerns it, and raises ``Violated``.

A moment is a transaction that took place, a submission that left, an execution at a gateway, an answer to a client, or
a webhook at its receiver. The functions know the truth: the gateways' books, and who owns which claim.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind, Succeeded
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.ports import Item, Table
from simulation.facts import Answered, Facts, Violated
from simulation.goals import Goal
from simulation.plan import MERCHANTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.database import Change, Commit
    from simulation.gateway import Booking, Sent
    from simulation.messages import Received

COMPLETED, IN_PROGRESS = "COMPLETED", "INPROGRESS"
NOTABLE_SKEW_MS = 2_000


# --- P1: at most one charge per merchant, operation and key


def p1_one_execution_per_key(facts: Facts, gateway: str, booking: Booking) -> None:
    """Nothing is executed twice for one key, under whatever reference and at whatever gateway."""
    if not isinstance(booking.outcome, Succeeded):
        return
    record_id = facts.record_of[booking.instruction.gateway_reference]
    facts.executed[record_id] += 1
    if facts.executed[record_id] > 1:
        references = sorted({reference for _, reference in facts.sent[record_id]})
        raise Violated("P1", f"{record_id} was executed {facts.executed[record_id]} times, as {references}")


def p1_stored_before_sent(facts: Facts, sent: Sent) -> None:
    """A reference is stored before it is sent: otherwise nobody could ask for it after a crash."""
    if sent.instruction.gateway_reference not in facts.record_of:
        raise Violated("P1", f"{sent.instruction.gateway_reference} was sent to {sent.gateway} and is not stored")


def p1_no_more_than_there_is(facts: Facts, sent: Sent) -> None:
    """Refunds and captures that are under way never sum to more than the payment has for them."""
    kind = sent.instruction.kind
    if kind not in {OperationKind.REFUND, OperationKind.CAPTURE}:
        return
    stored = facts.database.item(
        Table.PAYMENTS, _payment_key(sent.instruction.merchant_id, sent.instruction.payment_id)
    )
    if stored is None or sent.instruction.gateway_charge_id != stored["gateway_charge_id"]:
        return  # the surplus charge of a correction is not the payment's
    under_way = sum(
        item["plan"]["amount_minor"]
        for item in facts.database.items(Table.IDEMPOTENCY)
        if item["status"] != COMPLETED
        and item["plan"].get("kind") == kind.value
        and item["plan"].get("payment_id") == stored["payment_id"]
        and item["plan"].get("known", True)
    )
    limit_minor = stored["captured_minor"] if kind is OperationKind.REFUND else stored["amount_minor"]
    done_minor = stored["refunded_minor"] if kind is OperationKind.REFUND else stored["captured_minor"]
    if under_way + done_minor > limit_minor:
        raise Violated("P1", f"{kind.value}s of {under_way} are under way, {done_minor} of {limit_minor} are done")


# --- P2: nothing acknowledged is lost


def p2_acknowledged_is_stored(facts: Facts, answer: Answered) -> None:
    """A 2xx means that the payment, its journal entry and its event are committed."""
    if answer.status not in {201, 202} or answer.operation.kind in {"surplus", "stranger"}:
        return
    seen = answer.document if answer.document["object"] == "payment" else answer.document["payment"]
    merchant, identity = answer.operation.merchant, seen["id"]
    stored = facts.database.item(Table.PAYMENTS, _payment_key(merchant, identity))
    if stored is None or stored["version"] < seen["version"]:
        raise Violated("P2", f"version {seen['version']} of {identity} was acknowledged and is not stored")
    version = f"{seen['version']:010d}"
    event = facts.database.item(Table.OUTBOX, {"pk": f"{merchant}#{identity}", "sk": version})
    if event is None or json.loads(event["body"])["data"] != json.loads(answer.body):
        raise Violated("P2", f"the event of version {seen['version']} of {identity} is missing, or says something else")
    if answer.status == 201:
        entry = facts.database.item(Table.LEDGER, {"pk": f"JOURNAL#{merchant}#{identity}", "sk": version})
        if entry is None:
            raise Violated("P2", f"version {seen['version']} of {identity} was acknowledged and is not in the journal")


def p2_refused_is_not_executed(facts: Facts, answer: Answered) -> None:
    """A 503 means that this request was not executed and never will be: keep the promise, for the check below."""
    if answer.status == 503:
        facts.unsettled[answer.record_id].discard(answer.actor)
        if not facts.unsettled[answer.record_id]:
            facts.promised.add(answer.record_id)


def p2_nothing_after_a_503(facts: Facts, gateway: str, booking: Booking) -> None:
    """Nothing is executed for a key whose every request was answered with 503."""
    record_id = facts.record_of[booking.instruction.gateway_reference]
    if record_id in facts.promised and isinstance(booking.outcome, Succeeded):
        raise Violated("P2", f"{gateway} executed {record_id}, of which every client was told that it never will be")


def p2_success_was_executed(facts: Facts, commit: Commit) -> None:
    """What is recorded as done was done."""
    for change in _of(commit, Table.IDEMPOTENCY):
        if _completes(change) and change.after["response_status"] == 201:  # type: ignore[index]
            record_id = change.key[0]
            exempt = "#correct_break#" in record_id or _payment_of(change) in facts.touched
            if not exempt and not facts.executed[record_id]:
                raise Violated("P2", f"{record_id} was recorded as executed, and no gateway has executed it")


# --- P3: a replay is the first answer, byte for byte


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


def p3_completed_is_final(facts: Facts, commit: Commit) -> None:
    """A completed record is never changed nor deleted: what it answers is answered for good."""
    del facts
    for change in _of(commit, Table.IDEMPOTENCY):
        if change.before is not None and change.before["status"] == COMPLETED:
            raise Violated("P3", f"{commit.actor} changed {change.key[0]}, which is completed")


# --- P4: an unknown outcome is never taken for a failure, and never rerouted


def p4_never_rerouted(facts: Facts, sent: Sent) -> None:
    """What was sent to one gateway is sent to no other."""
    record_id = facts.record_of[sent.instruction.gateway_reference]
    for gateway, reference in facts.sent[record_id]:
        if gateway != sent.gateway:
            raise Violated("P4", f"{record_id} was sent to {gateway} as {reference}, and now to {sent.gateway}")
        if reference != sent.instruction.gateway_reference:
            facts.history.reached[Goal.SECOND_REFERENCE] += 1
            if facts.gateways[gateway].may_be_executed(reference):
                raise Violated("P4", f"a second reference of {record_id} is sent, while {reference} may be executed")
    if facts.never_sent.get(record_id, sent.gateway) != sent.gateway:
        facts.history.reached[Goal.OTHER_GATEWAY] += 1
    facts.sent[record_id].append((sent.gateway, sent.instruction.gateway_reference))


def p4_unknown_is_no_failure(facts: Facts, commit: Commit) -> None:
    """Nothing is recorded as failed, or released, that was executed or still may be."""
    for change in _of(commit, Table.IDEMPOTENCY):
        released = change.after is None
        failed = _completes(change) and change.after["response_status"] == 402  # type: ignore[index]
        if not (released or failed):
            continue
        record_id = change.key[0]
        for gateway, reference in facts.sent[record_id]:
            if facts.gateways[gateway].may_be_executed(reference):
                verb = "released" if released else "recorded as failed"
                raise Violated("P4", f"{record_id} is {verb}, while {gateway} has executed {reference} or may do so")


# --- P5: a stale owner changes nothing


def p5_only_the_owner_writes(facts: Facts, commit: Commit) -> None:
    """Every write of a claim comes from the owner of its newest fence."""
    for change in _of(commit, Table.IDEMPOTENCY):
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
    for change in _of(commit, Table.IDEMPOTENCY):
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
    """Payments, journal and events change only together with the claim that asked for it."""
    fenced = any(change.table is Table.IDEMPOTENCY for change in commit.changes)
    for change in commit.changes:
        relayed = change.table is Table.OUTBOX and change.before is not None
        correction = change.table is Table.PAYMENTS and change.key[1].startswith("CORRECTION#")
        if change.table in {Table.PAYMENTS, Table.LEDGER, Table.OUTBOX} and not (fenced or relayed or correction):
            raise Violated("P5", f"{commit.actor} changed {'/'.join(change.key)} without a claim")
    del facts


# --- P6: every change of state has one event with one id


def p6_one_event_per_change(facts: Facts, commit: Commit) -> None:
    """A payment's new version and its event are one transaction, and the event's id follows from them."""
    del facts
    versions = Counter[tuple[str, int]]()
    for change in _of(commit, Table.PAYMENTS):
        if change.key[1] == "PAYMENT" and change.after is not None:
            was = 0 if change.before is None else change.before["version"]
            for version in range(was + 1, change.after["version"] + 1):
                versions[change.key[0], version] += 1
            if change.after["version"] < was:
                raise Violated("P6", f"{commit.actor} took back version {was} of {change.key[0]}")
    for change in _of(commit, Table.OUTBOX):
        if change.before is not None:
            if change.after is None or change.after["body"] != change.before["body"]:
                raise Violated("P6", f"{commit.actor} changed the event {change.before['event_id']}")
            continue
        item = change.after
        if item is None:
            continue
        versions[change.key[0], int(change.key[1])] -= 1
        merchant, _, resource = change.key[0].partition("#")
        wanted = _event_id(merchant, resource, item["event_type"], str(int(change.key[1])))
        if item["event_id"] != wanted or json.loads(item["body"])["id"] != wanted:
            raise Violated("P6", f"the event {change.key} is called {item['event_id']}, not {wanted}")
    if missing := [version for version, count in versions.items() if count]:
        raise Violated("P6", f"changes and events of one transaction differ: {missing}")


def p6_every_copy_is_the_same(facts: Facts, received: Received) -> None:
    """A webhook's id and bytes are those of its event, in every delivery."""
    for item in facts.database.items(Table.OUTBOX):
        if item["body"] == received.body:
            if item["event_id"] != received.event_id:
                raise Violated("P6", f"{item['event_id']} was delivered as {received.event_id}")
            facts.received[received.url, received.event_id] = received.body
            return
    raise Violated("P6", f"{received.url} got bytes that are no event's, as {received.event_id}")


# --- P7: the ledger balances, and is only added to


def p7_ledger_balances(facts: Facts, commit: Commit) -> None:
    """Each entry sums to zero, and the balances are the sum of the entries, after every transaction."""
    merchants = set()
    for change in _of(commit, Table.LEDGER):
        if not change.key[0].startswith("JOURNAL#"):
            continue
        if change.before is not None or change.after is None:
            raise Violated("P7", f"{commit.actor} changed the journal entry {'/'.join(change.key)}")
        merchant, currency = change.key[0].split("#")[1], change.after["currency"]
        merchants.add((merchant, currency))
        postings = change.after["postings"]
        if sum(posting["amount_minor"] for posting in postings):
            raise Violated("P7", f"{'/'.join(change.key)} does not sum to zero: {postings}")
        for posting in postings:
            facts.journal[merchant, currency, posting["account"]] += posting["amount_minor"]
    for merchant, currency in merchants:
        _check_balances(facts, merchant, currency)


def _check_balances(facts: Facts, merchant: str, currency: str) -> None:
    counters: Counter[str] = Counter()
    for item in facts.database.items(Table.LEDGER):
        if item["pk"] == f"BALANCE#{merchant}" and item["sk"].startswith(currency):
            counters.update({name: item[name] for name in item if name.startswith("account:")})
    wanted = {
        f"account:{account}": amount
        for (of, in_currency, account), amount in facts.journal.items()
        if (of, in_currency) == (merchant, currency)
    }
    if {name: amount for name, amount in counters.items() if amount} != {n: a for n, a in wanted.items() if a}:
        raise Violated("P7", f"{merchant}'s balances in {currency} are {dict(counters)}, the journal says {wanted}")


# --- P8: merchants are apart


def p8_writes_are_the_merchants_own(facts: Facts, commit: Commit) -> None:
    """A transaction under one merchant's key touches that merchant's items alone."""
    operation = facts.operations.get(commit.actor.partition(".")[0])
    merchant = operation.merchant if operation is not None and operation.kind != "surplus" else None
    for change in commit.changes:
        if change.table is Table.IDEMPOTENCY or change.table in {Table.PAYMENTS, Table.OUTBOX}:
            owner = change.key[0].partition("#")[0]
        elif change.table is Table.LEDGER:
            owner = change.key[0].split("#")[1]
        else:
            continue
        merchant = merchant or owner
        if owner != merchant:
            raise Violated("P8", f"{commit.actor} wrote {owner}'s {'/'.join(change.key)} for {merchant}")


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


def p8_webhooks_are_the_merchants_own(facts: Facts, received: Received) -> None:
    """An endpoint receives events of its merchant alone."""
    for item in facts.database.items(Table.OUTBOX):
        if item["event_id"] == received.event_id and item["merchant_id"] not in received.url:
            raise Violated("P8", f"{received.url} got an event of {item['merchant_id']}")


# --- P9: the books agree, and a correction is made once


def p9_corrected_at_most_once(facts: Facts, gateway: str, booking: Booking) -> None:
    """No charge is given back by more than it was, whoever gives it back."""
    charge_id = booking.instruction.gateway_charge_id
    if charge_id is None or not isinstance(booking.outcome, Succeeded):
        return
    moved: Counter[OperationKind] = Counter()
    for each in facts.gateways[gateway].bookings:
        if isinstance(each.outcome, Succeeded) and each.outcome.gateway_charge_id == charge_id:
            moved[each.instruction.kind] += each.instruction.money.amount_minor
    if moved[OperationKind.REFUND] + moved[OperationKind.VOID] > moved[OperationKind.PAYMENT]:
        raise Violated("P9", f"{charge_id} was given back by more than was charged: {dict(moved)}")


def p9_books_agree(facts: Facts) -> None:
    """In the end every movement at a gateway is in our journal once, and nothing else is."""
    ours: Counter[tuple[str, str, str, int]] = Counter()
    for item in facts.database.items(Table.LEDGER):
        movement = item.get("movement")
        if movement is not None and "break_id" not in item and item["pk"].split("#")[2] not in facts.touched:
            reference = (movement["gateway"], movement["gateway_reference"])
            ours[(*reference, movement["kind"], abs(item["moved_minor"]))] += 1
    theirs: Counter[tuple[str, str, str, int]] = Counter()
    for name, gateway in facts.gateways.items():
        for booking in gateway.bookings:
            kind = _movement_of(booking)
            known = booking.instruction.payment_id not in facts.touched
            if kind and known and not booking.surplus and not _gives_back(facts, booking):
                instruction = booking.instruction
                theirs[name, instruction.gateway_reference, kind, instruction.money.amount_minor] += 1
    if ours != theirs:
        raise Violated("P9", f"only in our books: {dict(ours - theirs)}; only at the gateways: {dict(theirs - ours)}")


def _movement_of(booking: Booking) -> str:
    if not isinstance(booking.outcome, Succeeded) or booking.instruction.kind is OperationKind.VOID:
        return ""
    if booking.instruction.kind is OperationKind.REFUND:
        return "refund"
    held = booking.instruction.kind is OperationKind.PAYMENT and booking.instruction.capture_method.value == "manual"
    return "" if held else "charge"


def _gives_back(facts: Facts, booking: Booking) -> bool:
    return "#correct_break#" in facts.record_of.get(booking.instruction.gateway_reference, "")


# --- what the functions share


def note_commit(facts: Facts, commit: Commit) -> None:
    """Keep who owns which claim, and under which references it may be sent."""
    reached = facts.history.reached
    for change in _of(commit, Table.IDEMPOTENCY):
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
        if _completes(change) and after["response_status"] == 402:
            reached[Goal.NEVER_EXECUTED] += b"not_executed" in _body_of(after) or b"not-executed" in _body_of(after)


def _note_takeover(facts: Facts, change: Change, commit: Commit) -> None:
    if change.before is None or change.before["status"] != IN_PROGRESS:
        return
    owner = facts.scheduler.actors[facts.owner_of[change.key[0], change.before["claim_id"], change.before["fence"]]]
    if commit.skew_ms - owner.skew_ms > NOTABLE_SKEW_MS:
        facts.history.reached[Goal.TAKEN_OVER_AT_ANOTHER_TIME] += 1


def _body_of(item: Item) -> bytes:
    import zlib

    body: bytes = item["response_body"]
    return zlib.decompress(body) if item["response_packed"] else body


def _of(commit: Commit, table: Table) -> list[Change]:
    return [change for change in commit.changes if change.table is table]


def _completes(change: Change) -> bool:
    return change.after is not None and change.after["status"] == COMPLETED


def _payment_of(change: Change) -> str:
    plan = change.before.get("plan", {}) if change.before is not None else {}
    return str(plan.get("payment_id", ""))


def _payment_key(merchant: str, identity: str) -> dict[str, str]:
    return {"pk": f"{merchant}#{identity}", "sk": "PAYMENT"}


def _event_id(*parts: str) -> str:
    """Return an event's id as the design defines it, computed here once more."""
    digest = hashlib.sha256()
    for part in ("payonce/event/v1", *parts):
        digest.update(len(part.encode()).to_bytes(4, "big") + part.encode())
    return f"evt_{digest.hexdigest()}"


ON_COMMIT: tuple[Callable[[Facts, Commit], None], ...] = (
    p3_completed_is_final,
    p5_only_the_owner_writes,
    p5_no_takeover_from_a_running_owner,
    p5_money_moves_under_a_fence,
    p4_unknown_is_no_failure,
    p2_success_was_executed,
    p6_one_event_per_change,
    p7_ledger_balances,
    p8_writes_are_the_merchants_own,
    note_commit,
)
ON_SENT: tuple[Callable[[Facts, Sent], None], ...] = (
    p1_stored_before_sent,
    p1_no_more_than_there_is,
    p4_never_rerouted,
)
ON_BOOKED: tuple[Callable[[Facts, str, Booking], None], ...] = (
    p1_one_execution_per_key,
    p2_nothing_after_a_503,
    p9_corrected_at_most_once,
)
ON_ANSWERED: tuple[Callable[[Facts, Answered], None], ...] = (
    p2_acknowledged_is_stored,
    p2_refused_is_not_executed,
    p3_replay_is_the_first_answer,
    p8_answers_are_the_merchants_own,
)
ON_RECEIVED: tuple[Callable[[Facts, Received], None], ...] = (
    p6_every_copy_is_the_same,
    p8_webhooks_are_the_merchants_own,
)
