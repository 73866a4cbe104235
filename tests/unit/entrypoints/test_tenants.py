"""One merchant never sees, replays or blocks what is another's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.disputes import store_dispute
from tests.support.events import PAYMENT, call
from tests.support.setups import saved_method, store_method, store_setup, waiting_setup
from tools.make_events import PATH_IDS

if TYPE_CHECKING:
    from payonce.wiring.application import Application


def document(answer: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(answer["body"])
    return read


def test_the_same_key_of_two_merchants_is_two_keys(application: Application) -> None:
    """Fails (a replay, or 422) when the edge or the record's id leaves the merchant out."""
    mine = call(application, "create_payment", merchant_id="mer_1")
    theirs = call(application, "create_payment", {**PAYMENT, "amount_minor": 7}, merchant_id="mer_2")
    assert (mine["statusCode"], theirs["statusCode"]) == (201, 201)
    assert theirs["headers"]["Idempotency-Replayed"] == "false"
    assert document(mine)["id"] != document(theirs)["id"]


@pytest.mark.parametrize(
    "operation", ["get_payment", "get_payment_history", "capture_payment", "cancel_payment", "refund_payment"]
)
def test_another_merchants_payment_is_not_there(application: Application, operation: str) -> None:
    """Fails when the merchant is left out of the key of a payment."""
    path = {"payment_id": document(call(application, "create_payment"))["id"]}
    found = {
        merchant_id: call(application, operation, None, path=path, merchant_id=merchant_id)["statusCode"]
        for merchant_id in ("mer_2", "mer_1")
    }
    assert found["mer_2"] == 404
    assert found["mer_1"] != 404


def test_another_merchants_disputes_are_not_there(application: Application) -> None:
    """Fails when the merchant is left out of the key of a dispute, or of the partition of their list."""
    store_dispute(application.database, "mer_1")
    paths = {
        "get_dispute": {"dispute_id": PATH_IDS["dispute_id"]},
        "list_payment_disputes": {"payment_id": PATH_IDS["payment_id"]},
    }
    for operation, path in paths.items():
        assert call(application, operation, None, path=path, merchant_id="mer_2")["statusCode"] == 404
        assert call(application, operation, None, path=path, merchant_id="mer_1")["statusCode"] == 200
    assert document(call(application, "list_disputes", None, merchant_id="mer_2"))["data"] == []
    assert len(document(call(application, "list_disputes", None, merchant_id="mer_1"))["data"]) == 1


def test_another_merchants_setups_and_saved_methods_are_not_there(application: Application) -> None:
    """Fails when the merchant is left out of the key of a set-up or a saved method, or of a customer's partition."""
    # Another set-up has saved the method: this one still waits.
    setup_id, method_id = PATH_IDS["setup_id"], PATH_IDS["payment_method_id"][:-1] + "T"
    store_setup(application.database, waiting_setup("mer_1", setup_id, customer="customer-7"))
    store_method(application.database, saved_method("mer_1", method_id, customer="customer-7"))
    paths = {
        "get_setup": {"setup_id": setup_id},
        "confirm_setup": {"setup_id": setup_id},
        "cancel_setup": {"setup_id": setup_id},
        "get_payment_method": {"payment_method_id": method_id},
        "revoke_payment_method": {"payment_method_id": method_id},
    }
    for operation, path in paths.items():
        body = {"payment_result": "ok"} if operation == "confirm_setup" else None
        found = [
            call(application, operation, body, path=path, merchant_id=merchant_id)["statusCode"]
            for merchant_id in ("mer_2", "mer_1")
        ]
        assert found[0] == 404, operation
        assert found[1] in {200, 201, 409}, operation  # 409: the set-up is confirmed by now
    query = {"customer": "customer-7"}
    for operation, listed in (("list_setups", 1), ("list_payment_methods", 2)):
        assert document(call(application, operation, None, merchant_id="mer_2", query=query))["data"] == []
        assert len(document(call(application, operation, None, merchant_id="mer_1", query=query))["data"]) == listed


def test_another_merchants_saved_method_is_not_charged(application: Application) -> None:
    """Fails (a charge to a stranger's card) when a payment's method is looked up without its merchant."""
    method_id = PATH_IDS["payment_method_id"]
    store_method(application.database, saved_method("mer_1", method_id))
    body = {**PAYMENT, "payment_method": method_id, "off_session": True}
    refused = call(application, "create_payment", body, merchant_id="mer_2")
    assert (refused["statusCode"], document(refused)["detail"]) == (
        400,
        "The request is not valid. /payment_method: There is no such saved payment method.",
    )
    assert application.gateway("bank").submissions == []  # type: ignore[attr-defined]
    assert call(application, "create_payment", body, merchant_id="mer_1")["statusCode"] == 201


def test_lists_and_balances_are_ones_own(application: Application) -> None:
    """Fails when the merchant is left out of the partition of the balances or of the list."""
    call(application, "create_payment")
    for operation in ("list_payments", "get_balances"):
        assert document(call(application, operation, None, merchant_id="mer_2"))["data"] == []
        assert document(call(application, operation, None, merchant_id="mer_1"))["data"] != []
