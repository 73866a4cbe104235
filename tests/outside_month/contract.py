"""What the gateways may charge: tiers by card, origin, method, amount, and the date from which a new price holds.

Stripe's prices by origin of the card: https://stripe.com/pricing. Adyen's Interchange++ and blended commission:
https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report (Commission,
Markup, Scheme Fees, Interchange). A tier that no column of the report can show, such as Stripe's of premium cards, is
in no contract here: nobody could check it.
"""

import random
from datetime import date, timedelta
from typing import Any

EEA = {"DE", "FR", "NL", "IT", "ES", "IE", "AT"}
DISPUTE_FEE = {"EUR": 2000, "USD": 1500, "GBP": 2000, "JPY": 1300}
STRIPE: dict[str, dict[str, tuple[int, int]]] = {  # (fixed in minor units, basis points)
    "EUR": {"eea": (25, 150), "eea_tier2": (25, 140), "uk": (25, 250), "other": (25, 325)},
    "GBP": {"eea": (20, 250), "uk": (20, 150), "uk_tier2": (20, 140), "other": (20, 325)},
    "USD": {"us": (30, 290), "other": (30, 440)},
    "JPY": {"all": (0, 360), "large": (0, 340)},
}
METHODS = {"sepa_debit": 35, "ideal": 29}  # Stripe, in EUR: a fixed amount each
LARGE_JPY = 20_000
CONVERSION = 200  # basis points on top when the payment's currency is not the settlement's
CONVERTED = {"CH", "SE", "KW"}  # whose cards pay in their own currency
ADYEN = {"ShopUK": (10, 120), "ShopSubs": (10, 200), "ShopGifts": (10, 200)}
ADYEN_AMEX = (10, 290)  # of ShopUK
ADYEN_REFUND = 12  # of ShopUK


def new_price(month: date) -> date:
    """Give the day from which the next tier of volume holds."""
    return month + timedelta(15)


def share(amount: int, basis_points: int) -> int:
    """Take a share of an amount, rounded half up."""
    return (amount * basis_points + 5000) // 10000


def stripe_tier(gross: int, currency: str, country: str, later: bool) -> str:
    """Name the tier of a card payment; later is after the month's new price."""
    if currency == "JPY":
        return "large" if gross >= LARGE_JPY else "all"
    if currency == "USD":
        return "us" if country == "US" else "other"
    home = {"EUR": EEA, "GBP": {"GB"}}[currency]
    if country in home:
        return ("eea" if currency == "EUR" else "uk") + ("_tier2" if later else "")
    return "uk" if country == "GB" else "eea" if country in EEA and currency == "GBP" else "other"


def stripe_fee(gross: int, currency: str, card: dict[str, str], later: bool, converted: bool) -> int:
    """Give the fee of a charge; bank debits and iDEAL cost a fixed amount."""
    if card["method"] in METHODS:
        return METHODS[card["method"]]
    fixed, points = STRIPE[currency][stripe_tier(gross, currency, card["country"], later)]
    return fixed + share(gross, points) + (share(gross, CONVERSION) if converted else 0)


def adyen_fees(rng: random.Random, gross: int, account: str, card: dict[str, str]) -> dict[str, int]:
    """Give the fees of a settled payment: one commission, or interchange, scheme fees and markup."""
    if account in ADYEN:
        fixed, points = ADYEN_AMEX if (account, card["brand"]) == ("ShopUK", "amex") else ADYEN[account]
        return {"Commission": fixed + share(gross, points)}
    interchange = share(gross, {"debit": 20, "credit": 30}.get(card["funding"], 150))
    return {
        "Markup": share(gross, 60),
        "Scheme Fees": share(gross, rng.choice((4, 7, 11))) + 1,
        "Interchange": interchange,
    }


def document() -> dict[str, Any]:
    """Give the contract as a person would read it."""
    return {
        "stripe_fixed_minor_and_basis_points": STRIPE,
        "stripe_large_jpy_from": LARGE_JPY,
        "stripe_conversion_basis_points": CONVERSION,
        "stripe_methods_minor": METHODS,
        "tier2_from_day": 16,
        "adyen_commission": ADYEN,
        "adyen_ShopUK_amex": ADYEN_AMEX,
        "adyen_ShopUK_refund_minor": ADYEN_REFUND,
        "adyen_ShopEU": "interchange++ with a markup of 60 basis points",
        "dispute_fee_minor": DISPUTE_FEE,
    }


def rules(month: date) -> list[dict[str, Any]]:
    """Give the contract as the rules of a policy, those of some payments before those of all."""
    made: list[dict[str, Any]] = []

    def add(gateway: str, currency: str, price: tuple[int, int], **condition: Any) -> None:
        terms = {"fixed_minor": price[0], "basis_points": price[1]}
        made.append({"gateway": gateway, "currency": currency} | condition | terms)

    day, euro, pound = new_price(month), STRIPE["EUR"], STRIPE["GBP"]
    for method, fixed in METHODS.items():
        add("stripe", "EUR", (fixed, 0), payment_method=method)
    fixed, points = euro["other"]
    add("stripe", "EUR", (fixed, points + CONVERSION), card_countries=sorted(CONVERTED))
    add("stripe", "EUR", euro["eea"], card_countries=sorted(EEA), until_date=day)
    add("stripe", "EUR", euro["eea_tier2"], card_countries=sorted(EEA), from_date=day)
    add("stripe", "EUR", euro["uk"], card_countries=["GB"])
    add("stripe", "EUR", euro["other"])
    add("stripe", "GBP", pound["uk"], card_countries=["GB"], until_date=day)
    add("stripe", "GBP", pound["uk_tier2"], card_countries=["GB"], from_date=day)
    add("stripe", "GBP", pound["eea"], card_countries=sorted(EEA))
    add("stripe", "GBP", pound["other"])
    add("stripe", "USD", STRIPE["USD"]["us"], card_countries=["US"])
    add("stripe", "USD", STRIPE["USD"]["other"])
    add("stripe", "JPY", STRIPE["JPY"]["large"], from_amount_minor=LARGE_JPY)
    add("stripe", "JPY", STRIPE["JPY"]["all"])
    add("adyen", "GBP", ADYEN_AMEX, payment_method="amex")
    add("adyen", "GBP", ADYEN["ShopUK"])
    add("adyen", "GBP", (ADYEN_REFUND, 0), kind="refund")
    add("adyen", "USD", ADYEN["ShopSubs"])
    return made


def policy(month: date) -> str:
    """Write the policy of a run: the whole contract, and else the defaults."""
    text = "# The contract, in the words of a policy.\n"
    for rule in rules(month):
        text += "\n[[fees]]\n"
        for name, value in rule.items():
            written = str(value) if isinstance(value, int | date) else str(value).replace("'", '"')
            text += f"{name} = {written}\n" if not isinstance(value, str) else f'{name} = "{value}"\n'
    return text
