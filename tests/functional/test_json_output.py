"""``--json`` of every command that answers: one document on standard output, and nothing else there."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.cli import main as cli
from payonce.cli.families import leaves, make_parser
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.recording import record_run
from payonce.reconciliation.model import Break, Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.aws import REPOSITORY
from tests.support.breaks import store_break, store_proposal
from tests.support.loopback_stack import LoopbackStack, loopback_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[..., Any]

EXAMPLE = REPOSITORY / "docs" / "examples" / "reconciliation"
# Where each is asked for its document: what is not listed here has to be asked below.
ELSEWHERE = {
    "doctor": "test_doctor", "refund": "test_api_commands", "events tail": "test_api_commands",
    "webhooks listen": "test_api_commands", "webhooks verify": "test_api_commands", "up": "test_demo_hints",
    "down": "test_demo_hints", "demo": "test_demo_hints", "gateway-events list": "test_gateway_events",
    "gateway-events show": "test_gateway_events", "gateway-events retry": "test_gateway_events",
    **{f"gateway-credentials {each}": "test_gateway_credentials" for each in ("set", "rotate", "list", "remove")},
    **{f"console operators {each}": "test_console" for each in ("add", "list", "disable")},
    "corrections resume": "test_corrections", "corrections approve": "test_corrections",
    "corrections reject": "test_corrections", "idempotency-keys release": "test_main",
    "routing replay": "test_routing", "routing explain": "test_routing",
    "sidecar": "it has none", "completion": "it has none",
}  # fmt: skip


@pytest.fixture
def stack() -> Iterator[LoopbackStack]:
    with loopback_stack() as running:
        running.deploy()
        yield running
        shutil.rmtree(REPOSITORY / ".local" / f"stack-{running.port}", ignore_errors=True)


@pytest.fixture
def ask(stack: LoopbackStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command with ``--json`` and return its document."""
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    # A function has two seconds for the database; moto in this process may need more on a busy machine.
    monkeypatch.setattr("payonce.wiring.aws_clients.AWS_READ_TIMEOUT_SECONDS", 30)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str, code: int = 0, json_option: tuple[str, ...] = ("--json",)) -> Any:
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        left = cli.main([*arguments, *json_option])
        said = capsys.readouterr()
        assert left == code, said.err
        return json.loads(said.out)

    return command


PATHS = sorted((path for path, _ in leaves(make_parser(whole=True))), key=len, reverse=True)


