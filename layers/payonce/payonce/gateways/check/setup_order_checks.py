"""Checks of what else happens to set-ups and saved methods: events in each order, other customers, ends elsewhere."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, Declined, MethodSaved, NotFound, Pending, Succeeded, Unknown
from payonce.gateways.check.fault_proxy import Fault
from payonce.gateways.check.setup_steps import absent_charge, is_saved, recovered, saved_by, waiting_setup
from payonce.gateways.check.stage import held, told
from payonce.gateways.check.vendor import EventOrder, NotBroughtError, SetupFault, Token
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction
    from payonce.gateways.check.stage import Stage

_SETUPS, _REVOCATIONS = "set-ups", "revocations"


def _expect_chargeable(stage: Stage, setup: Instruction, saved: MethodSaved) -> None:
    charge, outcome = absent_charge(stage, setup, saved)
    stage.expect(type(outcome) is Succeeded, f"charged while the payer is absent, it ended as {told(outcome)}")
    stage.expect_count(charge, 1)


def _again(stage: Stage) -> None:
    first = stage.setup()
    saved = saved_by(stage, first)
    second = replace(stage.setup(), payment_method=first.payment_method)
    _expect_chargeable(stage, second, saved_by(stage, second))
    _expect_chargeable(stage, first, saved)


def _foreign(stage: Stage) -> None:
    setup = stage.setup()
    other = stage.vendor.other_customer
    if other is None:
        raise NotBroughtError("no second customer")
    saved = saved_by(stage, setup)
    charge, outcome = absent_charge(stage, replace(setup, customer=other), saved)
    stage.expect(not isinstance(outcome, Succeeded | Pending), f"another customer's charge ended as {told(outcome)}")
    stage.expect_count(charge, 0)
    _expect_chargeable(stage, setup, saved)


def _declined_later(stage: Stage) -> None:
    setup = stage.setup(Token.DECLINED_LATER)
    charge, outcome = absent_charge(stage, setup, saved_by(stage, setup))
    stage.expect(isinstance(outcome, Declined), f"the charge of a saved method ended as {told(outcome)}")
    stage.expect_count(charge, 0)


def _abandoned(stage: Stage) -> None:
    setup, waiting = waiting_setup(stage)
    stage.vendor.settle()
    outcome = stage.decided(held(setup, waiting))
    ended = isinstance(outcome, Declined)
    stage.expect(ended or isinstance(outcome, AwaitsPayer), f"a payer who never came left it as {told(outcome)}")
    stage.expect_count(setup, 0 if ended else 1)


def _saved_late(stage: Stage) -> None:
    setup = stage.setup()
    with stage.vendor.misbehave_at_setup(SetupFault.SAVED_LATE):
        outcome: object = stage.submit(setup)
        if isinstance(outcome, AwaitsPayer):
            outcome = stage.payer_acts(setup, outcome, approve=True)
        stage.expect(isinstance(outcome, Pending), f"what can't be charged yet ended as {told(outcome)}")
    saved = is_saved(stage.drive(setup, outcome))
    stage.expect_count(setup, 1)
    _expect_chargeable(stage, setup, saved)


def _saved_nothing(stage: Stage) -> None:
    setup = stage.setup()
    with stage.vendor.misbehave_at_setup(SetupFault.SAVED_NOTHING):
        outcome = stage.drive(setup, stage.submit(setup))
    untrue = isinstance(outcome, Succeeded | NotFound)
    stage.expect(not untrue, f"a set-up that saved nothing ended as {told(outcome)}")


def _ordered(stage: Stage, order: EventOrder) -> None:
    setup, lost, declined = stage.setup(), stage.setup(), stage.setup(Token.DECLINED_AT_SETUP)
    with stage.vendor.in_order(order):
        outcomes = [stage.drive(one, stage.submit(one)) for one in (setup, declined)]
        with stage.proxy.broken(Fault.DROP_AFTER):
            doubt = stage.submit(lost)
        stage.expect(isinstance(doubt, Unknown), f"when the answer is lost, submit said {told(doubt)}")
    stage.expect(not isinstance(outcomes[0], Declined), f"the set-up ended as {told(outcomes[0])}")
    saved = [is_saved(stage.seen(setup)), is_saved(stage.drive(lost, recovered(stage, lost, doubt, executed=True)))]
    stage.expect(isinstance(stage.seen(declined), Declined), f"a refused set-up ended as {told(outcomes[1])}")
    for one, made in zip((setup, lost), saved, strict=True):
        stage.expect(is_saved(stage.seen(one)).token == made.token, "two lookups of one set-up name two tokens")
        stage.expect_count(one, 1)
        _expect_chargeable(stage, one, made)
    stage.expect_count(declined, 0)


def _ended_elsewhere(stage: Stage) -> None:
    setup = stage.setup()
    saved = saved_by(stage, setup)
    revocation = stage.revocation(setup, saved)
    stage.vendor.end_by_hand(saved)
    found = stage.seen(revocation)
    stage.expect(isinstance(found, Succeeded), f"ended elsewhere, find said {told(found)}")
    outcome = stage.submit(revocation)
    stage.expect(isinstance(outcome, Succeeded), f"ended elsewhere, the revocation ended as {told(outcome)}")
    charge, charged = absent_charge(stage, setup, saved)
    stage.expect(not isinstance(charged, Succeeded | Pending), f"ended elsewhere, a charge ended as {told(charged)}")
    stage.expect_count(charge, 0)


CHECKS = (
    Check("setup.again", "P1", "A method that is set up again is saved, too, and can be charged.", _SETUPS, _again),
    Check("setup.foreign_customer", "P8", "A saved method charges its own customer alone.", _SETUPS, _foreign),
    Check(
        "setup.declined_later",
        "P4",
        "A saved method that is refused later is Declined, and charges nothing.",
        _SETUPS,
        _declined_later,
    ),
    Check("setup.abandoned", "P4", "A payer who never comes leaves a set-up that saves nothing.", _SETUPS, _abandoned),
    Check(
        "setup.saved_late",
        "P4",
        "A set-up whose method can't be charged yet is Pending, and MethodSaved once it can.",
        _SETUPS,
        _saved_late,
    ),
    Check(
        "setup.saved_nothing",
        "P4",
        "A set-up that is executed and saves nothing is never MethodSaved.",
        _SETUPS,
        _saved_nothing,
    ),
    *(
        Check(
            f"setup.order.{order.name.lower()}",
            "P4",
            f"Set-ups end truly when their events come {order}.",
            "events",
            partial(_ordered, order=order),
        )
        for order in EventOrder
    ),
    Check(
        "revocation.elsewhere",
        "P4",
        "A method that is ended elsewhere is found as revoked, and is charged no more.",
        _REVOCATIONS,
        _ended_elsewhere,
    ),
)
