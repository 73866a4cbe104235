"""The local cloud itself, started again in the folder of one that was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.cloud import LocalCloud
from local.sandbox_bank.running import BankHandle
from local.stack import Ports
from tests.e2e.conftest import free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_the_bank_forgets_with_the_cloud(tmp_path: Path) -> None:
    """Fails when a second demo finds the first one's charges as breaks: the cloud keeps no ledger over a stop."""
    cloud = LocalCloud(tmp_path, Ports(free_port(), free_port(), free_port()))
    bank = BankHandle(f"http://127.0.0.1:{cloud.ports.bank}")
    try:
        cloud.start()
        bank.fault("forgetful", "unrequested_charge", amount_minor=4200, currency="EUR")
        assert len(bank.charges()) == 1
        cloud.stop()
        cloud.start()
        assert bank.charges() == []
    finally:
        cloud.stop()
