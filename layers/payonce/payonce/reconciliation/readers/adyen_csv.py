"""Adyen's Settlement details report.

Gross columns (GC) are in the payer's currency, net columns (NC) in the merchant's; each has a debit and a credit side.
The balance moves in NC, so amounts are in NC, and the payer's side is kept where it is another currency.

A refund is named by its ``Modification Merchant Reference``, which we gave with it; ``Merchant Reference`` is the
payment's on every row of it. Disputes have no reference of ours but the payment's.

``TimeZone`` is an abbreviation. It is read as the fixed offset it names (CET is +01:00 in June too), because a report
states it per row; an abbreviation that several zones share is refused.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.adyen_kinds import ADYEN_KINDS
from payonce.reconciliation.readers.csv_table import Record, records
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.values import currency_of, instant_ms, minor_of, minor_rate_millionths, shown
from payonce.reconciliation.readers.zones import UTC_OFFSET_MINUTES

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

GROSS_CURRENCY, GROSS_DEBIT, GROSS_CREDIT = "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)"
NET_CURRENCY, NET_DEBIT, NET_CREDIT = "Net Currency", "Net Debit (NC)", "Net Credit (NC)"
FEE_COLUMNS = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
REQUIRED_COLUMNS = frozenset(
    {
        "Psp Reference",
        "Merchant Reference",
        "Creation Date",
        "TimeZone",
        "Type",
        "Modification Reference",
        GROSS_CURRENCY,
        GROSS_DEBIT,
        GROSS_CREDIT,
        NET_CURRENCY,
        NET_DEBIT,
        NET_CREDIT,
        *FEE_COLUMNS,
        "Batch Number",
    }
)
# Types whose Modification Reference is theirs alone, and kinds whose rows are of a payment of ours.
FIRST_TYPES = frozenset({"Settled", "Refunded", "Chargeback", "PaidOut"})
NAMED = frozenset(
    {
        RowKind.CHARGE,
        RowKind.CHARGE_REVERSAL,
        RowKind.REFUND,
        RowKind.REFUND_REVERSAL,
        RowKind.DISPUTE,
        RowKind.DISPUTE_REVERSAL,
        RowKind.DISPUTE_LOST,
    }
)
_TRANSFER = re.compile(r"\bTX[0-9A-Z]+XT\b")


def read_adyen_csv(data: bytes, zone: ZoneInfo | None = None) -> tuple[GatewayRow, ...]:
    """Return the report's rows. Raises ``FileRejected``.

    Checked: one side per amount, net = gross - fees where both are in one currency, and that a batch that was paid out
    nets to zero in each currency. A type that is not known is an adjustment. ``zone`` is the account's, for what
    ``TimeZone`` does not name alone. Empty cells at a row's end may be left out.
    """
    found: list[GatewayRow] = []
    sums: dict[tuple[str, str], int] = defaultdict(int)
    paid_out: dict[tuple[str, str], int] = {}
    nameless: Counter[str] = Counter()
    for record in records(data, required=REQUIRED_COLUMNS, padded=True):
        row = _row(record, zone, nameless)
        found.append(row)
        if row.payout_id is not None:
            batch = (row.payout_id, row.currency)
            sums[batch] += row.net_minor
            if row.kind is RowKind.PAYOUT:
                paid_out[batch] = record.line
    for batch, line in paid_out.items():
        if sums[batch] != 0:
            problem = f"batch {shown(batch[0])} does not net to zero in {batch[1]}: {sums[batch]} minor units are left"
            raise FileRejected(problem, line=line, field=NET_DEBIT)
    return tuple(found)


def _row(record: Record, zone: ZoneInfo | None, nameless: Counter[str]) -> GatewayRow:
    category = record.required("Type")
    kind = ADYEN_KINDS.get(category, RowKind.ADJUSTMENT)
    currency = currency_of(record.required(NET_CURRENCY), line=record.line, field=NET_CURRENCY)
    net = _signed(record, NET_DEBIT, NET_CREDIT, currency)
    if net is None:
        raise FileRejected("neither net debit nor net credit is filled", line=record.line, field=NET_CREDIT)
    fee, stated = _fee(record, currency)
    presented_currency, presented = _presented(record)
    if presented is not None and presented_currency == currency:
        if stated and presented - fee != net:
            raise FileRejected(
                f"gross {presented} less fees {fee} is not net {net}, in minor units",
                line=record.line,
                field=NET_CREDIT,
            )
        fee = presented - net
        presented_currency = presented = None
    created = _created(record, zone)
    payment, modification = record.optional("Psp Reference"), record.optional("Modification Reference")
    order, own = record.optional("Merchant Reference"), record.optional("Modification Merchant Reference")
    method = record.optional("Payment Method")
    country = record.optional("Issuer Country") or record.optional("Card Issuing Country")
    return GatewayRow(
        row_number=record.line,
        transaction_id=_transaction_id(record, category, (created, currency, net), nameless),
        # What a modification is named by when we asked for it; a payment's first capture is named by the payment.
        reference=(own or order) if kind in NAMED else None,
        kind=kind,
        amount_minor=net + fee,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        created_at_ms=created,
        payout_id=_payout_id(record),
        gateway_payment_id=payment,
        presented_minor=presented,
        presented_currency=presented_currency,
        category=category,
        gateway_object_id=modification if payment else None,
        payment_reference=order if kind in NAMED and own else None,
        rate_millionths=_rate(record, presented_currency, currency),
        payment_method=None if method is None else method.lower(),
        card_country=None if country is None else country.upper(),
        payout_reference=_payout_reference(modification) if kind is RowKind.PAYOUT else None,
    )


def _payout_id(record: Record) -> str | None:
    """Return the batch with its merchant account: accounts number their batches each for itself."""
    batch, account = record.optional("Batch Number"), record.optional("Merchant Account")
    return batch if batch is None or account is None else f"{account}/{batch}"


def _payout_reference(text: str | None) -> str | None:
    """Return the transfer of ``TX6941631220XT batch 52, ShopEU``: the bank's text may have nothing but that."""
    matched = _TRANSFER.search(text or "")
    return matched[0] if matched else text


