"""Set-ups without a payment, and the payment methods that they save: one at most for each key, and a true status.

Stripe's life of a set-up (https://docs.stripe.com/payments/setupintents/lifecycle) has these states.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import GatewayRefused, GatewayUnavailable, NotFound, SetupStateConflict
from payonce.domain.gateway import CaptureMethod, MethodSaved, OperationKind, PaymentMethodType, Succeeded, Unknown
from payonce.domain.money import Money
from payonce.domain.setup import SETUP_TRANSITIONS, SetupStatus, is_saved_method
from payonce.idempotency.keys import record_id
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.payment_reads import get_balances
from payonce.payments.setup_items import find_method, find_setup
from payonce.payments.setup_plans import NewSetup
from payonce.payments.setups.create_setup import CreateSetup, plan_setup
from payonce.payments.setups.load import list_methods, list_setups, load_method
from payonce.payments.setups.revoke import RevokeMethod, plan_revocation
from payonce.stores.memory import MemoryDatabase
from tests.support.holding import PAGE, HoldingGateway
from tests.support.setups import events_of
from tests.support.world import FORGETFUL, MERCHANT, REMEMBERING, ScriptedGateway, World
from tests.unit.payments.test_attempts import Fused, Killed

if TYPE_CHECKING:
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.setup import SavedMethod, Setup
    from payonce.idempotency.records import KeyedResponse

MINUTE_MS = 60_000


def world_of(database: Any = None) -> tuple[World, HoldingGateway]:
    world = World(database=database or MemoryDatabase())
    world.gateway = gateway = HoldingGateway(world.clock)
    return world, gateway


def told(answer: KeyedResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.response.body)
    return document


def stored(world: World, setup_id: str) -> Setup:
    setup = find_setup(world.database, MERCHANT, setup_id)
    assert setup is not None
    return setup


def saved(world: World) -> SavedMethod:
    """Return the method that a set-up has just saved."""
    return load_method(world.database, MERCHANT, told(world.set_up())["saved_payment_method"])


def events(world: World, resource_id: str) -> list[str]:
    return events_of(world.database, resource_id)


def pass_time(world: World, minutes: int) -> None:
    for _ in range(minutes):
        world.clock.ms += MINUTE_MS
        world.recover()
        world.settle()
    assert world.errors == []


def methods(world: World, customer: str = "cus_1") -> list[dict[str, Any]]:
    page: Any = list_methods(world.database, MERCHANT, customer, limit=50, cursor=None)["data"]
    return list(page)


def test_a_set_up_saves_a_method_and_moves_no_money() -> None:
    world, gateway = world_of()
    first = world.set_up()
    setup = told(first)
    assert (first.response.status, setup["status"]) == (201, "succeeded")
    assert is_saved_method(setup["saved_payment_method"])
    [method] = methods(world)
    assert method["id"] == setup["saved_payment_method"]
    assert (method["status"], method["gateway"], method["customer"]) == ("active", "bank", "cus_1")
    assert method["mandate"] == {
        "id": load_method(world.database, MERCHANT, method["id"]).mandate_id,
        "status": "active",
    }
    assert events(world, setup["id"]) == ["setup.succeeded"]
    assert events(world, method["id"]) == ["payment_method.saved"]
    assert world.set_up().response == first.response
    assert len(gateway.submissions) == 1
    assert get_balances(world.services, MERCHANT)["data"] == []


def test_a_saved_method_is_charged_by_its_token_while_the_payer_is_absent() -> None:
    world, gateway = world_of()
    method = saved(world)
    answer = world.charge_saved(method)
    assert (answer.response.status, told(answer)["payment_method"]) == (201, method.method_id)
    assert gateway.submissions[-1].payment_method == method.token
    assert gateway.submissions[-1].customer == "cus_1"


def test_a_decline_saves_nothing() -> None:
    world, gateway = world_of()
    gateway.script = ["decline"]
    answer = world.set_up()
    assert (answer.response.status, told(answer)["code"]) == (402, "declined")
    assert told(answer)["setup"]["status"] == "declined"
    assert methods(world) == []
    assert world.set_up().response == answer.response


def test_a_set_up_that_was_certainly_not_sent_leaves_nothing_behind() -> None:
    world, gateway = world_of()
    gateway.script = ["never"]
    with pytest.raises(GatewayRefused):
        world.set_up()
    assert list_setups(world.database, MERCHANT, "cus_1", limit=9, cursor=None)["data"] == []
    assert told(world.set_up())["status"] == "succeeded"


@pytest.mark.parametrize("word", ["booked_lost", "lost", "booked_remembered", "remembered"])
@pytest.mark.parametrize("capabilities", [FORGETFUL, REMEMBERING], ids=["forgetful", "remembering"])
def test_a_doubt_is_asked_about_and_ends_with_one_method(word: str, capabilities: Any) -> None:
    world, gateway = world_of()
    gateway.capabilities, gateway.script, gateway.lookup_fails = capabilities, [word], True
    first = world.set_up()
    assert (first.response.status, told(first)["status"]) == (202, "in_doubt")
    gateway.lookup_fails = False
    pass_time(world, 10)
    final = world.set_up()
    assert (final.response.status, told(final)["status"]) == (201, "succeeded")
    assert len(gateway.succeeded(OperationKind.SETUP)) == 1
    assert len(methods(world)) == 1
    assert events(world, told(final)["id"]) == ["setup.in_doubt", "setup.succeeded"]


@pytest.mark.parametrize("token", ["pm_3ds", "pm_debit"])
@pytest.mark.parametrize("end", ["pay", "decline"])
def test_what_is_held_ends_as_the_gateway_decides(token: str, end: str) -> None:
    world, gateway = world_of()
    first = world.set_up(payment_method=token)
    setup = told(first)
    assert (first.response.status, setup["status"]) == (201, "requires_action" if token == "pm_3ds" else "processing")
    assert (setup["next_action"] or {}).get("url") == (PAGE.url if token == "pm_3ds" else None)
    pass_time(world, 20)
    getattr(gateway, end)()
    pass_time(world, 20)
    after = stored(world, setup["id"])
    assert after.status.value == ("succeeded" if end == "pay" else "declined")
    assert len(methods(world)) == (1 if end == "pay" else 0)
    assert world.set_up(payment_method=token).response == first.response
    asked = len(gateway.inquiries)
    pass_time(world, 300)
    assert len(gateway.inquiries) == asked
    assert len(events(world, setup["id"])) == 2


def test_a_payer_who_does_not_act_in_time_agrees_to_nothing_any_more() -> None:
    world, gateway = world_of()
    setup_id = told(world.set_up(payment_method="pm_3ds"))["id"]
    pass_time(world, 59)
    assert gateway.withdrawn == []
    pass_time(world, 3)
    assert len(gateway.withdrawn) == 1
    assert events(world, setup_id) == ["setup.requires_action", "setup.expired"]
    assert methods(world) == []


def test_a_success_that_names_nothing_to_charge_is_a_doubt() -> None:
    """Fails (a method without a token, or a set-up that nobody looks at any more) when the success is believed."""
    world, gateway = world_of()
    gateway._book = lambda instruction, word: Succeeded("seti", "seti")  # type: ignore[method-assign]
    gateway.find = lambda instruction, deadline: Succeeded("seti", "seti")  # type: ignore[method-assign]
    answer = world.set_up()
    assert (answer.response.status, told(answer)["status"]) == (202, "in_doubt")
    pass_time(world, 5)
    assert methods(world) == []
    gateway.find = lambda instruction, deadline: MethodSaved("seti", "seti", "tok_9")  # type: ignore[method-assign]
    pass_time(world, 20)
    assert [method["mandate"] for method in methods(world)] == [None]


@pytest.mark.parametrize("result", ["ok", "forged"])
@pytest.mark.parametrize("unanswered", [0, 1, 2])
def test_a_confirmation_decides(result: str, unanswered: int) -> None:
    world, gateway = world_of()
    setup_id = told(world.set_up(payment_method="pm_3ds_confirm"))["id"]
    gateway.unanswered = unanswered
    first = world.setup_step(setup_id, "key-confirm", result)
    pass_time(world, 5)
    final = world.setup_step(setup_id, "key-confirm", result)
    assert final.response.status == (201 if result == "ok" else 402)
    assert first.response.status in {202, final.response.status}
    assert stored(world, setup_id).status.value == ("succeeded" if result == "ok" else "declined")
    with pytest.raises(SetupStateConflict):
        world.setup_step(setup_id, "key-other", result)
    assert len(events(world, setup_id)) == 2


@pytest.mark.parametrize("cancels", [False, True])
def test_a_doubt_is_provisional_although_the_set_up_was_declined_meanwhile(
    monkeypatch: pytest.MonkeyPatch, *, cancels: bool
) -> None:
    """Fails (402, which a client takes for final) when a step in doubt answers as a decision does."""
    world, gateway = world_of()
    setup_id = told(world.set_up(payment_method="pm_3ds_confirm"))["id"]

    def unanswered(*_: object) -> Unknown:
        return Unknown("no answer")

    def unanswered_while_it_is_declined(*_: object) -> Unknown:
        monkeypatch.undo()
        world.setup_step(setup_id, "key-other", "refused by the payer")
        return Unknown("no answer")

    monkeypatch.setattr(gateway, "withdraw" if cancels else "confirm", unanswered)
    monkeypatch.setattr(gateway, "find", unanswered_while_it_is_declined)
    first = world.setup_step(setup_id, "key-step", cancels=cancels)
    assert stored(world, setup_id).status.value == "declined"
    assert first.response.status == 202
    pass_time(world, 5)
    final = world.setup_step(setup_id, "key-step", cancels=cancels)
    assert (final.response.status, final.replayed) == (201 if cancels else 402, True)


@pytest.mark.parametrize("unanswered", [0, 1, 2, 3])
def test_a_merchant_cancels_what_waits(unanswered: int) -> None:
    world, gateway = world_of()
    setup_id = told(world.set_up(payment_method="pm_3ds"))["id"]
    gateway.unanswered = unanswered
    world.setup_step(setup_id, "key-cancel", cancels=True)
    pass_time(world, 10)
    final = world.setup_step(setup_id, "key-cancel", cancels=True)
    assert (final.response.status, told(final)["status"]) == (201, "canceled")
    assert events(world, setup_id) == ["setup.requires_action", "setup.canceled"]
    assert methods(world) == []


def test_a_cancellation_without_time_asks_for_nothing_and_can_be_repeated() -> None:
    """A process that woke up after its request. Fails (a doubt about nothing) when it withdraws without time."""
    world, gateway = world_of()
    setup_id = told(world.set_up(payment_method="pm_3ds"))["id"]
    write, frozen = world.database.write, [True]

    def freezing(writes: Any) -> None:
        write(writes)
        if frozen.pop():
            world.clock.ms += 24_000
        frozen.append(False)

    world.database.write = freezing  # type: ignore[method-assign]
    with pytest.raises(GatewayUnavailable):
        world.setup_step(setup_id, "key-cancel", cancels=True)
    assert gateway.withdrawn == []
    assert told(world.setup_step(setup_id, "key-cancel", cancels=True))["status"] == "canceled"


def test_a_payer_who_was_faster_than_the_cancellation_has_agreed() -> None:
    """Fails (the merchant is told that it is canceled, and it can be charged) when the answer is not looked at."""
    world, gateway = world_of()
    setup_id = told(world.set_up(payment_method="pm_3ds"))["id"]
    gateway.pay()
    answer = world.setup_step(setup_id, "key-cancel", cancels=True)
    assert (answer.response.status, told(answer)["code"]) == (402, "payer_was_faster")
    assert stored(world, setup_id).status is SetupStatus.SUCCEEDED
    assert len(methods(world)) == 1


def test_a_set_up_of_another_merchant_does_not_exist() -> None:
    world, _ = world_of()
    setup = told(world.set_up(payment_method="pm_3ds"))
    assert find_setup(world.database, "mer_2", setup["id"]) is None
    assert list_setups(world.database, "mer_2", "cus_1", limit=9, cursor=None)["data"] == []
    with pytest.raises(NotFound):
        load_method(world.database, "mer_2", "method_" + "0" * 26)


def test_lists_are_by_customer_newest_first_and_in_pages() -> None:
    world, _ = world_of()
    made = []
    for number in range(5):
        world.clock.ms += 1
        made.append(told(world.set_up(f"key-{number}"))["id"])
    world.set_up("key-other", customer="cus_2")
    shown, cursor = [], None
    while True:
        page: Any = list_setups(world.database, MERCHANT, "cus_1", limit=2, cursor=cursor)
        shown += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert shown == made[::-1]
    assert len(methods(world, "cus_2")) == 1


def test_a_revoked_method_is_charged_no_more() -> None:
    world, gateway = world_of()
    method = saved(world)
    paid = world.charge_saved(method, "key-before")
    answer = world.revoke(method.method_id)
    assert (answer.response.status, told(answer)["status"]) == (201, "revoked")
    assert told(answer)["mandate"] == {"id": method.mandate_id, "status": "revoked"}
    sent = len(gateway.submissions)
    with pytest.raises(SetupStateConflict, match=r"revoked.*Nothing was charged"):
        world.charge_saved(method, "key-after")
    assert len(gateway.submissions) == sent
    assert world.charge_saved(method, "key-before").response == paid.response  # a replay is what it was
    assert events(world, method.method_id) == ["payment_method.saved", "payment_method.revoked"]
    assert world.revoke(method.method_id).response == answer.response
    with pytest.raises(SetupStateConflict):
        world.revoke(method.method_id, "key-again")


def test_a_method_that_another_merchant_has_saved_is_not_charged() -> None:
    """Fails, or breaks, when a claim is made for a token whose method is not this merchant's."""
    world, gateway = world_of()
    method = replace(saved(world), method_id="pm_of_another_merchant")
    sent = len(gateway.submissions)
    with pytest.raises(NotFound, match="pm_of_another_merchant"):
        world.charge_saved(method)
    assert len(gateway.submissions) == sent
    assert world.store.get(record_id(MERCHANT, "create_payment", "key-saved")) is None


