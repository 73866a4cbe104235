"""Set-ups and saved payment methods as tests store them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.gateway import PaymentMethodType
from payonce.domain.setup import MethodStatus, SavedMethod, Setup, SetupChange, SetupStatus, method_id_of
from payonce.outbox import opened
from payonce.payments.setup_items import method_writes, setup_writes
from payonce.ports import Table

if TYPE_CHECKING:
    from payonce.ports import Database

AT_MS = 1_795_526_278_000
TOKEN = "tok_1"


def waiting_setup(merchant_id: str, setup_id: str, *, customer: str = "customer-7", gateway: str = "bank") -> Setup:
    """Return a set-up that waits for its payer."""
    return Setup(
        setup_id=setup_id,
        merchant_id=merchant_id,
        status=SetupStatus.REQUIRES_ACTION,
        customer=customer,
        payment_method="pm_sandbox_3ds",
        payment_method_type=PaymentMethodType.CARD,
        currency="EUR",
        gateway=gateway,
        gateway_reference=f"{setup_id}-1",
        gateway_setup_id="seti_1",
        created_at_ms=AT_MS,
        updated_at_ms=AT_MS,
        version=1,
        next_action={"type": "redirect", "url": "https://bank.example/1", "expires_at_ms": AT_MS + 3_600_000},
    )


def saved_method(
    merchant_id: str, method_id: str, *, customer: str = "customer-7", gateway: str = "bank"
) -> SavedMethod:
    """Return a saved payment method that can be charged."""
    return SavedMethod(
        method_id=method_id,
        merchant_id=merchant_id,
        status=MethodStatus.ACTIVE,
        customer=customer,
        payment_method_type=PaymentMethodType.CARD,
        currency="EUR",
        gateway=gateway,
        token=TOKEN,
        mandate_id="mandate_1",
        made_by=method_id.replace("method_", "setup_"),
        created_at_ms=AT_MS,
        updated_at_ms=AT_MS,
    )


def store_setup(database: Database, setup: Setup) -> None:
    """Store a set-up that waits, as its first commit does."""
    database.write(setup_writes(setup, SetupChange.ACTION_REQUIRED, before=None))


def store_method(database: Database, method: SavedMethod) -> None:
    """Store a payment method, as the commit that saves it does."""
    assert method.method_id == method_id_of(method.made_by)
    database.write(method_writes(method))


def events_of(database: Database, resource_id: str) -> list[str]:
    """Return the types of all events of a set-up or a saved method, in order; none is missing, and none comes twice."""
    page = database.query(Table.OUTBOX, partition=("pk", resource_id), limit=99)
    bodies = [json.loads(opened(item)["body"]) for item in page.items]
    assert [body["sequence"] for body in bodies] == list(range(1, len(bodies) + 1))
    return [body["type"] for body in bodies]
