"""The merchant's ledger and the gateways' reports, as files."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from tests.outside_month.calendars import BERLIN
from tests.outside_month.columns import ADYEN, LEDGER, RESERVED, STRIPE, TYPES
from tests.outside_month.model import Entry, Movement, Payout, World, major
from tests.outside_month.settle import Batch

ORDERS = ("Order", 'Order 4711, "blue", 2 pcs', "Bestellung Grün\nzweite Zeile", "=HYPERLINK()")


def write(path: Path, header: list[str], rows: Iterable[list[str]]) -> None:
    """Write a CSV as these exports have it: UTF-8, commas, lines ended by LF."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def booked_at(entry: Entry, number: int) -> str:
    """Write an instant as the ledger may: in UTC, with the shop's offset, or as epoch milliseconds."""
    if number % 3 == 0:
        return str(int(entry.booked_at.timestamp() * 1000))
    return (
        (entry.booked_at.astimezone(BERLIN) if number % 3 == 1 else entry.booked_at).isoformat().replace("+00:00", "Z")
    )


def ledger(path: Path, entries: list[Entry]) -> None:
    """Write our own side, with its totals."""
    rows = [
        [
            e.entry_id,
            "mer_shop",
            e.payment_id,
            e.gateway,
            e.kind,
            e.state,
            e.reference,
            str(e.amount),
            e.currency,
            booked_at(e, n),
            e.gateway_payment_id,
            e.payer,
            e.reverses,
            e.claim,
        ]
        for n, e in enumerate(entries)
    ]
    for currency in sorted({e.currency for e in entries}):
        of = [e.amount for e in entries if e.currency == currency]
        rows.append([str(len(of)), "", "", "", "total", "", "", str(sum(of)), currency, "", "", "", "", ""])
    write(path, LEDGER, rows)


def stamp(when: datetime | date | None) -> str:
    """Write a time as Stripe's reports do; a date is midnight."""
    if when is None:
        return ""
    return when.strftime("%Y-%m-%d %H:%M:%S") if isinstance(when, datetime) else f"{when} 00:00:00"


def zoned(day: date | None) -> str:
    """Write the instant at which a day begins in UTC as the shop's clock shows it."""
    return stamp(datetime.combine(day, time(0), UTC).astimezone(BERLIN)) if day else ""


def stripe_row(m: Movement, paid: dict[str, Payout]) -> dict[str, str]:
    """Write one balance transaction with the columns of payout_reconciliation.itemized.5."""
    payout = paid.get(m.payout)
    of_payment = {
        "charge_id": m.payment,
        "payment_intent_id": m.intent,
        "payment_method_type": m.method,
        "card_brand": m.brand,
        "card_funding": m.funding,
        "card_country": m.country,
        "payment_metadata[payonce_reference]": m.reference,
        "payment_metadata[payonce_capture_reference]": m.capture_reference,
        "refund_metadata[payonce_reference]": m.refund_reference,
        "customer_facing_amount": major(m.facing, m.facing_currency) if m.facing_currency else "",
        "customer_facing_currency": m.facing_currency.lower(),
    }
    return {
        "automatic_payout_id": m.payout,
        "automatic_payout_effective_at_utc": stamp(payout.effective) if payout else "",
        "balance_transaction_id": m.row_id,
        "created_utc": stamp(m.created.astimezone(UTC)),
        "available_on_utc": stamp(m.available),
        "currency": m.currency.lower(),
        "gross": major(m.gross, m.currency),
        "fee": major(m.fee, m.currency),
        "net": major(m.net, m.currency),
        "reporting_category": "dispute" if m.category == "second_dispute" else m.category,
        "source_id": m.source,
        "description": m.description or (ORDERS[ord(m.row_id[-1]) % len(ORDERS)] if m.category == "charge" else ""),
        "trace_id": payout.trace if payout else "",
        "trace_id_status": "supported" if payout else "",
        "created": stamp(m.created.astimezone(BERLIN)),
        "available_on": zoned(m.available),
        "automatic_payout_effective_at": zoned(payout.effective) if payout else "",
        **(of_payment if m.payment else {}),
    }


def payout_row(payout: Payout) -> dict[str, str]:
    """Write a payout as its own balance transaction."""
    amount = major(-payout.amount, payout.currency)
    day = stamp(payout.effective)
    return {
        "automatic_payout_id": payout.payout_id,
        "automatic_payout_effective_at_utc": day,
        "automatic_payout_effective_at": zoned(payout.effective),
        "created": zoned(payout.effective),
        "available_on": zoned(payout.effective),
        "created_utc": day,
        "balance_transaction_id": "txn_1" + payout.payout_id[4:],
        "available_on_utc": day,
        "currency": payout.currency.lower(),
        "gross": amount,
        "fee": major(0, payout.currency),
        "net": amount,
        "reporting_category": "payout",
        "source_id": payout.payout_id,
        "description": "STRIPE PAYOUT",
        "trace_id": payout.trace,
    }


