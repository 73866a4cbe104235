"""All checks, in the order in which they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.gateways.check import (
    capability_checks,
    event_checks,
    fault_checks,
    key_checks,
    money_checks,
    payer_checks,
    refund_checks,
    setup_checks,
    setup_doubt_checks,
    setup_order_checks,
)

if TYPE_CHECKING:
    from payonce.gateways.check.verdicts import Check

CHECKS: tuple[Check, ...] = (
    *money_checks.CHECKS,
    *refund_checks.CHECKS,
    *key_checks.CHECKS,
    *capability_checks.CHECKS,
    *payer_checks.CHECKS,
    *setup_checks.CHECKS,
    *setup_doubt_checks.CHECKS,
    *setup_order_checks.CHECKS,
    *event_checks.CHECKS,
    *fault_checks.CHECKS,
)