@pytest.mark.parametrize("word", ["booked_lost", "lost"])
def test_while_a_revocation_is_in_doubt_nothing_is_charged(word: str) -> None:
    """Fails (a charge that the payer has just forbidden) when the claim does not end the method's use."""
    world, gateway = world_of()
    method = saved(world)
    gateway.script, gateway.lookup_fails = [word], True
    answer = world.revoke(method.method_id)
    assert (answer.response.status, told(answer)["status"]) == (202, "revoking")
    with pytest.raises(SetupStateConflict, match="being revoked"):
        world.charge_saved(method)
    gateway.lookup_fails = False
    pass_time(world, 5)
    assert told(world.revoke(method.method_id))["status"] == "revoked"
    assert events(world, method.method_id) == ["payment_method.saved", "payment_method.revoked"]
    assert len(gateway.succeeded(OperationKind.REVOCATION)) == 1


@pytest.mark.parametrize(("word", "status"), [("decline", 402), ("never", None)])
def test_a_revocation_that_was_refused_leaves_the_method_active(word: str, status: int | None) -> None:
    world, gateway = world_of()
    method = saved(world)
    gateway.script = [word]
    if status is None:
        with pytest.raises(GatewayRefused):
            world.revoke(method.method_id)
    else:
        answer = world.revoke(method.method_id)
        assert answer.response.status == status
        assert told(answer)["payment_method"]["status"] == "active"
    assert find_method(world.database, MERCHANT, method.method_id) == method
    assert world.charge_saved(method).response.status == 201


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("customer", ["cus_1", None])
def test_a_payment_saves_a_method_too_if_its_gateway_names_a_token(held: bool, customer: str | None) -> None:
    """Fails when what a payment has saved can't be listed and revoked, or is saved for nobody."""
    world, gateway = world_of()
    payment = told(world.create(customer=customer, payment_method="pm_3ds" if held else "pm_visa", saves=True))
    if held:
        assert methods(world) == []
        gateway.pay()
        pass_time(world, 2)
    assert [method["made_by"] for method in methods(world)] == ([payment["id"]] if customer else [])
    if customer is not None:
        [method] = methods(world)
        assert told(world.charge_saved(load_method(world.database, MERCHANT, method["id"])))["status"] == "captured"
        assert events(world, method["id"]) == ["payment_method.saved"]
        assert len(methods(world)) == 1  # what is charged is not saved again


