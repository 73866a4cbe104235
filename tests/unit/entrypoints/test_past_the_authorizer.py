"""A function that is called past API Gateway's authorizer does nothing: whoever may invoke it is not yet a merchant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.ports import Table
from tests.support.events import Context, event
from tests.support.webhook_api import items_of

if TYPE_CHECKING:
    from payonce.stores.memory import MemoryDatabase
    from payonce.wiring.application import Application

IDS = {"payment_id": "pay_1", "endpoint_id": "we_1", "break_id": "brk_1", "idempotency_key": "0123456789abcdef"}


@pytest.mark.parametrize("missing", ["authorizer", "merchant_id", "requestContext"])
@pytest.mark.parametrize("operation", sorted(ROUTES))
def test_without_an_authorizers_word_nothing_is_done(operation: str, missing: str, application: Application) -> None:
    """Fails when a route takes the merchant from anywhere else, or works without one."""
    asked = event({"merchant_id": "mer_1"}, path=IDS, headers={"merchant_id": "mer_1"})
    context = asked["requestContext"]
    if missing == "requestContext":
        del asked["requestContext"]
    elif missing == "authorizer":
        del context["authorizer"]
    else:
        del context["authorizer"]["merchant_id"]
    answer = serve(ROUTES[operation], application, asked, Context())
    assert (answer["statusCode"], json.loads(answer["body"])["type"]) == (401, "urn:payonce:problem:unauthenticated")
    database: MemoryDatabase = application.database  # type: ignore[assignment]
    assert not any(items_of(database, table) for table in Table)
