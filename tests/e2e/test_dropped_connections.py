"""Connections that break at every stage before the deployed API and the deployed gateway: one execution per key.

``PAYONCE_DROPS=1000`` makes as many tries as that (``make dropped-connections``).
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.dropping import Asked, drop

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from local.stack import Stack

ATTEMPTS = int(os.environ.get("PAYONCE_DROPS", "60"))
# The local cloud runs a few environments at once and throttles the rest; 202: the bank was too slow on a busy machine.
AGAIN = frozenset({202, 409, 429, 500, 502, 503, 504})


def headers(api_key: str, key: str) -> Mapping[str, str]:
    """Return the headers of a request to the API or the gateway."""
    return {"Authorization": f"Bearer {api_key}", "X-Idempotency-Key": key, "Content-Type": "application/json"}


def test_the_api_charges_once_per_key(stack: Stack) -> None:
    """The bank, which ignores keys, is asked what it has booked for the token of each key."""
    api_key = stack.create_merchant("Cut off")[1]

    def payment(key: str, _: random.Random) -> Asked:
        body = {"amount_minor": 700, "currency": "EUR", "payment_method": f"pm_{key}"}
        return Asked("/payments", json.dumps(body).encode(), headers(api_key, key), again=AGAIN)

    def charges(keys: Sequence[str]) -> Mapping[str, int]:
        return {key: len(stack.bank.charges(payment_method=f"pm_{key}")) for key in keys}

    found = drop([stack.api_url], ATTEMPTS, uuid.uuid4().hex[:8], charges, payment)
    print(f"API: {found.attempts} tries, {dict(found.cut)} cut, {found.seconds:.1f} s")  # noqa: T201


def test_the_gateway_executes_once_per_key(stack: Stack) -> None:
    """The receiver behind the gateway knows nothing of keys, and counts."""
    api_key, path = stack.create_merchant("Cut off behind the gateway")[1], f"/orders-{uuid.uuid4().hex}"
    outputs = stack.outputs
    url = f"{stack.endpoint_url}/_aws/execute-api/{outputs['ProxyApiId']}/{outputs['StageName']}"

    def sent(key: str, _: random.Random) -> Asked:
        return Asked(f"/proxy{path}", json.dumps({"order": key}).encode(), headers(api_key, key), 200, AGAIN)

    def executions(_: Sequence[str]) -> Mapping[str, int]:
        return Counter(json.loads(one.body)["order"] for one in stack.receiver.received(path))

    found = drop([url], ATTEMPTS, uuid.uuid4().hex[:8], executions, sent)
    print(f"gateway: {found.attempts} tries, {dict(found.cut)} cut, {found.seconds:.1f} s")  # noqa: T201
