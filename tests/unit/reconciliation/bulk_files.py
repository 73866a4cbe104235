"""Generated CSV files: ordinary ones, and such with one or two things in them that a reader may take or refuse."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.reconciliation.readers.values import decimal_text

if TYPE_CHECKING:
    from collections.abc import Sequence

LEDGER, GENERIC, STRIPE, ADYEN = "ledger", "generic", "stripe", "adyen"
CURRENCIES = ("EUR", "USD", "JPY", "KWD", "CLF")
TEXTS = ("a", "pay_1", "Zoë", "x y", 'say "hi"', "1,5", "a;b", "NULL", "nan", "-", "=1", "日本", "\ufeff")
# What a cell may hold instead. The most are not read by anybody; the point is that both say so.
ODD = (
    *("", " ", "\t", "\xa0", "\u2003", "NULL", "null", '"', '""', "\x1c", "\x85"),
    *(
        "+1.00",
        "-0",
        "-0.00",
        "1e3",
        "1.",
        ".5",
        "1,234.56",
        "1.234,56",
        "１２",
        "٣",
        "1.005",
        "1.0000000",
        "0x10",
        "1_000",
    ),
    *(
        "0x10",
        "1_000",
        "inf",
        "NaN",
        " 1.00",
        "1.00 ",
        "1.00\n",
        "99999999999999.99",
        "9223372036854775808",
        "1 000.00",
    ),
    *("2026-02-30T10:00:00Z", "1969-12-31T23:59:59.9999Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z"),
    *("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00+14:00", "2026-01-01T00:00:00-23:59", "2026-01-01"),
    *("2026-01-01 00:00:00", "2026-01-01T00:00:00.000999+00:00", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00"),
    *("2026-01-01T00:00:00z", "2026-1-1T00:00:00Z", "20260101T000000Z", "2026-01-01T00:00:00+0100", "infinity"),
    *("2026-12-31T23:30:00-14:00", "2024-02-29T23:59:59.999999Z", "2023-02-29T00:00:00Z", "1772359200000", "177235920"),
    *(
        "eur",
        "Eur ",
        "EUR\u200b",
        "XAU",
        "usſ",
        "ＥＵＲ",
        "charge",
        "Charge",
        "total",
        "Settled",
        "MerchantPayout",
        "IST",
    ),
    *("a\nb", "a\r\nb", "a\rb", "\nlead", "trail\n", "\0", "a\x00b", "x" * 33_000, "x" * 200, "İ", "ß", "ŉ", "#c"),
)
PIECES = (b",", b'"', b"\n", b"\r\n", b"\r", b" ", b"\0", b"\xff", b"\xc2\xa0", b";", b'""', b"\t")
KINDS = ("charge", "refund", "dispute", "fee", "payout", "charge_reversal")
STRIPE_WORDS = ("charge", "refund", "payout", "dispute", "fee", "partial_capture_reversal", "novel", "refund_failure")
ADYEN_WORDS = ("Settled", "Refunded", "Fee", "Chargeback", "SettledReversed", "Novel", "PaidOut")
ZONES = ("UTC", "CET", "CEST", "PST", "JST")


@st.composite
def amounts(draw: st.DrawFn, currency: str, minor: int) -> str:
    """Return an amount in one of the forms that are read."""
    text = decimal_text(minor, currency)
    form = draw(st.sampled_from(("plain", "plain", "plain", "plus", "zeros", "short", "lead")))
    if form == "plus" and minor >= 0:
        return f"+{text}"
    if form == "zeros" and "." in text:
        return text + "0" * (4 - MINOR_UNIT_EXPONENTS[currency])
    if form == "short" and "." in text:
        return text.rstrip("0")  # may leave the point alone, which is read, too
    return text.replace("-", "-0") if form == "lead" and minor < 0 else text


@st.composite
def instants(draw: st.DrawFn, *, zone: bool) -> str:
    """Return a time, with its offset where ``zone``."""
    day = draw(st.dates(date(2019, 1, 1), date(2030, 12, 31)))
    hour, minute = draw(st.integers(0, 23)), draw(st.integers(0, 59))
    text = f"{day}{draw(st.sampled_from('T '))}{hour:02}:{minute:02}:{draw(st.integers(0, 59)):02}"
    text += draw(st.sampled_from(("", "", ".5", ".123", ".999999", ".0001")))
    return text + (draw(st.sampled_from(("Z", "+00:00", "+01:00", "-05:30", "+14:00", "-12:00"))) if zone else "")


@st.composite
def _money(draw: st.DrawFn, currency: str) -> dict[str, str]:
    gross, fee = draw(st.integers(-(10**7), 10**7)), draw(st.integers(-500, 500))
    return {
        "amount": draw(amounts(currency, gross)),
        "fee": draw(amounts(currency, fee)),
        "net": draw(amounts(currency, gross - fee)),
        "minor": f"{gross} {fee} {gross - fee}",
    }


@st.composite
def ledger_rows(draw: st.DrawFn, number: int) -> dict[str, str]:
    """Return a row of our ledger's file."""
    kind, reverses = draw(st.sampled_from(("charge", "refund"))), draw(st.booleans())
    amount = draw(st.integers(1, 10**12)) * (1 if (kind == "charge") is not reverses else -1)
    texts = {name: draw(st.sampled_from(TEXTS)) for name in ("merchant_id", "payment_id", "gateway", "reference")}
    return {
        "entry_id": f"e{number}",
        **texts,
        "kind": kind,
        "state": draw(st.sampled_from(("booked", "in_doubt", "declined"))),
        "amount_minor": str(amount),
        "currency": draw(st.sampled_from((*CURRENCIES, "eur"))),
        "booked_at": draw(instants(zone=True) | st.integers(10**11, 10**13 - 1).map(str)),
        "gateway_payment_id": draw(st.sampled_from(("", *TEXTS))),
        "payer": draw(st.sampled_from(("", *TEXTS))),
        "reverses_entry_id": "e0" if reverses else "",
        "idempotency_record_id": "",
    }