def _transaction_id(record: Record, category: str, content: tuple[int, str, int], nameless: Counter[str]) -> str:
    """Return an id that is the same in every report and no other row's.

    A reversal has the ``Modification Reference`` of what it reverses, and instalments share one: their ids say the type
    and the batch too. Fees and payouts have a text there, ``Transaction Fees``, which every batch repeats.
    """
    payment, modification = record.optional("Psp Reference"), record.optional("Modification Reference")
    if payment is not None:
        own = modification or payment
        return own if category in FIRST_TYPES else f"{own}/{category}/{record.optional('Batch Number') or ''}"
    name = "/".join(["batch-" + (_payout_id(record) or ""), category, modification or "", *map(str, content)])
    nameless[name] += 1
    return name if nameless[name] == 1 else f"{name}/{nameless[name]}"


def _rate(record: Record, presented_currency: str | None, currency: str) -> int | None:
    """Return the stated rate between the minor units; ``None`` where nothing was converted."""
    text = record.optional("Exchange Rate")
    if text is None or presented_currency is None:
        return None
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise FileRejected(f"{shown(text)} is not a rate", line=record.line, field="Exchange Rate") from None
    rate_millionths = minor_rate_millionths(rate, presented_currency, currency)
    if rate_millionths is None:
        raise FileRejected(f"{shown(text)} is not a rate", line=record.line, field="Exchange Rate")
    return rate_millionths


def _presented(record: Record) -> tuple[str | None, int | None]:
    text = record.optional(GROSS_CURRENCY)
    if text is None:
        for column in (GROSS_DEBIT, GROSS_CREDIT):
            if record.optional(column):
                raise FileRejected("an amount without its currency", line=record.line, field=column)
        return None, None
    currency = currency_of(text, line=record.line, field=GROSS_CURRENCY)
    amount = _signed(record, GROSS_DEBIT, GROSS_CREDIT, currency)
    return (currency, amount) if amount is not None else (None, None)


def _signed(record: Record, debit: str, credit: str, currency: str) -> int | None:
    sides = [(column, sign, record.optional(column)) for column, sign in ((debit, -1), (credit, 1))]
    given = [(column, sign, text) for column, sign, text in sides if text is not None]
    if len(given) > 1:
        raise FileRejected("both debit and credit are filled", line=record.line, field=debit)
    for column, sign, text in given:
        return sign * minor_of(text, currency, line=record.line, field=column)
    return None


def _fee(record: Record, currency: str) -> tuple[int, bool]:
    texts = [(column, record.optional(column)) for column in FEE_COLUMNS]
    given = [minor_of(text, currency, line=record.line, field=column) for column, text in texts if text is not None]
    return sum(given), bool(given)


def _created(record: Record, zone: ZoneInfo | None) -> int:
    name, text = record.required("TimeZone"), record.required("Creation Date")
    offset = UTC_OFFSET_MINUTES.get(name)
    if offset is None and zone is None:
        raise FileRejected(
            f"{shown(name)} does not name one offset from UTC; give the account's time zone, or set the account to UTC",
            line=record.line,
            field="TimeZone",
        )
    # The abbreviation tells the two hours of a clock that was set back apart; the zone does not.
    return instant_ms(
        text,
        line=record.line,
        field="Creation Date",
        utc_offset_minutes=offset,
        zone=zone if offset is None else None,
    )
