"""Saving a payment method without a payment at Adyen and Mollie, behind the routes and on the vendors' fakes.

https://docs.adyen.com/online-payments/tokenization/create-tokens and
https://docs.adyen.com/online-payments/tokenization/managing-tokens; https://docs.mollie.com/docs/recurring-payments
and https://docs.mollie.com/reference/revoke-mandate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.adyen.notifications import payload_signature
from payonce.gateways.check.fault_proxy import Fault
from tests.support.notices import post
from tests.support.vendor_shop import HMAC_KEY, AdyenShop, MollieShop, Vendors, VendorShop, running_vendors

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("adyen", "mollie")
ASKS = {"adyen": "STORED_AUTHENTICATE", "mollie": "creditcard"}
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendors]:
    with running_vendors(tmp_path_factory.mktemp("vendors")) as running:
        yield running


@pytest.fixture(params=KINDS)
def shop(vendors: Vendors, request: pytest.FixtureRequest) -> VendorShop:
    return vendors.shop(request.param)


@pytest.fixture
def adyen(vendors: Vendors) -> AdyenShop:
    shop = vendors.shop("adyen")
    assert isinstance(shop, AdyenShop)
    return shop


@pytest.fixture
def mollie(vendors: Vendors) -> MollieShop:
    shop = vendors.shop("mollie")
    assert isinstance(shop, MollieShop)
    return shop


def test_a_card_is_saved_charged_and_revoked(shop: VendorShop) -> None:
    """The free month: nothing is paid, later the absent payer is charged, and after the revocation never again."""
    method_id = shop.saved()
    [saved] = shop.stored()
    assert shop.method(method_id)["status"] == "active"
    paid = shop.charge(method_id)
    assert (paid["http"], paid["status"]) == (201, "captured")
    revoked = shop.revoke(method_id)
    assert (revoked["http"], revoked["status"], shop.stored()) == (201, "revoked", [])
    refused = shop.charge(method_id)
    assert (refused["http"], refused["type"]) == (409, "urn:payonce:problem:setup-state")
    shop.replays()
    assert saved


@pytest.mark.parametrize("approve", [True, False])
def test_a_payer_who_is_asked_agrees_or_does_not(shop: VendorShop, approve: bool) -> None:
    setup = shop.set_up(payment_method=ASKS[shop.kind])
    assert (setup["http"], setup["status"], setup["next_action"]["type"]) == (201, "requires_action", "redirect")
    assert shop.stored() == []
    result = shop.act(setup, approve=approve)
    if result is not None:
        confirmed = shop.ask("confirm_setup", {"payment_result": result}, setup_id=setup["id"])
        assert confirmed["http"] == (201 if approve else 402)
    shop.deliver()
    now = shop.setup(setup["id"])
    assert now["status"] == ("succeeded" if approve else "declined")
    assert (len(shop.stored()), now["saved_payment_method"] is not None) == (int(approve), approve)
    shop.replays()


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.TRUNCATED_AFTER, Fault.STATUS_502_AFTER])
def test_a_doubt_is_asked_about_and_never_made_twice(shop: VendorShop, fault: Fault) -> None:
    """Whatever becomes of the answer, the vendor makes one set-up, and the key's client learns of it."""
    with shop.proxy.broken(fault, reads_too=True):
        setup = shop.set_up()
    assert (setup["http"], setup["status"]) == (202, "in_doubt")
    shop.deliver()
    shop.pass_time()
    shop.pass_time()
    now = shop.setup(setup["id"])
    if now["status"] == "requires_action":
        assert shop.act(now, approve=True) is None
        shop.deliver()
    assert shop.setup(setup["id"])["status"] == "succeeded"
    assert (shop.made(setup["id"]), len(shop.stored())) == (1, 1)
    assert shop.charge(str(shop.setup(setup["id"])["saved_payment_method"]))["status"] == "captured"
    shop.replays()


