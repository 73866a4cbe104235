"""What tests of the console's views read from: the world's database, with the API's own operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.views.sources import Sources
from payonce.domain.ids import CROCKFORD_ALPHABET, ID_LENGTH
from payonce.entrypoints.routes import KEYED_OPERATIONS
from payonce.idempotency.audit_items import DatabaseAuditTrail
from payonce.idempotency.audit_stream import claim_left, entry_of
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.window import DEFAULT_AUDIT_RETENTION_SECONDS
from payonce.webhooks.commit_work import Services as WebhookServices
from tests.support.console_reads import CountingDatabase

if TYPE_CHECKING:
    from payonce.ports import Item
    from tests.support.world import World


def sources_of(world: World) -> Sources:
    """Return the views' dependencies over the world."""
    services = world.services
    return Sources(
        payments=services,
        webhooks=WebhookServices(database=services.database, clock=services.clock, ids=services.ids),
        store=DatabaseIdempotencyStore(services.database),
        trail=DatabaseAuditTrail(services.database, DEFAULT_AUDIT_RETENTION_SECONDS),
        gateways=("bank",),
        operations=KEYED_OPERATIONS,
    )


def payment_id_of(number: int) -> str:
    """Return the id of a test's payment."""
    digits = "".join(CROCKFORD_ALPHABET[number >> shift & 31] for shift in (15, 10, 5, 0))
    return "pay_" + digits.rjust(ID_LENGTH, "0")


class AuditedTable:
    """Writes the trail's entries of what changes in the idempotency table, as the stream's function does."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self._trail = DatabaseAuditTrail(world.database, DEFAULT_AUDIT_RETENTION_SECONDS)
        self._changes: list[tuple[str, Item | None, Item | None, int]] = []
        assert isinstance(world.database, CountingDatabase)
        world.database.listener = lambda one, before, after: self._changes.append(
            (one, before, after, self._clock.now_ms())
        )

    def note(self) -> None:
        """Write the entries of all changes since the last call. The stream's times are whole seconds."""
        changes, self._changes = self._changes, []
        for number, (record_id, before, after, at_ms) in enumerate(changes):
            if before is not None and before != after:  # a claim is reported with the transition that follows it
                second = at_ms // 1000 * 1000
                entry = entry_of(record_id, before, after, at_ms=second, sequence=f"{at_ms}{number}")
                self._trail.add(entry, claim_left(record_id, before, after))