def test_merchants_keys_payments_and_status(ask: Ask, stack: LoopbackStack, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ask("merchants", "create", "Shop", "--holder", "ann")
    assert made.keys() == {"merchant_id", "key_id", "api_key"}
    further = ask("keys", "create", made["merchant_id"], "--scope", "payments:read")
    assert further["merchant_id"] == made["merchant_id"]
    monkeypatch.setattr("sys.stdin", io.StringIO(further["api_key"] + "\n"))
    assert ask("keys", "revoke") == {"revoked": True}
    [shop] = ask("merchants", "list")["data"]
    assert (shop["merchant_id"], shop["name"], shop["gateway"]) == (made["merchant_id"], "Shop", "")
    first = ask("keys", "list", made["merchant_id"], "--limit", "1")
    assert [(one["key_id"], one["holder"], one["enabled"]) for one in first["data"]] == [(made["key_id"], "ann", True)]
    rest = ask("keys", "list", made["merchant_id"], "--after", first["next_after"])
    [revoked] = rest["data"]
    assert (revoked["key_id"], revoked["enabled"], rest["next_after"]) == (further["key_id"], False, None)
    assert revoked["scopes"] == ["payments:read"]
    assert made["api_key"] not in json.dumps([first, rest])
    assert ask("keys", "revoke", made["key_id"], "--merchant", made["merchant_id"]) == {"revoked": True}
    assert not any(one["enabled"] for one in ask("keys", "list", made["merchant_id"])["data"])
    status = ask("status")
    assert (status["stack"]["status"], status["stack"]["serving"]) == ("CREATE_COMPLETE", True)
    assert status["stack"]["api_url"] == stack.api_url
    [gateway] = ask("gateways", "list")["data"]
    assert (gateway["name"], gateway["default"], gateway["static_weight"]) == ("bank", True, 1.0)
    paid = ask("pay", "1050", "EUR")
    shown = ask("idempotency-keys", "show", "--merchant", _merchant_of(stack), paid["idempotency_key"])
    assert [one["operation"] for one in shown["data"]] == ["create_payment"]
    assert shown["data"][0]["state"] == "completed"


def _merchant_of(stack: LoopbackStack) -> str:
    kept = json.loads((REPOSITORY / ".local" / f"stack-{stack.port}" / "api-key.json").read_text())
    return stack.application.merchants.authenticate(f"Bearer {kept['api_key']}").merchant_id


def test_breaks_and_matches(ask: Ask, stack: LoopbackStack) -> None:
    database = stack.application.database
    at_ms = stack.clock.now_ms()
    rows = [
        Break(
            break_class=BreakClass.MISSING_IN_LEDGER,
            subject=("bank", reference),
            amount_minor=1050,
            currency="EUR",
            occurred_at_ms=at_ms,
            merchant_id="mer_1",
            evidence=(Evidence(source=Source.GATEWAY, row_key=reference, fields={"text": "=1"}),),
        )
        for reference in ("r1", "r2")
    ]
    record_run(CaseStore(database), "run_1", rows, as_of_ms=at_ms, covers=lambda _case: True)
    found = ask("breaks", "list", "--limit", "1")
    assert (len(found["data"]), found["has_more"]) == (1, True)
    assert found["data"][0]["severity"] in {"critical", "high", "medium", "low"}
    break_id = found["data"][0]["break_id"]
    assert ask("breaks", "comment", break_id, "Asked.", "--operator", "ann")["break_id"] == break_id
    assert ask("breaks", "assign", break_id, "ann", "--operator", "ann")["assignee"] == "ann"
    shown = ask("breaks", "show", break_id)
    assert [one["text"] for one in shown["comments"]] == ["Asked."]
    assert [one["change"] for one in shown["history"]][:1] == ["found"]
    assert shown["evidence"][0]["fields"]["text"] == "=1"
    assert ask("breaks", "matches") == {"data": []}
    double = Break(
        break_class=BreakClass.DOUBLE_CHARGE,
        subject=("mer_1", "r3"),
        amount_minor=1050,
        currency="EUR",
        occurred_at_ms=at_ms,
        merchant_id="mer_1",
        evidence=(),
    )
    record_run(CaseStore(database), "run_2", [double], as_of_ms=at_ms, covers=lambda _case: False)
    assert ask("breaks", "dismiss", double.break_id, "two tickets", "--operator", "ann")["dismissed"] is True


def test_matches_in_a_file(ask: Ask, tmp_path: Path) -> None:
    file = ("--decisions", str(tmp_path / "decisions.jsonl"))
    made = ask("breaks", "match", "ledger:jrn_1", "gateway:bank|txn_1", "--reason", "one order", "--by", "ann", *file)
    [row] = ask("breaks", "matches", *file)["data"]
    assert (row["match_id"], row["reason"], len(row["rows"])) == (made["match_id"], "one order", 2)
    taken = ask("breaks", "unmatch", made["match_id"], "--reason", "two", "--by", "ann", *file)
    assert taken == {"match_id": made["match_id"], "in_force": False}


def test_corrections(ask: Ask, stack: LoopbackStack) -> None:
    database = stack.application.database
    for number in range(2):
        break_id, payment_id = "brk_" + f"{number}" * 64, f"pay_{number:026}"
        store_proposal(database, store_break(database, "mer_1", break_id, stack.clock.now_ms(), payment_id))
    found = ask("corrections", "list")
    assert {one["status"] for one in found["data"]} == {"awaiting_approval"}
    assert found["has_more"] is False
    shown = ask("corrections", "show", break_id)
    assert (shown["proposal_version"], "next" in shown, "trail" in shown) == (1, True, True)
    proposed = ask("corrections", "propose", break_id, "--amount", "900", "--version", "1", "--operator", "ann")
    assert (proposed["amount_minor"], proposed["proposal_version"]) == (900, 2)


def test_redrive(ask: Ask, stack: LoopbackStack, monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = stack.client("sqs")
    ends = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("dead", "live")]
    sqs.send_message(QueueUrl=ends[0], MessageBody="m")
    for variable, url in zip(("PAYONCE_DELIVERY_FAILURES_URL", "PAYONCE_DELIVERY_QUEUE_URL"), ends, strict=True):
        monkeypatch.setenv(variable, url)
    assert ask("redrive", "deliveries") == {"redriven": 1}
    assert ask("redrive", "--from", ends[1], "--to", ends[0]) == {"redriven": 1}


def test_routing(ask: Ask) -> None:
    who = ("--operator", "ann", "--reason", "test")
    assert ask("routing", "show")["static_weights"] == {"bank": 1.0}
    assert ask("routing", "mode", "off", *who)["override"]["mode"] == "off"
    assert ask("routing", "drain", "bank", "--share", "0.5", *who)["override"]["shares"] == {"bank": 0.5}
    assert ask("routing", "weights", "bank=0.5", *who)["override"]["shares"] == {"bank": 0.5}
    assert ask("routing", "release", *who)["released"] is True
    history = ask("routing", "history")["data"]
    assert [one["operator"] for one in history] == ["ann"] * 4
    assert ask("routing", "decisions") == {"data": []}


def test_files(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when what `reconcile --json -` writes has anything else around it."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "example")
    monkeypatch.chdir(folder)
    files = ("acquirer.csv", "bank.csv", "--ledger", "ledger.csv", "--gateway", "acquirer", "--policy", "policy.toml")
    run = ask(
        "reconcile", *files, "--as-of", "2026-03-10", "--manifest", "chain.jsonl", code=1, json_option=("--json", "-")
    )
    assert "missing_in_gateway" in {one["break_class"] for one in run["breaks"]}
    chain = ask("verify-manifests", "chain.jsonl")
    assert (chain["whole"], chain["manifests"]) == (True, 1)
    (folder / "chain.jsonl").write_text((folder / "chain.jsonl").read_text().replace("run", "rum", 1))
    assert ask("verify-manifests", "chain.jsonl", "--last", chain["last"], code=1)["whole"] is False
    (folder / "table.csv").write_text("Date;Amount;Text\n2026-03-01;10,50;Order 1\n2026-03-02;-2,00;Fee\n")
    mapped = ask("reconcile-map", "table.csv", "--account", "A", "--currency", "EUR")
    assert (mapped["reads"], mapped["lines"]) == (True, 2)
    period = ("--from", "2026-01-01", "--to", "2026-01-02")
    assert ask("ledger", "export", *period, "--output", "l.csv") == {"entries": 0, "output": "l.csv"}
    assert ask("audit", "export", *period, "--output", "a.jsonl") == {"entries": 0, "output": "a.jsonl"}


def test_no_command_is_left_out() -> None:
    """Fails when a command is added and nobody has asked it for JSON: neither this file nor those named above."""
    source = Path(__file__).read_text()
    asked = {
        " ".join(path)
        for path in PATHS
        if re.search(r"\bask\(\s*" + r",\s*".join(re.escape(json.dumps(word)) for word in path), source)
    }
    every = {" ".join(path) for path in PATHS}
    assert every - asked - ELSEWHERE.keys() == set()
    assert every >= ELSEWHERE.keys()
    for file in set(ELSEWHERE.values()) - {"it has none"}:
        assert any("--json" in found.read_text() for found in (REPOSITORY / "tests").rglob(f"{file}.py"))
