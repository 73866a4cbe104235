"""The wire contract in README.md names what there is, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from local.sandbox_bank import dashboard, event_faults, states, tokens
from local.sandbox_bank.behaviour import BankSettings
from local.sandbox_bank.books import KINDS

README = (Path(dashboard.__file__).parent / "README.md").read_text()


def first_cells(heading: str) -> set[str]:
    """Return the names in the first cells of the table under a heading."""
    section = README.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([a-z0-9_]+)`", cell)}


def test_the_tokens_are_those_that_the_bank_knows() -> None:
    """Fails when a token is added, renamed or removed without the contract, or is given another method type."""
    assert first_cells("Tokens") == set(tokens.TOKENS)
    assert set(re.findall(r"\btok_[a-z0-9_]+", README)) == set(tokens.TOKENS)
    for line in README.splitlines():
        if line.startswith("| `tok_"):
            named = re.findall(r"`(tok_[a-z0-9_]+)`", line.split("|")[1])
            stated = set(re.findall(r"[a-z_]+", line.split("|")[2]))
            assert stated == {each for name in named for each in tokens.TOKENS[name].method_types}


def test_the_settings_are_stated_with_their_defaults() -> None:
    """Fails when a delay is another one than the contract says."""
    stated = dict(re.findall(r"`([a-z_]+)` \((\d+)\)", README.split("## Time", 1)[1].split("\n## ", 1)[0]))
    defaults = {each.name: f"{each.default:g}" for each in fields(BankSettings) if each.name != "token"}
    assert len(stated) == 10
    assert stated == {name: defaults[name] for name in stated}


def test_the_dashboard_the_faults_and_the_operations_are_complete() -> None:
    """Fails when an action, a fault of events or an operation is in the bank and not in the contract."""
    assert first_cells("Dashboard") == {*dashboard.OF_CHARGE, *dashboard.OF_DISPUTE, dashboard.REVOKE}
    assert first_cells("Faults of events") == event_faults.MODES
    assert set(re.findall(r"/(captures|voids|refunds|cancellations|confirmations)\b", README)) == set(KINDS)


def test_the_statuses_are_complete() -> None:
    """Fails when a payment can have a status that the contract does not tell."""
    assert first_cells("A charge") >= set(states.TYPES)


def test_the_events_are_complete() -> None:
    """Fails when a set-up or a mandate has an event that the contract does not tell."""
    events = README.split("\n## Events\n", 1)[1].split("\n###", 1)[0]
    told = re.search(r"^\| (`setup\.succeeded`.*?) \|", events, re.MULTILINE)
    assert told is not None
    assert {f"setup{name.removeprefix('setup')}" for name in re.findall(r"`([a-z.]+)`", told[1])} == set(
        states.SETUP_TYPES.values()
    )
    assert "`mandate.revoked`" in events
