"""The engine's limits to the millisecond and to the byte: a lease, a window, a wait, a size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import GatewayUnavailable, KeyExpired, KeyInProgress, KeyReused, ResponseNotStorable
from payonce.idempotency.engine import WAIT_RESERVE_MS, IdempotencyEngine
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import Completed, Draft, Plan, RecordStatus, Released, StoredResponse
from payonce.idempotency.transitions import ClaimTaken
from payonce.idempotency.window import LEASE_MARGIN_MS, IdempotencySettings
from payonce.ports import Deadline, Insert, Table
from tests.support.world import MERCHANT, REQUEST_MS, World

if TYPE_CHECKING:
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord

NOTE = {"pk": "NOTE", "sk": "NOTE"}


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


def stored(world: World) -> IdempotencyRecord:
    record = world.store.get(record_id(MERCHANT, "create_payment", "key"))
    assert record is not None
    return record


def killed_at_the_gateway(world: World) -> IdempotencyRecord:
    """Return the claim of an owner that died while it was submitting."""

    def die(*_: Any) -> Any:
        raise Killed

    world.gateway.submit = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.create()
    del world.gateway.submit
    return stored(world)


@pytest.mark.parametrize("who", ["a retry", "recovery"])
def test_a_lease_is_over_the_millisecond_after_its_end(who: str) -> None:
    """Fails when a takeover is early by anything: its owner may still be at work, and charge a second time."""
    world = World()
    claim = killed_at_the_gateway(world)
    assert claim.lease_expires_at_ms == world.clock.ms + REQUEST_MS + LEASE_MARGIN_MS
    for early_ms in (LEASE_MARGIN_MS, 1000, 1, 0):
        world.clock.ms = claim.lease_expires_at_ms - early_ms
        if who == "recovery":
            world.engine.recover(claim.record_id, lambda _record: None, Deadline(world.clock.ms + 1000))
        else:
            with pytest.raises(KeyInProgress):
                world.create()
        assert stored(world) == claim
    world.clock.ms = claim.lease_expires_at_ms + 1
    if who == "recovery":
        assert world.engine.recover(claim.record_id, lambda _record: None, Deadline(world.clock.ms + 1000))
        assert world.store.get(claim.record_id) is None
    else:
        assert world.create().response.status == 201


def test_another_body_is_refused_while_the_first_is_in_flight() -> None:
    """Fails when the fingerprint is compared only once there is an answer: the client would wait for another's."""
    world = World()
    claim = killed_at_the_gateway(world)
    with pytest.raises((KeyReused, KeyInProgress)) as refused:
        world.create(amount_minor=2000, fingerprint="another body")
    assert refused.type is KeyReused
    assert stored(world) == claim


@pytest.mark.parametrize("who", ["a retry", "recovery"])
def test_a_takeovers_lease_outlives_its_owners_deadline(who: str) -> None:
    """Fails when it ends with the deadline: clocks differ, and the owner's last write would meet the next owner's."""
    world = World()
    world.clock.ms = killed_at_the_gateway(world).lease_expires_at_ms + 1
    seen: list[tuple[int, int]] = []
    find = world.gateway.find

    def look(instruction: Any, deadline: Any) -> Any:
        seen.append((stored(world).fence, stored(world).lease_expires_at_ms))
        return find(instruction, deadline)

    world.gateway.find = look  # type: ignore[method-assign]
    started_ms = world.clock.ms
    if who == "recovery":
        world.recover()
    else:
        world.create()
    [(fence, lease_expires_at_ms)] = seen
    own_ms = REQUEST_MS if who == "a retry" else 20_000
    assert (fence, lease_expires_at_ms) == (2, started_ms + own_ms + LEASE_MARGIN_MS)


def test_a_key_is_replayed_up_to_its_last_millisecond_and_never_after() -> None:
    """Fails when the window is off by anything, either way."""
    world = World()
    world.create()
    world.clock.ms = stored(world).expires_at_ms
    assert world.create().replayed
    world.clock.ms += 1
    with pytest.raises(KeyExpired):
        world.create()


def test_a_provisional_answer_is_not_marked_as_a_replay() -> None:
    """Fails when 202 is said to be replayed: the client would take a doubt for the final answer."""
    world = World()
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    assert (world.create().response.status, world.create().replayed) == (202, False)
    assert stored(world).status is RecordStatus.IN_DOUBT


def test_who_waits_answers_before_its_own_deadline() -> None:
    """Fails when waiting takes all of the time: the function would be killed before it can say 409."""
    world = World()
    claim = killed_at_the_gateway(world)
    world.clock.ms += 1000  # this request ends before the other's lease does
    deadline_ms = world.clock.ms + REQUEST_MS
    world.store.park(
        claim,
        StoredResponse(202, {}, b""),
        submit_horizon_ms=0,
        retry_at_ms=deadline_ms + 60_000,
        ended_at_ms=0,
        writes=(),
    )
    held = replace(stored(world), response=None)
    world.store.get = lambda _id: held  # type: ignore[method-assign]
    world.store.claim = _taken(held)  # type: ignore[method-assign]
    with pytest.raises(KeyInProgress):
        world.create(wait_seconds=60)
    assert deadline_ms - WAIT_RESERVE_MS - 500 <= world.clock.ms <= deadline_ms - WAIT_RESERVE_MS


def _taken(record: IdempotencyRecord) -> Any:
    def claim(*_: Any, **__: Any) -> Any:
        raise ClaimTaken(record)

    return claim


def test_who_waits_takes_over_as_soon_as_the_lease_is_over() -> None:
    """Fails when only a response or a release ends the wait: a dead owner gives neither."""
    world = World()
    claim = killed_at_the_gateway(world)
    world.clock.ms = claim.lease_expires_at_ms - 3000
    assert world.create(wait_seconds=10).response.status == 201
    assert world.clock.ms <= claim.lease_expires_at_ms + 600


class Fixed:
    """Work with an answer of so many bytes, whose resumption ends without an effect."""

    def __init__(self, size: int) -> None:
        self.answer = StoredResponse(200, {}, b"x" * size)

    def plan(self) -> Plan:
        """See ``Work``."""
        return Plan(claim_id="c", resource="/x", data={})

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return self.answer

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        return Completed(lambda: Draft(self.answer, ()))

    def adopt(self, record: IdempotencyRecord) -> Fixed:
        """See ``Work``."""
        return self

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        return Released(GatewayUnavailable("none"), [Insert(Table.PAYMENTS, dict(NOTE))])


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
def test_an_answer_fits_or_is_refused_before_anything_happens(size: int, *, fits: bool) -> None:
    """Fails when the limit is off by one byte: the completion would be refused after the effect."""
    world = World()
    engine = IdempotencyEngine(
        store=world.store,
        settings=IdempotencySettings(),
        clock=world.clock,
        sleep=world.clock.sleep,
        max_response_bytes=100,
    )
    request = world.request("key", "create_payment")
    if fits:
        assert engine.execute(request, Fixed(size)).response.status == 200
    else:
        with pytest.raises(ResponseNotStorable):
            engine.execute(request, Fixed(size))
        assert not engine.knows(request)


def test_what_recovery_gives_back_is_written_with_its_release() -> None:
    """Fails when the writes of a release are left out: what the claim had reserved would stay reserved for ever."""
    world = World()
    claim = killed_at_the_gateway(world)
    world.clock.ms = claim.lease_expires_at_ms + 1
    assert world.engine.recover(claim.record_id, lambda _record: Fixed(1), Deadline(world.clock.ms + 1000))
    assert world.store.get(claim.record_id) is None
    assert world.database.get(Table.PAYMENTS, NOTE) == NOTE
