"""``payonce gateway-credentials``: secrets come by standard input or a file, and are written nowhere but sealed."""

from __future__ import annotations

import io
import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import gateway_credentials, main
from payonce.merchants.gateway_accounts import (
    AccountKind,
    AccountSecrets,
    fingerprint_of,
    open_events_secrets,
    open_key,
    read_accounts,
)
from payonce.ports import Table
from tests.support.account_stage import EVENTS_SECRETS, MERCHANT_A, MERCHANT_B, AccountStage

if TYPE_CHECKING:
    from pathlib import Path

MARKED = "MARKED-do-not-show-me"
OPERATOR = ("--operator", "ann")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> AccountStage:
    stage = AccountStage(monkeypatch)
    monkeypatch.setattr(gateway_credentials, "application_of", lambda *_given: stage.process())
    return stage


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, given: Any = None) -> int:
    """Run the command, with a document or a text at standard input."""
    text = given if isinstance(given, bytes) else json.dumps(given).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    return main.main(["gateway-credentials", *arguments])


def test_an_account_is_set_listed_rotated_removed_and_forgotten(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stage.bank.open("a")
    where = (MERCHANT_A, "bank")
    first = {"api_key": f"{MARKED}-1", "events_secrets": [EVENTS_SECRETS[0]]}
    assert run(monkeypatch, "set", *where, "--account", "a", *OPERATOR, given=first) == 0
    held = read_accounts(stage.database, *where)
    assert open_key(stage.cipher, held, "a") == f"{MARKED}-1"
    assert held.accounts["a"].kind is AccountKind.OWN
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"api_key": f"{MARKED}-2", "events_secrets": list(EVENTS_SECRETS)}))
    assert run(monkeypatch, "rotate", *where, "--from", str(file), *OPERATOR) == 0
    held = read_accounts(stage.database, *where)
    assert open_key(stage.cipher, held, "a") == f"{MARKED}-2"
    assert open_events_secrets(stage.cipher, held, "a") == list(EVENTS_SECRETS)
    assert run(monkeypatch, "list", *where) == 0
    listed = capsys.readouterr().out
    assert f"key {fingerprint_of(f'{MARKED}-2')}" in listed
    assert "version 2" in listed
    assert "in use" in listed
    assert run(monkeypatch, "list", *where, "--json") == 0
    document = capsys.readouterr().out
    [account] = json.loads(document)["data"]
    assert (account["account"], account["in_use"], account["version"]) == ("a", True, 2)
    assert "sealed" not in document
    listed += document
    assert run(monkeypatch, "remove", *where, *OPERATOR) == 0
    assert run(monkeypatch, "list", *where) == 0
    assert "new payments go to the platform's account" in capsys.readouterr().out
    assert run(monkeypatch, "remove", *where, "--forget", "a", *OPERATOR) == 0
    assert read_accounts(stage.database, *where).accounts["a"].sealed_key is None
    said = capsys.readouterr()
    for secret in (MARKED, *EVENTS_SECRETS):
        assert secret not in listed + said.out + said.err


