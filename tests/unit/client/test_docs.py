"""The examples of docs/client.md are run as they stand there, and its tables are held to the code."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import payonce.client
from payonce.client import ClientError, Misused, NothingExecuted, errors
from payonce.client.attempts import MIN_ATTEMPT_SECONDS
from payonce.client.backoff import MAX_RETRY_AFTER_SECONDS, Backoff
from payonce.client.journal import DAY_SECONDS, DEFAULT_KEEP_SECONDS, DEFAULT_KEY_LIFETIME_SECONDS
from payonce.client.settings import DEFAULT_ATTEMPT_TIMEOUT_SECONDS, DEFAULT_TIMEOUT_SECONDS
from payonce.idempotency.window import IdempotencySettings
from payonce.webhooks.signing import HmacKey, webhook_headers
from tests.support.aws import REPOSITORY
from tests.support.client import API_KEY, URL, Stage, answer, created, problem

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = (REPOSITORY / "docs/client.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the document's Python blocks define, run in order in a folder of their own."""
    monkeypatch.setenv("PAYONCE_API_URL", URL)
    monkeypatch.setenv("PAYONCE_API_KEY", API_KEY)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/client.md", "exec"), names)  # noqa: S102
    return names


def play(examples: dict[str, Any], *steps: Any) -> Stage:
    """Let the examples' client get these answers, in virtual time."""
    stage = Stage(list(steps))
    examples["client"] = stage.client(intents=examples["journal"])
    return stage


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 7


def test_charging(examples: dict[str, Any]) -> None:
    charge = examples["charge"]
    stage = play(examples, httpx.ReadTimeout("lost"))
    assert charge("order-17", 1050, "pm_visa") == "not known yet"
    assert examples["left_open"]() == [("create_payment", "order-17")]
    stage.steps = [created(replayed=True)]
    assert charge("order-17", 1050, "pm_visa") == "captured"
    assert examples["left_open"]() == []
    assert len(set(stage.sent_keys())) == 1
    stage.steps = [problem("declined", 402, retryable=False, code="expired_card")]
    assert charge("order-18", 1050, "pm_visa") == "declined: expired_card"
    stage.steps = [problem("invalid-request", 400, retryable=False)]
    assert charge("order-19", 0, "pm_visa") == "not charged: The invalid-request."


def test_charging_for_ever(examples: dict[str, Any]) -> None:
    play(examples, *[httpx.ConnectError("down")] * 500, created())
    assert examples["charge_for_ever"]("order-17", 1050, "pm_visa")["status"] == "captured"


def test_lists(examples: dict[str, Any]) -> None:
    pages = [{"object": "list", "data": [{"captured_minor": n}], "next_cursor": c} for n, c in ((5, "c"), (7, None))]
    stage = play(examples, *[answer(200, page) for page in pages])
    assert examples["captured_minor"]("order-17") == 12
    assert stage.sent[1].url.params["reference"] == "order-17"


def test_asyncio(examples: dict[str, Any]) -> None:
    stage = Stage([answer(201, {"object": "refund", "status": "succeeded"})])
    examples["AsyncClient"] = lambda _url, _key, intents: stage.async_client(intents=intents)
    assert asyncio.run(examples["refund"]("pay_1", "return-3")) == "succeeded"


def test_webhooks(examples: dict[str, Any]) -> None:
    secret, body = HmacKey(bytes(range(32))), b'{"type":"payment.captured"}'
    headers = webhook_headers("evt_1", int(time.time()), body, [secret])
    assert examples["event_of"](headers, body, secret.text()) == {"type": "payment.captured"}
    assert examples["event_of"](headers, body + b" ", secret.text()) == 401


def test_a_proxy(examples: dict[str, Any]) -> None:
    client = examples["behind_a_proxy"]("http://127.0.0.1:9")
    transport: Any = client._http._transport_for_url(httpx.URL(URL))
    assert transport._pool._proxy_url.port == 9
    assert not client._settings.own_http


def test_the_table_names_every_error() -> None:
    table = DOCUMENT[DOCUMENT.index("## What is certain") : DOCUMENT.index("## Retries")]
    named = set(re.findall(r"`([A-Z]\w+)`", table))
    public = {name for name in payonce.client.__all__ if isinstance(getattr(payonce.client, name), type)}
    assert {name for name in public if issubclass(getattr(payonce.client, name), ClientError)} <= named
    rows = re.findall(r"^\| (.*?) \|.*nothing was sent", table, re.MULTILINE)
    [misused] = [re.findall(r"`(\w+)`", row) for row in rows]
    assert {getattr(errors, name) for name in misused} == {Misused, *Misused.__subclasses__()}
    certain = re.search(r"All of them are `ClientError`\. (.*?) are `NothingExecuted`", table, re.DOTALL)
    assert certain is not None
    found = {getattr(errors, name) for name in re.findall(r"`(\w+)`", certain[1])}
    assert found == {*NothingExecuted.__subclasses__(), *errors.Refused.__subclasses__()}


def test_the_figures_are_the_codes() -> None:
    assert f"{DEFAULT_TIMEOUT_SECONDS:.0f} by default, `None` for ever" in DOCUMENT
    assert re.search(rf"one attempt, {DEFAULT_ATTEMPT_TIMEOUT_SECONDS:.0f} by\s+default", DOCUMENT)
    assert f"from {Backoff().base_seconds} s to {Backoff().max_seconds:.0f} s" in DOCUMENT
    assert f"after {DEFAULT_KEEP_SECONDS // DAY_SECONDS} days" in DOCUMENT
    assert f"for {DEFAULT_KEY_LIFETIME_SECONDS // DAY_SECONDS} days by default" in DOCUMENT
    assert (MAX_RETRY_AFTER_SECONDS, MIN_ATTEMPT_SECONDS) == (3600, 1)


def test_the_journals_lifetime_is_the_apis_window_and_guard() -> None:
    """Fails when the API forgets keys earlier than the journal believes: an old intent would be executed again."""
    settings = IdempotencySettings()
    assert settings.window_seconds + settings.guard_seconds == DEFAULT_KEY_LIFETIME_SECONDS
