"""Whose promise an exception is, and which call would wait for itself: the decisions alone, without an engine."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import KeyInProgress, NotExecuted, StoreUnavailable
from payonce.idempotency.attempt import Attempt
from payonce.idempotency.nested import (
    ATTEMPTS,
    LeavingAGuard,
    check_releases_on,
    is_promise,
    next_number,
    refuse_to_wait_for_oneself,
)
from payonce.idempotency.records import RecordStatus
from payonce.ports import Deadline
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


class RefusedError(Exception):
    """The program's own promise that nothing was done."""


RELEASES = (RefusedError, ExceptionGroup)


def left[E: Exception](error: E) -> E:
    """Return the exception after it has left another guarded call."""
    with suppress(type(error)), LeavingAGuard():
        raise error
    error.__context__ = None
    return error


def caused(*, by: Exception | None, during: Exception | None = None) -> RefusedError:
    error = RefusedError()
    error.__cause__, error.__context__ = by, during
    return error


def test_a_programs_own_exception_is_its_promise_alone_or_in_a_group() -> None:
    since = next_number()
    assert is_promise(RefusedError(), RELEASES, since=since)
    assert is_promise(ExceptionGroup("two", [RefusedError(), RefusedError()]), RELEASES, since=since)
    assert is_promise(caused(by=KeyError(), during=KeyError()), RELEASES, since=since)
    assert not is_promise(KeyError(), RELEASES, since=since)
    before = left(RefusedError())
    assert is_promise(before, RELEASES, since=next_number())  # it left its guard before this call began


@pytest.mark.parametrize(
    "make",
    [
        lambda: left(RefusedError()),
        lambda: ExceptionGroup("mixed", [RefusedError(), StoreUnavailable("no answer")]),
        lambda: ExceptionGroup("mixed", [StoreUnavailable("no answer"), RefusedError()]),
        lambda: ExceptionGroup("deep", [ExceptionGroup("mixed", [StoreUnavailable("no answer")])]),
        lambda: ExceptionGroup("of another call", [left(RefusedError())]),
        lambda: caused(by=left(KeyError())),
        lambda: caused(by=None, during=left(KeyError())),
        lambda: caused(by=left(KeyError()), during=KeyError()),
        lambda: caused(by=KeyError(), during=left(KeyError())),
    ],
)
def test_what_another_guarded_call_has_to_do_with_is_no_promise(make: Any) -> None:
    """Fails when a claim is released although an inner call may have charged: the retry would charge again."""
    since = next_number()
    assert not is_promise(make(), RELEASES, since=since)


def test_exceptions_that_were_raised_during_each_other_have_an_end() -> None:
    first, second = RefusedError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert is_promise(first, RELEASES, since=next_number())


class NobodyThereError(NotExecuted):
    """A program's own kind of ``NotExecuted``."""


def test_a_program_may_name_its_own_exceptions_and_the_promise_itself() -> None:
    """Fails when a guard can't be made whose function says what it did with ``NotExecuted``, the error made for it."""
    named = (RefusedError, NotExecuted, NobodyThereError)
    assert check_releases_on(named) == named


@pytest.mark.parametrize("kind", ["RefusedError", RefusedError(), None])
def test_what_is_no_exception_is_refused_by_name(kind: Any) -> None:
    """Fails when a mistake in the list is told as an error of Python's, which does not say what the list must hold."""
    with pytest.raises(ValueError, match="releases_on is a tuple of exceptions"):
        check_releases_on((RefusedError, kind))


CLOCK = ManualClock()
REQUEST: Any = SimpleNamespace(operation="op", scope="shop", key="key-1")


class Store:
    """Holds one record, and counts how often it is read."""

    def __init__(self, **record: Any) -> None:
        held = {"claim_id": "clm_1", "fence": 2, "status": RecordStatus.IN_PROGRESS, "lease_expires_at_ms": CLOCK.ms}
        self.record: Any = SimpleNamespace(**{**held, **record})
        self.reads = 0

    def get(self, _record_id: str) -> Any:
        """See ``IdempotencyStore``."""
        self.reads += 1
        return self.record


def within(key: str) -> Attempt:
    return Attempt(
        operation="op",
        scope="shop",
        key=key,
        reference="clm_1",
        owners=2,
        deadline=Deadline(CLOCK.ms),
        submit_horizon_ms=0,
    )


@pytest.fixture
def inside() -> Iterator[None]:
    """The call is made within the execution that holds ``key-1``."""
    token = ATTEMPTS.set((within("key-1"),))
    yield
    ATTEMPTS.reset(token)


def refuse(store: Store) -> None:
    given: Any = store
    refuse_to_wait_for_oneself(REQUEST, given, CLOCK)


@pytest.mark.usefixtures("inside")
def test_a_call_within_the_execution_that_holds_its_key_is_refused_until_its_lease_is_over() -> None:
    """Fails when it waits for itself until its caller gives up."""
    with pytest.raises(KeyInProgress, match="would wait for itself"):
        refuse(Store())


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    "record",
    [
        {"claim_id": "clm_2"},
        {"fence": 3},
        {"status": RecordStatus.COMPLETED},
        {"lease_expires_at_ms": CLOCK.ms - 1},
    ],
)
def test_a_call_whose_execution_is_over_is_like_any_other(record: dict[str, Any]) -> None:
    """Fails when a background task that outlived its execution never gets an answer."""
    refuse(Store(**record))


@pytest.mark.usefixtures("inside")
def test_a_call_whose_claim_is_gone_is_like_any_other() -> None:
    store = Store()
    store.record = None
    refuse(store)


def test_a_call_that_is_within_no_execution_of_its_key_costs_no_read() -> None:
    """Fails when every guarded call, or every nested one, reads the record once more."""
    store = Store()
    refuse(store)
    token = ATTEMPTS.set((within("another-key"),))
    refuse(store)
    ATTEMPTS.reset(token)
    assert store.reads == 0
