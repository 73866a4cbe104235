"""What localstripe is taught of set-ups, mandates and saved methods, asked through Stripe's own library.

https://docs.stripe.com/payments/setupintents/lifecycle, https://docs.stripe.com/api/mandates/object and, of the test
cards, https://docs.stripe.com/testing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stripe

from local.localstripe_server import (
    AUTHENTICATION_CARD,
    TEST_KEY,
    authenticate,
    call,
    make_bank_account,
    make_customer,
    make_payment_method,
    running_localstripe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DECLINED_AT_SET_UP = "4000000000000002"
ALWAYS_ASKING_CARD = "4000002760003184"
RETURN_URL = "https://shop.example/back"
ACCEPTED: dict[str, Any] = {"customer_acceptance": {"type": "offline"}}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_localstripe() as running:
        yield running


@pytest.fixture
def client(url: str) -> stripe.StripeClient:
    """Stripe's own library, pointed at the fake."""
    return stripe.StripeClient(TEST_KEY, base_addresses={"api": url}, max_network_retries=0)


@pytest.fixture
def customer(url: str) -> str:
    return make_customer(url)


def set_up(client: stripe.StripeClient, method: str, customer: str, **more: Any) -> stripe.SetupIntent:
    asked: Any = {"payment_method": method, "customer": customer, "confirm": True, "usage": "off_session", **more}
    return client.v1.setup_intents.create(asked)


def charge(client: stripe.StripeClient, method: str, customer: str | None, **more: Any) -> stripe.PaymentIntent:
    asked: Any = {"amount": 1_000, "currency": "eur", "payment_method": method, "confirm": True, **more}
    return client.v1.payment_intents.create(asked | ({"customer": customer} if customer else {}))


def attached(client: stripe.StripeClient, customer: str) -> list[str]:
    return [method.id for method in client.v1.customers.payment_methods.list(customer).data]


