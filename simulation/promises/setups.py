"""P1, P2 and P4 of set-ups: one method for each, its status is the gateway's, and a revoked one is charged no more."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import MethodSaved, OperationKind
from payonce.domain.setup import NOTHING_SAVED, SETUP_PREFIX, MethodStatus, SetupStatus, is_saved_method
from payonce.payments.setup_items import METHOD_SORT_KEY, SETUP_SORT_KEY, method_key, setup_key
from payonce.ports import Table
from simulation.facts import Facts, Violated
from simulation.goals import Goal
from simulation.promises.shared import COMPLETED, changes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Item
    from simulation.database import Change, Commit
    from simulation.gateway import SimulatedGateway

ACTIVE, REVOKED = MethodStatus.ACTIVE.value, MethodStatus.REVOKED.value
ENDED = frozenset(status.value for status in NOTHING_SAVED)


def is_about_setup(change: Change) -> bool:
    """Return whether a claim is a set-up's, of its steps or settlement, or a revocation's."""
    plan = (change.before or change.after or {}).get("plan", {})
    return "setup_id" in plan or "revocation_id" in plan


def acknowledged_setup(facts: Facts, merchant: str, seen: Mapping[str, Any]) -> None:
    """P2: a set-up or method that a client was shown is stored, at this version or a later one."""
    key = (setup_key if seen["object"] == "setup" else method_key)(merchant, seen["id"])
    stored = facts.database.item(Table.PAYMENTS, key)
    if stored is None or stored["version"] < seen["version"]:
        raise Violated("P2", f"version {seen['version']} of {seen['id']} was acknowledged and is not stored")


def p4_set_up_is_certain(facts: Facts, commit: Commit) -> None:
    """A set-up has ended only once no gateway can save what it was to save, and succeeded only once one has."""
    for change in changes_of(commit, Table.PAYMENTS):
        after = change.after
        if after is None or change.key[1] != SETUP_SORT_KEY:
            continue
        gateway, reference = facts.gateways[after["gateway"]], after["gateway_reference"]
        if after["status"] in ENDED and gateway.may_be_executed(reference):
            raise Violated("P4", f"{reference} is {after['status']}, and {gateway.name} may still save its method")
        if after["status"] == SetupStatus.SUCCEEDED and not _saved(gateway, reference):
            raise Violated("P4", f"{reference} has succeeded, and {gateway.name} has saved nothing")
        facts.history.reached[Goal.SETUP_ENDED] += after["status"] in ENDED


def p4_charged_while_active(facts: Facts, commit: Commit) -> None:
    """A payment is claimed only while its saved method is active: from a revocation's claim on, it is not."""
    for change in changes_of(commit, Table.IDEMPOTENCY):
        if change.before is not None or change.after is None:
            continue
        plan = change.after["plan"]
        named = str(plan.get("payment_method", ""))
        if plan.get("kind") != OperationKind.PAYMENT or not is_saved_method(named):
            continue
        method = facts.database.item(Table.PAYMENTS, method_key(plan["merchant_id"], named)) or {}
        if method.get("status") != ACTIVE:
            raise Violated("P4", f"{change.key[0]} charges {named}, which is {method.get('status')}")
        if _is_being_revoked(facts, named):
            raise Violated("P4", f"{change.key[0]} charges {named}, of which a revocation is under way")
        facts.history.reached[Goal.METHOD_CHARGED] += 1


def _is_being_revoked(facts: Facts, method_id: str) -> bool:
    return any(
        item["status"] != COMPLETED and "revocation_id" in item["plan"] and item["plan"]["method_id"] == method_id
        for item in facts.database.items(Table.IDEMPOTENCY)
    )


def p4_methods_are_true(facts: Facts) -> None:
    """In the end each set-up is what its gateway made of it, with one method, which is revoked if it is there."""
    methods: Counter[str] = Counter()
    for item in facts.database.items(Table.PAYMENTS):
        if item["sk"] == METHOD_SORT_KEY:
            methods[item["made_by"]] += 1
            gone = item["token"] in facts.gateways[item["gateway"]].revoked
            if (item["status"], gone) not in {(ACTIVE, False), (REVOKED, True)}:
                raise Violated("P4", f"{item['method_id']} is {item['status']}, and at its gateway revoked: {gone}")
            facts.history.reached[Goal.METHOD_REVOKED] += gone
    for item in facts.database.items(Table.PAYMENTS):
        if item["sk"] == SETUP_SORT_KEY:
            _check_setup(facts, item, methods[item["setup_id"]])
    made = {
        booking.instruction.payment_id
        for gateway in facts.gateways.values()
        for booking in gateway.bookings
        if booking.instruction.payment_id.startswith(f"{SETUP_PREFIX}_") and isinstance(booking.outcome, MethodSaved)
    }
    if unknown := made - methods.keys():
        raise Violated("P2", f"a gateway has saved what nobody knows: {sorted(unknown)}")


def _check_setup(facts: Facts, setup: Item, methods: int) -> None:
    saved = _saved(facts.gateways[setup["gateway"]], setup["gateway_reference"])
    expected = {SetupStatus.SUCCEEDED.value} if saved else ENDED
    if setup["status"] not in expected or methods != int(saved):
        raise Violated(
            "P4", f"{setup['setup_id']} is {setup['status']} with {methods} methods, its gateway saved {saved}"
        )


def _saved(gateway: SimulatedGateway, reference: str) -> bool:
    return any(isinstance(booking.outcome, MethodSaved) for booking in gateway.booked(reference))
