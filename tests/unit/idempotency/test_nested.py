"""Guarded calls within guarded calls: "nothing was executed" is true of the call that says it, and of no other."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain import errors
from payonce.domain.errors import KeyInProgress, NotExecuted, OutcomeUnknown, PayonceError, StoreUnavailable
from payonce.domain.exchange import Answered
from payonce.idempotency.attempt import WasExecuted
from payonce.idempotency.nested import LeavingAGuard, is_promise, next_number
from payonce.idempotency.operation import current_attempt, idempotent_operation
from payonce.idempotency.records import RecordStatus
from tests.support.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable

EXTRA: dict[str, dict[str, Any]] = {
    "UpstreamRefused": {"answer": Answered(503, {}, b"")},
    "WriteConflict": {"index": 0, "current": None},
    "PackageMissing": {"package": "redis"},
}
OWN = [
    cls("from something that was called after the effect", **EXTRA.get(name, {}))
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, PayonceError) and not issubclass(cls, NotExecuted)
]
WAYS = ["function", "coroutine", "block"]


class Refused(Exception):
    """A program's own exception that may stand for "nothing happened"."""


def call(way: str, shop: Shop, act: Callable[[], Any], *, name: str = "sell", **options: Any) -> Any:
    """Run ``act`` guarded, in one of the three ways, under one key."""
    operation = shop.operation(name, **{"scope": "shop_name", **options})
    if way == "block":
        with operation.attempt(scope="s", key="order-1") as attempt:
            if not attempt.replayed:
                attempt.result = act()
        return attempt.result
    if way == "coroutine":

        @operation
        async def sell_later(shop_name: str, order: str) -> str:
            return act()  # type: ignore[no-any-return]

        return asyncio.run(sell_later("s", "order-1"))

    @operation
    def sell(shop_name: str, order: str) -> str:
        return act()  # type: ignore[no-any-return]

    return sell("s", "order-1")


def assert_in_doubt(shop: Shop, name: str = "sell") -> None:
    record = shop.record(name)
    assert record is not None
    assert record.status is RecordStatus.IN_DOUBT


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", OWN, ids=lambda error: type(error).__name__)
def test_no_error_of_payonces_own_gives_a_claim_back(error: PayonceError, way: str) -> None:
    """The function charges, and calls something of payonce's that is away. Fails when its "nothing was executed" is
    taken for the function's: the retry would charge again.
    """
    shop = Shop()

    def act() -> str:
        shop.shipped.append("charged")
        raise error

    for expected in (type(error), OutcomeUnknown):
        with pytest.raises(expected):
            call(way, shop, act, releases_on=(Exception,))
    assert_in_doubt(shop)
    assert shop.shipped == ["charged"]


@pytest.mark.parametrize("way", WAYS)
def test_a_nested_call_whose_store_is_away(way: str) -> None:
    """Fails when the inner call's claim that could not be made frees the outer one."""
    shop, away = Shop(), [True]
    claim = shop.store.claim

    def flaky(record: Any, *writes: Any) -> Any:
        if "#courier#" in record.record_id and away:
            raise StoreUnavailable("throttled for a moment")
        return claim(record, *writes)

    shop.store.claim = flaky  # type: ignore[method-assign]
    courier = shop.operation("courier", scope="shop_name")(label_of)

    def act() -> str:
        shop.shipped.append("charged")
        return courier("s", "order-1")

    with pytest.raises(StoreUnavailable):
        call(way, shop, act)
    away.clear()
    with pytest.raises(OutcomeUnknown):
        call(way, shop, act)
    assert shop.shipped == ["charged"]


def label_of(shop_name: str, order: str) -> str:
    return f"label of {order}"


def refused(shop_name: str, order: str) -> str:
    raise Refused("the courier is closed")


def promised(shop_name: str, order: str) -> str:
    raise NotExecuted("the courier is closed")


def directly(courier: Callable[[], str]) -> str:
    return courier()


def in_a_pool(courier: Callable[[], str]) -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(courier).result()


def in_the_same_context(courier: Callable[[], str]) -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, courier).result()


