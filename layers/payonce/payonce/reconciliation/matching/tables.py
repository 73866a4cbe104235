"""The tables that rules read: their columns, in order. Every engine and every generated data set has these."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.manual import contradictions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.manual import Match
    from payonce.reconciliation.model import RunSettings

_TEXT, _INT = "VARCHAR", "BIGINT"

TABLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "ledger": {
            "entry_id": _TEXT,
            "merchant_id": _TEXT,
            "payment_id": _TEXT,
            "gateway": _TEXT,
            "kind": _TEXT,
            "state": _TEXT,
            "reference": _TEXT,
            "amount_minor": _INT,
            "currency": _TEXT,
            "booked_at_ms": _INT,
            "gateway_payment_id": _TEXT,
            "payer": _TEXT,
            "reverses_entry_id": _TEXT,
            "idempotency_record_id": _TEXT,
        },
        "gateway_row": {
            "gateway": _TEXT,
            "transaction_id": _TEXT,
            "kind": _TEXT,
            "reference": _TEXT,
            "gateway_payment_id": _TEXT,
            "amount_minor": _INT,
            "fee_minor": _INT,
            "net_minor": _INT,
            "currency": _TEXT,
            "created_at_ms": _INT,
            "available_at_ms": _INT,
            "payout_id": _TEXT,
            "presented_minor": _INT,
            "presented_currency": _TEXT,
            "category": _TEXT,
            "gateway_charge_id": _TEXT,
            "gateway_object_id": _TEXT,
            "payment_reference": _TEXT,
            "rate_millionths": _INT,
            "payment_method": _TEXT,
            "card_country": _TEXT,
            "payout_reference": _TEXT,
            "payout_at_ms": _INT,
        },
        "bank_line": {
            "line_key": _TEXT,
            "account": _TEXT,
            "currency": _TEXT,
            "amount_minor": _INT,
            "booking_day": _INT,
            "reference_text": _TEXT,
            "end_to_end_id": _TEXT,
            "description": _TEXT,
            "statement_key": _TEXT,
            "rendition_key": _TEXT,
            "proved": _INT,
            "counterparty": _TEXT,
            "sent_minor": _INT,
            "sent_currency": _TEXT,
        },
        "bank_statement": {
            "statement_key": _TEXT,
            "account": _TEXT,
            "currency": _TEXT,
            "opening_minor": _INT,
            "closing_minor": _INT,
            "sequence": _INT,
            "first_day": _INT,
            "last_day": _INT,
            "proved": _INT,
        },
        "settings": {
            "as_of_ms": _INT,
            "in_transit_hours": _INT,
            "settlement_sla_hours": _INT,
            "payout_sla_days": _INT,
            "dispute_days": _INT,
            "fx_tolerance_basis_points": _INT,
        },
        "fee_rule": {
            "ordinal": _INT,
            "gateway": _TEXT,
            "currency": _TEXT,
            "kind": _TEXT,
            "payment_method": _TEXT,
            "card_country": _TEXT,
            "from_minor": _INT,
            "until_minor": _INT,
            "from_ms": _INT,
            "until_ms": _INT,
            "fixed_minor": _INT,
            "basis_points": _INT,
            "tolerance_minor": _INT,
            "at_most": _INT,
            "is_conditional": _INT,
        },
        "tolerance": {
            "gateway": _TEXT,
            "currency": _TEXT,
            "is_payout": _INT,
            "amount_minor": _INT,
            "basis_points": _INT,
        },
        "matched_row": {
            "match_id": _TEXT,
            "source": _TEXT,
            "row_key": _TEXT,
            "accepts": _INT,
        },
        "labelled_row": {
            "source": _TEXT,
            "row_key": _TEXT,
            "label": _TEXT,
        },
        "fx_rate": {
            "presented_currency": _TEXT,
            "currency": _TEXT,
            "day_number": _INT,
            "rate_millionths": _INT,
        },
    }
)
INPUT_TABLES: Final = ("ledger", "gateway_row", "bank_line", "bank_statement")
ENDLESS: Final = 2**62  # beyond any amount and any time


def settings_rows(settings: RunSettings) -> dict[str, list[tuple[str | int | None, ...]]]:
    """Return the rows of the tables that settings are in, the same for every engine.

    ``matched_row`` leaves out matches that contradict each other. ``labelled_row`` is empty: an engine that knows
    regular expressions fills it from the operator's own rules.

    A gateway that takes fees of charges by the policy gives a refund for nothing, where no rule says otherwise: it may
    give back of its fee (``at_most``), and takes no more.

    Raises ``BodyMalformed`` where a rule without conditions hides another one.
    """
    plain = [(rule.gateway, rule.currency, rule.kind) for rule in settings.fees if not rule.is_conditional]
    if len(set(plain)) != len(plain):
        raise BodyMalformed("The settings have two fee rules for one gateway and currency; keep one.")
    rules = [*enumerate(settings.fees)]
    stated = {(rule.gateway, rule.currency, rule.kind) for rule in settings.fees}
    silent = sorted({(g, c) for g, c, _ in stated} - {(g, c) for g, c, kind in stated if kind == "refund"})
    fees: list[tuple[str | int | None, ...]] = [
        (
            ordinal,
            rule.gateway,
            rule.currency,
            rule.kind.value,
            rule.payment_method,
            country,
            rule.from_minor or 0,
            ENDLESS if rule.until_minor is None else rule.until_minor,
            -ENDLESS if rule.from_ms is None else rule.from_ms,
            ENDLESS if rule.until_ms is None else rule.until_ms,
            rule.fixed_minor,
            rule.basis_points,
            rule.tolerance_minor,
            0,
            int(rule.is_conditional),
        )
        for ordinal, rule in rules
        for country in rule.card_countries or (None,)
    ]
    fees += [
        (len(rules), gateway, currency, "refund", None, None, 0, ENDLESS, -ENDLESS, ENDLESS, 0, 0, 0, 1, 0)
        for gateway, currency in silent
    ]
    return {
        "settings": [tuple(getattr(settings, name) for name in TABLES["settings"])],
        "fee_rule": fees,
        "fx_rate": [tuple(getattr(rate, name) for name in TABLES["fx_rate"]) for rate in settings.rates],
        "tolerance": [
            (
                one.gateway,
                one.currency,
                int(one.payout),
                ENDLESS if one.amount_minor is None else one.amount_minor,
                one.basis_points,
            )
            for one in settings.tolerances
        ],
        "matched_row": _matched_rows(settings.matches),
        "labelled_row": [],
    }


def _matched_rows(matches: tuple[Match, ...]) -> list[tuple[str | int | None, ...]]:
    left_out = {one.match_id for one in contradictions(matches)}
    return [
        (match.match_id, row.source, row.row_key, int(match.accept_difference))
        for match in matches
        if match.match_id not in left_out
        for row in match.rows
    ]
