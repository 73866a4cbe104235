"""Stripe's itemised reports in bulk, where their times are in UTC. See ``stripe_csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.reconciliation.readers.bulk.plan import (
    DECIMALS,
    NOTHING,
    BulkPlan,
    Cells,
    currency,
    if_any,
    is_amount,
    is_ascii,
    is_local,
    literal,
    local,
    minor,
    words,
)
from payonce.reconciliation.readers.csv_table import check_header
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.stripe_csv import PAYMENT_METADATA, REFERENCE_COLUMNS, REQUIRED_COLUMNS
from payonce.reconciliation.readers.stripe_kinds import STRIPE_KINDS

if TYPE_CHECKING:
    from payonce.reconciliation.readers.bulk.look import FirstLook

_SUMMED = ("gross", "fee", "net")
_KIND = f"coalesce(k.meaning, {literal(RowKind.ADJUSTMENT)})"
_DAY_CHARACTERS = 10  # a midnight is written as its day alone in some exports


def stripe_plan(look: FirstLook) -> BulkPlan:
    """Return the plan. Raises ``FileRejected`` for what is left to the reader."""
    check_header(look.names, REQUIRED_COLUMNS)
    cells = Cells.of(look)
    transaction_id, category = cells.text("balance_transaction_id"), cells.text("reporting_category")
    gross, fee, net = (minor(cells.text(name), "u") for name in _SUMMED)
    code, shown = cells.text("customer_facing_currency"), cells.text("customer_facing_amount")
    # Half of what the payer saw says nothing.
    code, shown = f"CASE WHEN {shown} IS NOT NULL THEN {code} END", f"CASE WHEN {code} IS NOT NULL THEN {shown} END"
    converted = "p.word <> u.word"
    method, country = cells.text("payment_method_type"), cells.text("card_country")
    created, available, sent = (
        cells.text(f"{name}_utc") for name in ("created", "available_on", "automatic_payout_effective_at")
    )
    return BulkPlan(
        table="gateway_row",
        rows={
            "transaction_id": transaction_id,
            "kind": _KIND,
            "reference": _reference(cells),
            "gateway_payment_id": cells.first("payment_intent_id", "charge_id"),
            "amount_minor": gross,
            "fee_minor": fee,
            "net_minor": net,
            "currency": "u.word",
            "created_at_ms": _at(created),
            "available_at_ms": _at(available),
            "payout_id": cells.text("automatic_payout_id"),
            "presented_minor": f"CASE WHEN {converted} THEN {minor(shown, 'p')} END",
            "presented_currency": f"CASE WHEN {converted} THEN p.word END",
            "category": category,
            "gateway_charge_id": cells.text("charge_id"),
            "gateway_object_id": cells.text("source_id"),
            "payment_reference": _payment_reference(cells),
            "payment_method": f"lower({method})",
            "card_country": f"upper({country})",
            "payout_reference": cells.text("trace_id"),
            "payout_at_ms": _at(sent),
        },
        joins=(
            currency("u", cells.text("currency")),
            currency("p", code),
            words("k", {word: kind.value for word, kind in STRIPE_KINDS.items()}, category),
        ),
        fits=(
            f"{transaction_id} IS NOT NULL",
            f"{category} IS NOT NULL",
            "u.word IS NOT NULL",
            *(is_amount(cells.text(name), "u") for name in _SUMMED),
            f"{gross} - {fee} = {net}",
            if_any(code, f"coalesce({is_amount(shown, 'p')}, FALSE)"),
            f"{created} IS NOT NULL",
            *(if_any(text, _is_at(text)) for text in (created, available, sent)),
            # A time in the zone of the report alone: only the reader knows zones.
            f"({available} IS NOT NULL OR {cells.text('available_on')} IS NULL)",
            f"({sent} IS NOT NULL OR {cells.text('automatic_payout_effective_at')} IS NULL)",
            if_any(method, is_ascii(method)),
            if_any(country, is_ascii(country)),
        ),
        recount=_recount(cells),
        unique="transaction_id",
    )


def _recount(cells: Cells) -> str:
    """Return rows and sums per currency, added up as decimals and not as the minor units of the table's rows."""
    code, gross = cells.text("currency"), cells.text("gross")
    total = f"sum(CAST({gross} AS DECIMAL(38, {DECIMALS})))"
    return f"SELECT upper({code}), count(*), {total} FROM {{cells}} GROUP BY upper({code})"  # noqa: S608


def _at(text: str) -> str:
    day = f"length({text}) = {_DAY_CHARACTERS}"
    return local(f"CASE WHEN {day} THEN {text} || ' 00:00:00' ELSE {text} END")


def _is_at(text: str) -> str:
    day = f"length({text}) = {_DAY_CHARACTERS}"
    return is_local(f"CASE WHEN {day} THEN {text} || ' 00:00:00' ELSE {text} END")


def _reference(cells: Cells) -> str:
    cases = " ".join(
        f"WHEN {literal(kind)} THEN {cells.first(*columns)}" for kind, columns in REFERENCE_COLUMNS.items()
    )
    return f"CASE {_KIND} {cases} ELSE {NOTHING} END"


def _payment_reference(cells: Cells) -> str:
    own = cells.text("payment_metadata[payonce_reference]")
    texts = [cells.text(name) for name in cells.names if name.startswith(PAYMENT_METADATA)]
    # The one text that all metadata have which say something, if it is one.
    least, most = f"least({', '.join([*texts, NOTHING])})", f"greatest({', '.join([*texts, NOTHING])})"
    only = f"CASE WHEN {least} = {most} THEN {least} ELSE {cells.text('transfer_group')} END"
    named = ", ".join(map(literal, REFERENCE_COLUMNS))
    return f"CASE WHEN {_KIND} IN ({named}) THEN coalesce({own}, {only}) END"
