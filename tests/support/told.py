"""What a world's answers and reads tell, in the form in which tests compare it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.payments import payment_reads
from tests.support.world import MERCHANT

if TYPE_CHECKING:
    from payonce.idempotency.records import KeyedResponse
    from tests.support.world import World

MINUTE_MS = 60_000


def body(answer: KeyedResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.response.body)
    return document


def payment_id(answer: KeyedResponse) -> str:
    return answer.response.headers["location"].split("/")[-1]


def history(world: World, identity: str) -> list[str]:
    entries = payment_reads.get_history(world.services, MERCHANT, identity)["data"]
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    return [entry["type"] for entry in entries]


def balances(world: World) -> dict[str, int]:
    found = payment_reads.get_balances(world.services, MERCHANT)["data"]
    assert sum(line["balance_minor"] for line in found) == 0
    return {line["account"]: line["balance_minor"] for line in found if line["balance_minor"]}