@st.composite
def generic_rows(draw: st.DrawFn, number: int) -> dict[str, str]:
    """Return a row of payonce's gateway file."""
    currency = draw(st.sampled_from(CURRENCIES))
    return {
        "kind": draw(st.sampled_from(KINDS)),
        "transaction_id": draw(st.sampled_from((f"t{number}", "again"))),
        "reference": draw(st.sampled_from(("", *TEXTS))),
        **draw(_money(currency)),
        "currency": draw(st.sampled_from((currency, currency.lower()))),
        "created_at": draw(instants(zone=True)),
        "available_at": draw(st.just("") | instants(zone=True)),
        "payout_id": draw(st.sampled_from(("", "p1"))),
        "gateway_payment_id": draw(st.sampled_from(("", *TEXTS))),
    }


@st.composite
def stripe_rows(draw: st.DrawFn, number: int) -> dict[str, str]:
    """Return a row of Stripe's report."""
    currency, shown = draw(st.sampled_from(CURRENCIES)), draw(st.sampled_from((*CURRENCIES, "")))
    money = draw(_money(currency))
    text = st.sampled_from(("", "", *TEXTS))
    return {
        "balance_transaction_id": f"txn_{number}",
        "created_utc": draw(instants(zone=False) | st.just("2026-03-01")),
        "available_on_utc": draw(st.just("") | instants(zone=False)),
        "currency": currency.lower(),
        "gross": money["amount"],
        "fee": money["fee"],
        "net": money["net"],
        "reporting_category": draw(st.sampled_from(STRIPE_WORDS)),
        "automatic_payout_id": draw(text),
        "payment_intent_id": draw(text),
        "charge_id": draw(text),
        "source_id": draw(text),
        "customer_facing_currency": shown,
        "customer_facing_amount": draw(st.just("") | amounts(shown or "EUR", 1234)),
        "card_country": draw(st.sampled_from(("", "de", "US"))),
        "payment_method_type": draw(st.sampled_from(("", "card", "Sepa_Debit"))),
        "trace_id": draw(text),
        "transfer_group": draw(text),
        "automatic_payout_effective_at_utc": draw(st.just("") | instants(zone=False)),
        "payment_metadata[payonce_reference]": draw(text),
        "payment_metadata[payonce_capture_reference]": draw(text),
        "payment_metadata[order]": draw(text),
        "refund_metadata[payonce_reference]": draw(text),
        "description": draw(text),
    }


