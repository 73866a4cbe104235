"""Set-ups at vendors that behave in each way that their documents and their staff tell of.

The fakes' usual ways are in test_gateway_contract.py. Where an adapter has no set-ups, every check says so.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from local.gateway_kits import adyen, mollie
from local.mollie.settings import AT_ONCE, PENDING
from payonce.domain.gateway import OperationKind
from payonce.gateways.check.every_check import CHECKS
from payonce.gateways.check.fault_proxy import running_fault_proxy
from payonce.gateways.check.stage import Stage
from payonce.gateways.check.verdicts import Verdict, run_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.gateways.check.verdicts import Check

# A doubt is asked about in the same way whichever of these a vendor does: a few of its checks are enough here.
SKIPPED = ("setup.submit.", "setup.find.", "revocation.submit.")
IN_DOUBT = frozenset({"setup.submit.drop_after", "setup.submit.status_500_after", "revocation.submit.reset_after"})
CHECKED = [
    check
    for check in CHECKS
    if check.name in IN_DOUBT
    or (check.name.startswith(("setup.", "revocation.")) and not check.name.startswith(SKIPPED))
]


def adyen_with(**settings: Any) -> Callable[[ExitStack], Any]:
    """Return what starts Adyen with these settings of the account."""

    def start(stack: ExitStack) -> Any:
        vendor = stack.enter_context(adyen.vendor())
        vendor._handle.configure(**settings)  # type: ignore[attr-defined]
        return vendor

    return start


def mollie_with(*, can_cancel: bool = True, **settings: Any) -> Callable[[ExitStack], Any]:
    """Return what starts Mollie with these settings."""

    def start(stack: ExitStack) -> Any:
        vendor = stack.enter_context(mollie.vendor())
        books = vendor.api.books  # type: ignore[attr-defined]
        books.can_cancel = can_cancel
        for name, value in settings.items():
            setattr(books.settings, name, value)
        return vendor

    return start


WITHDRAWALS = frozenset({"setup.withdrawn", "setup.withdraw_lost"})
# Adyen cancels nothing that waits. Mollie brings no result back, always makes a mandate, and is asked instead of told.
ADYEN = WITHDRAWALS
MOLLIE = frozenset({"setup.forged", "setup.confirm_lost", "setup.saved_nothing"}) | {
    check.name for check in CHECKED if check.name.startswith("setup.order.")
}
WAYS: dict[str, tuple[Callable[[ExitStack], Any], frozenset[str]]] = {
    # https://github.com/adyen-examples/adyen-node-online-payments/issues/127
    "adyen names no token in its answers": (adyen_with(token_in_answer=False, recurring_contract=True), ADYEN),
    "adyen tells of contracts": (adyen_with(recurring_contract=True), ADYEN),
    # https://docs.adyen.com/development-resources/api-idempotency
    "adyen answers 409 meanwhile": (adyen_with(in_progress_status=409, other_body="refuse"), ADYEN),
    # https://docs.mollie.com/reference/create-payment
    "mollie names the mandate at once": (mollie_with(mandate_named=AT_ONCE), MOLLIE),
    # https://github.com/mollie/api-documentation/issues/455
    "mollie leaves unpaid mandates pending": (mollie_with(mandate_named=AT_ONCE, unpaid_mandate=PENDING), MOLLIE),
    # https://docs.mollie.com/overview/handling-errors
    "mollie's revoked mandates are gone": (mollie_with(gone_status=410), MOLLIE),
    # https://docs.mollie.com/reference/create-payment: the examples of cards have isCancelable false
    "mollie cancels no card payment": (mollie_with(can_cancel=False), MOLLIE | WITHDRAWALS),
}


@pytest.fixture(scope="module")
def stage_of() -> Iterator[Callable[[str], Stage]]:
    """Each way's server and proxy, started when they are first needed."""
    with ExitStack() as stack:
        stages: dict[str, Stage] = {}

        def stage(way: str) -> Stage:
            if way not in stages:
                vendor = WAYS[way][0](stack)
                stages[way] = Stage(vendor, stack.enter_context(running_fault_proxy(vendor.url)))
            return stages[way]

        yield stage


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("check", CHECKED, ids=lambda check: check.name)
def test_a_set_up_survives_what_is_documented(stage_of: Callable[[str], Stage], way: str, check: Check) -> None:
    """Fails when an adapter that sets up methods relies on one of two documented ways."""
    stage = stage_of(way)
    result = run_check(check, stage)
    kind = OperationKind.SETUP if check.name.startswith("setup.") else OperationKind.REVOCATION
    tried = kind in stage.capabilities.operations and check.name not in WAYS[way][1]
    allowed = {Verdict.HELD} if tried else {Verdict.NOT_CLAIMED, Verdict.NOT_SHOWN}
    assert result.verdict in allowed, f"{check.expected} {result.happened}"
