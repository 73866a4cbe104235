"""P7, P8 and P9: the ledger balances, merchants are apart, and in the end our books are the gateways'."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import OperationKind, Succeeded
from payonce.ports import Table
from simulation.facts import Facts, Violated
from simulation.promises.shared import changes_of, entry_in

if TYPE_CHECKING:
    from simulation.database import Commit
    from simulation.gateway_books import Booking

MOVES_NOTHING = frozenset({OperationKind.VOID, OperationKind.SETUP, OperationKind.REVOCATION})


def p7_ledger_balances(facts: Facts, commit: Commit) -> None:
    """Each entry sums to zero, and the balances are the sum of the entries, after every transaction."""
    merchants = set()
    for change in changes_of(commit, Table.OUTBOX):
        if change.before is not None or change.after is None:
            raise Violated("P7", f"{commit.actor} changed the journal entry {'/'.join(change.key)}")
        entry = entry_in(change.after)
        if entry is None:
            continue
        merchant, currency, postings = change.after["merchant_id"], entry["currency"], entry["postings"]
        merchants.add((merchant, currency))
        if sum(amount for _, amount in postings):
            raise Violated("P7", f"{'/'.join(change.key)} does not sum to zero: {postings}")
        for account, amount in postings:
            facts.journal[merchant, currency, account] += amount
    for merchant, currency in merchants:
        _check_balances(facts, merchant, currency)


def _check_balances(facts: Facts, merchant: str, currency: str) -> None:
    counters: Counter[str] = Counter()
    for item in facts.database.items(Table.LEDGER):
        if item["pk"].startswith(f"BALANCE#{merchant}#") and item["sk"].startswith(currency):
            counters.update({name: item[name] for name in item if name.startswith("account:")})
    wanted = {
        f"account:{account}": amount
        for (of, in_currency, account), amount in facts.journal.items()
        if (of, in_currency) == (merchant, currency)
    }
    if {name: amount for name, amount in counters.items() if amount} != {n: a for n, a in wanted.items() if a}:
        raise Violated("P7", f"{merchant}'s balances in {currency} are {dict(counters)}, the journal says {wanted}")


def p7_returned_as_the_gateway_says(facts: Facts, commit: Commit) -> None:
    """A payment's entry is reversed by the amount of one refund of it that came back, and once for each."""
    for change in changes_of(commit, Table.OUTBOX):
        item = change.after
        entry = None if item is None or not item["sk"].isdigit() else entry_in(item)
        if item is None or entry is None:
            continue
        kind, gateway, reference, *_, reverses, named = [*entry.get("movement", [None] * 7), None][:8]
        if reverses is None:
            continue
        left = sorted(
            booking.outcome.gateway_operation_id
            for booking in facts.gateways[gateway].came_back
            if isinstance(booking.outcome, Succeeded)
            and booking.instruction.money.amount_minor == _moved(entry, gateway)
            and named in {None, booking.outcome.gateway_operation_id}
            and (named is not None or booking.instruction.gateway_reference == reference)
            and booking.outcome.gateway_operation_id not in facts.returned
        )
        if kind != "refund" or not left:
            raise Violated("P7", f"{item['pk']} has an entry reversed of {reference}, of which nothing more came back")
        facts.returned.add(left[0])


def _moved(entry: dict[str, Any], gateway: str) -> int:
    return sum(amount for account, amount in entry["postings"] if account == f"gateway_receivable:{gateway}")


def p8_writes_are_the_merchants_own(facts: Facts, commit: Commit) -> None:
    """A transaction under one merchant's key touches that merchant's items alone."""
    operation = facts.operations.get(commit.actor.partition(".")[0])
    merchant = operation.merchant if operation is not None and operation.kind != "surplus" else None
    for change in commit.changes:
        if change.table in {Table.IDEMPOTENCY, Table.PAYMENTS}:
            owner = change.key[0].partition("#")[0]
        elif change.table is Table.OUTBOX:
            owner = (change.after or change.before or {})["merchant_id"]
        elif change.table is Table.LEDGER:
            owner = change.key[0].split("#")[1]
        else:
            continue
        merchant = merchant or owner
        if owner != merchant:
            raise Violated("P8", f"{commit.actor} wrote {owner}'s {'/'.join(change.key)} for {merchant}")


