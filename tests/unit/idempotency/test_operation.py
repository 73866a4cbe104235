"""idempotent_operation: at most one execution per key in a program's own process, and no outcome guessed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import (
    KeyExpired,
    KeyInProgress,
    KeyMalformed,
    KeyMissing,
    KeyReused,
    LeaseLost,
    NotExecuted,
    OutcomeUnknown,
    PayonceError,
    ResultNotStored,
    StoreUnavailable,
)
from payonce.idempotency.attempt import Attempt, NotKnown, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.codecs import BytesCodec, JsonCodec, JsonValue
from payonce.idempotency.operation import current_attempt, idempotent_operation, run_again
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.window import MAX_RESPONSE_BYTES
from tests.support.shop import HOUR_MS, LEASE_MS, Shop
from tests.support.world import ManualClock, RealClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def test_a_second_call_returns_the_first_result() -> None:
    shop = Shop()
    ship = shop.ship()
    first = ship("s", "order-1", 2)
    assert first == ship("s", order="order-1", boxes=2) == {"shipment": 1, "boxes": 2}
    assert len(shop.shipped) == 1
    first["boxes"] = 99  # a caller's own copy
    assert ship("s", "order-1", 2) == {"shipment": 1, "boxes": 2}


def test_defaults_and_spelling_of_the_call_make_no_difference() -> None:
    """Fails when arguments are fingerprinted as they were spelled."""
    shop = Shop()
    ship = shop.ship()
    assert ship("s", "order-1") == ship(order="order-1", shop="s") == ship("s", "order-1", boxes=1)
    with pytest.raises(KeyReused):
        ship("s", "order-1", 2)


def test_scopes_and_operations_have_keys_of_their_own() -> None:
    """Fails when a tenant or another operation meets this one's record."""
    shop = Shop()
    ship, other = shop.ship(), shop.ship(name="other")
    assert [ship("s", "order-1")["shipment"], ship("t", "order-1")["shipment"], other("s", "order-1")["shipment"]] == [
        1,
        2,
        3,
    ]
    assert ship("t", "order-1")["shipment"] == 2


def test_key_and_scope_may_be_functions_of_the_arguments() -> None:
    shop = Shop()
    operation = shop.operation(
        scope=lambda *_: "all", key=lambda order: f"{order['id']}", fingerprint=lambda o: o["id"]
    )

    @operation
    def ship(order: Any) -> int:
        shop.shipped.append(order["id"])
        return len(shop.shipped)

    assert [ship({"id": "o1", "when": object()}), ship({"id": "o1", "when": object()}), ship({"id": "o2"})] == [1, 1, 2]


class Closed(NotExecuted):
    """A promise of the program's own making."""


@pytest.mark.parametrize("error", [NotExecuted("closed"), Closed("today")])
def test_what_was_not_executed_frees_the_key(error: Exception) -> None:
    """Fails when NotExecuted leaves the claim."""
    shop = Shop(fails=error)
    ship = shop.ship()
    with pytest.raises(type(error)) as raised:
        ship("s", "order-1")
    assert raised.value is error
    assert shop.record() is None
    shop.fails = None
    assert ship("s", "order-1") == {"shipment": 2, "boxes": 1}
    assert shop.asked == []


def test_exceptions_of_the_programs_own_may_say_so_too() -> None:
    shop = Shop(fails=ConnectionRefusedError("nobody there"))
    ship = shop.ship(releases_on=(ConnectionRefusedError,))
    with pytest.raises(ConnectionRefusedError, match="nobody there"):
        ship("s", "order-1")
    assert shop.record() is None


def test_any_other_exception_leaves_the_outcome_in_doubt() -> None:
    """Stock utilities delete the record on any exception, and the retry executes again. Fails when this one does."""
    shop = Shop(fails=ValueError("after the effect"))
    ship = shop.ship()
    with pytest.raises(ValueError, match="after the effect"):
        ship("s", "order-1")
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_DOUBT
    with pytest.raises(OutcomeUnknown):  # a moment later: nobody is asked yet, and nothing is executed
        ship("s", "order-1")
    assert (len(shop.shipped), shop.asked) == (1, [])


