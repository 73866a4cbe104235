"""What the views of payments, keys and webhooks read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.each import in_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.each import Each
    from payonce.idempotency.audit import AuditTrail
    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.payments.payment_work import Services as PaymentServices
    from payonce.ports import Clock, Database
    from payonce.webhooks.commit_work import Services as WebhookServices


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The views' dependencies. ``gateways`` are the names of those that are configured, ``operations`` those of the API
    that take a key. ``each`` makes independent reads, some at the same time where the process can.
    """

    payments: PaymentServices
    webhooks: WebhookServices
    store: DatabaseIdempotencyStore
    trail: AuditTrail
    gateways: Sequence[str]
    operations: Sequence[str]
    each: Each = in_turn

    @property
    def database(self) -> Database:
        """Where everything is stored."""
        return self.payments.database

    @property
    def clock(self) -> Clock:
        """The time of day."""
        return self.payments.clock