@st.composite
def adyen_rows(draw: st.DrawFn, number: int) -> dict[str, str]:
    """Return a row of Adyen's report."""
    currency, payer = draw(st.sampled_from(CURRENCIES)), draw(st.sampled_from((*CURRENCIES, "")))
    net, fees = draw(st.integers(-(10**6), 10**6)), [draw(st.integers(0, 99)) for _ in range(4)]
    stated = draw(st.booleans())
    gross = net + sum(fees) if payer == currency and stated else draw(st.integers(-(10**6), 10**6))
    if not payer:
        gross = 0
    names = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
    has_payment = draw(st.sampled_from((True, True, True, False)))
    text = st.sampled_from(("", *TEXTS))
    row = {
        "Company Account": "Co",
        "Merchant Account": draw(st.sampled_from(("Shop", ""))),
        "Psp Reference": f"PSP{number}" if has_payment else "",
        "Merchant Reference": draw(text),
        "Payment Method": draw(st.sampled_from(("visa", "MC", ""))),
        "Creation Date": draw(instants(zone=False)),
        "TimeZone": draw(st.sampled_from(ZONES)),
        "Type": draw(st.sampled_from(ADYEN_WORDS)),
        "Modification Reference": f"{draw(st.sampled_from(('MOD', 'TX69XT batch, ', 'éTX69XT')))}{number}",
        "Modification Merchant Reference": draw(text),
        "Gross Currency": payer,
        "Exchange Rate": draw(st.sampled_from(("", "1", "0.9", "1.0825", "1.0000005", "1.0000015", "117.333333333"))),
        "Net Currency": currency,
        **{name: draw(amounts(currency, fee)) if stated else "" for name, fee in zip(names, fees, strict=True)},
        "Batch Number": draw(st.sampled_from(("4", ""))),
        "Issuer Country": draw(st.sampled_from(("", "nl"))),
    }
    sides = (("Gross", "(GC)", payer or "EUR", gross if payer else None), ("Net", "(NC)", currency, net))
    for side, unit, code, minor in sides:
        for name in ("Debit", "Credit"):
            filled = minor is not None and (minor < 0) is (name == "Debit")
            row[f"{side} {name} {unit}"] = decimal_text(abs(minor or 0), code) if filled else ""
    return row


ROWS = {LEDGER: ledger_rows, GENERIC: generic_rows, STRIPE: stripe_rows, ADYEN: adyen_rows}


def total_rows(kind: str, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return the records of control totals that the format has."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        minor = row["amount_minor"].split() if kind == LEDGER else row["minor"].split()
        kept = sums.setdefault(row["currency"].upper(), [0] * (len(minor) + 1))
        kept[0] += 1
        for at, amount in enumerate(minor, start=1):
            kept[at] += int(amount)
    if kind == LEDGER:
        return [
            {"entry_id": str(count), "kind": "total", "amount_minor": str(amount), "currency": code}
            for code, (count, amount) in sums.items()
        ]
    return [
        {
            "kind": "total",
            "transaction_id": str(count),
            "currency": code,
            **{name: decimal_text(one, code) for name, one in zip(("amount", "fee", "net"), found, strict=True)},
        }
        for code, (count, *found) in sums.items()
    ]


def written(kind: str, rows: Sequence[dict[str, str]], *, quoting: int = csv.QUOTE_MINIMAL, **how: str) -> str:
    """Return the file's text."""
    everything = [*rows, *(total_rows(kind, rows) if kind in (LEDGER, GENERIC) else ())]
    names = [name for name in rows[0] if name != "minor"]
    out = io.StringIO()
    writer = csv.writer(
        out, quoting=quoting, lineterminator=how.get("line_end", "\n"), delimiter=how.get("delimiter", ",")
    )  # type: ignore[call-overload]
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in everything)
    return out.getvalue()


@st.composite
def ordinary_files(draw: st.DrawFn, kind: str) -> bytes:
    """Return a file that a gateway or we ourselves may have written."""
    rows = [draw(ROWS[kind](number)) for number in range(draw(st.integers(1, 5)))]
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    line_end = draw(st.sampled_from(("\n", "\r\n")))
    text = written(kind, rows, quoting=quoting, line_end=line_end, delimiter=draw(st.sampled_from(",,;")))
    return (draw(st.sampled_from(("", "", "\ufeff"))) + text).encode()


def _payout_of(rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return the payout of the first row's batch, if all others are in other ones."""
    first = rows[0]
    sides = {"Net Debit (NC)": first["Net Credit (NC)"], "Net Credit (NC)": first["Net Debit (NC)"]}
    fees = {name: "" for name in first if name.startswith(("Gross", "Commission", "Markup", "Scheme", "Interchange"))}
    return {**first, **fees, **sides, "Type": "MerchantPayout", "Psp Reference": "", "Modification Reference": "TX1XT"}


@st.composite
def odd_files(draw: st.DrawFn, kind: str) -> bytes:
    """Return a file in which cells, lines or bytes were changed."""
    rows = [draw(ROWS[kind](number)) for number in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.sampled_from(rows))
        row[draw(st.sampled_from([name for name in row if name != "minor"]))] = draw(st.sampled_from(ODD))
    if draw(st.integers(0, 4)) == 0:
        rows.append(dict(rows[0]))
    if kind == ADYEN and draw(st.booleans()):
        rows.append(_payout_of(rows))
    try:
        data = bytearray(written(kind, rows).encode())
    except (ValueError, KeyError):  # the changed cell can't be added up
        data = bytearray(written(STRIPE, rows).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.sampled_from((b",", b'"', b"\n", b"\r\n", b"\r", b" ", b"\0", b"\xff", b"\xc2\xa0", b";", b'""', b"\t"))
        )
        data[at : at + draw(st.integers(0, 1))] = piece
    if draw(st.integers(0, 5)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)
