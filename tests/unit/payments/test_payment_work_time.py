"""How the time of a request is divided between the gateway, questions to it, and the commit, in milliseconds."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.errors import GatewayUnavailable
from payonce.domain.gateway import NeverSent
from tests.support import world as support
from tests.support.world import World


def time_given(world: World, method: str) -> list[tuple[int, int]]:
    """Return, of each later call of the gateway's method, the time that it has, and the time left after that."""
    given: list[tuple[int, int]] = []
    original = getattr(world.gateway, method)
    ends_ms = world.clock.ms + support.REQUEST_MS

    def call(*arguments: Any) -> Any:
        deadline = arguments[-1]
        given.append((deadline.at_ms - world.clock.ms, ends_ms - deadline.at_ms))
        return original(*arguments)

    setattr(world.gateway, method, call)
    return given


def test_a_submission_has_eight_seconds() -> None:
    """Fails when it is cut off at once: each payment would be in doubt."""
    world = World()
    given = time_given(world, "submit")
    world.create()
    assert [time for time, _ in given] == [8_000]


@pytest.mark.parametrize(("request_ms", "sent"), [(5_000, True), (4_999, False)])
def test_what_has_no_second_for_an_answer_is_not_sent(
    request_ms: int, *, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four seconds are kept for the commit. Fails when a payment is sent whose answer nobody can wait for."""
    world = World()
    monkeypatch.setattr(support, "REQUEST_MS", request_ms)
    given = time_given(world, "submit")
    if sent:
        assert world.create().response.status == 201
        assert given == [(1_000, 4_000)]
    else:
        with pytest.raises(GatewayUnavailable):
            world.create()
        assert given == []


def test_a_question_has_four_seconds() -> None:
    world = World()
    world.gateway.script = ["lost"]
    given = time_given(world, "find")
    world.create()
    assert [time for time, _ in given] == [4_000]


def test_a_question_leaves_two_seconds_for_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(support, "REQUEST_MS", 5_500)
    world.gateway.script = ["lost"]
    given = time_given(world, "find")
    world.create()
    assert given == [(3_500, 2_000)]


@pytest.mark.parametrize(("asked", "told"), [(None, 2), (7, 7)])
def test_a_payment_that_was_never_sent_may_be_retried_when_the_gateway_says(asked: int | None, told: int) -> None:
    world = World()
    world.gateway.submit = lambda *_: NeverSent("busy", asked)  # type: ignore[method-assign]
    with pytest.raises(GatewayUnavailable) as refused:
        world.create()
    assert refused.value.retry_after_seconds == told
