"""What a change of a claim, or a line of the log, says of a gateway."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.routing.control.admission import Priority
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Claimed, Ended, Refused, attempt_id
from payonce.routing.signals.from_claims import refusal_of, signal_of
from payonce.routing.signals.observation import Cell

SECOND = 1_800_000_000
T0 = SECOND * 1000
CELL = Cell("alder", "wallet")
CLAIM: dict[str, Any] = {
    "status": "INPROGRESS",
    "claim_id": "pay_1",
    "fence": 1,
    "created_at_ms": T0 + 250,
    "plan": {
        "kind": "payment",
        "merchant_id": "mer_1",
        "gateway": "alder",
        "payment_method_type": "wallet",
        "priority": "batch",
    },
}
ENDED = {"status": "COMPLETED", "claim_id": "pay_1", "fence": 1, "created_at_ms": T0 + 250, "ended_at_ms": T0 + 731}
PARKED = {**CLAIM, "status": "IN_DOUBT", "ended_at_ms": T0 + 731}
LINE = {
    "message": "throttled",
    "merchant_id": "mer_1",
    "priority": "batch",
    "payment_method_type": "wallet",
    "gateway": "alder",
}


def told(before: Any, after: Any, *, second: int = SECOND, deleted_by: str = "") -> Any:
    return signal_of(before, after, store_second=second, deleted_by=deleted_by)


def test_a_claim_is_told_with_its_route_and_its_merchant() -> None:
    assert told(None, CLAIM) == Claimed(T0 + 250, attempt_id("pay_1"), CELL, "mer_1", Priority.BATCH)


def test_a_claim_from_before_they_named_it_is_of_a_card() -> None:
    plan = {name: CLAIM["plan"][name] for name in ("kind", "merchant_id", "gateway")}
    claimed = told(None, {**CLAIM, "plan": plan})
    assert (claimed.cell, claimed.priority) == (Cell("alder", "card"), Priority.AUTHORIZATION)


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        ({**ENDED, "response_status": 201}, Outcome.APPROVED),
        ({**ENDED, "response_status": 402}, Outcome.DECLINED),
        ({**PARKED, "response_status": 202}, Outcome.UNKNOWN),
    ],
)
def test_an_end_is_told_with_its_latency(after: dict[str, Any], outcome: Outcome) -> None:
    """Fails when the latency is anything but the difference of one function's two stamps."""
    assert told(CLAIM, after) == Ended(T0 + 731, attempt_id("pay_1"), CELL, 481, outcome)


def test_a_clock_that_is_wrong_by_half_a_minute_changes_no_latency_and_no_second() -> None:
    for skew_ms in (-30_000, 30_000):
        before = {**CLAIM, "created_at_ms": T0 + 250 + skew_ms}
        ended = told(before, {**ENDED, "response_status": 201, "ended_at_ms": T0 + 731 + skew_ms})
        assert ended.latency_ms == 481
        assert ended.at_ms // 1000 == SECOND


def test_a_release_is_an_attempt_that_was_never_sent_and_a_ttl_deletion_nothing() -> None:
    ended = told(CLAIM, None)
    assert (ended.outcome, ended.at_ms // 1000) == (Outcome.NEVER_SENT, SECOND)
    assert told(CLAIM, None, deleted_by="dynamodb.amazonaws.com") is None


@pytest.mark.parametrize("skew_ms", [-30_000, 0, 30_000])
def test_a_release_by_an_operator_is_nothing_of_the_gateways(skew_ms: int) -> None:
    """Fails when an operator who gives back claims of an hour ago makes the gateway look as if it failed now."""
    claim = {**CLAIM, "created_at_ms": T0 + 250 + skew_ms}
    assert told(claim, None, second=SECOND + 25).outcome is Outcome.NEVER_SENT
    assert told(claim, None, second=SECOND + 3_600) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CLAIM, {**CLAIM, "fence": 2}),  # taken over
        ({**CLAIM, "fence": 2}, {**ENDED, "fence": 2, "response_status": 201}),  # a later owner's
        (PARKED, {**CLAIM, "fence": 2}),
        ({**CLAIM, "fence": 2}, None),  # released by a later owner
        (PARKED, None),
        (ENDED, None),
        (None, ENDED),
        (CLAIM, {**ENDED, "response_status": 500}),
        (None, {**CLAIM, "plan": {**CLAIM["plan"], "kind": "refund"}}),
        (None, {**CLAIM, "plan": "text"}),
        (None, {"id": "by hand"}),
        (None, None),
    ],
)
def test_everything_else_says_nothing(before: Any, after: Any) -> None:
    """Fails when a recovery's answer, minutes later, is taken for the gateway's latency."""
    assert told(before, after) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {**CLAIM, "created_at_ms": "1"}),
        (None, {**CLAIM, "created_at_ms": True}),
        (None, {**CLAIM, "claim_id": ""}),
        (None, {**CLAIM, "plan": {**CLAIM["plan"], "gateway": 7}}),
        (None, {**CLAIM, "plan": {**CLAIM["plan"], "payment_method_type": "cheque"}}),
        (None, {**CLAIM, "plan": {**CLAIM["plan"], "priority": "urgent"}}),
        (None, {**CLAIM, "plan": {**CLAIM["plan"], "merchant_id": None}}),
        (CLAIM, {**ENDED, "response_status": 201, "ended_at_ms": -1}),
        (CLAIM, {"status": "COMPLETED", "fence": 1, "response_status": 201}),
    ],
)
def test_what_can_not_be_read_is_an_error(before: Any, after: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        told(before, after)


def test_a_refusal_is_told_with_the_route_it_would_have_had() -> None:
    assert refusal_of(LINE, at_ms=T0, now_ms=T0 + 100) == Refused(T0, CELL, "mer_1", Priority.BATCH)


@pytest.mark.parametrize(("at_ms", "bounded_ms"), [(T0 - 60_000, T0 - 5_000), (T0 + 60_000, T0 + 5_000)])
def test_a_lines_time_is_bounded_by_the_readers(at_ms: int, bounded_ms: int) -> None:
    refused = refusal_of(LINE, at_ms=at_ms, now_ms=T0)
    assert refused is not None
    assert refused.at_ms == bounded_ms


def test_a_line_that_comes_late_is_no_demand_of_now() -> None:
    """Fails when a message that Lambda kept back, as it does while there is no free environment, is counted as news."""
    assert refusal_of(LINE, at_ms=T0 - 60_001, now_ms=T0) is None


@pytest.mark.parametrize("line", [None, 7, [], {}, {"message": "signals skipped"}, {"message": ["throttled"]}])
def test_another_line_is_none(line: object) -> None:
    assert refusal_of(line, at_ms=T0, now_ms=T0) is None


def test_a_refusal_that_can_not_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="merchant_id"):
        refusal_of({**LINE, "merchant_id": None}, at_ms=T0, now_ms=T0)
