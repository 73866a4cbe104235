"""A service with an effect that is counted, guarded by ``idempotent_operation`` on a store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from payonce.idempotency.attempt import Attempt, NotKnown, Verdict
from payonce.idempotency.codecs import JsonValue  # noqa: TC001 - looked up at run time
from payonce.idempotency.keys import record_id
from payonce.idempotency.operation import IdempotentOperation, current_attempt, idempotent_operation
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.records import IdempotencyRecord

TIMEOUT_SECONDS = 10
LEASE_MS = TIMEOUT_SECONDS * 1000 + 5_001
HOUR_MS = 3_600_000


@dataclass
class Shop:
    """A service with an effect that is counted, on a store in memory."""

    clock: ManualClock = field(default_factory=ManualClock)
    store: DatabaseIdempotencyStore = field(default_factory=lambda: DatabaseIdempotencyStore(MemoryDatabase()))
    shipped: list[str] = field(default_factory=list)
    asked: list[Attempt] = field(default_factory=list)
    verdicts: list[Verdict | Exception] = field(default_factory=list)
    fails: Exception | None = None

    def operation(self, name: str = "ship", **options: Any) -> IdempotentOperation:
        defaults: dict[str, Any] = {
            "store": self.store,
            "operation": name,
            "timeout_seconds": TIMEOUT_SECONDS,
            "scope": "shop",
            "key": "order",
            "resolve": self.resolve,
            "wait_seconds": 0,
            "clock": self.clock,
            "sleep": self.clock.sleep,
        }
        return idempotent_operation(**{**defaults, **options})

    def resolve(self, attempt: Attempt) -> Verdict:
        self.asked.append(attempt)
        verdict = self.verdicts.pop(0) if self.verdicts else NotKnown()
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    def ship(self, **options: Any) -> Callable[..., dict[str, JsonValue]]:
        @self.operation(**options)
        def ship(shop: str, order: str, boxes: int = 1) -> dict[str, JsonValue]:
            self.shipped.append(current_attempt().reference)
            if self.fails is not None:
                raise self.fails
            return {"shipment": len(self.shipped), "boxes": boxes}

        return ship

    def record(self, name: str = "ship", key: str = "order-1", scope: str = "s") -> IdempotencyRecord | None:
        return self.store.get(record_id(scope, name, key))

    def crash(self, act: Callable[[], Any]) -> None:
        """Run ``act`` up to its conclusion, die there, and let the lease end."""

        class Crash(BaseException):
            pass

        kept = {name: getattr(self.store, name) for name in ("complete", "park", "release")}
        for name in kept:
            setattr(self.store, name, lambda *_a, **_k: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            act()
        for name, method in kept.items():
            setattr(self.store, name, method)
        self.clock.ms += LEASE_MS
