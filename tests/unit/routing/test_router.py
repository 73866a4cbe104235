"""What a payment is told before its claim: the static route, or the document's where it counts, or 429."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from payonce.domain.errors import Throttled
from payonce.routing.control.admission import Priority
from payonce.routing.control.choice import choose_route, position
from payonce.routing.control.control_cache import ControlCache
from payonce.routing.control.control_store import Control
from payonce.routing.control.document import EVERYTHING, Admission
from payonce.routing.control.override import Override
from payonce.routing.control.router import Router
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from tests.unit.routing.test_document import GATEWAYS, T0, document

NEUTRAL = {"alder": 0.5, "birch": 0.5}
IDS = [f"pay_{number}" for number in range(2_000)]
NOTHING_TAKEN = Admission(0.0, 0.0, {})


class Inline:
    """A reader that needs no thread."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.reads = 0
        self._came: Control | None = None

    def begin(self) -> bool:
        """See ``Reader``."""
        self.reads += 1
        self._came = self.control
        return True

    def take(self) -> Control | None:
        """See ``Reader``."""
        came, self._came = self._came, None
        return came


def override(**fields: Any) -> Override:
    times = {"issued_at_ms": T0, "expires_at_ms": T0 + 60_000}
    return Override(**{"version": 1, "operator": "ann", "reason": "tests", **times, **fields})


def router(mode: Mode, *, told: Any = None, ordered: Override | None = None, **settings: Any) -> tuple[Router, Inline]:
    control = Control(
        document=None if told is None else told.to_bytes(), override=None if ordered is None else ordered.to_bytes()
    )
    reader = Inline(control)
    cache = ControlCache(reader, GATEWAYS, draw=Random(1).random, report=lambda _error: None)
    own = RoutingSettings(neutral=NEUTRAL, mode=mode, **settings)
    return Router(own, cache, now_ms=lambda: T0, draw=Random(2).random), reader


def routes(one: Router, method: str = "card") -> list[str]:
    return [one.route(name, method) for name in IDS]


STATIC = [choose_route(NEUTRAL, name) for name in IDS]


def test_off_reads_nothing() -> None:
    """Fails when mode off costs a read, or follows a document or an override."""
    one, reader = router(Mode.OFF, told=document(admission=NOTHING_TAKEN), ordered=override(mode=Mode.ON))
    assert routes(one) == STATIC
    for name in IDS:
        one.admit(name, "mer_1", Priority.BATCH)
    assert reader.reads == 0


def test_shadow_routes_as_off_does_and_refuses_nobody() -> None:
    """Fails when a decision reaches a payment."""
    one, reader = router(Mode.SHADOW, told=document(admission=NOTHING_TAKEN))
    assert routes(one) == STATIC
    for name in IDS:
        one.admit(name, "mer_1", Priority.BATCH)
    assert reader.reads == 1


def test_on_follows_the_document() -> None:
    one, _ = router(Mode.ON, told=document())
    share = Counter(routes(one))["birch"] / len(IDS)
    assert 0.77 < share < 0.83
    assert routes(one, "wallet") == STATIC, "a method that the document does not name"


def test_canary_applies_it_to_its_share_of_payments() -> None:
    """Fails when the others are routed, or throttled, by the document."""
    one, _ = router(Mode.CANARY, told=document(admission=NOTHING_TAKEN), canary_share=0.2)
    moved = {name for name, here, static in zip(IDS, routes(one), STATIC, strict=True) if here != static}
    canaries = {name for name in IDS if position("canary", name) < 0.2}
    assert moved
    assert moved <= canaries
    assert {name for name in IDS if refused(one, name)} == canaries


@pytest.mark.parametrize("mode", Mode)
def test_a_merchants_own_gateway_is_never_another(mode: Mode) -> None:
    """Fails when the document or an override moves it."""
    one, _ = router(mode, told=document(), ordered=override(shares={"alder": 0.0}))
    assert {one.route(name, "card", "alder") for name in IDS} == {"alder"}


def refused(one: Router, payment_id: str, priority: Priority = Priority.AUTHORIZATION, merchant: str = "mer_1") -> bool:
    try:
        one.admit(payment_id, merchant, priority)
    except Throttled as error:
        assert error.retry_after_seconds
        return True
    return False


def test_what_is_not_admitted_is_refused_and_each_request_has_its_own_chance() -> None:
    """Fails when the draw depends on the payment, so that a retry always meets the first answer."""
    one, _ = router(Mode.ON, told=document(admission=Admission(0.5, 0.0, {"mer_2": (1.0, 1.0)})))
    assert 800 < sum(refused(one, "pay_1") for _ in range(2_000)) < 1_200
    assert all(refused(one, name, Priority.BATCH) for name in IDS)
    assert not any(refused(one, name, Priority.BATCH, "mer_2") for name in IDS)
    assert not any(refused(one, name, Priority.PROTECTED) for name in IDS)


def test_an_override_takes_a_gateway_out_for_all() -> None:
    """In every mode that reads. Fails when it counts only where the document does."""
    for mode in (Mode.SHADOW, Mode.CANARY, Mode.ON):
        one, _ = router(mode, told=document(), ordered=override(shares={"alder": 0.0}))
        assert set(routes(one)) == {"birch"}


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.OFF])
def test_an_override_can_stop_the_document(mode: Mode) -> None:
    told = document(admission=NOTHING_TAKEN)
    one, _ = router(Mode.ON, told=told, ordered=override(mode=mode))
    assert routes(one) == STATIC
    assert not any(refused(one, name) for name in IDS)
    ended = override(mode=mode, issued_at_ms=T0 - 60_000, expires_at_ms=T0)
    one, _ = router(Mode.ON, told=told, ordered=ended)
    assert all(refused(one, name) for name in IDS), "it is over"


def test_an_override_can_let_the_document_decide_where_it_was_only_written_down() -> None:
    one, _ = router(Mode.SHADOW, told=document(admission=EVERYTHING), ordered=override(mode=Mode.ON))
    assert Counter(routes(one))["birch"] / len(IDS) > 0.77
