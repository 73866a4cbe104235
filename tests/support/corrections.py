"""A world with a payment that the gateway charged twice, and the corrections wired to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.corrections.policy import Policy
from payonce.corrections.workflow import Corrections, Identity
from payonce.domain.gateway import Instruction, OperationKind, Succeeded
from payonce.domain.ledger import RECONCILIATION_SUSPENSE
from payonce.payments.journal import entries_of
from payonce.payments.payment_reads import get_balances
from payonce.ports import Deadline
from payonce.reconciliation.cases.case import CaseChange, opened
from payonce.reconciliation.cases.case_items import case_writes
from payonce.reconciliation.model import Break, Evidence
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.domain.gateway import CaptureMethod
    from payonce.reconciliation.cases.why import Why

AUTOMATIC = Policy(automatic={(BreakClass.DUPLICATE_CAPTURE, "EUR"): 5000, (BreakClass.DOUBLE_CHARGE, "EUR"): 5000})
STEP_MS = 25_000


def corrections_in(world: World, policy: Policy = AUTOMATIC, notifier: MemoryWorkflows | None = None) -> Corrections:
    """Return the use cases on the world's adapters."""
    return Corrections(
        services=world.services,
        engine=world.engine,
        gateway_named=lambda _name: world.gateway,
        policy=lambda: policy,
        notifier=notifier or MemoryWorkflows(),
    )


def deadline(world: World) -> Deadline:
    """Return the end of one step."""
    return Deadline(world.clock.now_ms() + STEP_MS)


def duplicate_capture(world: World, capture: CaptureMethod | None = None, evidence: tuple[Evidence, ...] = ()) -> Break:
    """Create a payment, let the gateway charge its reference once more, and return the break of it."""
    created = world.create() if capture is None else world.create(capture=capture)
    first: Instruction = world.gateway.submissions[-1]
    surplus = world.gateway.submit(first, deadline(world))
    assert isinstance(surplus, Succeeded)
    return with_case(
        world,
        Break(
            break_class=BreakClass.DUPLICATE_CAPTURE,
            subject=("bank", first.gateway_reference, surplus.gateway_charge_id),
            amount_minor=1000,
            currency="EUR",
            occurred_at_ms=world.clock.now_ms(),
            merchant_id=MERCHANT,
            payment_id=payment_id_of(created),
            gateway="bank",
            surplus_gateway_payment_id=surplus.gateway_charge_id,
            evidence=evidence,
        ),
    )


def with_case(world: World, found: Break, why: Why | None = None) -> Break:
    """Open the case of a break, as a run does, and return the break."""
    case = opened(found, run_id="run_1", at_ms=world.clock.now_ms(), why=why)
    world.database.write(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))
    return found


def double_charge(world: World) -> Break:
    """Create two payments of one sale, under two keys, and return the break of the later one."""
    world.create("key-1")
    later = payment_id_of(world.create("key-2"))
    return with_case(
        world,
        Break(
            break_class=BreakClass.DOUBLE_CHARGE,
            subject=("bank", later),
            amount_minor=1000,
            currency="EUR",
            occurred_at_ms=world.clock.now_ms(),
            merchant_id=MERCHANT,
            payment_id=later,
            gateway="bank",
        ),
    )


def payment_id_of(created: Any) -> str:
    """Return the id of a created payment."""
    return str(json.loads(created.response.body)["id"])


def identity_of(found: Break) -> Identity:
    """Return where the correction of a break is stored."""
    return Identity(found.merchant_id or "", found.payment_id or "", found.break_id)


def check_corrected(world: World, found: Break) -> None:
    """One refund at the gateway, a journal whose every entry and whose sums are zero, nothing left in suspense."""
    refunds = world.gateway.succeeded(OperationKind.REFUND)
    assert len(refunds) == 1
    assert refunds[0].instruction.money.amount_minor == 1000
    check_journal(world, found)


def check_journal(world: World, found: Break) -> None:
    """Every entry sums to zero, and so do the balances; nothing stays in suspense."""
    entries = list(entries_of(world.database, found.merchant_id or "", found.payment_id or ""))
    for entry in entries:
        assert sum(posting.amount_minor for posting in entry.postings) == 0
    linked = [entry for entry in entries if entry.break_id == found.break_id]
    assert len(linked) == (2 if found.break_class is BreakClass.DUPLICATE_CAPTURE else 0)
    balances = get_balances(world.services, MERCHANT)["data"]
    assert sum(row["balance_minor"] for row in balances) == 0
    by_account = {row["account"]: row["balance_minor"] for row in balances}
    assert by_account.get(RECONCILIATION_SUSPENSE, 0) == 0
    assert by_account["merchant_payable"] == -1000
    assert by_account["gateway_receivable:bank"] == 1000