def test_what_an_account_has_saved_is_charged_and_revoked_at_that_account() -> None:
    """Fails (a token at an account that does not know it) when the account is asked for anew after the set-up."""
    world, gateway = world_of()
    asked: list[str] = []

    def named(address: GatewayAddress) -> HoldingGateway:
        asked.append(address)
        return gateway

    new = NewSetup(
        customer="cus_1", payment_method="pm_visa", payment_method_type=PaymentMethodType.CARD, currency="EUR"
    )
    made = plan_setup(
        new,
        merchant_id=MERCHANT,
        route=lambda _id: "bank",
        services=world.services,
        account_at=lambda _gateway: "acct_1",
    )
    answer = world.engine.execute(world.request("key", "create_setup"), CreateSetup(made, named, world.services))
    method = load_method(world.database, MERCHANT, told(answer)["saved_payment_method"])
    payment = NewPayment(
        money=Money(1000, "EUR"),
        payment_method=method.method_id,
        token=method.token,
        account=method.account,
        capture_method=CaptureMethod.AUTOMATIC,
        customer=method.customer,
    )
    charge = plan_payment(
        payment,
        merchant_id=MERCHANT,
        route=lambda _id: "bank",
        services=world.services,
        account_at=lambda _gateway: "acct_2",
    )
    world.engine.execute(world.request("key", "create_payment"), CreatePayment(charge, named, world.services))
    revocation = plan_revocation(merchant_id=MERCHANT, method_id=method.method_id, services=world.services)
    world.engine.execute(world.request("key", "revoke_payment_method"), RevokeMethod(revocation, named, world.services))
    assert set(asked) == {f"bank#{MERCHANT}#acct_1"}


