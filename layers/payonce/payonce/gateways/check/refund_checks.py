"""Refunds of a charge, one by one: each has its own id, and may come back after it has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import ChargeRefund, ChargeState, OperationKind
from payonce.gateways.check.stage import AMOUNT_MINOR, PART_MINOR, told
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.gateways.check.stage import Stage


def _named(stage: Stage) -> None:
    charge_id, ours = _refunded(stage)
    _expect(stage, charge_id, ours, refunded_minor=sum(ours.values()))


def _comes_back(stage: Stage) -> None:
    charge_id, ours = _refunded(stage)
    first, *_ = ours
    stage.vendor.give_back(first)
    stage.vendor.deliver()
    _expect(stage, charge_id, ours, refunded_minor=sum(ours.values()) - ours[first], came_back=first)


def _refunded(stage: Stage) -> tuple[str, dict[str, int]]:
    """Return a charge with two refunds, and their amounts by the ids with which they succeeded."""
    stage.need(stage.capabilities.reads_charges, "reads_charges is False")
    stage.need(OperationKind.REFUND in stage.capabilities.operations, f"operations lacks {OperationKind.REFUND}")
    first = stage.payment()
    charge_id = stage.succeed(first).gateway_charge_id
    ours = {}
    for amount_minor in (PART_MINOR, AMOUNT_MINOR - PART_MINOR):
        done = stage.succeed(stage.follow_up(OperationKind.REFUND, first, charge_id, amount_minor))
        ours[done.gateway_operation_id] = amount_minor
    return charge_id, ours


def _expect(
    stage: Stage, charge_id: str, ours: dict[str, int], *, refunded_minor: int, came_back: str | None = None
) -> None:
    state = stage.read_charge(charge_id)
    refunds: tuple[ChargeRefund, ...] = state.refunds if isinstance(state, ChargeState) else ()
    stage.need(bool(refunds) or not isinstance(state, ChargeState), "read_charge names no refunds, it tells their sum")
    said = [(each.gateway_refund_id, each.amount_minor, each.came_back) for each in refunds]
    wanted = [(refund_id, amount_minor, refund_id == came_back) for refund_id, amount_minor in ours.items()]
    stage.expect(
        sorted(said) == sorted(wanted), f"the refunds are {wanted}, and were read as {sorted(said) or told(state)}"
    )
    total_minor = state.refunded_minor if isinstance(state, ChargeState) else None
    stage.expect(total_minor == refunded_minor, f"{refunded_minor} stays refunded, and {total_minor} was read")


CHECKS = (
    Check(
        "read_charge.refunds",
        "P7",
        "Each refund is named once, by the id with which it succeeded, or it would be booked once more.",
        "read_charge",
        _named,
    ),
    Check(
        "read_charge.refund_returned",
        "P7",
        "A refund that comes back is told as that one, and stays no part of what is refunded.",
        "read_charge",
        _comes_back,
    ),
)
