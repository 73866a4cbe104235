"""The engine's thread, and the block that it waits for."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.idempotency.attempt import Attempt
from payonce.idempotency.handoff import AttemptContext, in_thread
from payonce.idempotency.in_process import GivenUp
from payonce.idempotency.nested import ATTEMPTS
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPT = Attempt(
    operation="op",
    scope="shop",
    key="key-1",
    reference="clm_1",
    owners=1,
    deadline=Deadline(0),
    submit_horizon_ms=0,
)


def engine_of(attempt: Attempt) -> Callable[[Callable[[], Any]], Any]:
    """Return an engine that gives each block this attempt, and stores a text made of its result."""

    def execute(run: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()
        context.run(ATTEMPTS.set, (attempt,))
        return f"{context.run(run)}, as it is stored"

    return execute


def test_an_engine_that_hangs_does_not_keep_the_program_from_ending() -> None:
    """Fails when its thread is no daemon: a program that is told to stop would wait for a store that is silent."""
    thread = in_thread(threading.current_thread).result()
    assert (thread.name, thread.daemon) == ("payonce", True)


def test_a_caller_who_is_interrupted_before_the_block_executes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the block runs after all, or when the engine waits for it until the process ends."""
    context = AttemptContext(lambda _run: "replayed")

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(context._begun, "result", interrupted)
    with pytest.raises(KeyboardInterrupt), context:
        raise AssertionError("the block runs")
    assert isinstance(context._left.exception(timeout=1), GivenUp)


class EngineError(Exception):
    """What the engine says of the block's exception."""


@pytest.mark.parametrize("means", [EngineError("in doubt"), None])
def test_who_leaves_a_block_by_an_exception_learns_what_it_means(means: EngineError | None) -> None:
    """Fails when the engine's word is lost behind the block's own exception, or is raised although there is none."""

    def execute(run: Callable[[], Any]) -> Any:
        context = contextvars.copy_context()
        context.run(ATTEMPTS.set, (ATTEMPT,))
        try:
            return context.run(run)
        except KeyError:
            if means is not None:
                raise means from None
            return None

    with pytest.raises(KeyError if means is None else EngineError), AttemptContext(execute):
        raise KeyError("of the block")


def test_a_block_that_ends_as_it_should_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when the end of each engine reports an error in a callback, which somebody then looks for."""
    with AttemptContext(engine_of(ATTEMPT)) as attempt:
        assert (attempt.replayed, attempt.reference) == (False, "clm_1")
        attempt.result = "charged"
    assert attempt.result == "charged, as it is stored"  # what a retry gets, too
    with AttemptContext(lambda _run: "replayed") as again:
        assert (again.replayed, again.result) == (True, "replayed")
    assert caplog.records == []


def test_what_a_block_says_after_a_replay_changes_nothing() -> None:
    """Fails when its caller gets another result than the one that is stored, or not the block's own exception."""
    with AttemptContext(lambda _run: "stored") as attempt:
        attempt.result = "charged once more"
    assert attempt.result == "stored"
    error = KeyError("of the block")
    with pytest.raises(KeyError) as raised, AttemptContext(lambda _run: "stored"):
        raise error
    assert raised.value is error


def test_blocks_that_end_in_the_order_they_began_in_leave_nothing_behind() -> None:
    """Two generators hold a block each, and the first one ends first. Fails when its attempt stays in the context, so
    that code outside of both finds it, or when the second one loses its own.
    """
    own = replace(ATTEMPT, key="key-2")
    first, second = AttemptContext(engine_of(ATTEMPT)), AttemptContext(engine_of(own))
    first.__enter__()
    second.__enter__()
    assert ATTEMPTS.get() == (ATTEMPT, own)
    first.__exit__(None, None, None)
    assert ATTEMPTS.get() == (own,)
    second.__exit__(None, None, None)
    assert ATTEMPTS.get() == ()


def test_a_block_that_is_left_in_another_context_ends_there() -> None:
    """A generator is closed by a task that did not begin it. Fails when that raises, or takes another attempt along."""
    block = AttemptContext(engine_of(ATTEMPT))
    elsewhere = contextvars.copy_context()
    elsewhere.run(block.__enter__)
    assert elsewhere.get(ATTEMPTS) == (ATTEMPT,)
    with AttemptContext(engine_of(replace(ATTEMPT, key="key-2"))) as outer:
        block.__exit__(None, None, None)
        assert [attempt.key for attempt in ATTEMPTS.get()] == ["key-2"]
    assert (block.result, outer.result) == ("None, as it is stored", "None, as it is stored")
