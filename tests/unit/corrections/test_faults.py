"""In-process faults for breadth: the driver dies at every call of a port, before or after it, and starts anew.

Seen to fail: with a claim id that follows from the break, a driver started anew takes the dead one's claim for its own
and submits again (36 of the cases below).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from payonce.corrections.correction_lists import corrections_with_status
from payonce.corrections.following import standing_of
from payonce.corrections.record import CorrectionStatus
from payonce.domain.gateway import OperationKind
from payonce.payments.corrective_plan import corrective_reference
from payonce.payments.journal import entries_of
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.runs.standing import Standing
from tests.support.corrections import (
    check_corrected,
    corrections_in,
    deadline,
    double_charge,
    duplicate_capture,
    identity_of,
)
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.reconciliation.model import Break

LEASE_OVER_MS = 31_000
MOST_STEPS = 40  # far more calls of ports than one correction makes


class Died(BaseException):
    """The process is gone: nothing may catch this."""


class Dying:
    """A port that dies at its n-th call, before or after it."""

    def __init__(self, inner: Any, fuse: Fuse, names: frozenset[str]) -> None:
        self._inner, self._fuse, self._names = inner, fuse, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found
        return lambda *given, **named: self._fuse.around(lambda: found(*given, **named))


class Fuse:
    """Counts the calls of all ports."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.calls = at, after, 0

    def around(self, call: Callable[[], Any]) -> Any:
        """Make the call, or die at it."""
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Died
        result = call()
        if self.calls == self.at:
            raise Died
        return result


def dying_world(world: World, fuse: Fuse) -> World:
    """Return another process on the same database, gateway and clock."""
    names = frozenset({"get", "get_many", "write", "query"})
    other = World(clock=world.clock, database=Dying(world.database, fuse, names), gateway=world.gateway)
    other.gateway = Dying(world.gateway, fuse, frozenset({"submit", "find", "read_charge"}))  # type: ignore[assignment]
    return other


def drive_until_done(world: World, found: Break, faults: list[Fuse]) -> int:
    """Drive the correction, each time with the next fault, until it is corrected; return how often it died."""
    deaths = 0
    for fuse in [*faults, *(Fuse(0, after=False) for _ in range(6))]:
        process = dying_world(world, fuse)
        try:
            step = corrections_in(process).advance(found, deadline(world))
        except Died:
            deaths += 1
            check_one_state(world, found)
        else:
            if step.correction.status is CorrectionStatus.CORRECTED:
                return deaths
        world.clock.ms += LEASE_OVER_MS
    raise AssertionError("the correction did not come to an end")


def check_one_state(world: World, found: Break) -> None:
    """Wherever it died: the lists, what runs are told and what is booked say what the one record says.

    Fails when the effect and the correction's status are committed apart, or a list is fed by anything else.
    """
    identity = identity_of(found)
    correction = corrections_in(world).find(identity)
    listed = [
        each.status
        for status in CorrectionStatus
        for each in corrections_with_status(world.database, status)
        if each.break_id == found.break_id
    ]
    assert listed == ([] if correction is None else [correction.status])
    corrected = correction is not None and correction.status is CorrectionStatus.CORRECTED
    entries = entries_of(world.database, identity.merchant_id, identity.payment_id)
    reference = corrective_reference(found.break_id)
    booked = any(entry.movement is not None and entry.movement.gateway_reference == reference for entry in entries)
    assert booked == corrected
    standing = Standing() if correction is None else standing_of(correction)
    assert (standing.gateway_references == (reference,)) == booked
    case = CaseStore(world.database).get(found.break_id)
    assert case.status is CaseStatus.OPEN
    if world.gateway.succeeded(OperationKind.REFUND):
        assert correction is not None
        assert standing.in_flight or corrected
        assert [each["change"] for each in CaseStore(world.database).history(found.break_id)] == ["found", "correcting"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("make", [duplicate_capture, double_charge])
def test_a_driver_that_dies_at_any_call_gives_back_once(make: Callable[[World], Break], *, after: bool) -> None:
    deaths = 0
    for at in range(1, MOST_STEPS):
        world = World()
        found = make(world)
        deaths += drive_until_done(world, found, [Fuse(at, after=after)])
        check_corrected(world, found)
    assert deaths > 8  # the first steps of every correction are calls


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("make", [duplicate_capture, double_charge])
def test_a_driver_that_dies_again_and_again_gives_back_once(make: Callable[[World], Break], seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    world.gateway.visible_after_ms = 0
    found = make(world)
    faults = [Fuse(chance.randint(1, 14), after=chance.random() < 0.5) for _ in range(8)]
    drive_until_done(world, found, faults)
    check_corrected(world, found)