def test_a_card_is_set_up_and_charged_without_its_payer(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a set-up does not attach its method, or makes a card's mandate that Stripe does not."""
    method = make_payment_method(url)
    made = set_up(client, method, customer, metadata={"payonce_reference": "set-1"})
    assert (made.status, made.payment_method, made.mandate, made.latest_attempt) == ("succeeded", method, None, None)
    assert made.metadata is not None
    assert made.metadata["payonce_reference"] == "set-1"
    assert attached(client, customer) == [method]
    assert charge(client, method, customer, off_session=True).status == "succeeded"


def test_a_set_up_without_a_method_waits_for_one(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when the second step, with a method, is not possible."""
    waiting = client.v1.setup_intents.create({"customer": customer})
    assert waiting.status == "requires_payment_method"
    method = make_payment_method(url)
    assert client.v1.setup_intents.confirm(waiting.id, {"payment_method": method}).status == "succeeded"
    assert attached(client, customer) == [method]


@pytest.mark.parametrize("success", [True, False])
def test_a_set_up_asks_its_payer(client: stripe.StripeClient, url: str, customer: str, success: bool) -> None:
    """Fails when a method is attached before its payer authenticated, or in spite of a failure."""
    method = make_payment_method(url, AUTHENTICATION_CARD)
    waiting = set_up(client, method, customer, return_url=RETURN_URL)
    assert (waiting.status, waiting.next_action is not None) == ("requires_action", True)
    assert waiting.next_action is not None
    assert waiting.next_action.type == "redirect_to_url"
    assert attached(client, customer) == []
    authenticate(url, waiting.id, success=success)
    now = client.v1.setup_intents.retrieve(waiting.id)
    assert now.status == ("succeeded" if success else "requires_payment_method")
    assert (now.last_setup_error is None) is success
    assert attached(client, customer) == ([method] if success else [])


def test_without_a_return_url_the_sdk_is_asked(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a set-up without a place to return to redirects."""
    waiting = set_up(client, make_payment_method(url, AUTHENTICATION_CARD), customer)
    assert waiting.next_action is not None
    assert waiting.next_action.type == "use_stripe_sdk"


@pytest.mark.parametrize(("card", "asked"), [(AUTHENTICATION_CARD, False), (ALWAYS_ASKING_CARD, True)])
def test_a_card_that_was_set_up_asks_an_absent_payer_or_not(
    client: stripe.StripeClient, url: str, customer: str, card: str, asked: bool
) -> None:
    """Fails when the card that is spared after a set-up is not, or the one that always asks is."""
    method = make_payment_method(url, card)
    authenticate(url, set_up(client, method, customer).id, success=True)
    off_session = {"off_session": True, "error_on_requires_action": True}
    if asked:
        with pytest.raises(stripe.CardError) as refused:
            charge(client, method, customer, **off_session)
        assert refused.value.code == "authentication_required"
    else:
        assert charge(client, method, customer, **off_session).status == "succeeded"
    assert charge(client, method, customer, return_url=RETURN_URL).status == "requires_action"


def test_a_declined_card_is_not_set_up(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a decline is not a 402, ends the set-up for good, or attaches the card."""
    with pytest.raises(stripe.CardError) as refused:
        set_up(client, make_payment_method(url, DECLINED_AT_SET_UP), customer)
    assert refused.value.code == "card_declined"
    (made,) = client.v1.setup_intents.list({"customer": customer}).data
    assert made.status == "requires_payment_method"
    assert made.last_setup_error is not None
    assert attached(client, customer) == []


def test_a_debit_needs_a_mandate(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a debit is set up without its payer's acceptance, or its mandate can't be read."""
    account, types = make_bank_account(url), ["sepa_debit"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        set_up(client, account, customer, payment_method_types=types)
    assert refused.value.param == "mandate_data"
    made = set_up(client, account, customer, payment_method_types=types, mandate_data=ACCEPTED)
    assert isinstance(made.mandate, str)
    mandate = client.v1.mandates.retrieve(made.mandate)
    assert (mandate.status, mandate.payment_method, mandate.type) == ("active", account, "multi_use")
    assert mandate.payment_method_details.type == "sepa_debit"
    client.v1.payment_methods.detach(account)
    assert client.v1.mandates.retrieve(made.mandate).status == "inactive"


def test_a_detached_method_is_used_no_more(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a detached method can be charged, set up, attached or detached again."""
    method = make_payment_method(url)
    set_up(client, method, customer)
    assert client.v1.payment_methods.detach(method).customer is None
    assert attached(client, customer) == []
    for use in (
        lambda: charge(client, method, customer),
        lambda: set_up(client, method, customer),
        lambda: client.v1.payment_methods.attach(method, {"customer": customer}),
        lambda: client.v1.payment_methods.detach(method),
    ):
        with pytest.raises(stripe.InvalidRequestError):
            use()


def test_a_method_is_its_customers(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a saved method can be charged or set up for somebody else, or for nobody."""
    method = make_payment_method(url)
    set_up(client, method, customer)
    for other in (make_customer(url), None):
        with pytest.raises(stripe.InvalidRequestError):
            charge(client, method, other)


def test_a_payment_saves_its_method_if_it_is_asked(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when ``setup_future_usage`` is refused, saves before the payer authenticated, or one without it saves."""
    unsaved, saved, asking = (
        make_payment_method(url),
        make_payment_method(url),
        make_payment_method(url, AUTHENTICATION_CARD),
    )
    assert charge(client, unsaved, customer).setup_future_usage is None
    assert charge(client, saved, customer, setup_future_usage="off_session").setup_future_usage == "off_session"
    waiting = charge(client, asking, customer, setup_future_usage="off_session", return_url=RETURN_URL)
    assert attached(client, customer) == [saved]
    authenticate(url, waiting.id, success=True)
    assert attached(client, customer) == [asking, saved]


def test_a_set_up_can_be_canceled_until_it_has_ended(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a set-up that ended is canceled, or one that waits is not."""
    waiting = set_up(client, make_payment_method(url, AUTHENTICATION_CARD), customer)
    assert client.v1.setup_intents.cancel(waiting.id).status == "canceled"
    for ended in (waiting, set_up(client, make_payment_method(url), customer)):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            client.v1.setup_intents.cancel(ended.id)
        assert refused.value.code == "setup_intent_unexpected_state"


def test_set_ups_are_listed_newest_first_by_time(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when a set-up can't be found by the time in which it was created."""
    first, second = (set_up(client, make_payment_method(url), customer) for _ in range(2))
    listed = client.v1.setup_intents.list({"customer": customer, "created": {"gte": first.created}})
    assert [made.id for made in listed.data] == [second.id, first.id]
    assert client.v1.setup_intents.list({"created": {"gte": second.created + 60}}).data == []


def test_what_becomes_of_a_set_up_is_an_event(client: stripe.StripeClient, url: str, customer: str) -> None:
    """Fails when an end of a set-up or of a saved method is not told."""
    method = make_payment_method(url)
    made = set_up(client, method, customer)
    client.v1.payment_methods.detach(method)
    ours = {made.id, method}
    told = [
        row["type"] for row in call(url, "GET", "/v1/events?limit=100")["data"] if row["data"]["object"]["id"] in ours
    ]
    assert sorted(told) == ["payment_method.attached", "payment_method.detached", "setup_intent.succeeded"]