def raised_again(courier: Callable[[], str]) -> str:
    try:
        return courier()
    except (Refused, NotExecuted) as error:
        raise error


def carried(courier: Callable[[], str]) -> str:
    kept: list[Exception] = []
    try:
        return courier()
    except (Refused, NotExecuted) as error:
        kept.append(error)
    raise kept.pop()


def of_another_process(courier: Callable[[], str]) -> str:
    kept: list[Exception] = []
    try:
        return courier()
    except (Refused, NotExecuted) as error:
        kept.append(pickle.loads(pickle.dumps(error)))  # noqa: S301 - as a pool of processes does
    raise kept.pop()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inner_way", WAYS)
@pytest.mark.parametrize("inner", [refused, promised])
def test_the_promise_of_a_nested_call_is_not_the_outer_ones(inner: Any, inner_way: str, way: str) -> None:
    """The inner function has done nothing, and says so; the outer one had charged before. Fails when the outer claim is
    given back with the inner one, whatever the outer one takes for a promise.
    """
    shop = Shop()

    def act() -> str:
        shop.shipped.append("charged")
        return apart(
            lambda: call(inner_way, shop, lambda: inner("s", "order-1"), name="courier", releases_on=(Refused,))
        )

    for expected in ((Refused, NotExecuted), OutcomeUnknown):
        with pytest.raises(expected):
            call(way, shop, act, releases_on=(Refused,))
    assert shop.record("courier") is None
    assert_in_doubt(shop)
    assert shop.shipped == ["charged"]


def apart(act: Callable[[], Any]) -> Any:
    """Run ``act`` in another thread, where a loop may run although one runs here; with this context."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, act).result()


@pytest.mark.parametrize("path", [directly, in_a_pool, in_the_same_context, raised_again, carried, of_another_process])
@pytest.mark.parametrize("inner", [refused, promised])
def test_however_it_got_here_a_nested_promise_is_none(inner: Any, path: Any) -> None:
    """Fails when the path of the exception decides: another thread, another process, raised again later."""
    shop = Shop()
    courier = shop.operation("courier", scope="shop_name", releases_on=(Refused,))(inner)

    def act() -> str:
        shop.shipped.append("charged")
        return path(lambda: courier("s", "order-1"))  # type: ignore[no-any-return]

    with pytest.raises((Refused, NotExecuted)):
        call("function", shop, act, releases_on=(Refused,))
    assert_in_doubt(shop)


def test_an_exception_that_stands_for_a_nested_one_is_none_either() -> None:
    """A client wraps what it got. Fails when ``releases_on`` looks at the wrapping alone."""
    shop = Shop()
    courier = shop.operation("courier", scope="shop_name")(promised)

    def wrapped() -> str:
        try:
            return courier("s", "order-1")
        except NotExecuted as error:
            raise Refused("the client of the courier failed") from error

    def grouped() -> str:
        try:
            return courier("s", "order-1")
        except NotExecuted as error:
            raise ExceptionGroup("several", [Refused(), error]) from None

    for act, kind in ((wrapped, Refused), (grouped, ExceptionGroup)):
        with pytest.raises(kind):
            call("function", shop, act, name=kind.__name__, releases_on=(Refused, ExceptionGroup))
        assert_in_doubt(shop, kind.__name__)


def test_a_promise_in_a_group_is_none() -> None:
    """One task of a group did nothing; of the others that says nothing. Fails when the group is looked into."""
    shop = Shop()

    @shop.operation("sell", scope="shop_name")
    async def sell(shop_name: str, order: str) -> str:
        async def charge() -> None:
            shop.shipped.append("charged")

        async def book() -> None:
            await asyncio.sleep(0)
            raise NotExecuted("closed")

        async with asyncio.TaskGroup() as group:
            group.create_task(charge())
            group.create_task(book())
        return "sold"

    with pytest.raises(ExceptionGroup):
        asyncio.run(sell("s", "order-1"))
    assert_in_doubt(shop)


@pytest.mark.parametrize("way", WAYS)
def test_a_function_may_make_its_own_promise_after_a_nested_call_failed(way: str) -> None:
    """It knows what it has done, and says so itself. Fails when a nested failure blocks the key for good."""
    shop = Shop()
    courier = shop.operation("courier", scope="shop_name")(promised)

    def act() -> str:
        try:
            return courier("s", "order-1")
        except NotExecuted as error:
            raise NotExecuted("sold nothing, as the courier is closed") from error

    with pytest.raises(NotExecuted, match="sold nothing") as raised:
        call(way, shop, act)
    assert isinstance(raised.value.__cause__, NotExecuted)
    assert shop.record("sell") is None


def test_a_promise_keeps_what_it_was_raised_from() -> None:
    """Fails when the guard raises it with a cause of its own, or none."""
    shop = Shop()

    def act() -> str:
        try:
            raise OSError("no route")
        except OSError as error:
            raise Refused("nobody there") from error

    with pytest.raises(Refused) as raised:
        call("function", shop, act, releases_on=(Refused,))
    assert isinstance(raised.value.__cause__, OSError)
    assert not raised.value.__suppress_context__ or raised.value.__cause__ is not None


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception that can't be given attributes."""

    why: str


