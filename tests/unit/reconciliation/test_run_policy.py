"""The policy file: what it leaves out has its default; what it has wrong is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.manual import OwnRule, Tolerance
from payonce.reconciliation.model import FeeRule, RunSettings
from payonce.reconciliation.runs.rule_policy import unsafe
from payonce.reconciliation.runs.run_policy import RunPolicy, load_policy
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

RATE = '[[rates]]\npresented_currency = "USD"\ncurrency = "EUR"\nday = 2026-03-01\nrate = "0.92"\n'
TOLERANCE = '[[tolerances]]\ngateway = "bank"\ncurrency = "EUR"\nreason = "rounding"\namount_minor = 5\n'
RULE = '[[rules]]\nsource = "bank"\nfield = "description"\npattern = \'ACME\'\nlabel = "rent"\n'
FEE = '[[fees]]\ngateway = "bank"\ncurrency = "EUR"\n'


def test_an_empty_policy_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("")
    assert load_policy(tmp_path / "p.toml").settings(7) == RunSettings(as_of_ms=7) == RunPolicy().settings(7)


def test_every_setting_arrives(tmp_path: Path) -> None:
    """Fails when a setting is read and not handed on."""
    (tmp_path / "p.toml").write_text(
        "in_transit_hours = 1\nsettlement_sla_hours = 2\npayout_sla_days = 3\nfx_tolerance_basis_points = 4\n"
        + FEE
        + "fixed_minor = 5\nbasis_points = 6\ntolerance_minor = 7\n"
    )
    assert load_policy(tmp_path / "p.toml").settings(9) == RunSettings(
        as_of_ms=9,
        in_transit_hours=1,
        settlement_sla_hours=2,
        payout_sla_days=3,
        fx_tolerance_basis_points=4,
        fees=(FeeRule(gateway="bank", currency="EUR", fixed_minor=5, basis_points=6, tolerance_minor=7),),
    )


def test_the_example_and_the_documentation_name_every_setting() -> None:
    documented = (REPOSITORY / "docs" / "reconciliation.md").read_text()
    assert all(f"`{name}`" in documented for name in RunPolicy.model_fields)
    assert load_policy(REPOSITORY / "docs/examples/reconciliation/policy.toml").fees[0].basis_points == 150


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("in_transit_hour = 1", "in_transit_hour: there is no such setting"),
        (FEE + "fixed = 1", "fees.0.fixed: there is no such setting"),
        ("in_transit_hours = 1.5", "in_transit_hours"),
        ('in_transit_hours = "1"', "in_transit_hours"),
        ("in_transit_hours = -1", "in_transit_hours"),
        ("payout_sla_days = 400", "payout_sla_days"),
        ('time_zone = "Amsterdam"', "time_zone: Amsterdam is no time zone, such as Europe/Amsterdam"),
        (FEE.replace("EUR", "eur"), "fees.0.currency: is not an ISO 4217 currency"),
        (FEE + "basis_points = 10001", "fees.0.basis_points"),
        (FEE + FEE, "fees: there is more than one rule for bank in EUR"),
        (FEE + 'card_countries = ["EEA"]', "fees.0.card_countries.0"),
        (FEE + 'kind = "dispute"', "fees.0.kind"),
        (RATE.replace("0.92", "nan"), "rates.0: nan is not a rate"),
        (RATE.replace("EUR", "EUX"), "rates.0: EUX is not an ISO 4217 currency"),
        ("dispute_days = 0", "dispute_days"),
        (TOLERANCE.replace("amount_minor = 5", ""), "tolerances.0: needs amount_minor, basis_points, or both"),
        (TOLERANCE.replace('reason = "rounding"', ""), "tolerances.0.reason"),
        (TOLERANCE + "basis_points = 1001", "tolerances.0.basis_points"),
        (TOLERANCE.replace("= 5", "= -5"), "tolerances.0.amount_minor"),
        (TOLERANCE.replace("EUR", "eur"), "tolerances.0.currency: is not an ISO 4217 currency"),
        (TOLERANCE * 2, "tolerances: there is more than one tolerance for bank in EUR"),
        (TOLERANCE + 'account = "x"', "tolerances.0.account: there is no such setting"),
        (RULE.replace("description", "amount"), "rules.0: a row of bank has no field amount"),
        (RULE.replace('"bank"', '"statement"'), "rules.0.source"),
        (RULE + 'gateway = "x"', "rules.0: gateway: the bank's lines have none"),
        (RULE.replace('"bank"', '"ledger"').replace("description", "reference") + 'account = "x"', "rules.0: account"),
        (RULE.replace("ACME", "A" * 201), "rules.0.pattern"),
        (RULE.replace("rent", "a|b"), "rules.0.label"),
        (RULE.replace("ACME", "("), "rules.0.pattern: is not a regular expression"),
        (RULE.replace("ACME", "(?=a)"), "rules.0.pattern: groups are"),
        (RULE.replace("ACME", "a{101}"), "rules.0.pattern: nothing is repeated more than 100 times"),
        (RULE * 201, "rules: List should have at most 200"),
        ("in_transit_hours =", "not TOML"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(text: str, says: str, tmp_path: Path) -> None:
    """Fails for each bound that is removed, and when an unknown setting is ignored."""
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(MisconfiguredError) as caught:
        load_policy(tmp_path / "p.toml")
    assert f"{tmp_path / 'p.toml'}: {says}" in caught.value.detail


def test_tolerances_and_rules_arrive(tmp_path: Path) -> None:
    """Fails when a setting of either is read and not handed on."""
    (tmp_path / "p.toml").write_text(
        TOLERANCE
        + "basis_points = 6\npayout = true\n"
        + RULE
        + 'sign = "-"\nfrom_amount_minor = 1\nuntil_amount_minor = 2\ncurrency = "USD"\naccount = "NL1"\n'
        + RULE.replace('"bank"', '"ledger"').replace("description", "reference")
        + 'sign = "+"\ngateway = "bank"\n'
    )
    settings = load_policy(tmp_path / "p.toml").settings(9)
    assert settings.tolerances == (
        Tolerance(gateway="bank", currency="EUR", reason="rounding", amount_minor=5, basis_points=6, payout=True),
    )
    of_bank = OwnRule(source="bank", field="description", pattern="ACME", label="rent")
    assert settings.rules == (
        replace(of_bank, sign=-1, from_minor=1, until_minor=2, currency="USD", account="NL1"),
        replace(of_bank, source="ledger", field="reference", sign=1, gateway="bank"),
    )


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<a>x)", r"(a)\1", "a++", "a{2}+", "a{1001}", "(a{90}){90}", "[[:alpha:]]", "a{,3}", r"\Z", r"[\b]",
        "(?!a)",
        "(?<=a)b", "(?>a)", "(?s:a)", "(?i)(?i)a", "a(?i)b", r"\p{L}", r"\x41", r"\A", "[a--b]", "[a&&b]",
    ],
)  # fmt: skip
def test_a_pattern_that_not_every_engine_reads_alike_is_refused(pattern: str) -> None:
    """Fails for each construct that RE2 lacks or reads otherwise: https://github.com/google/re2/wiki/Syntax"""
    assert unsafe(pattern)


@pytest.mark.parametrize(
    "pattern", ["ACME RENT", "(?i)acme", r"^\bR-\d{4}\b.*$", "[^]a]", r"a\{,3\}", "(?:a|b)+?", "é{100}"]
)
def test_what_people_write_is_taken(pattern: str) -> None:
    assert unsafe(pattern) is None


_PIECES = st.sampled_from([*"ab.*+?|()[]{}^$-,:=!<&10i ", "\\", "(?:", "(?i)", "[^", "{2,", "\\d", "\\W", "{100}", "é"])


@given(st.lists(_PIECES, min_size=1, max_size=12).map("".join))
def test_what_is_taken_can_be_searched(pattern: str) -> None:
    """Fails when a policy is taken whose pattern the engine then refuses, so that no run takes place.

    DuckDB hands patterns to RE2: https://duckdb.org/docs/stable/sql/functions/regular_expressions
    """
    if unsafe(pattern) is None:
        connection = duckdb.connect()
        connection.execute("SELECT regexp_matches(t, ?) FROM (VALUES ('abab 10'), ('')) AS v(t)", [pattern]).fetchall()
        connection.close()


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="can't be read"):
        load_policy(tmp_path / "none.toml")
