"""What names an account in a request, for each gateway: what is sent is looked at, and nothing of another account.

Stripe: "to act as a connected account, include a Stripe-Account header" (https://docs.stripe.com/api/connected-accounts),
on every request, reads included (https://docs.stripe.com/connect/direct-charges). Adyen: merchantAccount in the body
(https://docs.adyen.com/api-explorer/Checkout/72/post/payments). Mollie: a key is of one profile
(https://docs.mollie.com/reference/get-current-profile).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from payonce.domain.errors import GatewayUnavailable
from payonce.domain.exchange import Answered
from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    CredentialsRefused,
    Instruction,
    NotAllowed,
    NotWithdrawn,
    OperationKind,
)
from payonce.domain.gateway_address import Whereabouts, address_of
from payonce.domain.money import Money
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.merchants.credentials_desk import CredentialsDesk
from payonce.merchants.gateway_accounts import AccountKind, AccountSecrets
from payonce.ports import Deadline, Insert, Table, TellsAccount
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.account_stage import MERCHANT_A
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Exchange
    from payonce.ports import Gateway

GATEWAYS = [
    {"name": "stripe", "kind": "stripe"},
    {"name": "adyen", "kind": "adyen", "merchant_account": "Platform", "return_url": "https://shop.example/back"},
    {"name": "mollie", "kind": "mollie"},
]
PLATFORM_SECRETS = {
    "stripe_api_key": "sk_test_platform",
    "adyen_api_key": "platform",
    "mollie_api_key": "test_platform",
}
CONNECTED = "acct_1032D82eZvKYlo2C"
CLOCK = ManualClock()
SOON = Deadline(CLOCK.now_ms() + 8_000)


@dataclass
class Sent:
    """One request as it was sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass
class Wire:
    """Takes the place of the network: notes what is sent, and answers each request alike."""

    answer: Exchange = field(default_factory=lambda: Answered(401, {}, b'{"error": {"type": "invalid_request_error"}}'))
    sent: list[Sent] = field(default_factory=list)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """See ``DeadlineExchange``."""
        del deadline
        self.sent.append(Sent(method, url, {name.lower(): value for name, value in headers.items()}, body))
        return self.answer


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(DeadlineExchange, "send", lambda _self, *given, **named: wire.send(*given, **named))
    return wire


@pytest.fixture
def application() -> Application:
    database, cipher = MemoryDatabase(), MemoryCipher(CLOCK, lambda size: bytes(size))
    database.write([Insert(Table.MERCHANTS, {"pk": f"MERCHANT#{MERCHANT_A}", "sk": "MERCHANT", "gateway": ""})])
    settings = load_settings({"PAYONCE_GATEWAYS": json.dumps(GATEWAYS), "PAYONCE_CREDENTIALS_TABLE": "credentials"})
    application = Application(settings, clock=CLOCK, database=database, cipher=cipher)
    # Also when they are read again, after a refusal: otherwise AWS is asked, if another test has left credentials.
    application.__dict__["_read_secrets"] = lambda: PLATFORM_SECRETS
    return application


def at(application: Application, gateway: str, account: str, api_key: str | None) -> Gateway:
    """Return the gateway at an account that was just put into use, with its own key or the platform's."""
    desk = CredentialsDesk(database=application.database, cipher=lambda: application.cipher, clock=CLOCK)
    kind = AccountKind.CONNECTED if api_key is None else AccountKind.OWN
    desk.set(MERCHANT_A, gateway, account, kind, None if api_key is None else AccountSecrets(api_key))
    return application.gateway(address_of(gateway, MERCHANT_A, account))


