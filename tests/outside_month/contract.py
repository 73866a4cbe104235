"""What the gateways may charge: tiers by card, origin, method, and the date from which a new price holds.

Stripe's prices by origin of the card: https://stripe.com/pricing. Adyen's Interchange++ and blended commission:
https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report (Commission,
Markup, Scheme Fees, Interchange).
"""

import random
from datetime import date
from typing import Any

NEW_PRICE_DAY = 16  # from this day of the month the next tier of volume was reached
EEA = {"DE", "FR", "NL", "IT", "ES", "IE", "AT"}
DISPUTE_FEE = {"EUR": 2000, "USD": 1500, "GBP": 2000, "JPY": 1300}
STRIPE: dict[str, dict[str, tuple[int, int]]] = {  # (fixed in minor units, basis points)
    "EUR": {"eea": (25, 150), "eea_tier2": (25, 140), "commercial": (25, 190), "uk": (25, 250), "other": (25, 325)},
    "GBP": {"eea": (20, 250), "uk": (20, 150), "uk_tier2": (20, 140), "commercial": (20, 190), "other": (20, 325)},
    "USD": {"us": (30, 290), "other": (30, 440)},
    "JPY": {"all": (0, 360)},
}
CONVERSION = 200  # basis points on top when the payment's currency is not the settlement's
ADYEN = {"ShopUK": (10, 120), "ShopSubs": (10, 200)}


def share(amount: int, basis_points: int) -> int:
    """Take a share of an amount, rounded half up."""
    return (amount * basis_points + 5000) // 10000


def stripe_tier(currency: str, country: str, funding: str, day: date) -> str:
    """Name the tier of a card payment."""
    if currency == "JPY":
        return "all"
    if currency == "USD":
        return "us" if country == "US" else "other"
    if funding == "commercial" and country in EEA | {"GB"}:
        return "commercial"
    home = {"EUR": EEA, "GBP": {"GB"}}[currency]
    if country in home:
        return ("eea" if currency == "EUR" else "uk") + ("_tier2" if day.day >= NEW_PRICE_DAY else "")
    return "uk" if country == "GB" else "eea" if country in EEA and currency == "GBP" else "other"


def stripe_fee(gross: int, currency: str, card: dict[str, str], day: date, converted: bool) -> int:
    """Give the fee of a charge; bank debits and iDEAL cost a fixed amount."""
    if card["method"] == "sepa_debit":
        return 35
    if card["method"] == "ideal":
        return 29
    fixed, points = STRIPE[currency][stripe_tier(currency, card["country"], card["funding"], day)]
    return fixed + share(gross, points) + (share(gross, CONVERSION) if converted else 0)


def adyen_fees(rng: random.Random, gross: int, account: str, funding: str) -> dict[str, int]:
    """Give the fees of a settled payment: one commission, or interchange, scheme fees and markup."""
    if account in ADYEN:
        fixed, points = ADYEN[account]
        return {"Commission": fixed + share(gross, points)}
    interchange = share(gross, {"debit": 20, "credit": 30}.get(funding, 150))
    return {
        "Markup": share(gross, 60),
        "Scheme Fees": share(gross, rng.choice((4, 7, 11))) + 1,
        "Interchange": interchange,
    }


def document() -> dict[str, Any]:
    """Give the contract as a person would read it."""
    return {
        "stripe_fixed_minor_and_basis_points": STRIPE,
        "stripe_conversion_basis_points": CONVERSION,
        "stripe_sepa_debit_minor": 35,
        "stripe_ideal_minor": 29,
        "tier2_from_day": NEW_PRICE_DAY,
        "adyen_commission": ADYEN,
        "adyen_ShopEU": "interchange++ with a markup of 60 basis points",
        "dispute_fee_minor": DISPUTE_FEE,
    }


POLICY = """# One price for each gateway and currency: the standard tier, which is all that such a file can say.
settlement_sla_hours = 168
"""


def policy() -> str:
    """Write the price list that somebody would type who thinks of the standard tier alone."""
    text = POLICY
    standard = [
        ("stripe", "EUR", *STRIPE["EUR"]["eea"]),
        ("stripe", "GBP", *STRIPE["GBP"]["uk"]),
        ("stripe", "USD", *STRIPE["USD"]["us"]),
        ("stripe", "JPY", *STRIPE["JPY"]["all"]),
        ("adyen", "GBP", *ADYEN["ShopUK"]),
        ("adyen", "USD", *ADYEN["ShopSubs"]),
    ]
    for gateway, currency, fixed, points in standard:
        text += f'\n[[fees]]\ngateway = "{gateway}"\ncurrency = "{currency}"\n'
        text += f"fixed_minor = {fixed}\nbasis_points = {points}\n"
    return text
