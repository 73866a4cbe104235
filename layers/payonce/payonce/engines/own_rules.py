"""Finds the rows that the operator's own rules name. RE2 searches the texts, in time that is linear in their length."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from payonce.reconciliation.manual import OwnRule, RowSource

# Of each source: its table, what a row's key is made of, and the account, where it has one.
_ROWS: Final[Mapping[RowSource, tuple[str, str, str | None]]] = MappingProxyType(
    {
        "ledger": ("ledger", "entry_id", None),
        "gateway": ("gateway_row", "gateway || '|' || transaction_id", None),
        "bank": ("bank_line", "line_key", "account"),
    }
)
_NAMED_OTHERWISE: Final = MappingProxyType({("bank", "reference"): "reference_text"})


def label_rows(connection: duckdb.DuckDBPyConnection, rules: Sequence[OwnRule]) -> None:
    """Fill ``labelled_row`` with each row that a rule names, under the label of the first that does."""
    if not rules:
        return
    values: list[Any] = []
    parts = [_part(ordinal, rule, values) for ordinal, rule in enumerate(rules)]
    connection.execute(
        "INSERT INTO labelled_row SELECT source, row_key, arg_min(label, ordinal) "  # noqa: S608
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY source, row_key",
        values,
    )


def _part(ordinal: int, rule: OwnRule, values: list[Any]) -> str:
    """Return the selection of a rule's rows; its values are added to ``values`` in the order of the text."""
    table, key, account = _ROWS[rule.source]
    values.append(rule.label)
    column = _NAMED_OTHERWISE.get((rule.source, rule.field), rule.field)
    conditions = [f"regexp_matches({column}, ?)"]
    values.append(rule.pattern)
    for condition, value in (
        ("sign(amount_minor) = ?", rule.sign),
        ("abs(amount_minor) >= ?", rule.from_minor),
        ("abs(amount_minor) < ?", rule.until_minor),
        ("currency = ?", rule.currency),
        ("gateway = ?", rule.gateway),
        (f"{account} = ?", rule.account),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return (
        f"SELECT '{rule.source}' AS source, {key} AS row_key, {ordinal} AS ordinal, CAST(? AS VARCHAR) AS label "  # noqa: S608
        f"FROM main.{table} WHERE {' AND '.join(conditions)}"
    )
