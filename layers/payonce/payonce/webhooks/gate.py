"""The gate of an endpoint: how many deliveries to it are in progress, and the receiver's health.

A slot is a lease and not a counter, because a killed sender returns nothing::

    sender A  ─ take slot 3 until 12:00:40 ─ send ─ ✗ killed
    sender B        └ 3 is taken, takes 7                         sender C  ─ 12:00:41: takes 3
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.domain.webhooks import SLOT_COUNT, Health
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Database, Item, Key, Write

GATE_PREFIX = "GATE#"
SLOTS = tuple(f"slot_{number:02d}" for number in range(SLOT_COUNT))
FAILURES = ("consecutive_failures", "failing_since_ms", "last_failure_at_ms")


def gate_key(merchant_id: str, endpoint_id: str) -> Key:
    """Return the key of an endpoint's gate."""
    return {"pk": merchant_id, "sk": GATE_PREFIX + endpoint_id}


def new_gate_item(merchant_id: str, endpoint_id: str) -> Item:
    """Return the gate of a new endpoint: every slot is free, and no failures are recorded."""
    return {
        **gate_key(merchant_id, endpoint_id),
        **dict.fromkeys(SLOTS, 0),
        **dict.fromkeys(FAILURES, 0),
    }


def forget_failures_write(merchant_id: str, endpoint_id: str) -> Write:
    """Return the write that resets a receiver's failures when its endpoint is enabled.

    Otherwise the next failure would add to the old ones, and disable the endpoint again at once.
    """
    return Adjust(table=Table.ENDPOINTS, key=gate_key(merchant_id, endpoint_id), set=dict.fromkeys(FAILURES, 0))


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot, held until ``lease_expires_at_ms`` unless it is returned earlier."""

    name: str
    lease_expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as it was read from the store."""

    merchant_id: str
    endpoint_id: str
    health: Health
    leases: Mapping[str, int]

    def free_slots(self, now_ms: int) -> list[str]:
        """Return the slots that may be free now."""
        return [name for name in SLOTS[: self.health.slots()] if self.leases[name] < now_ms]


class Gates:
    """Reads gates; takes and returns slots."""

    def __init__(self, database: Database, *, choose: Callable[[int], int]) -> None:
        """``choose(n)`` returns a number below n; concurrent senders should choose differently."""
        self._database = database
        self._choose = choose

    def load(self, merchant_id: str, endpoint_id: str) -> Gate | None:
        """Return the gate, or ``None`` when the endpoint was deleted."""
        item = self._database.get(Table.ENDPOINTS, gate_key(merchant_id, endpoint_id))
        return None if item is None else _gate(merchant_id, endpoint_id, item)

    def take(self, gate: Gate, *, now_ms: int, lease_expires_at_ms: int) -> Slot | None:
        """Return a slot owned by this caller until ``lease_expires_at_ms``, or ``None`` when none is free."""
        observed: Gate | None = gate
        # Every refusal means that another sender has taken a slot, so as many tries as there are slots suffice.
        for _ in range(SLOT_COUNT):
            free = observed.free_slots(now_ms) if observed is not None else []
            if observed is None or not free:
                return None
            name = free[self._choose(len(free))]
            try:
                self._database.write(
                    [
                        Adjust(
                            table=Table.ENDPOINTS,
                            key=gate_key(gate.merchant_id, gate.endpoint_id),
                            require={name: observed.leases[name]},
                            set={name: lease_expires_at_ms},
                        )
                    ]
                )
            except WriteConflict as conflict:
                current = conflict.current
                observed = None if current is None else _gate(gate.merchant_id, gate.endpoint_id, current)
                continue
            return Slot(name, lease_expires_at_ms)
        return None

    def give_back(self, gate: Gate, slot: Slot) -> None:
        """Free the slot, if it is still ours, without recording a result."""
        self._release(gate, slot, {})

    def succeeded(self, gate: Gate, slot: Slot) -> None:
        """Free the slot after a successful exchange, and reset the failures."""
        healthy = gate.health == Health()
        self._release(gate, slot, {} if healthy else dict.fromkeys(FAILURES, 0))

    def failed(self, gate: Gate, slot: Slot, *, now_ms: int) -> None:
        """Free the slot after a failure, and count the failure."""
        since = {} if gate.health.failing_since_ms else {"failing_since_ms": now_ms}
        self._release(gate, slot, {"last_failure_at_ms": now_ms, **since}, add={"consecutive_failures": 1})

    def _release(
        self, gate: Gate, slot: Slot, changes: Mapping[str, int], *, add: Mapping[str, int] | None = None
    ) -> None:
        key = gate_key(gate.merchant_id, gate.endpoint_id)
        try:
            self._database.write(
                [
                    Adjust(
                        table=Table.ENDPOINTS,
                        key=key,
                        require={slot.name: slot.lease_expires_at_ms},
                        set={slot.name: 0, **changes},
                        add=add or {},
                    )
                ]
            )
        except WriteConflict as conflict:
            if conflict.current is None or not (changes or add):
                return  # the endpoint was deleted, or the slot has a new owner: nothing to return
            self._count_late(key, changes, add or {})

    def _count_late(self, key: Key, changes: Mapping[str, int], add: Mapping[str, int]) -> None:
        """Record the result of an exchange whose slot has expired: it is still a fact about the receiver."""
        try:
            self._database.write([Adjust(table=Table.ENDPOINTS, key=key, set=changes, add=add)])
        except WriteConflict:
            return


def health_of(item: Item) -> Health:
    """Return the health recorded in a stored gate."""
    return Health(
        consecutive_failures=item["consecutive_failures"],
        failing_since_ms=item["failing_since_ms"],
        last_failure_at_ms=item["last_failure_at_ms"],
    )


def _gate(merchant_id: str, endpoint_id: str, item: Item) -> Gate:
    return Gate(merchant_id, endpoint_id, health_of(item), {name: item[name] for name in SLOTS})
