"""The rows that show a break, read from the tables that they came from, alike for every engine."""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.matching.measures import measures_of
from payonce.reconciliation.model import Evidence, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = Sequence[Any]
    Query = Callable[[str], Iterable[Row]]

EVIDENCE_ROWS_PER_BREAK: Final = 8  # enough to see it; a group of thousands stays in the files
LINK: Final = "break_class, subject_1, subject_2, subject_3, subject_4"
_GATEWAY_FIELDS: Final = (
    "gateway, transaction_id, kind, category, reference, gateway_payment_id, amount_minor, fee_minor, currency, "
    "created_at_ms, available_at_ms, payout_id, payout_reference, presented_minor, presented_currency, payment_method, "
    "card_country"
)
_LEDGER_FIELDS: Final = (
    "entry_id, payment_id, gateway, kind, state, ref, amount_minor, currency, booked_at_ms, gateway_payment_id"
)
_EVIDENCE: Final = {
    # Of each source: the table, what its row_key is made of, and the fields that are shown.
    Source.LEDGER: (
        f"(SELECT {_LEDGER_FIELDS} FROM transactions_ledger_row "  # noqa: S608
        f"UNION ALL SELECT DISTINCT {_LEDGER_FIELDS.replace(' ref,', ' reference,')} FROM ledger "
        "WHERE entry_id IN (SELECT row_key FROM by_hand_taken WHERE source = 'ledger' AND outcome = 'break')"
        ") AS linked",
        "entry_id",
        _LEDGER_FIELDS,
    ),
    Source.GATEWAY: (
        f"(SELECT {_GATEWAY_FIELDS} FROM gateway_row WHERE kind = 'payout' "  # noqa: S608
        f"UNION ALL SELECT {_GATEWAY_FIELDS} FROM transactions_gateway_row "
        f"UNION ALL SELECT DISTINCT {_GATEWAY_FIELDS} FROM gateway_row WHERE kind <> 'payout' AND "
        "gateway || '|' || transaction_id IN "
        "(SELECT row_key FROM by_hand_taken WHERE source = 'gateway' AND outcome = 'break') "
        # A payout of which the report has only the members is shown as their sum.
        "UNION ALL SELECT gateway, payout_id, 'payout', 'sum of its ' || row_count || ' rows', NULL, NULL, "
        "-expected_minor, 0, currency, first_ms, last_ms, payout_id, payout_reference, NULL, NULL, NULL, NULL "
        "FROM bank_derived"
        ") AS linked",
        "gateway || '|' || transaction_id",
        _GATEWAY_FIELDS,
    ),
    Source.BANK: (
        "bank_line",
        "line_key",
        "account, currency, amount_minor, booking_day, reference_text, end_to_end_id, description, proved, "
        "counterparty, sent_minor, sent_currency",
    ),
    Source.STATEMENT: (
        "bank_statement",
        "statement_key",
        "account, currency, opening_minor, closing_minor, sequence, first_day, last_day, proved",
    ),
}


def evidence_of(query: Query, families: Sequence[str]) -> dict[tuple[str, ...], tuple[Evidence, ...]]:
    """Return the rows that show each break, by class and subject, at most ``EVIDENCE_ROWS_PER_BREAK`` of each."""
    evidence: dict[tuple[str, ...], list[Evidence]] = defaultdict(list)
    measures = measures_of(query)
    links = " UNION ALL ".join(
        f"SELECT * FROM (SELECT {LINK}, source, row_key, row_number() OVER "  # noqa: S608
        f"(PARTITION BY {LINK} ORDER BY source, row_key) AS ordinal FROM {family}_link) AS {family}_ranked "
        f"WHERE ordinal <= {EVIDENCE_ROWS_PER_BREAK}"
        for family in families
    )
    for source, (table, key, fields) in _EVIDENCE.items():
        names = fields.split(", ")
        text = (
            f"SELECT DISTINCT k.break_class, k.subject_1, k.subject_2, k.subject_3, k.subject_4, k.row_key, "  # noqa: S608
            f"{', '.join('r.' + name for name in names)} FROM ({links}) AS k "
            f"JOIN (SELECT {key} AS evidence_key, {fields} FROM {table}) AS r ON r.evidence_key = k.row_key "
            f"WHERE k.source = '{source.value}'"
        )
        for row in query(text):
            shown = dict(zip(names, row[6:], strict=True)) | measures.get((source, row[5]), {})
            evidence[tuple(row[:5])].append(Evidence(source=source, row_key=row[5], fields=MappingProxyType(shown)))
    return {key: tuple(sorted(rows, key=_evidence_order)) for key, rows in evidence.items()}


def _evidence_order(row: Evidence) -> tuple[str, str, list[str]]:
    return row.source.value, row.row_key, [str(value) for value in row.fields.values()]
