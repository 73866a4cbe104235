"""The catalogue of events has every event, with the payload that the code really sends."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from payonce.domain.endpoint import EVENT_TYPES
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.entrypoints.event_catalogue import TEXTS, webhooks
from payonce.entrypoints.openapi import build_openapi
from payonce.outbox import opened
from payonce.ports import Table
from tests.support.disputes import store_dispute
from tests.support.holding import HoldingGateway
from tests.support.world import MERCHANT, World


def test_every_event_has_a_text_and_a_payload() -> None:
    assert set(TEXTS) == set(EVENT_TYPES) == set(webhooks())


def sent() -> dict[str, Any]:
    """Return an event of each type that a short story makes, by type."""
    world = World()
    world.gateway = gateway = HoldingGateway(world.clock)

    def created(key: str, method: str = "pm_visa", capture: CaptureMethod = CaptureMethod.AUTOMATIC) -> str:
        answer = json.loads(world.create(key, payment_method=method, capture=capture).response.body)
        return str(answer.get("payment", answer)["id"])

    paid, held = created("key-1"), created("key-2", capture=CaptureMethod.MANUAL)
    world.follow_up(OperationKind.REFUND, paid, "key-3", 400)
    gateway.receives = True
    world.follow_up(OperationKind.REFUND, paid, "key-4")
    world.follow_up(OperationKind.CAPTURE, held, "key-5")
    gateway.receives = False
    created("key-6", "pm_debit")
    created("key-7", "pm_3ds")
    gateway.script = ["decline", "lost"]
    created("key-8")
    created("key-9")
    world.follow_up(OperationKind.VOID, created("key-10", capture=CaptureMethod.MANUAL), "key-11")
    store_dispute(world.database, MERCHANT)
    events = {}
    for item in world.database._tables[Table.OUTBOX].values():  # type: ignore[attr-defined]
        event = opened(item)
        events[event["event_type"]] = json.loads(event["body"])
    return events


EVENTS = sent()


def test_the_story_has_events_of_every_kind_of_payload() -> None:
    assert {name.partition(".")[0] for name in EVENTS} == {"payment", "capture", "void", "refund", "dispute"}
    assert len(EVENTS) >= 10


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_what_is_sent_is_what_the_catalogue_says(event_type: str) -> None:
    """The validator is not ours: https://json-schema.org/draft/2020-12 is the dialect of OpenAPI 3.1."""
    document = build_openapi()
    content = document["webhooks"][event_type]["post"]["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    jsonschema_rs.validate(schema, EVENTS[event_type])
    wrong = {**EVENTS[event_type], "data": {**EVENTS[event_type]["data"], "status": "nonsense"}}
    assert not jsonschema_rs.is_valid(schema, wrong)
