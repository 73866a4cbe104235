"""Checks of set-ups and revocations: a method is saved once, charged while the payer is absent, and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import Declined, MethodSaved, NotFound, Succeeded, Unknown
from payonce.gateways.check.fault_proxy import Fault
from payonce.gateways.check.setup_steps import absent_charge, is_saved, saved_by, waiting_setup
from payonce.gateways.check.stage import held, told
from payonce.gateways.check.vendor import Token
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from payonce.gateways.check.stage import Stage

_SETUPS, _REVOCATIONS = "set-ups", "revocations"


def _saves(stage: Stage) -> None:
    setup = stage.setup()
    saved = saved_by(stage, setup)
    stage.expect(saved.token != "", "the token is empty")
    stage.expect_count(setup, 1)
    charge, outcome = absent_charge(stage, setup, saved)
    ended = type(outcome) is Succeeded
    stage.expect(ended, f"charged while the payer is absent, the saved method ended as {told(outcome)}")
    stage.expect_count(charge, 1)


def _found(stage: Stage) -> None:
    setup = stage.setup()
    stage.need(stage.capabilities.lookup_by_reference, "lookup_by_reference is False")
    with stage.proxy.broken(Fault.DROP_AFTER):
        lost = stage.submit(setup)
    stage.expect(isinstance(lost, Unknown), f"when the answer is lost, submit said {told(lost)}")
    found = is_saved(stage.drive(setup, stage.seen(setup)))
    again = is_saved(stage.seen(setup))
    stage.expect(found.token == again.token, "two lookups of one set-up name two tokens")
    stage.expect_count(setup, 1)


def _never_sent(stage: Stage) -> None:
    setup = stage.setup()
    stage.need(stage.capabilities.lookup_by_reference, "lookup_by_reference is False")
    with stage.proxy.broken(Fault.DROP_BEFORE):
        stage.submit(setup)
    found = stage.find(setup)
    stage.expect(isinstance(found, NotFound), f"it never arrived, and find said {told(found)}")


def _keys(stage: Stage) -> None:
    setup = stage.setup()
    stage.need(stage.capabilities.key_retention_seconds > 0, "key_retention_seconds is 0")
    first = saved_by(stage, setup)
    again = stage.submit(setup)
    if isinstance(again, MethodSaved):
        stage.expect(again.token == first.token, "the same set-up, sent twice, names two tokens")
    stage.expect_count(setup, 1)


def _declined(stage: Stage) -> None:
    setup = stage.setup(Token.DECLINED_AT_SETUP)
    outcome = stage.drive(setup, stage.submit(setup))
    stage.expect(isinstance(outcome, Declined), f"a method that is refused ended as {told(outcome)}")
    stage.expect_count(setup, 0)


def _agreed(stage: Stage) -> None:
    setup, waiting = waiting_setup(stage)
    saved = is_saved(stage.payer_acts(setup, waiting, approve=True))
    stage.expect_count(setup, 1)
    _, outcome = absent_charge(stage, setup, saved)
    stage.expect(type(outcome) is Succeeded, f"charged while the payer is absent, it ended as {told(outcome)}")


def _refused(stage: Stage) -> None:
    setup, waiting = waiting_setup(stage)
    outcome = stage.payer_acts(setup, waiting, approve=False)
    stage.expect(isinstance(outcome, Declined), f"a payer who refused left it as {told(outcome)}")
    stage.expect_count(setup, 0)


def _withdrawn(stage: Stage) -> None:
    setup, waiting = waiting_setup(stage)
    for _ in range(2):
        outcome = stage.withdraw(held(setup, waiting), waiting)
        stage.need(outcome != waiting, "withdraw leaves the set-up waiting for its payer")
        stage.expect(isinstance(outcome, Declined), f"the withdrawal ended as {told(outcome)}")
    found = stage.seen(held(setup, waiting))
    stage.expect(isinstance(found, Declined), f"after its withdrawal, find said {told(found)}")
    stage.expect_count(setup, 0)


def _revoked(stage: Stage) -> None:
    setup = stage.setup()
    saved = saved_by(stage, setup)
    revocation = stage.revocation(setup, saved)
    found = stage.find(revocation)
    stage.expect(isinstance(found, NotFound), f"before it is revoked, find said {told(found)}")
    for _ in range(2):
        outcome = stage.submit(revocation)
        stage.expect(isinstance(outcome, Succeeded), f"the revocation ended as {told(outcome)}")
    after = stage.seen(revocation)
    stage.expect(isinstance(after, Succeeded), f"after its revocation, find said {told(after)}")
    charge, charged = absent_charge(stage, setup, saved)
    stage.expect(not isinstance(charged, Succeeded), "the method was revoked, and was charged nevertheless")
    stage.expect_count(charge, 0)


def _revocation_lost(stage: Stage) -> None:
    for fault, expected in ((Fault.DROP_BEFORE, NotFound), (Fault.DROP_AFTER, Succeeded)):
        setup = stage.setup()
        revocation = stage.revocation(setup, saved_by(stage, setup))
        with stage.proxy.broken(fault):
            lost = stage.submit(revocation)
        stage.expect(isinstance(lost, Unknown), f"when {fault}, submit said {told(lost)}")
        found = stage.find(revocation)
        stage.expect(isinstance(found, expected), f"when {fault}, find said {told(found)} afterwards")


def _revocation_unasked(stage: Stage) -> None:
    setup = stage.setup()
    revocation = stage.revocation(setup, saved_by(stage, setup))
    with stage.proxy.broken(Fault.STATUS_500_BEFORE, reads_too=True):
        found = stage.find(revocation)
    stage.expect(isinstance(found, Unknown), f"a question without an answer ended as {told(found)}")


CHECKS = (
    Check(
        "setup.saved",
        "P1",
        "A set-up is MethodSaved, and its token can be charged while the payer is absent.",
        _SETUPS,
        _saves,
    ),
    Check("setup.lost", "P4", "A set-up whose answer is lost is found, with the one token it has.", _SETUPS, _found),
    Check("setup.never_arrived", "P4", "A set-up that never arrived is NotFound.", _SETUPS, _never_sent),
    Check("setup.keys", "P1", "A set-up that is sent twice under one key is made once.", _SETUPS, _keys),
    Check("setup.declined", "P4", "A set-up that is refused is Declined, and saves nothing.", _SETUPS, _declined),
    Check(
        "setup.agreed",
        "P4",
        "A set-up that needs its payer is AwaitsPayer, and MethodSaved once the payer has agreed.",
        _SETUPS,
        _agreed,
    ),
    Check("setup.refused", "P4", "A payer who refuses leaves a set-up that is Declined.", _SETUPS, _refused),
    Check(
        "setup.withdrawn",
        "P4",
        "A withdrawn set-up is Declined, again and again, and saves nothing.",
        _SETUPS,
        _withdrawn,
    ),
    Check(
        "revocation.ends",
        "P4",
        "A revoked method is found as revoked, is revoked again without harm, and is charged no more.",
        _REVOCATIONS,
        _revoked,
    ),
    Check(
        "revocation.lost",
        "P4",
        "A revocation without an answer is Unknown, and find says whether the method is revoked.",
        _REVOCATIONS,
        _revocation_lost,
    ),
    Check(
        "revocation.find_lost",
        "P4",
        "A question about a revocation without an answer ends nothing.",
        _REVOCATIONS,
        _revocation_unasked,
    ),
)