def doubtful() -> tuple[Shop, Callable[..., dict[str, JsonValue]]]:
    shop = Shop(fails=ValueError("?"))
    ship = shop.ship()
    with pytest.raises(ValueError, match=r"\?"):
        ship("s", "order-1")
    shop.fails = None
    shop.clock.ms += 5_001
    return shop, ship


def test_resolve_says_that_it_was_executed() -> None:
    shop, ship = doubtful()
    shop.verdicts = [WasExecuted({"shipment": 77})]
    assert ship("s", "order-1") == {"shipment": 77} == ship("s", "order-1")
    (asked,) = shop.asked
    assert (asked.operation, asked.scope, asked.key, asked.owners) == ("ship", "s", "order-1", 2)
    assert [asked.reference] == shop.shipped  # the one that the effect was made under


def test_resolve_says_that_it_was_not_executed() -> None:
    """Then it is executed, under the same reference. Fails when the reference is the owner's and not the claim's."""
    shop, ship = doubtful()
    shop.clock.ms += LEASE_MS
    shop.verdicts = [WasNotExecuted()]
    assert ship("s", "order-1") == {"shipment": 2, "boxes": 1}
    assert len(set(shop.shipped)) == 1


def test_resolve_does_not_know() -> None:
    """Fails when "not known" is taken for "not executed", or is not asked again."""
    shop, ship = doubtful()
    shop.verdicts = [NotKnown(ask_again_seconds=60), WasExecuted({})]
    with pytest.raises(OutcomeUnknown):
        ship("s", "order-1")
    shop.clock.ms += 59_000
    with pytest.raises(OutcomeUnknown):
        ship("s", "order-1")
    assert (len(shop.asked), len(shop.shipped)) == (1, 1)
    shop.clock.ms += 2_000
    assert ship("s", "order-1") == {}
    assert len(shop.shipped) == 1


def test_resolve_breaks() -> None:
    """Fails when an exception in resolve executes, releases, or is hidden."""
    shop, ship = doubtful()
    shop.verdicts = [RuntimeError("the inquiry broke")]
    with pytest.raises(RuntimeError, match="the inquiry broke"):
        ship("s", "order-1")
    record = shop.record()
    assert record is not None
    assert (record.status, len(shop.shipped)) == (RecordStatus.IN_DOUBT, 1)


def test_without_resolve_a_doubt_stays() -> None:
    """Fails when the default guesses."""
    shop = Shop(fails=ValueError("?"))
    ship = idempotent_operation(
        store=shop.store, operation="ship", timeout_seconds=10, scope="shop", key="order", clock=shop.clock
    )(lambda_of(shop))
    with pytest.raises(ValueError, match=r"\?"):
        ship("s", "order-1")
    for _ in range(3):
        shop.clock.ms += HOUR_MS
        with pytest.raises(OutcomeUnknown):
            ship("s", "order-1")
    assert len(shop.shipped) == 1


def lambda_of(shop: Shop) -> Callable[[str, str], int]:
    def effect(shop_name: str, order: str) -> int:
        shop.shipped.append(order)
        raise ValueError("?")

    def ship(shop: str, order: str) -> int:
        return effect(shop, order)

    return ship


@pytest.mark.parametrize("verdict", [WasExecuted({"shipment": 1}), WasNotExecuted(), NotKnown()])
def test_a_crash_is_asked_about_like_a_doubt(verdict: Verdict) -> None:
    """The process dies after the effect. Fails when the takeover begins from the start without asking."""
    shop = Shop()
    ship = shop.ship()
    shop.crash(lambda: ship("s", "order-1"))
    shop.verdicts = [verdict]
    if isinstance(verdict, NotKnown):
        with pytest.raises(OutcomeUnknown):
            ship("s", "order-1")
    else:
        ship("s", "order-1")
    assert len(shop.asked) == 1
    assert len(shop.shipped) == (2 if isinstance(verdict, WasNotExecuted) else 1)


def test_an_effect_that_is_idempotent_itself_runs_again_under_one_reference() -> None:
    shop = Shop()
    ship = shop.ship(resolve=run_again)
    shop.crash(lambda: ship("s", "order-1"))
    assert ship("s", "order-1")["shipment"] == 2
    assert len(set(shop.shipped)) == 1


