"""All checks, in the order in which they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.gateways.check import capabilities, events, faults, money, payer

if TYPE_CHECKING:
    from payonce.gateways.check.outcome import Check

CHECKS: tuple[Check, ...] = (*money.CHECKS, *capabilities.CHECKS, *payer.CHECKS, *events.CHECKS, *faults.CHECKS)