def test_an_event_ends_the_doubt_of_a_lost_answer(adyen: AdyenShop) -> None:
    """The notification says that it is authorised, and the shopper's list what was stored: nothing is sent again."""
    with adyen.proxy.broken(Fault.DROP_AFTER):
        setup = adyen.set_up()
    before = sum(method == "POST" for method, _ in adyen.proxy.seen)
    adyen.clock.offset_ms += HOUR_MS  # no lease is held any more, and the request is not repeated after an hour
    adyen.deliver()
    assert adyen.setup(setup["id"])["status"] == "succeeded"
    assert sum(method == "POST" for method, _ in adyen.proxy.seen) == before
    assert adyen.made(setup["id"]) == 1


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.STATUS_502_AFTER])
def test_a_revocation_without_an_answer_is_asked_about(shop: VendorShop, fault: Fault) -> None:
    """While it is in doubt the method is not charged; in the end it is revoked there and here."""
    method_id = shop.saved()
    with shop.proxy.broken(fault, reads_too=True):
        revoking = shop.revoke(method_id)
    assert (revoking["http"], revoking["status"]) == (202, "revoking")
    assert shop.charge(method_id)["http"] == 409
    shop.pass_time()
    shop.pass_time()
    assert (shop.method(method_id)["status"], shop.stored()) == ("revoked", [])
    shop.replays()


def test_a_token_that_is_removed_in_the_customer_area_is_revoked_here(adyen: AdyenShop) -> None:
    """The event is signed over its bytes, and makes payonce ask: https://docs.adyen.com/development-resources/webhooks."""
    method_id = adyen.saved()
    [stored] = adyen.stored()
    adyen.handle.act("disable_token", id=stored)
    adyen.deliver()
    assert adyen.method(method_id)["status"] == "revoked"
    assert adyen.charge(method_id)["http"] == 409


def test_a_forged_event_about_a_token_ends_nothing(adyen: AdyenShop) -> None:
    """A rightly signed event about a token that is still there does nothing, either: it is a hint to ask."""
    method_id = adyen.saved()
    adyen.deliver()
    [stored] = adyen.stored()
    adyen.handle.act("disable_token", id=stored)
    adyen.handle.advance()
    posted = adyen.receiver.received[-1]
    assert b"recurring.token.disabled" in posted.body
    changed = posted.body.replace(b'"test"', b'"live"')
    assert post(adyen.application, changed, posted.headers, "bank") == 400
    other = adyen.saved(payment_method=f"{adyen.card}9")
    [still] = adyen.stored()
    early = posted.body.replace(stored.encode(), still.encode())
    adyen.take(early, {"hmacsignature": payload_signature(early, HMAC_KEY)})
    adyen.apply()
    assert (adyen.method(other)["status"], adyen.method(method_id)["status"]) == ("active", "active")


@pytest.fixture
def configured(adyen: AdyenShop) -> Iterator[AdyenShop]:
    """A fake whose settings are put back."""
    yield adyen
    adyen.handle.configure(token_in_answer=True, token_delay_ms=0, tokens_fail=False, recurring_contract=False)


def test_a_token_that_the_answer_lacks_is_found_in_the_shoppers_list(configured: AdyenShop) -> None:
    """https://github.com/adyen-examples/adyen-node-online-payments/issues/127: the token may take a bit longer."""
    configured.handle.configure(token_in_answer=False)
    method_id = configured.saved()
    assert configured.charge(method_id)["status"] == "captured"


def test_a_card_that_is_stored_already_is_set_up_again(configured: AdyenShop) -> None:
    """Two contracts of one card have one reference, the token: the second is no copy of the first."""
    configured.handle.configure(token_in_answer=False, recurring_contract=True)
    first, second = (configured.set_up()["id"] for _ in range(2))
    for _ in range(2):
        configured.deliver()
        configured.pass_time()
    saved = [configured.setup(each)["saved_payment_method"] for each in (first, second)]
    assert all(saved)
    assert (len(set(saved)), len(configured.stored())) == (2, 1)


@pytest.mark.parametrize("named", [True, False])
def test_a_set_up_waits_for_its_token(configured: AdyenShop, named: bool) -> None:
    """Fails when a method is said to be saved that Adyen can't charge yet, or revoked because it is not there yet."""
    configured.handle.configure(token_in_answer=named, token_delay_ms=3_600_000, recurring_contract=True)
    setup = configured.set_up()
    assert (setup["http"], setup["status"]) == (201, "processing")
    configured.deliver()
    configured.pass_time()
    assert configured.setup(setup["id"])["status"] == "processing"
    configured.handle.advance(3_601)
    configured.deliver()  # RECURRING_CONTRACT is the hint
    now = configured.setup(setup["id"])
    assert now["status"] == "succeeded"
    assert configured.charge(now["saved_payment_method"])["status"] == "captured"