def stripe(folder: Path, w: World, payout_rows: bool) -> None:
    """Write two payout reconciliations that overlap, the second in the shop's zone, and what was not paid out yet.

    https://docs.stripe.com/reports/report-types/payout-reconciliation: what a payout settled is listed, the payout
    itself is not; with payout_rows it is, as in the balance history.
    """
    paid = {p.payout_id: p for p in w.payouts}
    moves = sorted((m for m in w.movements if m.gateway == "stripe"), key=lambda m: m.created)
    early = [m for m in moves if m.payout and paid[m.payout].effective.day <= 20]
    late = [m for m in moves if m.payout and paid[m.payout].effective.day >= 15]
    pending = [m for m in moves if not m.payout]
    pending += [replace(m, row_id=again) for m, again in w.told_twice if not m.payout]
    local = [name.removesuffix("_utc") for name in STRIPE]
    twice = {m.row_id for m in w.conflicting}
    for name, rows, columns in (
        ("payout_reconciliation_1", early, STRIPE),
        ("payout_reconciliation_2", late, local),
        ("ending_balance_reconciliation", pending, STRIPE),
    ):
        lines = [stripe_row(m, paid) for m in rows]
        shown = {m.payout for m in rows if payout_rows and m.payout}
        for m, line in zip(rows, lines, strict=True):
            if m.row_id in twice and name == "payout_reconciliation_2":
                line["gross"], line["net"] = major(m.gross + 500, m.currency), major(m.net + 500, m.currency)
        lines += [payout_row(paid[payout]) for payout in sorted(shown)]
        write(folder / f"stripe_{name}.csv", columns, ([line.get(column, "") for column in columns] for line in lines))
    for m in moves:
        if m.payout and 15 <= paid[m.payout].effective.day <= 20:
            w.usual("in_two_overlapping_exports", m.row_id)


def sides(amount: int, currency: str) -> list[str]:
    """Write an amount into a debit and a credit column."""
    return [major(-amount, currency) if amount < 0 else "", major(amount, currency) if amount >= 0 else ""]


def adyen_row(m: Movement, batch: Batch) -> list[str]:
    """Write one row of a Settlement details report, its time in the account's zone with daylight saving."""
    local = m.created.astimezone(BERLIN)
    fees = [
        major(m.fees[name], m.currency) if name in m.fees else ""
        for name in ("Commission", "Markup", "Scheme Fees", "Interchange")
    ]
    head = [
        "Shop",
        m.account,
        m.payment,
        m.reference,
        "" if not m.payment else m.brand or m.method,
        stamp(local),
        local.strftime("%Z"),
        TYPES[m.category],
    ]
    if not m.payment:
        money = ["", "", "", "", m.currency, *sides(m.net, m.currency), *fees]
        return [*head, m.description, *money, "", "", str(batch.number)]
    money = [
        m.facing_currency,
        *sides(m.facing, m.facing_currency),
        f"{m.rate:.8f}",
        m.currency,
        *sides(m.net, m.currency),
        *fees,
    ]
    return [*head, m.row_id, *money, m.brand + m.funding, m.capture_reference or m.refund_reference, str(batch.number)]


def adyen(folder: Path, batches: list[Batch]) -> list[str]:
    """Write one report for each closed batch, and one of them again with more columns; return the files' names."""
    names = []
    for number, batch in enumerate(batches):
        rows = [adyen_row(m, batch) for m in sorted(batch.members, key=lambda m: m.created)]
        at = datetime.combine(batch.closed, time(19, 53, 26), BERLIN)
        for amount, kind, text in (
            (batch.brought, "Balancetransfer", "Balance transfer from previous batch"),
            (-batch.carried, "Balancetransfer", "Balance transfer to next batch"),
            (-batch.payout.amount if batch.payout else 0, "MerchantPayout", batch.payout.trace if batch.payout else ""),
        ):
            if amount:
                rows.append(
                    [
                        "Shop",
                        batch.account,
                        "",
                        "",
                        "",
                        stamp(at),
                        at.strftime("%Z"),
                        kind,
                        text,
                        "",
                        "",
                        "",
                        "",
                        batch.currency,
                        *sides(amount, batch.currency),
                        "",
                        "",
                        "",
                        "",
                        "",
                        "",
                        str(batch.number),
                    ]
                )
        name = f"adyen_{batch.account}_settlement_detail_report_batch_{batch.number}.csv"
        write(folder / name, ADYEN, rows)
        names.append(name)
        if number == 2:
            again = name.replace(".csv", "_again.csv")
            write(folder / again, [*ADYEN, *RESERVED], ([*row, *[""] * 7] for row in rows))
            names.append(again)
    return names
