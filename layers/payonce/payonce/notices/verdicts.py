"""What becomes of an event once the gateway was asked: applied, shown to people, or looked at again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, Pending, Succeeded, Unknown
from payonce.domain.ids import operation_of
from payonce.notices.kept import NoticeState
from payonce.payments.held import instruction_of
from payonce.payments.setups.deciding import instruction_of_setup

if TYPE_CHECKING:
    from collections.abc import Collection

    from payonce.domain.gateway import Notice
    from payonce.domain.payment import Payment
    from payonce.domain.setup import Setup
    from payonce.ports import Deadline, Gateway


@dataclass(frozen=True, slots=True)
class Again:
    """The event has to be applied again later: after ``delay_seconds``, or after a growing pause."""

    reason: str
    delay_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The event is done with."""

    state: NoticeState
    reason: str


def payment_not_executed(gateway: Gateway, payment: Payment, notice: Notice, deadline: Deadline) -> Again | Ended:
    """Return what becomes of an event about a payment of which nothing was taken, as far as is known here.

    A gateway that has executed it nevertheless has broken its word, or somebody has in its dashboard. People have to
    know, because a payer has paid for what a merchant was told has failed. It is not booked: see ``reconciliation``.
    """
    instruction = instruction_of(payment)
    if notice.gateway_reference is not None and operation_of(notice.gateway_reference) == payment.payment_id:
        instruction = replace(instruction, gateway_reference=notice.gateway_reference)
    found = gateway.find(instruction, deadline)
    match found:
        case Succeeded():
            reason = f"the gateway has executed a payment that is {payment.status} here"
            return Ended(NoticeState.FAILED, reason)
        case Pending() | Unknown():
            return Again(found.reason)
    return Ended(NoticeState.APPLIED, "")


def unread(notice: Notice, *, settled: bool, explained: Collection[str]) -> Ended:
    """Return what becomes of an event about a charge that the gateway can't be asked about.

    It tells the end of an operation of ours, or of a dispute what is booked already, or of a refund that came back what
    is (``explained``); or it is shown to people.
    """
    told = notice.outcome
    is_end = told is not None and (not told.undone or told.gateway_operation_id in explained)
    if settled or notice.dispute is not None or is_end:
        return Ended(NoticeState.APPLIED, "")
    return Ended(NoticeState.UNKNOWN, "what was done to the charge can't be asked at this gateway")


def foreign_currency(notice: Notice, payment: Payment) -> Ended | None:
    """Return what becomes of an event that tells of an amount in another currency, which is never booked."""
    told = notice.outcome
    if told is None or told.currency == payment.currency or not (told.executed or told.undone):
        return None
    said = f"it tells of {told.amount_minor} {told.currency} of a payment in {payment.currency}"
    return Ended(NoticeState.UNKNOWN, said)


def setup_not_executed(gateway: Gateway, setup: Setup, deadline: Deadline) -> Again | Ended | None:
    """Return what becomes of an event about a set-up that has saved nothing here; ``None`` if it has not there, either.

    A mandate that the gateway has nevertheless is one that nobody knows, and nobody revokes: people have to.
    """
    found = gateway.find(instruction_of_setup(setup), deadline)
    match found:
        case Succeeded():
            reason = f"the gateway has saved what a setup that is {setup.status} here was to save"
            return Ended(NoticeState.FAILED, reason)
        case AwaitsPayer():
            return None  # nothing is saved so far
        case Pending() | Unknown():
            return Again(found.reason)
    return None
