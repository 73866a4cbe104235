"""Adyen's Settlement details report in bulk, where each row's zone is one offset. See ``adyen_csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.reconciliation.readers.adyen_csv import (
    FEE_COLUMNS,
    FIRST_TYPES,
    GROSS_CREDIT,
    GROSS_CURRENCY,
    GROSS_DEBIT,
    NAMED,
    NET_CREDIT,
    NET_CURRENCY,
    NET_DEBIT,
    REQUIRED_COLUMNS,
)
from payonce.reconciliation.readers.adyen_kinds import ADYEN_KINDS
from payonce.reconciliation.readers.bulk.plan import (
    DECIMALS,
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
from payonce.reconciliation.readers.zones import UTC_OFFSET_MINUTES

if TYPE_CHECKING:
    from payonce.reconciliation.readers.bulk.look import FirstLook

_KIND = f"coalesce(k.meaning, {literal(RowKind.ADJUSTMENT)})"
_RATE = r"[0-9]{1,9}(\.[0-9]{1,9})?"
_TRANSFER = r"\bTX[0-9A-Z]+XT\b"


def adyen_plan(look: FirstLook) -> BulkPlan:
    """Return the plan. Raises ``FileRejected`` for what is left to the reader."""
    check_header(look.names, REQUIRED_COLUMNS)
    cells = Cells.of(look)
    amounts = _Amounts(cells)
    payment, modification, category = map(cells.text, ("Psp Reference", "Modification Reference", "Type"))
    order, own = cells.text("Merchant Reference"), cells.text("Modification Merchant Reference")
    named = f"{_KIND} IN ({', '.join(map(literal, sorted(NAMED)))})"
    payout = f"{_KIND} = {literal(RowKind.PAYOUT)}"
    method, country = cells.text("Payment Method"), cells.first("Issuer Country", "Card Issuing Country")
    written, batch = cells.text("Creation Date"), cells.text("Batch Number")
    created = f"({local(written)} - z.meaning * 60000)"
    payout_id = f"coalesce({cells.text('Merchant Account')} || '/' || {batch}, {batch})"
    transfer = f"coalesce(nullif(regexp_extract({modification}, {literal(_TRANSFER)}), ''), {modification})"
    first = f"{category} IN ({', '.join(map(literal, sorted(FIRST_TYPES)))})"
    in_batch = f"coalesce({modification}, {payment}) || '/' || {category} || '/' || coalesce({batch}, '')"
    nameless = (
        f"'batch-' || coalesce({payout_id}, '') || '/' || {category} || '/' || coalesce({modification}, '') || '/' || "
        f"{created} || '/' || u.word || '/' || {amounts.net}"
    )
    return BulkPlan(
        table="gateway_row",
        rows={
            "transaction_id": f"CASE WHEN {payment} IS NULL THEN {nameless} "
            f"WHEN {first} THEN coalesce({modification}, {payment}) ELSE {in_batch} END",
            "kind": _KIND,
            "reference": f"CASE WHEN {named} THEN coalesce({own}, {order}) END",
            "gateway_payment_id": payment,
            "amount_minor": f"({amounts.net} + {amounts.fee})",
            "fee_minor": amounts.fee,
            "net_minor": amounts.net,
            "currency": "u.word",
            "created_at_ms": created,
            "payout_id": payout_id,
            "presented_minor": f"CASE WHEN {amounts.converted} THEN {amounts.gross} END",
            "presented_currency": f"CASE WHEN {amounts.converted} THEN p.word END",
            "category": category,
            "gateway_object_id": f"CASE WHEN {payment} IS NOT NULL THEN {modification} END",
            "payment_reference": f"CASE WHEN {named} AND {own} IS NOT NULL THEN {order} END",
            "rate_millionths": amounts.rate,
            "payment_method": f"lower({method})",
            "card_country": f"upper({country})",
            "payout_reference": f"CASE WHEN {payout} THEN {transfer} END",
        },
        joins=(
            currency("u", cells.text(NET_CURRENCY)),
            currency("p", cells.text(GROSS_CURRENCY)),
            words("k", {word: kind.value for word, kind in ADYEN_KINDS.items()}, category),
            words("z", UTC_OFFSET_MINUTES, cells.text("TimeZone")),
        ),
        fits=(
            f"{category} IS NOT NULL",
            "u.word IS NOT NULL",
            "z.word IS NOT NULL",
            is_local(written),
            *amounts.fits,
            if_any(method, is_ascii(method)),
            if_any(country, is_ascii(country)),
            f"(NOT {payout} OR {if_any(modification, is_ascii(modification))})",
        ),
        recount=amounts.recount,
        refused=(
            "SELECT payout_id FROM {made} WHERE payout_id IS NOT NULL GROUP BY payout_id, currency "  # noqa: S608
            f"HAVING bool_or(kind = {literal(RowKind.PAYOUT)}) AND sum(net_minor) <> 0",
            # Which of several equal ones is the second one is for the reader to say, in the file's order.
            "SELECT transaction_id FROM {made} WHERE gateway_payment_id IS NULL GROUP BY transaction_id "
            "HAVING count(*) > 1",
        ),
    )


class _Amounts:
    """The amounts of a row. Gross and net have a debit and a credit side each, of which one may be filled."""

    def __init__(self, cells: Cells) -> None:
        fees = [cells.text(name) for name in FEE_COLUMNS]
        net_debit, net_credit = cells.text(NET_DEBIT), cells.text(NET_CREDIT)
        debit, credit = cells.text(GROSS_DEBIT), cells.text(GROSS_CREDIT)
        of_payer, rate = cells.text(GROSS_CURRENCY), cells.text("Exchange Rate")
        self.net = f"coalesce({minor(net_credit, 'u')}, -{minor(net_debit, 'u')})"
        self.gross = f"coalesce({minor(credit, 'p')}, -{minor(debit, 'p')})"
        has_gross = f"({debit} IS NOT NULL OR {credit} IS NOT NULL)"
        same = f"({has_gross} AND p.word IS NOT DISTINCT FROM u.word)"
        self.converted = f"({has_gross} AND p.word <> u.word)"
        stated = f"({' + '.join(f'coalesce({minor(fee, "u")}, 0)' for fee in fees)})"
        self.fee = f"CASE WHEN {same} THEN {self.gross} - {self.net} ELSE {stated} END"
        none_stated = " AND ".join(f"{fee} IS NULL" for fee in fees)
        self.rate = f"CASE WHEN {self.converted} AND {rate} IS NOT NULL THEN {_rate_millionths(rate)} END"
        self.fits = (
            f"({net_debit} IS NULL) <> ({net_credit} IS NULL)",
            *(if_any(text, is_amount(text, "u")) for text in (net_debit, net_credit, *fees)),
            f"({debit} IS NULL OR {credit} IS NULL)",
            f"({of_payer} IS NULL OR p.word IS NOT NULL)",
            f"({of_payer} IS NOT NULL OR NOT {has_gross})",
            *(if_any(text, f"coalesce({is_amount(text, 'p')}, FALSE)") for text in (debit, credit)),
            f"(NOT {same} OR ({none_stated}) OR {self.gross} - {stated} = {self.net})",
            f"(NOT {self.converted} OR {rate} IS NULL OR (regexp_full_match({rate}, {literal(_RATE)}) "
            f"AND {_rate_millionths(rate)} > 0))",
        )
        # Added up as decimals, and from the columns of the file: the table's amounts are put together of minor units.
        text = f"upper({cells.text(NET_CURRENCY)})"
        whole = [f"coalesce(CAST({one} AS DECIMAL(38, {DECIMALS})), 0)" for one in (net_credit, net_debit, *fees)]
        of_row = f"{whole[0]} - {whole[1]} + {' + '.join(whole[2:])}"
        as_gross = " - ".join(f"coalesce(CAST({one} AS DECIMAL(38, {DECIMALS})), 0)" for one in (credit, debit))
        is_gross = f"{has_gross} AND upper({of_payer}) = {text}"
        self.recount = (
            f"SELECT {text}, count(*), sum(CASE WHEN {is_gross} THEN {as_gross} ELSE {of_row} END) "  # noqa: S608
            f"FROM {{cells}} GROUP BY {text}"
        )


def _rate_millionths(rate: str) -> str:
    """Return the rate between minor units, rounded half to even as ``values.minor_rate_millionths`` does."""
    # u.meaning and p.meaning are powers of ten that fall as the exponents rise; the rate is taken in 10^-9.
    numerator = f"(CAST(CAST({rate} AS DECIMAL(28, 9)) * 1000000000 AS HUGEINT) * p.meaning)"
    denominator = "(CAST(1000 AS HUGEINT) * u.meaning)"
    whole, rest = f"({numerator} // {denominator})", f"(2 * ({numerator} % {denominator}))"
    up = f"({rest} > {denominator} OR ({rest} = {denominator} AND {whole} % 2 = 1))"
    return f"CAST({whole} + CASE WHEN {up} THEN 1 ELSE 0 END AS BIGINT)"