def test_while_one_is_at_work_a_copy_waits_and_then_says_so() -> None:
    """Fails when a running lease can be taken over."""
    shop = Shop()
    inner: list[str] = []

    @shop.operation()
    def ship(shop: str, order: str) -> int:
        with pytest.raises(KeyInProgress):
            ship(shop, order)
        inner.append(order)
        return 1

    assert ship("s", "order-1") == 1
    assert inner == ["order-1"]


def test_a_late_result_of_a_stale_owner_is_refused() -> None:
    """A's work takes longer than its lease; B takes over and is told that it happened.

    ::

        A   claim f=1 ─▶ works ............................▶ complete: requires f=1, refused ─▶ LeaseLost
        B                    lease over: f=2 ─▶ resolve ─▶ completed

    Fails when A's result overwrites B's, or A's caller gets a result that no later call will get.
    """
    shop = Shop()
    late: list[Any] = []

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str) -> int:
        if not late:
            late.append("A at work")
            shop.clock.ms += LEASE_MS
            shop.verdicts = [WasExecuted(2)]
            late.append(ship(shop_name, order))
        return 1

    with pytest.raises(LeaseLost, match="longer than timeout_seconds"):
        ship("s", "order-1")
    assert late == ["A at work", 2]
    assert ship("s", "order-1") == 2


def test_a_late_result_that_nobody_took_over_still_counts() -> None:
    """Fails when the clock decides instead of the fence: the work is done, and would be asked about for nothing."""
    shop = Shop()

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str) -> int:
        shop.clock.ms += LEASE_MS
        return 1

    assert ship("s", "order-1") == ship("s", "order-1") == 1


def test_a_stale_owner_that_finds_the_key_free_does_not_execute_again() -> None:
    """Its claim was released by force while it was at work. Fails when the engine's second claim runs the function."""
    shop = Shop()

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str) -> int:
        shop.shipped.append(order)
        record = shop.record()
        assert record is not None
        shop.store.release(record)
        return 1

    with pytest.raises(LeaseLost):
        ship("s", "order-1")
    assert shop.shipped == ["order-1"]
    assert shop.record() is None


def test_a_result_that_is_not_recorded_is_unknown_and_then_asked_about() -> None:
    """The store goes away after the effect. Fails when that is reported as "not executed"."""
    shop = Shop()
    ship = shop.ship()
    complete = shop.store.complete
    shop.store.complete = lambda *_a, **_k: (_ for _ in ()).throw(StoreUnavailable("gone"))  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        ship("s", "order-1")
    shop.store.complete = complete  # type: ignore[method-assign]
    shop.clock.ms += LEASE_MS
    shop.verdicts = [WasExecuted({"shipment": 1})]
    assert ship("s", "order-1") == {"shipment": 1}
    assert len(shop.shipped) == 1


def test_nested_operations_on_one_store_complete_under_their_own_keys() -> None:
    """Powertools' trap: the outer one completes under the inner one's key. Fails when they share a layer."""
    shop = Shop()
    inner = shop.operation("inner", scope="shop_name")(inner_of(shop))

    @shop.operation("outer", scope="shop_name")
    def outer(shop_name: str, order: str) -> dict[str, str]:
        before = current_attempt()
        label = inner(shop_name, order)
        assert current_attempt() == before
        return {"label": label, "by": before.operation}

    assert outer("s", "order-1") == {"label": "label of order-1 by inner", "by": "outer"}
    assert outer("s", "order-1") == {"label": "label of order-1 by inner", "by": "outer"}
    assert inner("s", "order-1") == "label of order-1 by inner"
    assert shop.shipped == ["order-1"]
    with pytest.raises(LookupError):
        current_attempt()


def inner_of(shop: Shop) -> Callable[[str, str], str]:
    def inner(shop_name: str, order: str) -> str:
        shop.shipped.append(order)
        return f"label of {order} by {current_attempt().operation}"

    return inner


def test_after_the_window_the_key_blocks() -> None:
    shop = Shop()
    ship = shop.ship()
    ship("s", "order-1")
    shop.clock.ms += 25 * HOUR_MS
    with pytest.raises(KeyExpired):
        ship("s", "order-1")


@pytest.mark.parametrize("order", [None, "", "x" * 256, "with blank", "\u00e9", 7])
def test_a_call_without_a_usable_key_is_refused(order: Any) -> None:
    """Fails when keyless calls of a tenant share one record."""
    shop = Shop()
    with pytest.raises(KeyMalformed if order else KeyMissing):
        shop.ship()("s", order)
    with pytest.raises(KeyMalformed):
        shop.ship()("", "order-1")
    assert shop.shipped == []