def test_each_act_is_in_the_audit_trail_in_its_own_transaction(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "set", MERCHANT_A, "bank", "--account", "a", *OPERATOR, given={"api_key": MARKED})
    run(monkeypatch, "remove", MERCHANT_A, "bank", *OPERATOR)
    entries = list(stage.database._tables[Table.AUDIT].values())  # type: ignore[attr-defined]
    told = [pickle.dumps(entry) for entry in entries]
    for command in (b"gateway_credentials.set", b"gateway_credentials.remove"):
        assert any(command in each and b"ann" in each for each in told)
    assert not any(MARKED.encode() in each for each in told)


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"not JSON " + MARKED.encode(),
        [MARKED],
        {"api_key": MARKED, "other": 1},
        {"api_key": f"{MARKED} with spaces"},
        {"api_key": 12345678},
        {"events_secrets": [EVENTS_SECRETS[0]]},
        {"api_key": MARKED, "events_secrets": "no list"},
        {"api_key": MARKED, "events_secrets": [MARKED]},
        {"api_key": MARKED * 1_000},
    ],
)
def test_bad_input_is_a_clear_error_that_quotes_nothing(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: Any
) -> None:
    assert run(monkeypatch, "set", MERCHANT_A, "bank", "--account", "a", *OPERATOR, given=given) == 2
    said = capsys.readouterr()
    assert said.err
    assert MARKED not in said.out + said.err
    assert read_accounts(stage.database, MERCHANT_A, "bank").revision == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "mer_nobody", "bank", "--account", "a", *OPERATOR),
        ("set", MERCHANT_A, "no_bank", "--account", "a", *OPERATOR),
        ("set", MERCHANT_A, "bank", "--account", "a", "--connected", *OPERATOR),
        ("set", MERCHANT_A, "bank", "--account", "a", "--from", "/nowhere/at/all", *OPERATOR),
        ("rotate", MERCHANT_B, "bank", *OPERATOR),
        ("remove", MERCHANT_B, "bank", *OPERATOR),
        ("remove", MERCHANT_B, "bank", "--forget", "a", *OPERATOR),
    ],
)
def test_what_is_not_possible_is_refused(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *arguments, given={"api_key": MARKED}) == 2
    assert not stage.database._tables[Table.CREDENTIALS]  # type: ignore[attr-defined]
    # The trail's list of scopes is all that there is: it is written before the entry.
    audited = stage.database._tables[Table.AUDIT].values()  # type: ignore[attr-defined]
    assert all(entry["record_id"].startswith("scopes#") for entry in audited)


def test_a_key_of_another_account_is_refused(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails where the gateway isn't asked: with such a key, what was sent to the account would not be found."""
    stage.bank.open("a")
    adapter = type("Telling", (), {"account_of_key": lambda _self, _deadline: "b"})
    monkeypatch.setattr("payonce.wiring.merchant_gateways.MerchantGateways.candidate", lambda *_given: adapter())
    stage.give("a")
    for action in (("set", "--account", "a"), ("rotate",)):
        name, *rest = action
        assert run(monkeypatch, name, MERCHANT_A, "bank", *rest, *OPERATOR, given={"api_key": MARKED}) == 2
        assert "is of b, not of a" in capsys.readouterr().err
    held = read_accounts(stage.database, MERCHANT_A, "bank")
    assert open_key(stage.cipher, held, "a") == "key-of-a"


def test_no_argument_takes_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """The arguments of a process are readable by all others of the machine."""
    for action in ("set", "rotate"):
        with pytest.raises(SystemExit):
            main.main(["gateway-credentials", action, "--help"])
        help_text = capsys.readouterr().out
        for word in ("--key", "--api-key", "--secret", "--token"):
            assert word not in help_text


def test_secrets_are_in_no_repr_log_error_or_item(stage: AccountStage, caplog: pytest.LogCaptureFixture) -> None:
    """Everything that holds a marked secret is shown, logged, refused and stored; the mark is nowhere to be seen."""
    caplog.set_level(logging.DEBUG)
    stage.bank.open("a")
    stage.bank.keys = {}
    secrets = AccountSecrets(MARKED, (f"whsec_{MARKED}",))
    stage.desk.set(MERCHANT_A, "bank", "a", AccountKind.OWN, secrets)
    process = stage.process()
    answer = stage.pay(process)
    assert answer["statusCode"] == 503
    held = read_accounts(stage.database, MERCHANT_A, "bank")
    gateways = process.merchant_gateways
    seen = [repr(each) for each in (secrets, held, held.accounts["a"], gateways, gateways._built, stage.bank.keys)]
    seen += [json.dumps(answer), caplog.text, *(str(record.__dict__) for record in caplog.records)]
    for table in stage.database._tables.values():  # type: ignore[attr-defined]
        seen.append(str(table))
    assert any("the gateway" in each.lower() or "refused" in each.lower() for each in seen)
    for each in seen:
        assert MARKED not in each