def test_every_change_of_a_set_up_that_ends_is_in_the_table() -> None:
    ends = {SetupStatus.SUCCEEDED, SetupStatus.DECLINED, SetupStatus.FAILED, SetupStatus.CANCELED, SetupStatus.EXPIRED}
    assert set(SETUP_TRANSITIONS.values()) == set(SetupStatus)
    assert not {before for before, _ in SETUP_TRANSITIONS} & ends


STORIES: dict[str, Any] = {
    "at once": ("pm_visa", lambda world, gateway, setup_id: None),
    "agreed": ("pm_3ds", lambda world, gateway, setup_id: gateway.pay()),
    "confirmed": ("pm_3ds_confirm", lambda world, gateway, setup_id: world.setup_step(setup_id, "key-step")),
    "canceled": ("pm_3ds", lambda world, gateway, setup_id: world.setup_step(setup_id, "key-step", cancels=True)),
    "processed": ("pm_debit", lambda world, gateway, setup_id: gateway.pay()),
    "expired": ("pm_3ds", lambda world, gateway, setup_id: pass_time(world, 61)),
    "revoked": ("pm_visa", lambda world, gateway, setup_id: world.revoke(methods(world)[0]["id"])),
}
ENDS = {"canceled": "canceled", "expired": "expired"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_write_it_ends_with_one_method_and_a_true_status(story: str, after: bool) -> None:
    token, act = STORIES[story]
    for fuse in range(1, 80):
        world, gateway = world_of(Fused(fuse, after=after))
        killed = False
        setup_id = ""
        for _ in range(3):
            try:
                setup_id = setup_id or told(world.set_up(payment_method=token))["id"]
                act(world, gateway, setup_id)
                pass_time(world, 5)
                break
            except Killed:
                killed = True
                world.clock.ms += MINUTE_MS
                pass_time(world, 5)
        pass_time(world, 120)
        setup = stored(world, setup_id)
        assert setup.status.value == ENDS.get(story, "succeeded"), fuse
        assert len(gateway.succeeded(OperationKind.SETUP)) == len(methods(world)) == (0 if story in ENDS else 1), fuse
        assert [method["status"] for method in methods(world)] in (
            [[]] if story in ENDS else [["revoked"]] if story == "revoked" else [["active"]]
        )
        happened = events(world, setup_id)
        assert len(set(happened)) == len(happened), happened
        if not killed:
            break
    else:
        raise AssertionError("the fuse never outlived the story")


def test_a_scripted_gateway_without_holding_can_do_both() -> None:
    """The gateway of the other tests takes set-ups too, so that they can be mixed with payments."""
    world = World()
    assert isinstance(world.gateway, ScriptedGateway)
    method = saved(world)
    world.revoke(method.method_id)
    assert world.gateway.revoked_tokens() == {method.token}
