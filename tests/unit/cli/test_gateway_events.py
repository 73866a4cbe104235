"""``payonce gateway-events``: what is unknown or failed is shown, with its reason, and can be applied again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import gateway_events
from payonce.cli import main as cli
from payonce.notices.kept import NoticeState
from tests.support.notice_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODYS = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S-1"

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the stage's tables; return (exit code, standard output, standard error)."""
    monkeypatch.setattr(gateway_events, "application_of", lambda *_given: stage.application)

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["gateway-events", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_what_is_about_nothing_we_know_is_listed_with_its_reason(stage: Stage, run: Run) -> None:
    """Fails when an event is kept where nobody sees it, or what is applied is shown among what is not."""
    payment_id = json.loads(stage.world.create().response.body)["id"]
    stage.post(f"{payment_id}-1", event_id="evt_applied")
    stage.post(event_id="evt_payout")
    stage.post(NOBODYS, event_id="evt_nobody")
    stage.apply_all(stage.world.clock.ms + 60_000)
    code, out, err = run("list")
    assert (code, err) == (0, "2 events\n")
    assert "evt_payout" in out
    assert "it names nothing of ours" in out
    assert "what it names is not stored" in out
    assert "evt_applied" not in out
    assert run("list", "--state", "failed")[1:] == ("", "0 events\n")
    assert {one["notice"]["notice_id"] for one in json.loads(run("list", "--json")[1])["data"]} == {
        "evt_payout",
        "evt_nobody",
    }
    assert json.loads(run("show", "bank", "evt_nobody", "--json")[1])["state"] == "unknown"
    assert run("list", "--gateway", "stripe")[1:] == ("", "0 events\n")


def test_a_long_list_is_read_to_its_end(stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_events, "PAGE_SIZE", 2)
    for _ in range(5):
        stage.post()
    stage.apply()
    assert run("list")[2] == "5 events\n"


def test_one_event_is_shown_and_its_bytes_are_as_they_came(stage: Stage, run: Run) -> None:
    key = stage.post(NOBODYS, event_id="evt_1", note="x")
    _, out, _ = run("show", "bank", "evt_1")
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (shown["state"], shown["reference"], shown["payment"]) == ("received", NOBODYS, NOBODYS.removesuffix("-1"))
    assert stage.state(key) is NoticeState.RECEIVED
    _, out, _ = run("show", "bank", "evt_1", "--body")
    assert json.loads(out)["data"]["note"] == "x"


def test_an_event_is_applied_again(stage: Stage, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an event that failed for hours can be applied by nobody but its gateway."""
    sent: list[Any] = []
    monkeypatch.setattr("payonce.aws.sqs.SqsQueue.send", lambda _queue, messages: sent.extend(messages))
    monkeypatch.setattr(type(stage.application), "sqs_client", None)
    stage.post(NOBODYS, event_id="evt_1")
    code, _, err = run("retry", "bank", "evt_1")
    assert (code, "PAYONCE_GATEWAY_EVENT_QUEUE_URL" in err) == (2, True)
    object.__setattr__(stage.application.settings, "notice_queue_url", "https://queue.example/1")
    assert run("retry", "bank", "evt_1")[:2] == (0, "evt_1 is queued\n")
    assert json.loads(run("retry", "bank", "evt_1", "--json")[1]) == {"event": "evt_1", "queued": True}
    assert json.loads(sent[0].body) == {"notice_key": "bank#evt_1", "tries": 0}


@pytest.mark.parametrize("action", ["show", "retry"])
def test_an_event_that_is_not_there(run: Run, action: str) -> None:
    code, _, err = run(action, "bank", "evt_nothing")
    assert (code, "no such event" in err) == (2, True)
