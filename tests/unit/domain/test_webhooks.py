"""The rules of delivery: the schedule, the verdict, the breaker, ids and subscriptions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.domain.endpoint import (
    EVENT_TYPES,
    DisabledReason,
    Endpoint,
    EndpointKey,
    EndpointStatus,
    KeyKind,
    is_subscribable,
)
from payonce.domain.webhooks import (
    BREAKER_FAILURES,
    DISABLE_AFTER_FAILING_MS,
    DISABLE_AFTER_FAILURES,
    FIRST_COOLDOWN_MS,
    JITTER_SHARE,
    MAX_ATTEMPTS,
    MAX_COOLDOWN_MS,
    MAX_RETRY_AFTER_SECONDS,
    RETRY_HORIZON_SECONDS,
    RETRY_PAUSES_SECONDS,
    Accepted,
    GiveUp,
    Gone,
    Health,
    TryAgain,
    delivery_id,
    judge,
)

NOW = 1_800_000_000_000
TIMED_OUT = NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=15_000, detail="timed out")


def answer(status: int, retry_after_seconds: int | None = None) -> Answer:
    return Answer(status=status, latency_ms=1, retry_after_seconds=retry_after_seconds)


def test_the_schedule_uses_three_days_and_no_more() -> None:
    """Fails when a pause is added that a consumer's dedupe window does not cover any more."""
    longest = sum(RETRY_PAUSES_SECONDS) * (1 + JITTER_SHARE)
    assert RETRY_HORIZON_SECONDS * 0.85 < longest <= RETRY_HORIZON_SECONDS
    assert list(RETRY_PAUSES_SECONDS) == sorted(RETRY_PAUSES_SECONDS)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_accepted(status: int) -> None:
    assert judge(answer(status), attempts=1, now_ms=NOW, jitter=0) == Accepted()


@pytest.mark.parametrize("status", [100, 199, 301, 302, 307, 308, 400, 401, 404, 408, 429, 500, 503, 599])
def test_anything_else_is_tried_again(status: int) -> None:
    """A redirect too: a receiver that moved has to say so to the merchant, not to us."""
    assert isinstance(judge(answer(status), attempts=1, now_ms=NOW, jitter=0.5), TryAgain)


def test_410_is_for_good_at_any_attempt() -> None:
    assert judge(answer(410), attempts=MAX_ATTEMPTS, now_ms=NOW, jitter=0) == Gone()


@given(attempts=st.integers(1, MAX_ATTEMPTS - 1), jitter=st.floats(0, 1, exclude_max=True))
def test_pauses_are_the_schedules_with_jitter(attempts: int, jitter: float) -> None:
    """Fails when the jitter is left out, or the pause of another attempt is taken."""
    verdict = judge(TIMED_OUT, attempts=attempts, now_ms=NOW, jitter=jitter)
    assert isinstance(verdict, TryAgain)
    pause_ms = RETRY_PAUSES_SECONDS[attempts - 1] * 1000
    assert abs(verdict.at_ms - NOW - pause_ms * (1 + JITTER_SHARE * (2 * jitter - 1))) <= 1


def test_the_jitter_spreads() -> None:
    at = {judge(TIMED_OUT, attempts=4, now_ms=NOW, jitter=share) for share in (0.0, 0.5, 0.99)}
    assert len(at) == 3


def test_retry_after_moves_an_attempt_back_but_not_forward_and_not_for_ever() -> None:
    def at_seconds(asked: int | None, attempts: int = 1) -> float:
        verdict = judge(answer(429, asked), attempts=attempts, now_ms=NOW, jitter=0.5)
        assert isinstance(verdict, TryAgain)
        return (verdict.at_ms - NOW) / 1000

    assert at_seconds(None) == RETRY_PAUSES_SECONDS[0]
    assert at_seconds(1) == RETRY_PAUSES_SECONDS[0]
    assert at_seconds(600) == 600
    assert at_seconds(10**9) == MAX_RETRY_AFTER_SECONDS
    assert at_seconds(60, attempts=5) == RETRY_PAUSES_SECONDS[4]


def test_the_last_attempt_is_the_last() -> None:
    assert judge(TIMED_OUT, attempts=MAX_ATTEMPTS, now_ms=NOW, jitter=0) == GiveUp()
    assert isinstance(judge(TIMED_OUT, attempts=MAX_ATTEMPTS - 1, now_ms=NOW, jitter=0), TryAgain)


