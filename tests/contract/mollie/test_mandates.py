"""The fake Mollie's mandates: made by a first payment, used by recurring ones, and revoked.

https://docs.mollie.com/reference/mandates-api and https://docs.mollie.com/docs/recurring-payments
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.mollie.settings import AT_ONCE, PENDING
from tests.contract.mollie.conftest import ACCOUNT, CUSTOMER, DAY_SECONDS, MANDATES

if TYPE_CHECKING:
    from tests.contract.mollie.conftest import Client


@pytest.mark.parametrize(
    ("method", "of_mandate"), [("creditcard", "creditcard"), ("ideal", "directdebit"), ("paypal", "paypal")]
)
def test_a_first_payment_makes_a_mandate(client: Client, method: str, of_mandate: str) -> None:
    """Fails when the mandate is there before its payment is paid, is not named by it, or is of another method.

    A member of Mollie's staff: "the `mandateId` is not returned anymore immediately after creating the payment, but
    only after the payment actually has been paid", https://github.com/mollie/laravel-cashier-mollie/issues/178
    """
    _, payment = client.pay("first", method)
    assert ("mandateId" in payment, client.mandates()) == (False, [])
    client.books.pay(payment["id"], approve=True)
    paid = client.payment(payment["id"])
    _, valid = client.ask("GET", f"{MANDATES}/{paid['mandateId']}")
    assert paid["_links"]["mandate"]["href"].endswith(f"{MANDATES}/{paid['mandateId']}")
    assert (valid["status"], valid["resource"]) == ("valid", "mandate")
    assert (valid["method"], valid["customerId"]) == (of_mandate, CUSTOMER)
    assert {"id", "mode", "details", "mandateReference", "signatureDate", "createdAt", "_links"} <= valid.keys()
    assert set(valid["details"]) & {"cardNumber", "consumerAccount"}


def test_a_first_payment_may_name_its_mandate_at_once(client: Client) -> None:
    """Fails when a pending mandate can't be had as the examples of create-payment show it.

    https://docs.mollie.com/reference/create-payment, "First payment linked to customer (creates mandate)"
    """
    client.books.settings.mandate_named = AT_ONCE
    _, payment = client.pay("first")
    assert client.ask("GET", f"{MANDATES}/{payment['mandateId']}")[1]["status"] == "pending"
    assert client.pay("recurring", mandateId=payment["mandateId"])[0] == 422
    client.books.pay(payment["id"], approve=True)
    assert client.payment(payment["id"])["mandateId"] == payment["mandateId"]
    assert client.pay("recurring", mandateId=payment["mandateId"])[0] == 201


@pytest.mark.parametrize("left", ["invalid", PENDING, ""])
@pytest.mark.parametrize("how", ["refused", "canceled", "expired"])
def test_a_first_payment_that_is_not_paid_leaves_no_valid_mandate(client: Client, how: str, left: str) -> None:
    """Fails when a customer who did not pay can be charged, or the mandate is not left as it was asked to be.

    https://github.com/mollie/api-documentation/issues/455: the mandate of a cancelled payment stayed pending.
    """
    if left:
        client.books.settings.mandate_named, client.books.settings.unpaid_mandate = AT_ONCE, left
    _, payment = client.pay("first")
    if how == "refused":
        client.books.pay(payment["id"], approve=False)
    elif how == "canceled":
        assert client.ask("DELETE", f"/payments/{payment['id']}")[0] == 200
    else:
        client.books.ahead_seconds += DAY_SECONDS
    ended = client.payment(payment["id"])
    assert ended["status"] == {"refused": "failed"}.get(how, how)
    assert len(client.mandates()) == bool(left)
    if left:
        assert client.ask("GET", f"{MANDATES}/{ended['mandateId']}")[1]["status"] == left
    status, refused = client.pay("recurring", **({"mandateId": ended["mandateId"]} if left else {}))
    assert (status, refused["detail"]) == (422, "No suitable mandates found for customer.")


def test_a_mandate_may_stay_pending_after_its_payment(client: Client) -> None:
    """Fails when the account number is always there at once: get-mandate says that it may not be.

    Belfius: "a valid mandate will be generated a working day after", https://github.com/mollie/mollie-api-php/issues/66
    """
    _, payment = client.pay("first", "belfius", "0.01")
    client.books.pay(payment["id"], approve=True)
    paid = client.payment(payment["id"])
    assert paid["status"] == "paid"
    assert client.ask("GET", f"{MANDATES}/{paid['mandateId']}")[1]["status"] == "pending"
    assert client.pay("recurring", "directdebit", mandateId=paid["mandateId"])[0] == 422
    client.books.ahead_seconds += DAY_SECONDS
    assert client.ask("GET", f"{MANDATES}/{paid['mandateId']}")[1]["status"] == "valid"
    assert client.pay("recurring", "directdebit", mandateId=paid["mandateId"])[0] == 201


def test_a_card_can_be_set_up_for_nothing(client: Client) -> None:
    """Fails when a first payment of nothing is refused for a card, or taken for a bank account, which needs a cent.

    https://help.mollie.com/hc/en-us/articles/214072489-How-do-I-use-Mollie-Recurring
    """
    mandate = client.first(value="0.00")
    status, charged = client.pay("recurring", mandateId=mandate)
    assert (status, charged["status"], charged["mandateId"]) == (201, "paid", mandate)
    for method in ("ideal", "bancontact", "belfius"):
        assert client.pay("first", method, "0.00")[1]["detail"] == "The amount is lower than the minimum"
        assert client.pay("first", method, "0.01")[0] == 201


def test_a_recurring_payment_finds_the_customers_mandate(client: Client) -> None:
    """Fails when another method's or another customer's mandate is charged."""
    assert client.pay("recurring")[0] == 422
    card, account = client.first(), client.first("ideal")
    assert client.pay("recurring")[1]["mandateId"] == card
    debit = client.pay("recurring", "directdebit")[1]
    assert (debit["mandateId"], debit["status"]) == (account, "pending")
    assert client.pay("recurring", None)[1]["mandateId"] == account
    assert client.pay("recurring", mandateId=account)[0] == 422
    assert client.pay("recurring", customerId="cst_2", mandateId=card)[0] == 422


def test_a_revoked_mandate_charges_nothing(client: Client) -> None:
    """Fails when a mandate can be charged, read or revoked again after its revocation."""
    mandate, other = client.first(), client.first()
    assert client.ask("DELETE", f"/customers/cst_2/mandates/{mandate}")[0] == 404
    assert client.ask("DELETE", f"{MANDATES}/{mandate}") == (204, None)
    for status in (404, 410):
        client.books.settings.gone_status = status
        assert client.ask("GET", f"{MANDATES}/{mandate}")[0] == status
        assert client.ask("DELETE", f"{MANDATES}/{mandate}")[0] == status
    assert client.ask("GET", f"{MANDATES}/mdt_never")[0] == 404
    assert client.pay("recurring", mandateId=mandate)[0] == 422
    assert client.pay("recurring")[1]["mandateId"] == other
    listed = client.ask("GET", MANDATES)[1]
    assert [row["id"] for row in listed["_embedded"]["mandates"]] == [other]


def test_mandates_are_listed_newest_first_in_pages(client: Client) -> None:
    """Fails when a listing has another order, or its next page does not follow."""
    made = [client.first() for _ in range(3)]
    page = client.ask("GET", f"{MANDATES}?limit=2")[1]
    assert [row["id"] for row in page["_embedded"]["mandates"]] == [made[2], made[1]]
    assert f"from={made[0]}" in page["_links"]["next"]["href"]


def test_an_account_is_set_up_without_a_payment(client: Client) -> None:
    """Fails when a mandate of an account can't be made, or one of a card can."""
    status, mandate = client.ask("POST", MANDATES, ACCOUNT)
    assert (status, mandate["status"], mandate["details"]["consumerName"]) == (201, "valid", "Ada Lovelace")
    assert client.pay("recurring", "directdebit")[1]["mandateId"] == mandate["id"]
    assert client.ask("POST", MANDATES, {**ACCOUNT, "method": "creditcard"})[0] == 422
    without = {name: value for name, value in ACCOUNT.items() if name != "consumerAccount"}
    assert client.ask("POST", MANDATES, without)[1]["field"] == "consumerAccount"


