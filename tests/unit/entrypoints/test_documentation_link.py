"""Where the operator has published the page of problem types, problems link to it; else they link to nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.proxy.messages import ProxyRequest
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.proxy import make_service
from tests.support.events import call
from tests.support.proxy import configuration, parsed

if TYPE_CHECKING:
    from payonce.wiring.application import Application

PAGE = "https://pay.example.org/problems"


def document(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


@pytest.mark.parametrize("page", [PAGE, ""])
def test_what_the_api_refuses_has_the_link(
    application: Application, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal, and an unforeseen error. Fails when the setting does not reach the edge."""
    application.settings = replace(application.settings, documentation_url=page)
    refused = document(call(application, "create_payment", key=None))
    monkeypatch.setattr(application.database, "query", lambda *_, **__: 1 // 0)
    failed = document(call(application, "list_payments", None))
    for slug, problem in (("key-missing", refused), ("internal", failed)):
        assert problem["type"] == f"urn:payonce:problem:{slug}"
        assert problem.get("documentation", "") == (f"{page}#{slug}" if page else "")


def test_what_is_stored_has_none_and_is_replayed_as_it_was(application: Application) -> None:
    """Fails when a stored answer holds a setting: replays would differ from page to page, or link to an old one."""
    application.gateway("bank").script = ["decline"]  # type: ignore[attr-defined]
    answers = []
    for page in (PAGE, "https://pay.example.org/moved"):
        application.settings = replace(application.settings, documentation_url=page)
        answers.append(call(application, "create_payment"))
    assert [answer["statusCode"] for answer in answers] == [402, 402]
    assert answers[0]["body"] == answers[1]["body"]
    assert "documentation" not in document(answers[0])


@pytest.mark.parametrize("page", [PAGE, ""])
def test_what_the_proxy_refuses_has_the_link(page: str) -> None:
    service = make_service(
        parsed(configuration("http://127.0.0.1:9")),
        DatabaseIdempotencyStore(MemoryDatabase()),
        documentation_url=page,
    )
    answer = service.handle(ProxyRequest(method="POST", target="/orders", lines=(), body=b""))
    problem = json.loads(answer.body)
    slug = problem["type"].rpartition(":")[2]
    assert answer.status in {400, 403}
    assert problem.get("documentation", "") == (f"{page}#{slug}" if page else "")
