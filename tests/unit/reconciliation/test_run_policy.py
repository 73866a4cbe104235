"""The policy file: what it leaves out has its default; what it has wrong is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.model import FeeRule, RunSettings
from payonce.reconciliation.runs.run_policy import RunPolicy, load_policy
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

RATE = '[[rates]]\npresented_currency = "USD"\ncurrency = "EUR"\nday = 2026-03-01\nrate = "0.92"\n'
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
        ("in_transit_hours =", "not TOML"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(text: str, says: str, tmp_path: Path) -> None:
    """Fails for each bound that is removed, and when an unknown setting is ignored."""
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(MisconfiguredError) as caught:
        load_policy(tmp_path / "p.toml")
    assert f"{tmp_path / 'p.toml'}: {says}" in caught.value.detail


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="can't be read"):
        load_policy(tmp_path / "none.toml")
