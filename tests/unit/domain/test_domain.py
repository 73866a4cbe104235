"""Money, ids, ledger, events, transitions and problem types."""

from __future__ import annotations

import inspect
import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain import errors
from payonce.domain.events import build_event
from payonce.domain.ids import ID_PATTERN, UlidSource, content_id, event_id, event_place, time_of_id
from payonce.domain.ledger import (
    JournalEntry,
    Posting,
    charge,
    gateway_receivable,
    hold,
    refund,
    release_hold,
)
from payonce.domain.money import MAX_AMOUNT_MINOR, Money
from payonce.domain.payment import TRANSITIONS, Change, PaymentStatus, TransitionError, next_status
from payonce.domain.problems import INTERNAL, PROBLEMS, problem_document, problem_of


@pytest.mark.parametrize("amount", [1, MAX_AMOUNT_MINOR])
def test_money_takes_its_bounds(amount: int) -> None:
    assert Money(amount, "EUR").amount_minor == amount


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT_MINOR + 1, 1.0, True, "1", None])
def test_money_takes_nothing_else(amount: object) -> None:
    """Fails when the type is not checked exactly: True is an int, and 1.0 compares like one."""
    with pytest.raises(ValueError, match="amount_minor"):
        Money(amount, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["eur", "EUX", "XXX", "XAU", ""])
def test_money_takes_only_currencies_in_use(currency: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(1, currency)


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    times, randoms = itertools.count(1_800_000_000_000), itertools.count()
    source = UlidSource(lambda: next(times), lambda size: next(randoms).to_bytes(size, "big"))
    made = [source.new("pay") for _ in range(100)]
    assert made == sorted(made)
    assert len(set(made)) == 100
    assert all(len(identity) == len("pay_") + 26 for identity in made)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_says_when_it_was_made(now_ms: int, random: bytes) -> None:
    """Fails when a bit of the random part is taken for one of the time, or the other way round."""
    made = UlidSource(lambda: now_ms, lambda _size: random).new("pay")
    assert time_of_id(made) == now_ms
    assert re.fullmatch(ID_PATTERN, made.removeprefix("pay_"))
    with pytest.raises(ValueError, match="substring"):
        time_of_id(made.replace(made[-1], "u"))


def test_content_ids_do_not_collide_by_concatenation() -> None:
    """Fails when the parts are joined without their lengths."""
    assert content_id("evt", "ab", "c") != content_id("evt", "a", "bc")
    assert content_id("evt", "", "a") != content_id("evt", "a", "")


def test_an_event_id_never_changes() -> None:
    """A known vector: consumers hold these ids, so a change of the recipe would repeat every event to them."""
    assert event_id("pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", 1) == "evt_pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA_1"
    assert (
        len({event_id(resource, version) for resource in ("pay_1", "pay_11", "we_1") for version in (1, 11, 111)}) == 9
    )


@given(st.text("abcxyz_0123456789", min_size=1), st.integers(1, 9_999_999_999))
def test_an_event_id_says_which_change_it_is_of(resource_id: str, version: int) -> None:
    """Fails when the resource is taken to end at its first underscore."""
    assert event_place(event_id(resource_id, version)) == (resource_id, version)


@pytest.mark.parametrize(
    "text", ["", "evt_", "evt_1", "evt__1", "evt_pay_1_0", "evt_pay_1_01", "evt_pay_1_x", "pay_1_1"]
)
def test_what_names_no_change_is_no_event_id(text: str) -> None:
    with pytest.raises(ValueError, match="no id of an event"):
        event_place(text)


@given(st.lists(st.integers(-(10**15), 10**15).filter(bool), min_size=1, max_size=6))
def test_only_balanced_entries_exist(amounts: list[int]) -> None:
    """Fails when the sum is not checked, or when an entry may be empty or hold a posting of nothing."""

    def entry(postings: list[int]) -> JournalEntry:
        return JournalEntry(
            merchant_id="m",
            payment_id="p",
            version=1,
            currency="EUR",
            description="d",
            booked_at_ms=0,
            postings=tuple(Posting(f"a{number}", amount) for number, amount in enumerate(postings)),
        )

    if sum(amounts):
        with pytest.raises(ValueError, match="sum to zero"):
            entry(amounts)
        entry([*amounts, -sum(amounts)])
    else:
        entry(amounts)
    for pointless in ([], [*amounts, -sum(amounts), 0]):
        with pytest.raises(ValueError, match="needs postings"):
            entry(pointless)


@given(st.integers(1, MAX_AMOUNT_MINOR))
def test_a_payment_that_is_undone_leaves_nothing(amount: int) -> None:
    postings = (*hold(amount), *release_hold(amount), *charge("g", amount), *refund("g", amount))
    totals: dict[str, int] = {}
    for posting in postings:
        totals[posting.account] = totals.get(posting.account, 0) + posting.amount_minor
    assert set(totals.values()) == {0}
    assert gateway_receivable("g") in totals


def test_an_events_body_is_its_bytes() -> None:
    made = build_event(
        Change.CHARGED, merchant_id="m", resource_id="p", version=3, created_at_ms=5, data={"reference": "ö☃"}
    )
    body = json.loads(made.body)
    assert (body["id"], body["sequence"], body["type"]) == (made.event_id, 3, "payment.captured")
    assert "ö☃".encode() in made.body


def test_final_states_stay_final() -> None:
    """A void that was under way may still tell of its end, which changes nothing about the payment."""
    for status in (PaymentStatus.DECLINED, PaymentStatus.FAILED, PaymentStatus.VOIDED, PaymentStatus.EXPIRED):
        assert {after for (before, _), after in TRANSITIONS.items() if before is status} <= {status}
    with pytest.raises(TransitionError):
        next_status(PaymentStatus.DECLINED, Change.CHARGED)


def test_every_change_is_reachable_and_every_state_too() -> None:
    assert {change for _, change in TRANSITIONS} == set(Change)
    assert set(TRANSITIONS.values()) == set(PaymentStatus)


def test_every_error_of_the_tree_has_a_problem_type() -> None:
    """Fails when an error class is added without deciding what a client sees."""
    for _, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.PayonceError) and not cls.__subclasses__():
            assert cls in PROBLEMS, cls


def test_only_what_a_retry_can_change_is_retryable() -> None:
    """Or what a retry can find out: after an internal error nothing is known but that the same key executes once."""
    retryable = {cls for cls, problem in PROBLEMS.items() if problem.retryable and problem is not INTERNAL}
    assert retryable == {
        errors.KeyInProgress,
        errors.LeaseLost,
        errors.Throttled,
        errors.GatewayUnavailable,
        errors.GatewayRefused,
        errors.CredentialsUnavailable,
        errors.StoreUnavailable,
        errors.StoreThrottled,
        errors.UpstreamUnavailable,
        errors.UpstreamRefused,
        errors.Overloaded,
        errors.OutcomeUnknown,
        errors.WriteConflict,
    }
    document = json.loads(problem_document(problem_of(errors.KeyReused("x")), "why", resource="/p", nothing=None))
    assert document["type"] == "urn:payonce:problem:key-reused"
    assert "nothing" not in document
