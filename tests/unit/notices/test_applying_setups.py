"""Events about set-ups, mandates and saved methods: hints to ask the gateway, which alone says what has become of them.

Stripe's ``payment_method.detached`` and ``mandate.updated`` (https://docs.stripe.com/api/events/types) are such events.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.setup import MethodStatus
from payonce.notices.kept import NoticeState
from payonce.payments.setups.load import list_methods, load_method, load_setup
from tests.support.holding import HoldingGateway
from tests.support.notice_stage import Stage
from tests.support.setups import events_of, saved_method, store_method
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.domain.setup import SavedMethod
    from payonce.idempotency.records import KeyedResponse

MINUTE_MS = 60_000
ONCE = ["payment_method.saved", "payment_method.revoked_at_gateway"]


def told(answer: KeyedResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.response.body)
    return document


def staged() -> tuple[Stage, HoldingGateway]:
    world = World()
    world.gateway = gateway = HoldingGateway(world.clock)
    return Stage(world), gateway


def saved(stage: Stage) -> SavedMethod:
    return load_method(stage.world.database, MERCHANT, told(stage.world.set_up())["saved_payment_method"])


def status(stage: Stage, method: SavedMethod) -> MethodStatus:
    return load_method(stage.world.database, method.merchant_id, method.method_id).status


def test_a_doubt_about_a_set_up_ends_with_the_event_and_not_with_the_schedule() -> None:
    """Fails when a set-up's claim is left until it is due: the clock has not moved."""
    stage, gateway = staged()
    gateway.script, gateway.lookup_fails = ["booked_lost"], True
    setup_id = told(stage.world.set_up())["id"]
    gateway.lookup_fails = False
    key = stage.post(f"{setup_id}-1")
    assert stage.apply() == ["applied"]
    assert stage.state(key) is NoticeState.APPLIED
    assert told(stage.world.set_up())["status"] == "succeeded"
    assert events_of(stage.world.database, setup_id) == ["setup.in_doubt", "setup.succeeded"]


@pytest.mark.parametrize("end", ["pay", "decline"])
def test_what_a_payer_has_done_is_seen_at_once(end: str) -> None:
    stage, gateway = staged()
    setup_id = told(stage.world.set_up(payment_method="pm_3ds"))["id"]
    getattr(gateway, end)()
    stage.world.clock.ms += 1
    stage.post(f"{setup_id}-1")
    stage.post(f"{setup_id}-1")
    assert stage.apply() == ["applied", "applied"]
    setup = load_setup(stage.world.database, MERCHANT, setup_id)
    assert setup.status.value == ("succeeded" if end == "pay" else "declined")
    assert len(events_of(stage.world.database, setup_id)) == 2


@pytest.mark.parametrize("by_reference", [False, True])
def test_a_method_that_was_revoked_at_the_gateway_is_ended_once(by_reference: bool) -> None:
    """Fails (a method that can't be charged is shown as active) when the event is not looked at, or not only once."""
    stage, gateway = staged()
    method = saved(stage)
    gateway.revoked_elsewhere.add(method.token)
    for _ in range(2):
        stage.post(f"{method.made_by}-1") if by_reference else stage.post(saved_method=method.token)
    assert stage.apply() == ["applied", "applied"]
    assert status(stage, method) is MethodStatus.REVOKED
    assert events_of(stage.world.database, method.method_id) == ONCE


def test_a_method_that_a_payment_has_saved_is_ended_though_the_event_names_the_payment() -> None:
    """Fails (a revoked method is shown as active) when an event about a payment is about the payment alone."""
    stage, gateway = staged()
    payment = told(stage.world.create(customer="cus_1", saves=True))
    [listed] = list_methods(stage.world.database, MERCHANT, "cus_1", limit=9, cursor=None)["data"]
    method = load_method(stage.world.database, MERCHANT, str(listed["id"]))
    gateway.revoked_elsewhere.add(method.token)
    stage.post(f"{payment['id']}-1", saved_method=method.token)
    assert stage.apply() == ["applied"]
    assert status(stage, method) is MethodStatus.REVOKED


def test_an_event_alone_ends_nothing() -> None:
    """Fails when the event is believed and the gateway not asked: it is forged, or late, or about another method."""
    stage, _ = staged()
    method = saved(stage)
    key = stage.post(saved_method=method.token)
    assert stage.apply() == ["applied"]
    assert stage.state(key) is NoticeState.APPLIED
    assert status(stage, method) is MethodStatus.ACTIVE


def test_a_gateway_that_does_not_answer_is_asked_again() -> None:
    stage, gateway = staged()
    method = saved(stage)
    gateway.revoked_elsewhere.add(method.token)
    gateway.lookup_fails = True
    stage.post(saved_method=method.token)
    assert stage.apply()[0].startswith("later: ")
    assert status(stage, method) is MethodStatus.ACTIVE
    gateway.lookup_fails = False
    assert stage.apply_all(stage.world.clock.ms + MINUTE_MS)[-1] == "applied"
    assert status(stage, method) is MethodStatus.REVOKED


def test_a_revocation_of_ours_is_told_as_ours() -> None:
    """The gateway's event is faster than its answer. Fails when the event books it as somebody else's."""
    stage, gateway = staged()
    method = saved(stage)
    gateway.script, gateway.lookup_fails = ["booked_lost"], True
    stage.world.revoke(method.method_id)
    assert status(stage, method) is MethodStatus.REVOKING
    gateway.lookup_fails = False
    stage.post(saved_method=method.token)
    assert stage.apply() == ["applied"]
    assert events_of(stage.world.database, method.method_id) == ["payment_method.saved", "payment_method.revoked"]


def test_an_event_ends_the_method_of_every_merchant_that_shares_it_and_of_no_other_gateway() -> None:
    """Fails when a merchant is forgotten, or another gateway's method of the same name is ended."""
    stage, gateway = staged()
    database, tail = stage.world.database, "01K8X3Q5ZC4T9V7W2M6N8P0R1"
    here = [saved_method(merchant, f"method_{tail}{merchant[-1]}") for merchant in ("mer_1", "mer_2")]
    elsewhere = saved_method("mer_3", f"method_{tail}3", gateway="other")
    for method in (*here, elsewhere):
        store_method(database, method)
    gateway.revoked_elsewhere.add(elsewhere.token)
    stage.post(saved_method=elsewhere.token)
    assert stage.apply() == ["applied"]
    assert [status(stage, method) for method in here] == [MethodStatus.REVOKED] * 2
    assert status(stage, elsewhere) is MethodStatus.ACTIVE


def test_a_token_of_nobody_is_listed() -> None:
    stage, _ = staged()
    key = stage.post(saved_method="tok_nobodys")
    assert stage.apply() == ["unknown"]
    assert stage.state(key) is NoticeState.UNKNOWN
    assert list_methods(stage.world.database, MERCHANT, "cus_1", limit=9, cursor=None)["data"] == []