@pytest.mark.parametrize("error", [NotExecuted("closed"), Refused(), Frozen("closed")])
def test_one_exception_object_may_be_raised_many_times(error: Exception) -> None:
    """Programs keep them as constants. Fails when an exception that once left a guard is never a promise again."""
    shop = Shop()

    def act() -> str:
        raise error

    for _ in range(3):
        with pytest.raises(type(error)):
            call("function", shop, act, releases_on=(Refused, Frozen))
        assert shop.record("sell") is None


def test_what_is_handled_around_a_call_is_no_part_of_it() -> None:
    """The call is made anew while an earlier failure is handled, which Python notes as its context. Fails when that
    counts as what the exception was raised from.
    """
    shop = Shop()
    courier = shop.operation("courier", scope="shop_name")(promised)

    def act() -> str:
        raise Refused("nobody there")

    try:
        courier("s", "order-1")
    except NotExecuted:
        with pytest.raises(Refused):
            call("function", shop, act, releases_on=(Refused,))
    assert shop.record("sell") is None


@pytest.mark.parametrize(
    "types",
    [(StoreUnavailable,), (Refused, PayonceError), (KeyboardInterrupt,), (asyncio.CancelledError,), (BaseException,)],
)
def test_what_can_be_no_promise_is_refused_at_once(types: Any) -> None:
    """Fails when a guard can be made that gives claims back on payonce's own errors, or on an interrupt."""
    with pytest.raises(ValueError, match="releases_on"):
        idempotent_operation(store=Shop().store, operation="o", timeout_seconds=1, releases_on=types)


def test_exceptions_left_a_guard_before_and_after() -> None:
    error = NotExecuted("closed")
    assert is_promise(error, (), since=next_number())
    since = next_number()
    with pytest.raises(NotExecuted), LeavingAGuard():
        raise error
    assert not is_promise(error, (), since=since)
    assert is_promise(error, (), since=next_number())
    assert not is_promise(pickle.loads(pickle.dumps(error)), (), since=next_number())  # noqa: S301


# ---------------------------------------------------------------- a call within itself
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inner_way", WAYS)
def test_a_call_within_itself_does_not_wait_for_itself(way: str, inner_way: str) -> None:
    """Fails when it waits until its time is over, and then says no more than "in progress"."""
    shop = Shop()
    began_ms = shop.clock.ms

    def act() -> str:
        with pytest.raises(KeyInProgress, match="wait for itself"):
            apart(lambda: call(inner_way, shop, lambda: "inner", wait_seconds=5))
        return "outer"

    assert call(way, shop, act) == "outer"
    assert shop.clock.ms == began_ms


def test_a_call_within_itself_by_way_of_another() -> None:
    shop = Shop()

    def act() -> str:
        return call("function", shop, again, name="courier")  # type: ignore[no-any-return]

    def again() -> str:
        with pytest.raises(KeyInProgress, match="wait for itself"):
            call("function", shop, lambda: "again", wait_seconds=5)
        return "label"

    assert call("function", shop, act) == "label"


