"""The contract of the Gateway port: the checks of ``payonce.gateways.check`` on every adapter.

They are the very checks that ``python -m payonce.gateways.check`` runs. What a kit does not claim or can't show is
listed here, so that a check which silently stops trying fails.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from payonce.gateways.check.every_check import CHECKS
from payonce.gateways.check.fault_proxy import running_fault_proxy
from payonce.gateways.check.stage import Stage
from payonce.gateways.check.verdicts import Verdict, run_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.gateways.check.verdicts import Check

KEYS = frozenset(
    check.name for check in CHECKS if check.name.startswith("key_retention_seconds") or check.name == "setup.keys"
)
SETUPS = frozenset(check.name for check in CHECKS if check.name.startswith(("setup.", "revocation.")))
CONFIRMATIONS = frozenset({"confirm.forged", "confirm.twice", "setup.forged", "setup.confirm_lost"})
# What only a vendor has whose methods can be saved later than a set-up, or whose lookups rest on events.
LATE_OR_TOLD = frozenset(
    {"setup.saved_late", "setup.saved_nothing"}
    | {check.name for check in CHECKS if check.name.startswith("setup.order.")}
)
BANK = LATE_OR_TOLD | {"setup.declined_later"}
# Of each kit, the checks that can't be tried.
NOT_TRIED = {
    "sandbox_bank:remembering": BANK,
    "sandbox_bank:forgetful": KEYS | BANK,
    "sandbox_bank:late": KEYS | BANK,
    "stripe:vendor": KEYS
    | CONFIRMATIONS
    | LATE_OR_TOLD
    | {
        "void.rest",
        "read_charge.refund_returned",
        "fault.vendor.throttled",
        "lookup_authoritative_after_seconds.late",
        "payment_method_types.wallet",
        "payment_method_types.bank_transfer",
        "payment_method_types.pay_later",
        "payment_method_types.voucher",
    },
    # Adyen can't be asked how a charge stands, cancels nothing that waits, and signs eight fields without a time.
    "adyen:vendor": frozenset(
        {
            "void.rest",
            "overtaken.capture",
            "overtaken.void",
            "overtaken.refund",
            "read_charge.paid",
            "read_charge.held",
            "read_charge.refunds",
            "read_charge.refund_returned",
            "lookup_authoritative_after_seconds.executed",
            "lookup_authoritative_after_seconds.late",
            "lookup_authoritative_after_seconds.never_arrived",
            "payment_method_types.wallet",
            "payment_method_types.bank_debit",
            "payment_method_types.pay_later",
            "withdraw",
            "withdraw.lost",
            "debit.succeeds",
            "debit.fails",
            "events.changed",
            "events.stale",
            "setup.withdrawn",
            "setup.withdraw_lost",
        }
    ),
    # Mollie promises no time after which a listing is complete, needs no confirmation, and signs without a time.
    "mollie:vendor": CONFIRMATIONS
    | (LATE_OR_TOLD - {"setup.saved_late"})
    | {
        "lookup_authoritative_after_seconds.executed",
        "lookup_authoritative_after_seconds.late",
        "lookup_authoritative_after_seconds.never_arrived",
        "payment_method_types.pay_later",
        "events.stale",
    },
    "template:vendor": CONFIRMATIONS
    | SETUPS
    | {
        "payment_method_types.wallet",
        "payment_method_types.bank_transfer",
        "payment_method_types.pay_later",
        "payment_method_types.voucher",
    },
}


@pytest.fixture(scope="session")
def stage_of() -> Iterator[Callable[[str], Stage]]:
    """Each kit's server and proxy, started when they are first needed."""
    with ExitStack() as stack:
        stages: dict[str, Stage] = {}

        def stage(kit: str) -> Stage:
            if kit not in stages:
                module, _, name = kit.partition(":")
                opened = getattr(import_module(f"local.gateway_kits.{module}"), name)
                vendor = stack.enter_context(opened())
                stages[kit] = Stage(vendor, stack.enter_context(running_fault_proxy(vendor.url)))
            return stages[kit]

        yield stage


@pytest.mark.parametrize("kit", NOT_TRIED)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_adapter_keeps_the_contract(stage_of: Callable[[str], Stage], kit: str, check: Check) -> None:
    """Fails when an adapter breaks a promise, or when a check is not tried any more."""
    result = run_check(check, stage_of(kit))
    tried = check.name not in NOT_TRIED[kit]
    allowed = {Verdict.HELD} if tried else {Verdict.NOT_CLAIMED, Verdict.NOT_SHOWN}
    assert result.verdict in allowed, f"{check.expected} {result.happened}"
