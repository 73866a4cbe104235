"""The words and numbers of a break as people read them: amounts in major units, times as dates, no raw field."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.reconciliation.readers.values import EPOCH, grouped, plain
from payonce.reconciliation.report.drawing import day_text, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.model import Evidence

# What both sides call differently and what is named after its unit. Anything else is shown under its own name.
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "booked_at_ms": "time",
        "created_at_ms": "time",
        "booking_day": "time",
        "available_at_ms": "available",
        "ref": "reference",
        "reference_text": "reference",
        "entry_id": "id",
        "transaction_id": "id",
        "payment_id": "our payment",
        "gateway_payment_id": "gateway's payment",
        "amount_minor": "amount",
        "fee_minor": "fee",
        "presented_minor": "seen by the payer",
        "sent_minor": "sent",
        "opening_minor": "opening balance",
        "closing_minor": "closing balance",
        "goes_on_from_minor": "closing balance before",
        "members_more_minor": "what it is made of is more by",
        "measured_rate_millionths": "rate that it is held against",
        "is_taken": "this one counts",
        "payout_id": "payout",
        "payout_reference": "payout, as a bank calls it",
        "end_to_end_id": "end-to-end id",
    }
)
_OF_ANOTHER: Final = {"presented_minor": "presented_currency", "sent_minor": "sent_currency"}
_YES_NO: Final = frozenset({"proved", "is_taken"})
_WITHIN: Final = frozenset({"currency", "presented_currency", "sent_currency"})  # shown with their amounts
# In this order side by side, so that what is compared stands on top.
_FIRST: Final = ("amount", "fee", "time", "reference", "kind", "state", "id", "gateway", "account")


def money(amount_minor: int, currency: str) -> str:
    """Return the amount with its currency."""
    return f"{grouped(amount_minor, currency)} {currency}"


def time_text(at_ms: int) -> str:
    """Return the time in UTC to the second."""
    return f"{EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%d %H:%M:%S} UTC"


def iso_text(at_ms: int) -> str:
    """Return the time in UTC to the second as ISO 8601 has it."""
    return f"{EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%dT%H:%M:%SZ}"


def age_text(hours: int) -> str:
    """Return an age in hours, or in days from two days on."""
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def rate_text(millionths: int, presented_currency: str, currency: str) -> str:
    """Return a rate between minor units as one of major units, without idle zeros."""
    exponent = MINOR_UNIT_EXPONENTS[currency] - MINOR_UNIT_EXPONENTS[presented_currency]
    rate = f"{Decimal(millionths).scaleb(-exponent - 6):f}"
    return rate.rstrip("0").rstrip(".") if "." in rate else rate


def shown_fields(row: Evidence, currency: str) -> list[tuple[str, str]]:
    """Return what a row says as (label, text). ``currency`` is that of amounts whose row names none."""
    own = row.fields.get("currency")
    fields: dict[str, str] = {}
    for name, value in row.fields.items():
        if value is None or value == "" or name in _WITHIN:
            continue
        label = _LABELS.get(name) or words(name.removesuffix("_at_ms").removesuffix("_minor").removesuffix("_day"))
        text = _text(row, name, value, own if isinstance(own, str) else currency)
        fields[label] = f"{fields[label]} · {text}" if label in fields else text
    return [(plain(label), text) for label, text in sorted(fields.items(), key=_order)]


def _order(field: tuple[str, str]) -> int:
    return _FIRST.index(field[0]) if field[0] in _FIRST else len(_FIRST)


def _text(row: Evidence, name: str, value: str | int, currency: str) -> str:
    if isinstance(value, str):
        return plain(" · ".join(filter(None, value.split("|"))) if name == "reference_text" else value)
    if name.endswith("_minor"):
        of_another = row.fields.get(_OF_ANOTHER.get(name, ""))
        return money(value, of_another if isinstance(of_another, str) else currency)
    if name.endswith("_at_ms"):
        return time_text(value)
    if name.endswith("_day"):
        return day_text(value)
    if name.endswith("_rate_millionths"):
        presented = row.fields.get("presented_currency")
        return rate_text(value, presented, currency) if isinstance(presented, str) else str(value)
    return ("no", "yes")[bool(value)] if name in _YES_NO else str(value)