@pytest.mark.parametrize("error", [None, Refused()])
def test_what_outlives_an_execution_is_no_longer_within_it(error: Exception | None) -> None:
    """A task of the background calls the same operation later. Fails when it is refused for ever, by its context."""
    shop = Shop()
    later: list[asyncio.Task[str]] = []

    @shop.operation("sell", scope="shop_name")
    async def sell(shop_name: str, order: str) -> str:
        async def check() -> str:
            await over.wait()
            return await sell(shop_name, order)

        later.append(asyncio.ensure_future(check()))
        if error is not None:
            raise error
        return "sold"

    async def main() -> None:
        first, *_ = await asyncio.gather(sell("s", "order-1"), return_exceptions=True)
        assert first == ("sold" if error is None else error)
        over.set()
        again, *_ = await asyncio.gather(later[0], return_exceptions=True)
        assert again == "sold" if error is None else isinstance(again, OutcomeUnknown)

    over = asyncio.Event()
    asyncio.run(main())


def test_each_function_and_block_has_its_own_attempt() -> None:
    """Fails when a block within a function hands on the function's reference, or leaves its own behind."""
    shop = Shop()
    blocks = shop.operation("block")

    def act() -> str:
        outer = current_attempt()
        with blocks.attempt(scope="s", key="order-1") as attempt:
            assert current_attempt().reference == attempt.reference != outer.reference
            assert call("function", shop, lambda: current_attempt().operation, name="inner") == "inner"
            assert current_attempt().operation == "block"
        with pytest.raises(Refused), blocks.attempt(scope="s", key="order-2"):
            raise Refused
        assert current_attempt() is outer
        return outer.operation

    assert call("function", shop, act) == "sell"
    with pytest.raises(LookupError):
        current_attempt()


def test_nested_coroutines_that_are_cancelled_are_all_in_doubt() -> None:
    """Fails when the inner one's end releases the outer one, or either is left without a word."""
    shop = Shop()
    at_work = threading.Event()

    @shop.operation("courier", scope="shop_name")
    async def courier(shop_name: str, order: str) -> str:
        at_work.set()
        await asyncio.sleep(30)
        return "label"

    @shop.operation("sell", scope="shop_name")
    async def sell(shop_name: str, order: str) -> str:
        return await courier(shop_name, order)

    async def main() -> None:
        task = asyncio.ensure_future(sell("s", "order-1"))
        while not at_work.is_set():
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for name in ("courier", "sell"):
        record = shop.record(name)
        assert record is not None
        assert record.status is RecordStatus.IN_DOUBT
        assert record.lease_expires_at_ms == record.submit_horizon_ms
    shop.clock.ms += 16_000
    shop.verdicts = [WasExecuted("label")]
    assert asyncio.run(courier("s", "order-1")) == "label"


def test_a_nested_coroutine_that_is_cancelled_before_it_begins_says_nothing_of_the_outer_one() -> None:
    """A program cancels every task there is, as ``asyncio.run`` does at its end, and meets the inner one before its
    first step. Fails when "it never began" gives the outer claim back: its retry would charge again.
    """
    shop = Shop()

    @shop.operation("courier", scope="shop_name")
    async def courier(shop_name: str, order: str) -> str:
        return "label"  # pragma: no cover - never begun

    @shop.operation("sell", scope="shop_name")
    async def sell(shop_name: str, order: str) -> str:
        shop.shipped.append("charged")
        known, loop = asyncio.all_tasks(), asyncio.get_running_loop()

        def cancel_the_new_one() -> None:
            if new := asyncio.all_tasks() - known:
                new.pop().cancel()
            else:
                loop.call_soon(cancel_the_new_one)

        cancel_the_new_one()
        return await courier(shop_name, order)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(sell("s", "order-1"))
    with pytest.raises(OutcomeUnknown):
        asyncio.run(sell("s", "order-1"))
    assert shop.shipped == ["charged"]
    assert_in_doubt(shop, "sell")
    assert shop.record("courier") is None