def p9_corrected_at_most_once(facts: Facts, gateway: str, booking: Booking) -> None:
    """No charge is given back by more than it was, whoever gives it back."""
    charge_id = booking.instruction.gateway_charge_id
    if charge_id is None or not isinstance(booking.outcome, Succeeded):
        return
    moved: Counter[OperationKind] = Counter()
    for each in facts.gateways[gateway].bookings:
        if each in facts.gateways[gateway].came_back:
            continue
        if isinstance(each.outcome, Succeeded) and each.outcome.gateway_charge_id == charge_id:
            moved[each.instruction.kind] += each.instruction.money.amount_minor
    if moved[OperationKind.REFUND] + moved[OperationKind.VOID] > moved[OperationKind.PAYMENT]:
        raise Violated("P9", f"{charge_id} was given back by more than was charged: {dict(moved)}")


def p9_books_agree(facts: Facts) -> None:
    """In the end every movement at a gateway is in our journal once, and nothing else is."""
    ours: Counter[tuple[str, str, str, int]] = Counter()
    for item in facts.database.items(Table.OUTBOX):
        entry = entry_in(item)
        if entry is not None and "movement" in entry and item["sk"].isdigit() and item["pk"] not in facts.touched:
            kind, gateway, reference = entry["movement"][:3]
            ours[gateway, reference, kind, abs(_moved(entry, gateway))] += 1
    theirs: Counter[tuple[str, str, str, int]] = Counter()
    for name, gateway in facts.gateways.items():
        for booking in gateway.bookings:
            kind = _movement_of(booking)
            known = booking.instruction.payment_id not in facts.touched
            if kind and known and not booking.surplus and not _gives_back(facts, booking):
                instruction = booking.instruction
                times = _times_returned(facts, booking) if booking in gateway.came_back else 1
                theirs[name, instruction.gateway_reference, kind, instruction.money.amount_minor] += times
    if ours != theirs:
        raise Violated("P9", f"only in our books: {dict(ours - theirs)}; only at the gateways: {dict(theirs - ours)}")


def p9_returns_are_booked(facts: Facts) -> None:
    """In the end whatever came back has its refund and the reversal in our journal, or neither."""
    ours: Counter[str] = Counter()
    for item in facts.database.items(Table.OUTBOX):
        movement = (entry_in(item) or {}).get("movement")
        if movement is not None and movement[0] == "refund" and item["sk"].isdigit():
            ours.update({movement[2], *movement[7:]})
    for gateway in facts.gateways.values():
        for booking in gateway.came_back:
            if _gives_back(facts, booking):
                continue
            assert isinstance(booking.outcome, Succeeded)  # noqa: S101 - narrows the type
            named, reference = booking.outcome.gateway_operation_id, booking.instruction.gateway_reference
            wanted = {0, 2} if booking.surplus else {_times_returned(facts, booking)}
            booked = ours[named] if booking.surplus or ours[named] else ours[reference]
            if booked not in wanted:
                raise Violated("P9", f"{reference} ({named}) came back, and has {booked} entries, not {wanted}")


def _movement_of(booking: Booking) -> str:
    if not isinstance(booking.outcome, Succeeded) or booking.instruction.kind in MOVES_NOTHING:
        return ""
    if booking.instruction.kind is OperationKind.REFUND:
        return "refund"
    held = booking.instruction.kind is OperationKind.PAYMENT and booking.instruction.capture_method.value == "manual"
    return "" if held else "charge"


def _times_returned(facts: Facts, booking: Booking) -> int:
    """Return how many entries a refund that came back has: it and its reversal, or none where it was never booked."""
    instruction = booking.instruction
    operation_id = instruction.gateway_reference.rpartition("-")[0]
    key = {"pk": f"{instruction.merchant_id}#{instruction.payment_id}", "sk": f"OPERATION#{operation_id}"}
    status = (facts.database.item(Table.PAYMENTS, key) or {}).get("status")
    if status not in {"returned", "declined"}:
        raise Violated("P9", f"{instruction.gateway_reference} came back, and is {status}")
    return 2 if status == "returned" else 0


def _gives_back(facts: Facts, booking: Booking) -> bool:
    return "#correct_break#" in facts.record_of.get(booking.instruction.gateway_reference, "")
