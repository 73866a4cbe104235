"""Keys and indexes of the logical tables, as template.yaml declares them (a test compares the two)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Key attributes of a table (partition, then sort) and of its indexes: texts, except those in ``numbers``."""

    key: tuple[str, ...]
    indexes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    numbers: frozenset[str] = frozenset()


SCHEMAS: Mapping[Table, TableSchema] = MappingProxyType(
    {
        Table.IDEMPOTENCY: TableSchema(
            ("id",), {"open-leases": ("open_shard", "lease_expires_at_ms")}, frozenset({"lease_expires_at_ms"})
        ),
        Table.PAYMENTS: TableSchema(
            ("pk", "sk"),
            {
                "operations-by-gateway-reference": ("operation_reference", "sk"),
                "corrections-by-status": ("correction_status", "listed_key"),
            },
        ),
        Table.LEDGER: TableSchema(("pk", "sk")),
        Table.OUTBOX: TableSchema(
            ("pk", "sk"),
            {
                "events-by-merchant": ("list_shard", "created_key"),
                "payments-by-reference": ("reference_shard", "created_key"),
                "payments-by-customer": ("customer_shard", "created_key"),
                "events-by-day": ("day_shard", "created_at_ms"),
            },
            frozenset({"created_at_ms"}),
        ),
        Table.MERCHANTS: TableSchema(("pk", "sk")),
        Table.ENDPOINTS: TableSchema(("pk", "sk"), {"gates": ("gate_shard", "pk")}),
        Table.DELIVERIES: TableSchema(
            ("pk", "sk"), {"due-deliveries": ("due_list", "due_at_ms")}, frozenset({"due_at_ms"})
        ),
        Table.AUDIT: TableSchema(
            ("record_id", "entry_key"),
            {"audit-by-scope": ("scope_month", "at_key")},
        ),
        Table.RECONCILIATION: TableSchema(
            ("pk", "sk"),
            {"cases-by-status": ("case_status", "due_key"), "cases-by-merchant": ("merchant_id", "opened_key")},
        ),
        Table.ROUTING: TableSchema(("pk", "sk")),
        Table.NOTICES: TableSchema(
            ("id",), {"notices-by-state": ("listed_as", "received_at_ms")}, frozenset({"received_at_ms"})
        ),
        Table.CREDENTIALS: TableSchema(("id",)),
        Table.CONSOLE: TableSchema(("pk", "sk")),
        Table.OVERVIEW: TableSchema(("pk", "sk")),
    }
)


def sort_attribute(table: Table, index: str | None) -> str | None:
    """Return the attribute by which a query of ``table`` (or its ``index``) is sorted."""
    if index is not None:
        return SCHEMAS[table].indexes[index][1]
    key = SCHEMAS[table].key
    return key[1] if len(key) > 1 else None


def primary_key(table: Table, item: Mapping[str, object]) -> tuple[str, ...]:
    """Return the values of the item's key attributes."""
    return tuple(str(item[name]) for name in SCHEMAS[table].key)