# ---------------------------------------------------------------- results
class Receipt(TypedDict):
    """A typed result."""

    number: int
    lines: list[str]


@pytest.mark.parametrize(
    "annotation",
    [None, bool, int, float, str, list[int], dict[str, list[str]], int | None, JsonValue, Receipt, Literal["a"]],
)
def test_results_that_json_gives_back(annotation: Any) -> None:
    JsonCodec().check(annotation)


@pytest.mark.parametrize(
    "annotation",
    [bytes, tuple[int, ...], set[int], Decimal, dict[int, str], list, dict, Any, object, Shop, list[bytes]],
)
def test_results_that_json_does_not_give_back_are_refused_before_anything_runs(annotation: Any) -> None:
    """Fails when that is found out after the effect."""
    shop = Shop()

    def ship(order: str) -> Any:
        shop.shipped.append(order)

    ship.__annotations__["return"] = annotation
    with pytest.raises(TypeError, match="does not come back"):
        shop.operation(scope="order")(ship)
    assert shop.shipped == []


def test_a_function_that_does_not_say_what_it_returns_is_refused() -> None:
    def ship(order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return order

    def elsewhere(order: str) -> NotImported:  # type: ignore[name-defined]  # noqa: F821
        return order

    with pytest.raises(TypeError, match="Annotate"):
        Shop().operation(scope="order")(ship)
    with pytest.raises(TypeError, match="can't be looked up"):
        Shop().operation(scope="order")(elsewhere)


def test_annotations_of_parameters_may_be_unknown_at_run_time() -> None:
    def ship(order: NotImported) -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    assert Shop().operation(scope="order")(ship)("order-1") == 1


@pytest.mark.parametrize(
    "value", [(1, 2), {1: "a"}, {"a": {1}}, float("nan"), Decimal(1), "x" * 101, "\ud800", b"x", [[[(1,)]]]]
)
def test_a_result_that_is_not_what_was_promised_counts_as_executed_and_is_told_to_all(value: Any) -> None:
    """Fails when the key can execute again, or when the first caller gets what no other will get."""
    shop = Shop()

    @shop.operation(scope="shop_name", max_result_bytes=100)
    def ship(shop_name: str, order: str) -> JsonValue:
        shop.shipped.append(order)
        return value  # type: ignore[no-any-return]

    for _ in range(2):
        with pytest.raises(ResultNotStored, match="was executed"):
            ship("s", "order-1")
    assert shop.shipped == ["order-1"]


def test_a_result_that_holds_itself_is_not_stored() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        JsonCodec().encode(loop)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(value=JSON)
def test_what_is_replayed_is_what_was_returned(value: Any) -> None:
    """With types: 1, 1.0 and True are three. Fails when a codec lets something through that comes back otherwise."""
    codec = JsonCodec()
    assert repr(codec.decode(codec.encode(value))) == repr(value)


@pytest.mark.parametrize("value", [0, False, None, "", [], {}, 0.0])
def test_empty_results_are_results(value: Any) -> None:
    """Fails when a falsy result is taken for none: Powertools replays {} and 0 as None."""
    shop = Shop()

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str) -> JsonValue:
        shop.shipped.append(order)
        return value  # type: ignore[no-any-return]

    assert repr(ship("s", "order-1")) == repr(ship("s", "order-1")) == repr(value)
    assert len(shop.shipped) == 1


def test_bytes_with_their_codec() -> None:
    shop = Shop()

    @shop.operation(scope="shop_name", codec=BytesCodec())
    def label(shop_name: str, order: str) -> bytes:
        shop.shipped.append(order)
        return bytes(range(256))

    assert label("s", "order-1") == label("s", "order-1") == bytes(range(256))
    assert len(shop.shipped) == 1
    with pytest.raises(TypeError, match="BytesCodec"):
        shop.operation(codec=BytesCodec())(shop.ship().__wrapped__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("argument", [object(), (1, 2), {1: 2}, {"a": Decimal(1)}, float("inf")])
def test_arguments_that_have_no_one_spelling_need_a_fingerprint(argument: Any) -> None:
    """Fails when two different calls could look the same: {1: 2} and {"1": 2} in JSON."""
    shop = Shop()

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str, what: Any) -> int:
        shop.shipped.append(order)
        return 1

    with pytest.raises(TypeError, match="Give fingerprint="):
        ship("s", "order-1", argument)
    assert (shop.shipped, shop.record()) == ([], None)


