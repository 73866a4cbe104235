"""An owner that dies, freezes or loses an answer at every step: the effect happens once, and one response stands."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import KeyInProgress, OutcomeUnknown
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus
from tests.support.store_child import STEPS, Stepping
from tests.support.stores import FileEffects, FileWork, StoreAddress, execute
from tests.support.world import ManualClock, RealClock

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.idempotency.record_store import IdempotencyStore

RECORD_ID = record_id("m", "op", "key-of-16-characters")


class Killed(BaseException):
    """The owner is gone: nothing in production code catches this."""


def check_once(store: IdempotencyStore, effects: FileEffects, clock: Any) -> None:
    """A retry finds the way to the one response, and another retry is a replay of the same bytes."""
    first = execute(store, FileWork(effects), clock)
    again = execute(store, FileWork(effects), clock)
    assert len(effects.all()) == 1
    assert again.replayed
    assert again.response == first.response
    assert first.response.headers["location"] == f"/effects/{effects.all()[0]}"
    stored = store.get(RECORD_ID)
    assert stored is not None
    assert stored.status is RecordStatus.COMPLETED


@pytest.mark.parametrize("step", STEPS)
def test_an_owner_that_dies_at_any_step(store: IdempotencyStore, tmp_path: Path, step: str) -> None:
    """Fails (two effects) when a takeover starts from the beginning, or when an effect comes before the claim."""
    effects, clock = FileEffects(tmp_path / "effects"), ManualClock()

    def die(name: str) -> None:
        if name == step:
            raise Killed

    with pytest.raises(Killed):
        execute(Stepping(store, die), FileWork(effects, step=die), clock)  # type: ignore[arg-type]
    if step in {"claimed", "acted", "completing"}:
        with pytest.raises(KeyInProgress):  # the lease has to end first
            execute(store, FileWork(effects), clock)
    clock.ms += 60_000
    check_once(store, effects, clock)


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_is_killed_at_any_step(shared_store: StoreAddress, tmp_path: Path, step: str) -> None:
    """The same with SIGKILL: nothing of the owner is left but what is stored."""
    effects = FileEffects(tmp_path / "effects")
    command = [sys.executable, "-m", "tests.support.store_child"]
    location = [shared_store.kind, shared_store.url, shared_store.prefix, str(effects.path), step]
    assert subprocess.run([*command, *location], timeout=300).returncode == -9
    check_once(shared_store.open(), effects, RealClock(60_000))


@pytest.mark.parametrize("method", ["claim", "complete"])
def test_an_answer_that_is_lost(store: IdempotencyStore, tmp_path: Path, method: str) -> None:
    """The store did it and nobody heard. Fails when an own claim or conclusion is not recognised by reading back."""
    effects, clock = FileEffects(tmp_path / "effects"), ManualClock()

    class LosesAnswer:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    def lose(*arguments: Any, **named: Any) -> Any:
        getattr(store, method)(*arguments, **named)
        raise OutcomeUnknown("no answer")

    losing = LosesAnswer()
    setattr(losing, method, lose)
    if method == "claim":  # the store itself has to read back: an engine that is told nothing may act on nothing
        with pytest.raises(OutcomeUnknown):
            execute(losing, FileWork(effects), clock)  # type: ignore[arg-type]
        assert effects.all() == []
        clock.ms += 60_000
    else:
        first = execute(losing, FileWork(effects), clock)  # type: ignore[arg-type]
        assert not first.replayed
    check_once(store, effects, clock)


@pytest.mark.parametrize("method", ["claim", "complete"])
def test_a_store_that_did_nothing_and_said_so_unclearly(store: IdempotencyStore, tmp_path: Path, method: str) -> None:
    """Fails (a lost or a second effect) when an unknown outcome is taken for done, or for not done."""
    effects, clock = FileEffects(tmp_path / "effects"), ManualClock()

    def lose(*_arguments: Any, **_named: Any) -> Any:
        raise OutcomeUnknown("no answer")

    losing = Stepping(store, lambda _name: None)
    setattr(losing, method, lose)
    with pytest.raises(OutcomeUnknown):
        execute(losing, FileWork(effects), clock)  # type: ignore[arg-type]
    assert len(effects.all()) == (method == "complete")
    clock.ms += 60_000
    check_once(store, effects, clock)


# An owner's clock against everybody else's. Its lease ends 30 s after its claim by its own clock, and it may run 25 s.
@pytest.mark.parametrize(
    ("skew_ms", "covered"),
    [(-30_000, False), (-5_500, False), (-4_500, True), (0, True), (4_500, True), (30_000, True)],
)
def test_what_the_lease_margin_covers_and_what_the_fence(
    store: IdempotencyStore, tmp_path: Path, skew_ms: int, covered: bool
) -> None:
    """A clock up to 5 s behind is covered by the margin; one further behind leaves two owners, and the fence decides.

    ::

        true time   0            20 - 30 s before the owner is done              25 s
        owner       claim ─ act ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ complete
        lease                                       by the owner's clock: 30 s - skew
        other                                                            tries at 24.9 s

    Fails when the margin is dropped (-4,500 is then not covered), and (a second response) when complete() does not
    require the fence.
    """
    effects, true = FileEffects(tmp_path / "effects"), ManualClock()
    owner = ManualClock(true.ms + skew_ms)
    others: list[Any] = []

    def step(name: str) -> None:
        if name == "acted":
            owner.ms += 24_900
            true.ms += 24_900
            try:
                others.append(execute(store, FileWork(effects), true))
            except KeyInProgress as busy:
                others.append(busy)

    first = execute(store, FileWork(effects, step=step), owner)
    [other] = others
    assert isinstance(other, KeyInProgress) is covered
    assert first.replayed is not covered  # a stale owner answers with what the newer one stored
    if not covered:
        assert first.response == other.response
    assert len(effects.all()) == 1
    check_once(store, effects, true)