def test_a_paypal_account_is_set_up_with_its_agreement(client: Client) -> None:
    """Fails when PayPal's own id is not asked for, or both are taken, which create-mandate forbids."""
    account = {"method": "paypal", "consumerName": "Ada Lovelace", "consumerEmail": "ada@example.org"}
    vault, agreement = {"payPalVaultId": "8kk8451t"}, {"paypalBillingAgreementId": "B-12A34567B8901234CD"}
    assert client.ask("POST", MANDATES, account)[0] == 422
    assert client.ask("POST", MANDATES, {**account, **vault, **agreement})[0] == 422
    assert client.ask("POST", MANDATES, {**account, **vault})[1]["status"] == "valid"


def test_a_valid_mandate_may_charge_nothing(client: Client) -> None:
    """Fails when a set-up mandate always charges, or one that has become invalid by itself does."""
    card, account = client.first(), client.first("ideal")
    client.books.mandates.failing |= {card, account}
    assert client.pay("recurring", mandateId=card)[1]["status"] == "failed"
    debit = client.pay("recurring", "directdebit", mandateId=account)[1]
    client.books.ahead_seconds += 3 * DAY_SECONDS
    assert client.payment(debit["id"])["status"] == "failed"
    client.books.mandates.failing.clear()
    client.books.mandates.invalidate(card)
    assert client.pay("recurring", mandateId=card)[0] == 422


def test_a_first_payment_is_a_customers(client: Client) -> None:
    """Fails when a mandate is made for nobody, or by a method that makes none."""
    status, refused = client.pay("first", customerId=None)
    assert (status, refused["field"]) == (422, "customerId")
    assert client.pay("first", "multibanco")[1]["field"] == "method"


@pytest.mark.parametrize("named", [AT_ONCE, "once_paid"])
def test_tokens_of_cards_decide_whenever_the_mandate_is_named(client: Client, named: str) -> None:
    """Fails when a card that is refused at once makes a mandate, or one that is refused later has none."""
    client.books.settings.mandate_named = named
    assert client.pay("first", cardToken="tkn_declined")[1]["status"] == "failed"
    mandate = client.first(cardToken="tkn_later")
    assert client.ask("GET", f"{MANDATES}/{mandate}")[1]["status"] == "valid"
    assert client.pay("recurring", mandateId=mandate)[1]["status"] == "failed"