# ---------------------------------------------------------------- what can't be guarded
def test_generators_are_refused() -> None:
    def items(order: str) -> Iterator[int]:
        yield 1

    async def more(order: str) -> AsyncIterator[int]:
        yield 1

    for function in (items, more, functools.partial(items)):
        with pytest.raises(TypeError, match="generator"):
            Shop().operation(scope="order")(function)
    with pytest.raises(TypeError, match="Guard a function"):
        Shop().operation(scope="order")(Shop)


def test_settings_out_of_range_are_refused() -> None:
    store = Shop().store
    for bad in (
        {"operation": "with blank"},
        {"operation": "with#hash"},
        {"timeout_seconds": 0},
        {"timeout_seconds": 3601},
        {"max_result_bytes": 0},
        {"max_result_bytes": MAX_RESPONSE_BYTES + 1},
        {"wait_seconds": -1},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            idempotent_operation(**{"store": store, "operation": "o", "timeout_seconds": 1, **bad})
    with pytest.raises(TypeError, match="no parameter"):
        Shop().operation(key="basket")(Shop().ship().__wrapped__)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no parameter"):
        idempotent_operation(store=store, operation="o", timeout_seconds=1)(Shop().ship().__wrapped__)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="timeout_seconds"):
        idempotent_operation(store=store, operation="o")  # type: ignore[call-arg]


# ---------------------------------------------------------------- context manager
def test_a_block_is_executed_once() -> None:
    shop = Shop()
    operation = shop.operation()
    results = []
    for _ in range(2):
        with operation.attempt(scope="s", key="order-1", arguments={"boxes": 1}) as attempt:
            if not attempt.replayed:
                shop.shipped.append(attempt.reference)
                attempt.result = {"shipment": 1}
        results.append((attempt.replayed, attempt.result))
    assert results == [(False, {"shipment": 1}), (True, {"shipment": 1})]
    assert len(shop.shipped) == 1
    with pytest.raises(LookupError):
        _ = attempt.reference
    with pytest.raises(KeyReused), operation.attempt(scope="s", key="order-1", arguments={"boxes": 2}):
        raise AssertionError("the block runs")
    with pytest.raises(RuntimeError, match="used once"):
        attempt.__enter__()


def test_a_block_that_raises_is_in_doubt_or_free() -> None:
    """Fails when leaving a block by an exception is always the one or the other."""
    shop = Shop()
    operation = shop.operation()
    with pytest.raises(NotExecuted), operation.attempt(scope="s", key="order-1"):
        raise NotExecuted("closed")
    assert shop.record() is None
    with pytest.raises(ValueError, match="broke"), operation.attempt(scope="s", key="order-1"):
        raise ValueError("broke")
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_DOUBT
    shop.clock.ms += LEASE_MS
    shop.verdicts = [WasNotExecuted()]
    with operation.attempt(scope="s", key="order-1") as attempt:
        assert not attempt.replayed
        attempt.result = 1
    assert attempt.result == 1


def test_an_interrupt_in_a_block_leaves_the_claim_to_its_lease() -> None:
    """Fails when Ctrl-C releases a claim whose effect may have happened."""
    shop = Shop()
    operation = shop.operation()
    with pytest.raises(KeyboardInterrupt), operation.attempt(scope="s", key="order-1"):
        raise KeyboardInterrupt
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_PROGRESS


def test_a_blocks_result_that_can_not_be_stored_is_told_at_its_end() -> None:
    operation = Shop().operation()
    with pytest.raises(ResultNotStored), operation.attempt(scope="s", key="order-1") as attempt:
        attempt.result = {1, 2}


def test_blocks_can_be_nested() -> None:
    shop, threads = Shop(), threading.active_count()
    outer, inner = shop.operation("outer"), shop.operation("inner")
    with outer.attempt(scope="s", key="order-1") as one:
        with inner.attempt(scope="s", key="order-1") as two:
            two.result = "inner"
        one.result = "outer"
    with outer.attempt(scope="s", key="order-1") as one, inner.attempt(scope="s", key="order-1") as two:
        assert (one.result, two.result) == ("outer", "inner")
    assert threading.active_count() < threads + 20