def test_an_authorisation_that_stores_nothing_is_no_set_up(configured: AdyenShop) -> None:
    """https://github.com/Adyen/adyen-openapi/blob/main/json/Webhooks-v1.json, RECURRING_CONTRACT with success false."""
    configured.handle.configure(tokens_fail=True, recurring_contract=True)
    setup = configured.set_up()
    assert setup["status"] == "processing"
    configured.deliver()
    assert configured.setup(setup["id"])["status"] == "declined"
    assert configured.stored() == []


def test_an_event_that_comes_before_the_answer_changes_nothing(configured: AdyenShop) -> None:
    with configured.handle.misbehaving("events_before_answer", times=1):
        setup = configured.set_up()
    configured.deliver()
    configured.deliver()
    assert (setup["status"], configured.made(setup["id"])) == ("succeeded", 1)
    configured.replays()


def test_a_token_that_is_gone_charges_nothing_and_says_why(adyen: AdyenShop) -> None:
    """800 and 803, before the event has told of it: https://help.adyen.com/knowledge/ecommerce-integrations/error-codes."""
    method_id = adyen.saved()
    [stored] = adyen.stored()
    adyen.handle.act("disable_token", id=stored)
    refused = adyen.charge(method_id)
    assert (refused["http"], refused["code"]) == (402, "mandate_revoked")


def test_a_mandate_that_was_ended_elsewhere_charges_nothing(mollie: MollieShop) -> None:
    """Mollie has no event about a mandate: the charge is refused there, and says why."""
    method_id = mollie.saved()
    [mandate] = mollie.stored()
    mollie.api.books.mandates.revoke(mollie.customer, mandate)
    refused = mollie.charge(method_id)
    assert (refused["http"], refused["code"]) == (402, "mandate_revoked")
    assert mollie.revoke(method_id)["status"] == "revoked"


@pytest.mark.parametrize(
    ("kind", "method_type", "method"),
    [
        ("adyen", "wallet", "mbway"),
        ("mollie", "bank_debit", "ideal"),
        ("mollie", "bank_debit", "mdt_1"),
        ("mollie", "card", "bancontact"),
        ("mollie", "wallet", "twint"),
    ],
)
def test_what_can_not_be_set_up_is_refused_before_anything_is_stored(
    vendors: Vendors, kind: str, method_type: str, method: str
) -> None:
    """Fails when a set-up is claimed, or sent, that no gateway can make."""
    shop = vendors.shop(kind)
    before = len(shop.proxy.seen)
    refused = shop.set_up(payment_method=method, payment_method_type=method_type)
    assert (refused["http"], refused["type"]) == (400, "urn:payonce:problem:not-supported")
    assert (shop.claims(), len(shop.proxy.seen)) == (0, before)


def test_paypal_is_set_up_and_charged(mollie: MollieShop) -> None:
    method_id = mollie.saved(payment_method=mollie.wallet, payment_method_type="wallet")
    assert mollie.charge(method_id)["status"] == "captured"


def test_a_payment_saves_what_it_was_made_with(shop: VendorShop) -> None:
    """``save_payment_method``: the payment's success saves it, with an id of payonce's."""
    body = {"amount_minor": 1050, "currency": "EUR", "payment_method": shop.card, "customer": shop.customer}
    body |= {"save_payment_method": True, "return_url": "https://shop.example/back"}
    paid = shop.ask("create_payment", body)
    if paid["status"] == "requires_action":
        shop.act(paid, approve=True)
        shop.deliver()
    method_id = paid["id"].replace("pay_", "method_")
    assert shop.method(method_id)["made_by"] == paid["id"]
    assert shop.charge(method_id)["status"] == "captured"


def test_another_customers_method_is_not_charged(shop: VendorShop) -> None:
    method_id = shop.saved()
    assert shop.charge(method_id, customer="cst_another")["http"] == 400
