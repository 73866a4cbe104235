"""Who is served when there is not enough: by priority, then fairly, and the others are told when to come again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import Throttled
from payonce.routing.control.admission import MAX_RETRY_AFTER_SECONDS, Priority, admit, fair_level, plan_admission
from payonce.routing.control.document import EVERYTHING, MAX_MERCHANTS, Admission

rates = st.lists(st.floats(0.01, 1000), min_size=1, max_size=50)


@given(rates, st.floats(0.01, 1))
def test_the_level_uses_the_capacity_and_no_more(asked: list[float], share: float) -> None:
    capacity = share * sum(asked)
    level = fair_level(capacity, asked)
    assert sum(min(rate, level) for rate in asked) == pytest.approx(capacity, rel=1e-6)


def test_a_noisy_merchant_alone_is_held_back() -> None:
    """Fails when everybody is refused the same share."""
    merchants = {"noisy": 100.0, "one": 10.0, "two": 10.0}
    planned = plan_admission(0.5, {"authorization": 120.0}, merchants)
    assert planned == Admission(1.0, 1.0, {"noisy": (0.4, 0.0)})


def test_a_merchants_batch_waits_for_its_authorizations() -> None:
    planned = plan_admission(0.9, {"authorization": 80.0, "batch": 20.0}, {"one": 50.0, "two": 50.0})
    assert planned.merchants == {"one": (1.0, 0.5), "two": (1.0, 0.5)}
    planned = plan_admission(0.4, {"authorization": 80.0, "batch": 20.0}, {"one": 50.0, "two": 50.0})
    assert planned.merchants == {"one": (0.5, 0.0), "two": (0.5, 0.0)}


def test_what_is_protected_is_taken_from_the_capacity_first() -> None:
    planned = plan_admission(0.5, {"protected": 40.0, "authorization": 60.0}, {"one": 60.0})
    assert planned.merchants["one"][0] == pytest.approx(10 / 60, abs=1e-5)


def test_enough_for_all_is_no_admission_control() -> None:
    assert plan_admission(1.0, {"authorization": 60.0}, {"one": 60.0}) is EVERYTHING


def test_more_greedy_merchants_than_fit_are_held_back_as_well() -> None:
    merchants = {f"m{number}": 10.0 + number for number in range(3 * MAX_MERCHANTS)}
    total = sum(merchants.values())
    planned = plan_admission(0.5, {"authorization": total}, merchants)
    taken = sum(rate * planned.merchants.get(name, (planned.authorization, 0))[0] for name, rate in merchants.items())
    assert len(planned.merchants) == MAX_MERCHANTS
    assert taken <= 0.5 * total * 1.001


def test_nobody_is_refused_a_refund() -> None:
    admit(Admission(0.0, 0.0, {"m": (0.0, 0.0)}), Priority.PROTECTED, "m", 0.99)


@pytest.mark.parametrize("priority", [Priority.AUTHORIZATION, Priority.BATCH])
def test_the_share_is_a_matter_of_the_draw(priority: Priority) -> None:
    admission = Admission(0.6, 0.3, {"m": (0.2, 0.1)})
    share = {Priority.AUTHORIZATION: 0.6, Priority.BATCH: 0.3}[priority]
    admit(admission, priority, "other", share - 0.01)
    with pytest.raises(Throttled):
        admit(admission, priority, "other", share + 0.01)
    with pytest.raises(Throttled):
        admit(admission, priority, "m", share - 0.01)


def test_the_refused_are_told_when_to_come_again() -> None:
    with pytest.raises(Throttled) as caught:
        admit(Admission(0.5, 0.0, {}), Priority.AUTHORIZATION, "m", 0.9)
    assert caught.value.retry_after_seconds == 1
    with pytest.raises(Throttled) as caught:
        admit(Admission(0.001, 0.0, {}), Priority.AUTHORIZATION, "m", 0.9)
    assert caught.value.retry_after_seconds == MAX_RETRY_AFTER_SECONDS
