"""What a client is told when storage fails: a 503 is certain, a 504 is not, and a defect is a 500 that is logged."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import OutcomeUnknown, StoreRequestInvalid, StoreUnavailable
from payonce.domain.gateway import OperationKind
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.persistence import with_powertools
from payonce.ports import Table
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.breaks import store_break, store_proposal
from tests.support.events import call
from tests.support.faulty_database import FaultyDatabase
from tests.support.recovery import recover
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Write

ALWAYS = 200
BREAK_ID = "brk_" + "b7" * 32


class Shop:
    """The application on a faulty database; pauses pass at once."""

    def __init__(self) -> None:
        self.database, self.clock = FaultyDatabase(), ManualClock()
        self.gateway = ScriptedGateway(self.clock)
        self.cipher, self.workflows = MemoryCipher(self.clock, os.urandom), MemoryWorkflows()
        self.application = Application(
            load_settings({}),
            clock=self.clock,
            database=self.database,
            gateways={"bank": self.gateway},
            cipher=self.cipher,
            workflows=self.workflows,
        )
        self.application.__dict__["engine"] = IdempotencyEngine(
            store=self.application.store,
            settings=self.application.settings.idempotency,
            clock=self.clock,
            sleep=self.clock.sleep,
            flow=with_powertools,
        )


@pytest.fixture
def shop() -> Shop:
    return Shop()


def said(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["statusCode"], json.loads(answer["body"])["type"].rpartition(":")[2]


def test_a_503_and_a_504_are_told_apart(shop: Shop) -> None:
    """Fails when both have one status: who falls back on a 503 would fall back on what is being executed."""
    shop.database.script = ["refused"]
    certain = call(shop.application, "create_payment")
    assert said(certain) == (503, "store-unavailable")
    assert "nothing was written" in certain["body"]
    shop.database.script = ["lost"] * ALWAYS
    unknown = call(shop.application, "create_payment")
    assert said(unknown) == (504, "outcome-unknown")
    problem = json.loads(unknown["body"])
    assert problem["retryable"] is True
    assert "Retry with the same key" in problem["detail"]
    assert "another provider" in problem["detail"]
    assert unknown["headers"]["Retry-After"] == "1"
    assert "nothing was" not in unknown["body"].lower()


@pytest.mark.parametrize("at", [1, 2])
def test_a_request_that_the_database_never_takes_is_a_logged_500_and_not_tried_again(
    shop: Shop, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    """DynamoDB's ValidationException, at the claim and at the commit. Fails when it is 503, retry, for ever."""

    def invalid(writes: Sequence[Write]) -> None:
        numbers.append(len(writes))
        if len(numbers) == at:
            raise StoreRequestInvalid("The database refused a request that is not valid (ValidationException).")
        write(writes)

    numbers: list[int] = []
    write = shop.database.write
    shop.database.write = invalid  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        answer = call(shop.application, "create_payment")
    assert said(answer) == (500, "internal")
    assert "same key" in answer["body"]
    assert "nothing was" not in answer["body"].lower()
    assert len(numbers) == at
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["invalid request"]
    assert len(shop.gateway.succeeded(OperationKind.PAYMENT)) == at - 1
    shop.clock.ms += 40_000
    recover(shop.application)
    assert call(shop.application, "create_payment")["statusCode"] == 201
    assert len(shop.gateway.succeeded(OperationKind.PAYMENT)) == 1


def test_an_answer_that_can_not_be_opened_is_not_called_not_executed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint is made, and the key service does not open its answer. Fails when that is a 503."""

    def fails(*_: Any) -> bytes:
        raise StoreUnavailable("The key service did not open the data key.")

    with monkeypatch.context() as patched:
        patched.setattr(shop.cipher, "open", fails)
        answer = call(shop.application, "create_webhook_endpoint", {"url": "https://hooks.example.com/"})
    assert said(answer) == (504, "outcome-unknown")
    assert _endpoints(shop) == 1
    again = call(shop.application, "create_webhook_endpoint", {"url": "https://hooks.example.com/"})
    assert again["statusCode"] == 201
    assert _endpoints(shop) == 1


def _endpoints(shop: Shop) -> int:
    return sum("ENDPOINT#" in sort_key for _, sort_key in shop.database._tables[Table.ENDPOINTS])


def test_a_decision_whose_workflow_was_not_told_is_not_called_not_executed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when it is a 503, or when the key is held until recovery: the repetition is what tells the workflow."""
    case = store_break(shop.database, "mer_1", BREAK_ID, shop.clock.ms, "pay_00000000000000000000000001")
    store_proposal(shop.database, case)

    def untold(_token: str) -> None:
        raise OutcomeUnknown("The decision is stored, but its workflow may not have been told.")

    asked: dict[str, Any] = {"body": {"proposal_version": 1}, "path": {"break_id": BREAK_ID}, "key_id": "key_2"}
    with monkeypatch.context() as patched:
        patched.setattr(shop.workflows, "decided", untold)
        assert said(call(shop.application, "approve_correction", **asked)) == (504, "outcome-unknown")
    answer = call(shop.application, "approve_correction", **asked)
    assert (answer["statusCode"], json.loads(answer["body"])["status"]) == (200, "approved")