# ---------------------------------------------------------------- coroutines
def asynchronous(shop: Shop, **options: Any) -> Any:
    @shop.operation(scope="shop_name", **{"clock": RealClock(), "wait_seconds": 60, "sleep": time.sleep, **options})
    async def ship(shop_name: str, order: str, seconds: float = 0.0) -> dict[str, str]:
        shop.shipped.append(order)
        reference = current_attempt().reference
        await asyncio.sleep(seconds)
        if shop.fails:
            raise shop.fails
        return {"reference": reference, "loop": str(id(asyncio.get_running_loop()))}

    return ship


def test_a_coroutine_runs_on_its_callers_loop_once() -> None:
    shop = Shop()
    ship = asynchronous(shop)

    async def main() -> None:
        results = await asyncio.gather(*(ship("s", "order-1", 0.05) for _ in range(20)))
        assert len({str(result) for result in results}) == 1
        assert results[0]["loop"] == str(id(asyncio.get_running_loop()))

    asyncio.run(main())
    assert shop.shipped == ["order-1"]


def test_many_nested_coroutines_do_not_wait_for_each_others_threads() -> None:
    """Fails (hangs) when the engine runs in a bounded pool: the outer ones hold all its places."""
    shop = Shop()
    inner = asynchronous(shop, name="inner")

    @shop.operation("outer", scope="shop_name", clock=RealClock())
    async def outer(shop_name: str, order: str) -> str:
        await asyncio.sleep(0.05)
        return (await inner(shop_name, order))["reference"]  # type: ignore[no-any-return]

    async def main() -> list[str]:
        return await asyncio.wait_for(asyncio.gather(*(outer("s", f"order-{n}") for n in range(60))), 120)

    assert len(set(asyncio.run(main()))) == 60


def test_a_cancelled_coroutine_is_in_doubt() -> None:
    """Fails when a cancellation releases the claim, or is swallowed."""
    shop = Shop()
    ship = asynchronous(shop)

    async def main() -> None:
        task = asyncio.ensure_future(ship("s", "order-1", 30.0))
        while not shop.shipped:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_DOUBT


def test_a_coroutine_cancelled_before_it_began_frees_the_key() -> None:
    shop = Shop()
    ship = asynchronous(shop)
    claim = shop.store.claim
    claiming, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        claimed = claim(*arguments)
        claiming.set()
        go_on.wait(120)
        return claimed

    shop.store.claim = slow  # type: ignore[method-assign]

    async def main() -> None:
        task = asyncio.ensure_future(ship("s", "order-1"))
        while not claiming.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (shop.shipped, shop.record()) == ([], None)


def test_a_coroutine_that_raises_is_in_doubt_or_free() -> None:
    shop = Shop(fails=NotExecuted("closed"))
    ship = asynchronous(shop)
    with pytest.raises(NotExecuted):
        asyncio.run(ship("s", "order-1"))
    assert shop.record() is None
    shop.fails = ValueError("broke")
    with pytest.raises(ValueError, match="broke"):
        asyncio.run(ship("s", "order-1"))
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_DOUBT


def test_many_threads_execute_once() -> None:
    shop = Shop()
    started = threading.Barrier(16)
    ship = shop.ship(clock=RealClock(), wait_seconds=5, sleep=time.sleep)
    results: list[Any] = []

    def run() -> None:
        started.wait()
        results.append(ship("s", "order-1"))

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"shipment": 1, "boxes": 1}] * 16


# ---------------------------------------------------------------- whatever happens
class Crash(BaseException):
    """The process dies."""


@dataclass
class Carrier:
    """Where the effect happens, how the next call ends, and whether an inquiry is answered."""

    clock: ManualClock
    effects: dict[str, int] = field(default_factory=dict)
    end: str = "returns"
    answers: bool = True

    def ship(self, order: str) -> int:
        """Have the effect, or not, and end as told."""
        if self.end == "late":
            self.clock.ms += LEASE_MS
        if self.end in BEFORE:
            raise BEFORE[self.end]
        self.effects[order] = self.effects.get(order, 0) + 1
        if self.end in AFTER:
            raise AFTER[self.end]
        return self.effects[order]

    def resolve(self, attempt: Attempt) -> Verdict:
        """Answer honestly, or not at all."""
        if not self.answers:
            return NotKnown()
        return WasExecuted(1) if attempt.key in self.effects else WasNotExecuted()