def test_the_breaker_opens_after_failures_in_a_row_and_rests_longer_each_time() -> None:
    def rest_ms(failures: int) -> int:
        health = Health(consecutive_failures=failures, failing_since_ms=NOW, last_failure_at_ms=NOW)
        return max(0, health.cooldown_over_at_ms() - NOW)

    assert rest_ms(BREAKER_FAILURES - 1) == 0
    assert rest_ms(BREAKER_FAILURES) == FIRST_COOLDOWN_MS
    assert rest_ms(BREAKER_FAILURES + 1) == 2 * FIRST_COOLDOWN_MS
    assert rest_ms(10_000) == MAX_COOLDOWN_MS
    assert Health().cooldown_over_at_ms() == 0


def test_what_began_before_the_last_failure_is_no_failure_of_its_own() -> None:
    """Fails when deliveries that were under way together open the breaker together."""
    once = Health().failed(began_ms=NOW, now_ms=NOW + 100)
    assert (once.consecutive_failures, once.failing_since_ms, once.last_failure_at_ms) == (1, NOW + 100, NOW + 100)
    assert once.failing
    assert once.failed(began_ms=NOW + 99, now_ms=NOW + 200) == once
    twice = once.failed(began_ms=NOW + 100, now_ms=NOW + 200)
    assert (twice.consecutive_failures, twice.failing_since_ms) == (2, NOW + 100)
    assert not twice.accepted().failing


def test_an_endpoint_is_disabled_after_days_without_a_success() -> None:
    """Fails when few failures, or a short time, are enough."""

    def reason(failures: int, failing_ms: int) -> DisabledReason | None:
        return Health(
            consecutive_failures=failures, failing_since_ms=NOW - failing_ms, last_failure_at_ms=NOW - 1
        ).disable_reason(NOW)

    enough = DISABLE_AFTER_FAILURES - 1
    assert reason(enough, DISABLE_AFTER_FAILING_MS) is DisabledReason.FAILING
    assert reason(enough - 1, DISABLE_AFTER_FAILING_MS) is None
    assert reason(10_000, DISABLE_AFTER_FAILING_MS - 1) is None
    assert Health().disable_reason(NOW) is None


def test_a_deliverys_id_is_the_same_whoever_computes_it_and_sorts_by_time() -> None:
    """Fails when a clock or a random number gets into it."""
    assert delivery_id("evt_a", "whe_a", NOW) == delivery_id("evt_a", "whe_a", NOW)
    assert len({delivery_id(e, w, NOW) for e in ("evt_a", "evt_b") for w in ("whe_a", "whe_b")}) == 4
    assert delivery_id("evt_z", "whe_a", NOW) < delivery_id("evt_a", "whe_a", NOW + 1)


def endpoint(*event_types: str, keys: tuple[EndpointKey, ...] = ()) -> Endpoint:
    return Endpoint(
        merchant_id="m",
        endpoint_id="e",
        url="https://e.example/",
        event_types=event_types,
        keys=keys,
        created_at_ms=NOW,
        updated_at_ms=NOW,
    )


def test_subscriptions_are_exact_by_prefix_or_for_all() -> None:
    assert endpoint("*").wants("anything.at_all")
    assert endpoint("payment.captured").wants("payment.captured")
    assert not endpoint("payment.captured").wants("payment.captured.more")
    assert endpoint("payment.*").wants("payment.failed")
    assert not endpoint("payment.*").wants("payments.failed")
    assert not endpoint("refund.*", "void.succeeded").wants("payment.failed")
    assert not endpoint().wants("payment.failed")


def test_only_what_can_match_can_be_subscribed_to() -> None:
    assert all(is_subscribable(event_type) for event_type in (*EVENT_TYPES, "*", "payment.*", "custom.order.paid"))
    assert not any(is_subscribable(pattern) for pattern in ("", "payment", "paymnet.*", "**", "payment.captured.*"))


def test_old_and_new_key_sign_until_the_overlap_is_over() -> None:
    old = EndpointKey(key_id="o", kind=KeyKind.HMAC_SHA256, sealed=b"", created_at_ms=1, expires_at_ms=NOW + 1)
    new = EndpointKey(key_id="n", kind=KeyKind.HMAC_SHA256, sealed=b"", created_at_ms=2)
    both = endpoint("*", keys=(old, new))
    assert [key.key_id for key in both.active_keys(NOW)] == ["n", "o"]
    assert [key.key_id for key in both.active_keys(NOW + 1)] == ["n"]


def test_a_change_counts_the_version_up() -> None:
    disabled = endpoint("*").disabled(DisabledReason.GONE, at_ms=NOW + 5)
    assert (disabled.version, disabled.status, disabled.disabled_at_ms) == (2, EndpointStatus.DISABLED, NOW + 5)