def instruction(kind: OperationKind, **more: Any) -> Instruction:
    return Instruction(
        kind=kind,
        gateway_reference="pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA-1",
        merchant_id=MERCHANT_A,
        payment_id="pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA",
        money=Money(1000, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method="pm_card_visa",
        first_submitted_at_ms=CLOCK.now_ms(),
        customer="cus_1",
        gateway_charge_id=None if kind is OperationKind.PAYMENT else "pi_1",
        **more,
    )


def do_everything(gateway: Gateway) -> None:
    """Make every call of the port once."""
    waiting = AwaitsPayer("pi_1", "")
    for kind in sorted(gateway.capabilities.operations):
        gateway.submit(instruction(kind), SOON)
        gateway.find(instruction(kind), SOON)
    gateway.withdraw(instruction(OperationKind.PAYMENT), waiting, SOON)
    gateway.confirm(instruction(OperationKind.PAYMENT), waiting, "result", SOON)
    gateway.read_charge("pi_1", SOON)


def test_each_request_for_a_connected_account_of_stripe_names_it(application: Application, wire: Wire) -> None:
    """Fails where one call goes to the platform's account."""
    do_everything(at(application, "stripe", CONNECTED, None))
    assert len(wire.sent) > 8
    assert {each.headers.get("stripe-account") for each in wire.sent} == {CONNECTED}
    assert {each.headers["authorization"] for each in wire.sent} == {"Bearer sk_test_platform"}


def test_an_own_account_of_stripe_is_used_by_its_key_alone(application: Application, wire: Wire) -> None:
    do_everything(at(application, "stripe", CONNECTED, "rk_test_own"))
    assert {each.headers.get("stripe-account") for each in wire.sent} == {None}
    assert {each.headers["authorization"] for each in wire.sent} == {"Bearer rk_test_own"}


def test_the_platforms_requests_name_no_account(application: Application, wire: Wire) -> None:
    at(application, "stripe", CONNECTED, None)
    do_everything(application.gateway(address_of("stripe", MERCHANT_A, "")))
    assert {each.headers.get("stripe-account") for each in wire.sent} == {None}


@pytest.mark.parametrize("api_key", [None, "AQE-of-the-merchant"], ids=["by the platform's key", "by its own"])
def test_each_request_to_adyen_names_the_merchants_account(
    application: Application, wire: Wire, api_key: str | None
) -> None:
    do_everything(at(application, "adyen", "ShopECOM", api_key))
    # What has no body, such as a list of stored methods, names the account in its address.
    asked = [json.loads(each.body) if each.body else dict(parse_qsl(urlsplit(each.url).query)) for each in wire.sent]
    named = {body["merchantAccount"] for body in asked if "details" not in body}  # details name a payment
    assert named == {"ShopECOM"}
    assert {each.headers["x-api-key"] for each in wire.sent} == {api_key or "platform"}


def test_an_own_profile_of_mollie_is_used_by_its_key(application: Application, wire: Wire) -> None:
    do_everything(at(application, "mollie", "pfl_1", "test_own_key"))
    assert {each.headers["authorization"] for each in wire.sent} == {"Bearer test_own_key"}


@pytest.mark.parametrize(("gateway", "account"), [("stripe", CONNECTED), ("adyen", "ShopECOM"), ("mollie", "pfl_1")])
def test_a_refusal_of_the_credentials_is_told_from_all_else(
    application: Application, wire: Wire, gateway: str, account: str
) -> None:
    """By the vendors' 401: nothing was executed, and a question says nothing about what was asked."""
    mollie = b'{"status": 401, "title": "Unauthorized Request", "detail": "Missing authentication"}'
    wire.answer = Answered(401, {}, mollie if gateway == "mollie" else b'{"error": {}, "errorCode": "000"}')
    own = "rk_test_own" if gateway == "stripe" else "test_own_key"
    made = at(application, gateway, account, own)
    assert isinstance(made.submit(instruction(OperationKind.REFUND), SOON), CredentialsRefused)
    if made.capabilities.reads_charges:
        assert isinstance(made.read_charge("tr_1", SOON), NotAllowed)
        waiting = AwaitsPayer("tr_1", "open")
        # Behind the gateway that renews, a withdrawal that stays refused is no answer.
        assert made.withdraw(instruction(OperationKind.PAYMENT), waiting, SOON) == waiting
        assert isinstance(made._inner.withdraw(instruction(OperationKind.PAYMENT), waiting, SOON), NotWithdrawn)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("gateway", "body"), [("stripe", {"id": CONNECTED, "object": "account"}), ("mollie", {"id": "pfl_1"})]
)
def test_a_key_tells_whose_it_is(application: Application, wire: Wire, gateway: str, body: dict[str, str]) -> None:
    wire.answer = Answered(200, {}, json.dumps(body).encode())
    candidate = application.merchant_gateways.candidate(gateway, body["id"], "sk_test_own")
    assert isinstance(candidate, TellsAccount)
    assert candidate.account_of_key(SOON) == body["id"]
    assert [(each.method, each.url.rpartition("/v")[2]) for each in wire.sent] == [
        ("GET", {"stripe": "1/account", "mollie": "2/profiles/me"}[gateway])
    ]
    wire.answer = Answered(401, {}, b'{"error": {"message": "Invalid API Key provided: sk_test_own"}}')
    with pytest.raises(GatewayUnavailable) as refused:
        candidate.account_of_key(SOON)
    assert "sk_test_own" not in repr(refused.value)


def test_an_event_that_names_a_connected_account_and_nothing_of_ours_is_asked_about_there(
    application: Application, wire: Wire
) -> None:
    gateway = application.merchant_gateways.gateway(Whereabouts("stripe", account=CONNECTED))
    gateway.read_charge("pi_1", SOON)
    assert wire.sent[0].headers["stripe-account"] == CONNECTED