BEFORE = {"not_executed": NotExecuted("closed"), "raises_before": ValueError("before"), "crashes_before": Crash()}
AFTER = {"raises": ValueError("after"), "crashes": Crash()}
STEP = st.tuples(
    st.sampled_from(["order-1", "order-2"]),
    st.sampled_from(["returns", "late", *BEFORE, *AFTER]),
    st.booleans(),
    st.integers(0, 40_000),
)


@given(steps=st.lists(STEP, min_size=1, max_size=8))
def test_whatever_happens_each_effect_happens_once_and_every_result_is_the_same(
    steps: list[tuple[str, str, bool, int]],
) -> None:
    """Calls that end in every way, time passing between them, and an honest ``resolve`` that at times knows nothing.
    Fails when a doubt is taken for a failure, a crash for nothing, or a result is not the first one.
    """
    shop = Shop()
    carrier = Carrier(shop.clock)

    @shop.operation(scope="shop_name", resolve=carrier.resolve)
    def ship(shop_name: str, order: str) -> int:
        return carrier.ship(order)

    for order, end, answers, passes_ms in steps:
        carrier.end, carrier.answers = end, answers
        with contextlib.suppress(PayonceError, ValueError, Crash):
            assert ship("s", order) == 1
        assert set(carrier.effects.values()) <= {1}
        shop.clock.ms += passes_ms
    carrier.end, carrier.answers = "returns", True
    shop.clock.ms += LEASE_MS
    assert {ship("s", order) for order, *_ in steps} == {1}
    assert set(carrier.effects.values()) == {1}


async def ask_the_carrier(_attempt: Attempt) -> Verdict:
    return WasNotExecuted()


class AsksTheCarrier:
    async def __call__(self, attempt: Attempt) -> Verdict:
        return WasNotExecuted()


@pytest.mark.parametrize(
    "resolve", [ask_the_carrier, functools.partial(ask_the_carrier), AsksTheCarrier()], ids=["def", "partial", "object"]
)
def test_a_coroutine_resolve_is_refused_before_anything_is_in_doubt(resolve: Any) -> None:
    """Fails when it is noticed only after the first crash, as an outcome that nobody can find out."""
    with pytest.raises(ValueError, match="no coroutine function"):
        Shop().operation(resolve=resolve)


def test_a_resolve_that_returns_a_coroutine_is_no_verdict() -> None:
    """Fails when the coroutine is left unawaited: Python warns of it in a thread where nobody sees it."""
    shop = Shop()
    ship = shop.ship(resolve=lambda attempt: ask_the_carrier(attempt))
    shop.crash(lambda: ship("s", "order-1"))
    with pytest.raises(TypeError, match="a coroutine, which is no verdict"):
        ship("s", "order-1")
    assert len(shop.shipped) == 1


def test_a_wait_that_outlasts_a_dead_owners_lease_takes_over() -> None:
    """Fails when a duplicate's own timeout limits its wait: the lease that it waits for is always longer than that."""
    shop = Shop()
    ship = shop.ship(wait_seconds=LEASE_MS / 1000 + 1, resolve=run_again)
    shop.crash(lambda: ship("s", "order-1"))
    shop.clock.ms -= LEASE_MS  # it died just now
    assert ship("s", "order-1") == {"shipment": 2, "boxes": 1}


def test_an_execution_after_a_wait_has_all_of_its_time() -> None:
    """Fails when the wait is taken off: with a lease shorter than timeout_seconds, another one may run beside it."""
    shop = Shop()
    left: list[int] = []

    @shop.operation(wait_seconds=LEASE_MS / 1000 + 1, resolve=run_again, scope="shop_name")
    def ship(shop_name: str, order: str) -> int:
        left.append(current_attempt().deadline.at_ms - shop.clock.ms)
        return len(left)

    shop.crash(lambda: ship("s", "order-1"))
    shop.clock.ms -= LEASE_MS
    assert ship("s", "order-1") == 2
    assert left == [10_000, 10_000]
