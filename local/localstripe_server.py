"""localstripe, a stateful fake of Stripe that ignores idempotency keys, patched where it deviates from Stripe's API.

``python -m local.localstripe_server --port N``, or ``with running_localstripe() as url``. The adapter's requests are
made for Stripe, so the fake is patched rather than the adapter. docs/adr/0004 lists the patches.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import functools
import json
import operator
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from local.own_process import running_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
TEST_KEY = "sk_test_12345"
OPERATOR_TIMEOUT_SECONDS = 10
ALL = 1_000_000  # a page size, for which localstripe has no upper limit
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000341"
AUTHENTICATION_CARD = "4000002500003155"
GOOD_ACCOUNT = "DE89370400440532013000"
FAILING_ACCOUNT = "DE62370400440532013001"
SETTLEMENT_SECONDS = 0.5  # localstripe's own for debits that fail
_COMPARISONS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def teach() -> None:
    """Patch localstripe in this process to behave like Stripe where payonce depends on it."""
    from localstripe import resources

    # Without this it would write a pickle in the system's temporary folder, shared by all instances, at every change.
    resources.Store.dump_to_disk = lambda _store: None
    _teach_creation(resources)
    _teach_debits(resources)
    _teach_disputes(resources)
    _teach_listing(resources)
    _teach_capture_and_cancel(resources)
    _teach_amounts(resources)
    _teach_refunds(resources)
    from local.localstripe_setups import teach_saving  # the import itself needs localstripe

    teach_saving()


def _teach_creation(resources: Any) -> None:
    """Patch creation to Stripe's rules for methods and payers.

    ``error_on_requires_action`` fails the attempt, a ``return_url`` makes the action a redirect unless an SDK is asked
    for, and a token of another method than ``payment_method_types`` names is refused. ``automatic_payment_methods`` is
    ignored.
    """
    from localstripe.errors import UserError

    create = resources.PaymentIntent._api_create

    def api_create(
        _cls: Any,
        /,
        error_on_requires_action: str = "false",
        automatic_payment_methods: Any = None,
        return_url: str | None = None,
        use_stripe_sdk: str = "false",
        **data: Any,
    ) -> Any:
        named = data.get("payment_method_types")
        if named and resources.PaymentMethod._api_retrieve(data["payment_method"]).type not in named:
            raise UserError(400, "It is another method.", {"code": "payment_intent_incompatible_payment_method"})
        intent = create(**data)
        if error_on_requires_action == "true" and intent.status == "requires_action":
            intent.next_action = intent.payment_method = None
            intent._authentication_failed = True
            raise UserError(402, "Authentication is required.", {"code": "authentication_required"})
        if intent.status == "requires_action" and return_url and use_stripe_sdk != "true":
            target = {"url": f"https://hooks.stripe.example/authenticate/{intent.id}", "return_url": return_url}
            intent.next_action = {"type": "redirect_to_url", "redirect_to_url": target}
        return intent

    resources.PaymentIntent._api_create = classmethod(api_create)


def _teach_debits(resources: Any) -> None:
    """Patch debits to be pending until they are settled: localstripe lets those that succeed do so at once."""
    initialize = resources.Charge._initialize_charge

    def initialize_later(charge: Any, *callbacks: Any, **named: Any) -> None:
        async def settle() -> None:
            await asyncio.sleep(SETTLEMENT_SECONDS)
            initialize(charge, *callbacks, **named)

        if charge._authorized and charge._is_async_payment_method():
            charge._settlement = asyncio.ensure_future(settle())
        else:
            initialize(charge, *callbacks, **named)

    resources.Charge._initialize_charge = initialize_later


def _teach_disputes(resources: Any) -> None:
    """Add the listing of disputes, of which there are none."""

    def list_disputes(payment_intent: str, limit: str | None = None) -> Any:
        resources.PaymentIntent._api_retrieve(payment_intent)  # to answer 404 for one that is not there
        return resources.List("/v1/disputes", limit=limit)

    resources.extra_apis.append(("GET", "/v1/disputes", list_disputes))


def _teach_listing(resources: Any) -> None:
    """Patch listing: ``created`` filters, and the newest object comes first, as everywhere at Stripe."""
    list_all = resources.PaymentIntent._api_list_all

    def api_list_all(_cls: Any, /, url: str, created: dict[str, str] | None = None, **data: Any) -> Any:
        page = list_all(url, **data)
        bounds = [(_COMPARISONS[name], int(value)) for name, value in (created or {}).items()]
        chosen = [intent for intent in page._list if all(holds(intent.created, bound) for holds, bound in bounds)]
        page._list = chosen[::-1]
        return page

    resources.PaymentIntent._api_list_all = classmethod(api_list_all)


def _teach_capture_and_cancel(resources: Any) -> None:
    """Patch captures to store ``metadata``, and both calls to fail with Stripe's code in a state that forbids them."""
    from localstripe.errors import UserError

    def refused_outside(states: set[str], method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(id: str, **data: Any) -> Any:
            intent = resources.PaymentIntent._api_retrieve(id)
            if intent.status not in states:
                raise UserError(400, f"It is {intent.status}.", {"code": "payment_intent_unexpected_state"})
            return method(id=id, **data)

        return call

    capture = resources.PaymentIntent._api_capture

    def capture_with_metadata(id: str, metadata: dict[str, str] | None = None, **data: Any) -> Any:
        intent = capture(id=id, **data)
        intent.metadata = {**intent.metadata, **(metadata or {})}
        return intent

    waiting = {"requires_payment_method", "requires_capture", "requires_confirmation", "requires_action"}
    taught = {
        "/v1/payment_intents/{id}/capture": refused_outside({"requires_capture"}, capture_with_metadata),
        "/v1/payment_intents/{id}/cancel": refused_outside(waiting, resources.PaymentIntent._api_cancel),
    }
    resources.extra_apis[:] = [(method, path, taught.get(path, call)) for method, path, call in resources.extra_apis]


def _teach_amounts(resources: Any) -> None:
    """Patch ``amount_received`` to the amount captured: localstripe books the rest of a partial capture as a refund."""

    def amount_received(intent: Any) -> int:
        charge = intent.latest_charge
        if intent.status != "succeeded":
            return 0
        freed = sum(int(refund.amount) for refund in charge.refunds._list if refund.payment_intent is None)
        return int(charge.amount) - freed

    resources.PaymentIntent.amount_received = property(amount_received)


def _teach_refunds(resources: Any) -> None:
    """Patch refunds to give back no more than was captured; Stripe has an error code only if nothing is left."""
    from localstripe.errors import UserError

    create = resources.Refund._api_create

    def api_create(_cls: Any, /, payment_intent: str | None = None, amount: Any = None, **data: Any) -> Any:
        if payment_intent is not None:
            intent = resources.PaymentIntent._api_retrieve(payment_intent)
            refunds = [refund for refund in intent.latest_charge.refunds._list if refund.payment_intent is not None]
            left = intent.amount_received - sum(int(refund.amount) for refund in refunds)
            amount = int(amount or left)
            if amount > left:
                said = {"param": "amount"} if left else {"code": "charge_already_refunded"}
                raise UserError(400, "It was refunded before.", said)
            data["payment_intent"] = payment_intent
        return create(amount=amount, **data)

    resources.Refund._api_create = classmethod(api_create)


def serve(port: int) -> None:
    """Serve on loopback until stopped; print the URL once requests are accepted."""
    teach()
    from aiohttp import web
    from localstripe.server import app

    sock = socket.create_server((HOST, port))
    print(f"http://{HOST}:{sock.getsockname()[1]}", flush=True)
    web.run_app(app, sock=sock, access_log=None, print=None)


@contextmanager
def running_localstripe(port: int = 0) -> Iterator[str]:
    """Run localstripe in its own process and yield its URL; stop it and drop its data at the end in any case."""
    with running_module("local.localstripe_server", "--port", str(port)) as url:
        yield url


def call(url: str, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
    """Call the fake with the operator's key and return the JSON of its answer."""
    body = urlencode(data).encode() if data else None
    request = Request(url + path, data=body, method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{TEST_KEY}:".encode()).decode())
    with urlopen(request, timeout=OPERATOR_TIMEOUT_SECONDS) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def make_payment_method(url: str, number: str = GOOD_CARD) -> str:
    """Return a new payment method token for one of Stripe's test cards."""
    card = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"}
    identity: str = call(url, "POST", "/v1/payment_methods", {"type": "card", **card})["id"]
    return identity


def make_bank_account(url: str, iban: str = GOOD_ACCOUNT) -> str:
    """Return a new payment method token for one of Stripe's test accounts, whose debits settle a moment later."""
    identity: str = call(url, "POST", "/v1/payment_methods", {"type": "sepa_debit", "sepa_debit[iban]": iban})["id"]
    return identity


def make_customer(url: str) -> str:
    """Return a new customer."""
    identity: str = call(url, "POST", "/v1/customers", {"description": "A customer"})["id"]
    return identity


def authenticate(url: str, intent_id: str, *, success: bool) -> None:
    """Let the payer of an intent, of a payment or a set-up, that requires action authenticate, or fail to."""
    path = f"/v1/{'setup' if intent_id.startswith('seti_') else 'payment'}_intents/{intent_id}"
    form = {"success": str(success).lower(), "client_secret": call(url, "GET", path)["client_secret"]}
    call(url, "POST", f"{path}/_authenticate", form)


def all_intents(url: str) -> list[dict[str, Any]]:
    """Return all payment intents, the newest first."""
    rows: list[dict[str, Any]] = call(url, "GET", f"/v1/payment_intents?limit={ALL}")["data"]
    return rows


def all_refunds(url: str) -> list[dict[str, Any]]:
    """Return all refunds that were requested, without those that partial captures caused."""
    rows: list[dict[str, Any]] = call(url, "GET", f"/v1/refunds?limit={ALL}")["data"]
    return [row for row in rows if row["payment_intent"] is not None]


def executed(url: str, reference: str) -> list[dict[str, Any]]:
    """Return the objects that prove an execution under payonce's ``reference``; there must never be two.

    These are charges that moved or hold money, and refunds. A capture is found by its mark on the payment intent.
    """
    charged = [intent for intent in all_intents(url) if intent["status"] in {"succeeded", "requires_capture"}]
    return [
        row
        for row in [*charged, *all_refunds(url)]
        if reference in (row["metadata"].get("payonce_reference"), row["metadata"].get("payonce_capture_reference"))
    ]


def charges_of(url: str, payment_method: str) -> list[dict[str, Any]]:
    """Return the payment intents that hold or took money with this token."""
    return [
        intent
        for intent in all_intents(url)
        if intent["payment_method"] == payment_method and intent["status"] in {"succeeded", "requires_capture"}
    ]


def count_executed(url: str, payment_method: str, kind: str) -> int:
    """Return the number of operations of ``kind`` (payment, capture, void, refund) executed with this token."""
    if kind == "payment":
        return len(charges_of(url, payment_method))
    mine = [intent for intent in all_intents(url) if intent["payment_method"] == payment_method]
    if kind == "refund":
        ids = {intent["id"] for intent in mine}
        return sum(refund["payment_intent"] in ids for refund in all_refunds(url))
    wanted = "canceled" if kind == "void" else "succeeded"
    return sum(intent["status"] == wanted for intent in mine)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run localstripe, taught what payonce needs, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    serve(parser.parse_args().port)
