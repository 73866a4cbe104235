"""The Stripe adapter on localstripe, which ignores idempotency keys: retries and crashes leave one charge there.

What the port asks of every adapter is in test_gateway_contract.py; here is what only Stripe's has to show.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.localstripe_server import (
    AUTHENTICATION_CARD,
    DECLINED_CARD,
    FAILING_ACCOUNT,
    TEST_KEY,
    all_intents,
    authenticate,
    call,
    executed,
    make_bank_account,
    make_payment_method,
    running_localstripe,
)
from payonce.domain.gateway import (
    MONEY_OPERATIONS,
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    Declined,
    NotFound,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.stripe_gateway import KEYLESS_STRIPE_CAPABILITIES, StripeGateway
from payonce.gateways.stripe_lookup import MAX_PAGES, PAGE_SIZE
from payonce.payments import payment_reads
from payonce.payments.operations import AttemptedPlan
from payonce.payments.rules import Resubmit, decide
from payonce.ports import Deadline
from tests.contract.gateways.stripe_child import payment as planned_payment
from tests.support.aws import REPOSITORY
from tests.support.tcp_faults import Fault, faulty_proxy
from tests.support.world import MERCHANT, RealClock, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.gateway import Instruction
    from tests.support.tcp_faults import FaultyProxy

CLOCK = RealClock()
VISA = "pm_card_visa"
PATIENCE_SECONDS = 30
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """localstripe."""
    with running_localstripe() as running:
        yield running


@pytest.fixture
def proxy(url: str) -> Iterator[FaultyProxy]:
    """A way to localstripe that can break."""
    with faulty_proxy(url) as running:
        yield running


@pytest.fixture
def gateway(proxy: FaultyProxy) -> StripeGateway:
    """The adapter, on that way."""
    return gateway_at(proxy.url)


def gateway_at(url: str) -> StripeGateway:
    return StripeGateway("stripe", TEST_KEY, url, KEYLESS_STRIPE_CAPABILITIES, clock=CLOCK)


def soon(seconds: float = 5) -> Deadline:
    return Deadline(CLOCK.now_ms() + int(seconds * 1000))


def reference(prefix: str = "pay") -> str:
    return f"{prefix}_{uuid.uuid4().hex}-1"


def payment(payment_method: str = VISA, capture: CaptureMethod = CaptureMethod.AUTOMATIC) -> Instruction:
    return replace(planned_payment(reference(), payment_method, CLOCK.now_ms()), capture_method=capture)


def prepared(gateway: StripeGateway, kind: OperationKind) -> Instruction:
    """Return an instruction of ``kind``, with the payment that it needs made."""
    if kind is OperationKind.PAYMENT:
        return payment()
    capture = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    first = payment(capture=capture)
    paid = gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    amount = Money(1000 if kind is OperationKind.VOID else 400, "EUR")
    return replace(
        first,
        kind=kind,
        gateway_reference=reference(kind.value),
        money=amount,
        gateway_charge_id=paid.gateway_charge_id,
    )


def times_executed(url: str, instruction: Instruction) -> int:
    """Count in localstripe's books, not in the adapter's words."""
    if instruction.kind is OperationKind.VOID:
        return sum(
            row["id"] == instruction.gateway_charge_id and row["status"] == "canceled" for row in all_intents(url)
        )
    return len(executed(url, instruction.gateway_reference))


def owner(gateway: StripeGateway, instruction: Instruction) -> object:
    """Do what payonce's recovery does: ask, and submit again only where the rules allow it."""
    found = gateway.find(instruction, soon())
    if isinstance(found, AwaitsPayer):
        found = gateway.withdraw(instruction, found, soon())
    now_ms = CLOCK.now_ms() + 60_000  # long after every earlier owner
    decision = decide(
        found,
        gateway.capabilities,
        now_ms=now_ms,
        turn_at_ms=now_ms,
        sendable_until_ms=now_ms + 3_600_000,
        submit_horizon_ms=CLOCK.now_ms(),
        first_submitted_at_ms=instruction.first_submitted_at_ms,
        owners=2,
        plan=AttemptedPlan(),
    )
    return gateway.submit(instruction, soon()) if isinstance(decision, Resubmit) else decision


@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS))
@pytest.mark.parametrize("fault", [Fault.DROP_ANSWER, Fault.CUT_ANSWER])
def test_an_answer_that_never_arrives_is_found_and_leaves_one_execution(
    url: str, proxy: FaultyProxy, gateway: StripeGateway, kind: OperationKind, fault: Fault
) -> None:
    """Fails when a lost answer counts as "never sent", or the lookup misses what was executed: two charges."""
    instruction = prepared(gateway, kind)
    proxy.fault = fault
    assert isinstance(gateway.submit(instruction, soon()), Unknown)
    for _ in range(3):
        assert isinstance(owner(gateway, instruction), Succeeded)
    assert times_executed(url, instruction) == 1


@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS))
def test_a_request_that_never_arrives_is_not_found_and_made_good(
    url: str, proxy: FaultyProxy, gateway: StripeGateway, kind: OperationKind
) -> None:
    """Fails when the lookup finds what is not there: the payer would get goods that nobody paid for."""
    instruction = prepared(gateway, kind)
    proxy.fault = Fault.DROP_REQUEST
    assert isinstance(gateway.submit(instruction, soon()), Unknown)
    assert gateway.find(instruction, soon()) == NotFound()
    proxy.fault = Fault.NONE
    for _ in range(3):
        assert isinstance(owner(gateway, instruction), Succeeded)
    assert times_executed(url, instruction) == 1


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID])
def test_a_capture_or_void_that_is_sent_twice_is_executed_once(
    url: str, gateway: StripeGateway, kind: OperationKind
) -> None:
    """Fails when Stripe's "the state is another" counts as a refusal: what was executed would be reported as failed."""
    instruction = prepared(gateway, kind)
    first = gateway.submit(instruction, soon())
    assert isinstance(first, Succeeded)
    assert gateway.submit(instruction, soon()) == Unknown("payment_intent_unexpected_state")
    assert gateway.find(instruction, soon()) == first
    assert times_executed(url, instruction) == 1


def test_a_process_killed_while_it_waits_leaves_one_charge(url: str, proxy: FaultyProxy) -> None:
    """Fails when the successor submits without asking, or can't find what a process did that told nobody."""
    instruction = payment(make_payment_method(url))
    proxy.fault = Fault.HOLD_ANSWER
    arguments = [proxy.url, instruction.gateway_reference, instruction.payment_method]
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "layers" / "payonce")])
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.contract.gateways.stripe_child",
            *arguments,
            str(instruction.first_submitted_at_ms),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    ) as process:
        assert proxy.executed.wait(120)
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (-signal.SIGKILL, b"")
    outcomes = {owner(gateway_at(url), instruction) for _ in range(3)}
    assert len(outcomes) == 1
    assert isinstance(outcomes.pop(), Succeeded)
    assert times_executed(url, instruction) == 1


def waiting_intent(url: str, instruction: Instruction, **form: str) -> str:
    """Leave an intent of ``instruction`` behind that is not decided; return its id."""
    marked = {
        "amount": 1000,
        "currency": "eur",
        "payment_method": instruction.payment_method,
        "metadata[payonce_reference]": instruction.gateway_reference,
        **form,
    }
    identity: str = call(url, "POST", "/v1/payment_intents", marked)["id"]
    return identity


def state_of(url: str, intent_id: str) -> str:
    status: str = call(url, "GET", f"/v1/payment_intents/{intent_id}")["status"]
    return status


@pytest.mark.parametrize(
    ("form", "payer", "code"),
    [
        ({}, Payer.PRESENT, "canceled"),
        ({"confirm": "true"}, Payer.PRESENT, "canceled"),
        ({"confirm": "true"}, Payer.ABSENT, "authentication_required"),
    ],
)
def test_an_intent_that_can_still_be_completed_is_canceled_before_it_is_declined(
    url: str, gateway: StripeGateway, form: dict[str, str], payer: Payer, code: str
) -> None:
    """Fails when it stays open behind a 402, or when the payment is made again beside it."""
    instruction = replace(payment(make_payment_method(url, AUTHENTICATION_CARD)), payer=payer)
    intent_id = waiting_intent(url, instruction, **form)
    assert isinstance(gateway.find(instruction, soon()), AwaitsPayer)
    found = owner(gateway, instruction)
    assert isinstance(found, Declined)
    assert found.code == code
    assert state_of(url, intent_id) == "canceled"
    assert isinstance(owner(gateway, instruction), Declined)
    assert times_executed(url, instruction) == 0


@pytest.mark.parametrize("fault", [Fault.DROP_ANSWER, Fault.DROP_REQUEST])
def test_a_cancellation_whose_answer_is_lost_is_made_again(
    url: str, proxy: FaultyProxy, gateway: StripeGateway, fault: Fault
) -> None:
    """Fails when a lost cancellation is a decline: with DROP_REQUEST the intent is still open."""
    instruction = payment(make_payment_method(url, AUTHENTICATION_CARD))
    intent_id = waiting_intent(url, instruction, confirm="true")
    waiting = AwaitsPayer(intent_id, "requires_action")
    proxy.fault = fault
    assert gateway.withdraw(instruction, waiting, soon()) == waiting
    proxy.fault = Fault.NONE
    assert isinstance(owner(gateway, instruction), Declined)
    assert state_of(url, intent_id) == "canceled"


def test_a_payer_who_completes_it_before_it_is_canceled_has_paid(url: str, gateway: StripeGateway) -> None:
    """Fails when the refused cancellation counts as a decline: the payer is charged for what we said had failed."""
    instruction = payment(make_payment_method(url, AUTHENTICATION_CARD))
    intent_id = waiting_intent(url, instruction, confirm="true")
    authenticate(url, intent_id, success=True)
    assert state_of(url, intent_id) == "succeeded"
    outcome = gateway.withdraw(instruction, AwaitsPayer(intent_id, "requires_action"), soon())
    assert isinstance(outcome, Succeeded)
    assert outcome.gateway_charge_id == intent_id


RETURN_URL = "https://shop.example/paid"


@pytest.mark.parametrize(
    ("return_url", "action_type"), [(RETURN_URL, ActionType.REDIRECT), (None, ActionType.GATEWAY_SDK)]
)
@pytest.mark.parametrize("capture", list(CaptureMethod))
def test_a_payer_who_authenticates_has_paid(
    url: str, gateway: StripeGateway, return_url: str | None, action_type: ActionType, capture: CaptureMethod
) -> None:
    """Fails when a payment that needs its payer is declined, or is not found again once the payer has acted."""
    asked = replace(payment(make_payment_method(url, AUTHENTICATION_CARD), capture), return_url=return_url)
    waiting = gateway.submit(asked, soon())
    assert isinstance(waiting, AwaitsPayer)
    assert waiting.action is not None
    assert waiting.action.type is action_type
    assert (waiting.action.url is None, waiting.action.client_secret is None) == (return_url is None, bool(return_url))
    held = replace(asked, gateway_charge_id=waiting.gateway_object_id)
    assert gateway.find(asked, soon()) == gateway.find(held, soon()) == waiting
    assert gateway.confirm(held, waiting, "redirect_status=succeeded", soon()) is waiting
    authenticate(url, waiting.gateway_object_id, success=True)
    assert isinstance(gateway.find(held, soon()), Succeeded)
    assert isinstance(
        gateway.withdraw(held, waiting, soon()), Succeeded if capture is CaptureMethod.AUTOMATIC else Declined
    )
    assert times_executed(url, asked) == (1 if capture is CaptureMethod.AUTOMATIC else 0)


@pytest.mark.parametrize(
    ("pays", "payer", "answered", "ends", "state"),
    [
        (True, Payer.PRESENT, 201, "captured", "succeeded"),
        (False, Payer.PRESENT, 201, "declined", "canceled"),
        (True, Payer.ABSENT, 402, "declined", "requires_payment_method"),
    ],
)
def test_a_payment_with_3d_secure_ends_as_its_payer_does(
    url: str, pays: bool, payer: Payer, answered: int, ends: str, state: str
) -> None:
    """Through the whole protocol. Fails when the payer's answer is not found out, or the payment is sent again."""
    world = World()
    world.clock.ms = CLOCK.now_ms()
    world.gateway = gateway_at(url)  # type: ignore[assignment]
    created = world.create(payment_method=make_payment_method(url, AUTHENTICATION_CARD), payer=payer)
    assert created.response.status == answered
    payment_id = created.response.headers["location"].rpartition("/")[2]
    (intent,) = [row for row in all_intents(url) if row["metadata"].get("payonce_payment_id") == payment_id]
    if payer is Payer.PRESENT:
        assert json.loads(created.response.body)["next_action"]["client_secret"] == intent["client_secret"]
        authenticate(url, intent["id"], success=pays)
        world.clock.ms += 60_000
        world.settle()
    assert payment_reads.get_payment(world.services, MERCHANT, payment_id)["status"] == ends
    assert state_of(url, intent["id"]) == state
    assert world.errors == []


def test_a_merchant_can_void_what_waits_for_the_payer(url: str, proxy: FaultyProxy, gateway: StripeGateway) -> None:
    """Fails when a void that never arrived counts as under way: nobody would send it again, and the payer could pay."""
    asked = payment(make_payment_method(url, AUTHENTICATION_CARD))
    waiting = gateway.submit(asked, soon())
    assert isinstance(waiting, AwaitsPayer)
    void = replace(
        asked,
        kind=OperationKind.VOID,
        gateway_reference=reference("void"),
        gateway_charge_id=waiting.gateway_object_id,
    )
    proxy.fault = Fault.DROP_REQUEST
    assert isinstance(gateway.submit(void, soon()), Unknown)
    assert gateway.find(void, soon()) == NotFound()
    proxy.fault = Fault.NONE
    assert isinstance(owner(gateway, void), Succeeded)
    assert state_of(url, waiting.gateway_object_id) == "canceled"


def test_a_payer_who_fails_can_not_pay_any_more_once_it_is_declined(url: str, gateway: StripeGateway) -> None:
    """Fails when the failed intent is left open: whoever has its client secret could pay with another card."""
    asked = payment(make_payment_method(url, AUTHENTICATION_CARD))
    waiting = gateway.submit(asked, soon())
    assert isinstance(waiting, AwaitsPayer)
    authenticate(url, waiting.gateway_object_id, success=False)
    held = replace(asked, gateway_charge_id=waiting.gateway_object_id)
    for _ in range(2):
        outcome = gateway.find(held, soon())
        assert isinstance(outcome, Declined)
        assert outcome.code == "authentication_required"
    assert state_of(url, waiting.gateway_object_id) == "canceled"


def test_an_absent_payer_is_declined_and_not_asked(url: str, gateway: StripeGateway) -> None:
    """Fails without error_on_requires_action: the intent would wait for somebody who is not there."""
    asked = replace(payment(make_payment_method(url, AUTHENTICATION_CARD)), payer=Payer.ABSENT)
    outcome = gateway.submit(asked, soon())
    assert isinstance(outcome, Declined)
    assert outcome.code == "authentication_required"
    assert isinstance(gateway.find(asked, soon()), Declined)
    there = replace(payment(), payer=Payer.ABSENT)
    assert isinstance(gateway.submit(there, soon()), Succeeded)


def settled(gateway: StripeGateway, held: Instruction) -> object:
    """Ask until Stripe has decided."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while type(outcome := gateway.find(held, soon())) is Pending and time.monotonic() < give_up:
        time.sleep(0.1)
    return outcome


def test_a_debit_is_pending_until_it_is_settled(url: str, gateway: StripeGateway) -> None:
    """Fails when a debit that takes days is unknown, sent again, or declined before it is decided."""
    asked = replace(payment(make_bank_account(url)), payment_method_type=PaymentMethodType.BANK_DEBIT)
    pending = gateway.submit(asked, soon())
    assert type(pending) is Pending
    held = replace(asked, gateway_charge_id=pending.gateway_object_id)
    assert gateway.find(held, soon()) == pending
    assert isinstance(settled(gateway, held), Succeeded)
    assert times_executed(url, asked) == 1
    state = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR")
    assert gateway.read_charge(pending.gateway_object_id, soon()) == state


def test_a_debit_that_fails_later_is_declined(url: str, gateway: StripeGateway) -> None:
    """Fails when its failure is not read from the intent that was pending."""
    account = make_bank_account(url, FAILING_ACCOUNT)
    asked = replace(payment(account), payment_method_type=PaymentMethodType.BANK_DEBIT)
    pending = gateway.submit(asked, soon())
    assert type(pending) is Pending
    held = replace(asked, gateway_charge_id=pending.gateway_object_id)
    failed = settled(gateway, held)
    assert isinstance(failed, Declined)
    assert failed.code == "declined"
    assert times_executed(url, asked) == 0


def test_a_token_of_another_method_is_refused_and_not_charged(url: str, gateway: StripeGateway) -> None:
    """Fails without payment_method_types: a card payment would become a debit that takes days."""
    outcome = gateway.submit(payment(make_bank_account(url)), soon())
    assert isinstance(outcome, Declined)
    assert outcome.code == "rejected_by_gateway"


def test_what_a_partial_capture_frees_is_not_taken_for_a_refund(url: str, gateway: StripeGateway) -> None:
    """Fails (a refund of what is left is refused, or booked as made elsewhere) when every listed refund counts."""
    capture = prepared(gateway, OperationKind.CAPTURE)
    assert isinstance(gateway.submit(capture, soon()), Succeeded)
    refund = replace(capture, kind=OperationKind.REFUND, gateway_reference=reference("re"), money=Money(150, "EUR"))
    assert gateway.find(refund, soon()) == NotFound()
    left = ChargeState(captured_minor=400, refunded_minor=0, voided=False, currency="EUR")
    charge_id = capture.gateway_charge_id or ""
    assert gateway.read_charge(charge_id, soon()) == left
    done = gateway.submit(refund, soon())
    assert isinstance(done, Succeeded)
    named = ChargeRefund(
        gateway_refund_id=done.gateway_operation_id, amount_minor=150, gateway_reference=refund.gateway_reference
    )
    assert gateway.read_charge(charge_id, soon()) == replace(left, refunded_minor=150, refunds=(named,))


@pytest.mark.parametrize(
    ("by_hand", "kind", "status", "expected"),
    [
        ("capture", OperationKind.VOID, 409, "captured"),
        ("capture", OperationKind.CAPTURE, 201, "captured"),
        ("cancel", OperationKind.CAPTURE, 409, "voided"),
        ("cancel", OperationKind.VOID, 201, "voided"),
        ("refund", OperationKind.REFUND, 201, "refunded"),
    ],
)
def test_what_somebody_did_at_the_dashboard_is_found_out_and_booked(
    url: str, by_hand: str, kind: OperationKind, status: int, expected: str
) -> None:
    """Through the whole protocol. Fails (402, and the payment "authorized" for ever) when only the refusal is read."""
    world = World()
    world.clock.ms = CLOCK.now_ms()
    world.gateway = gateway_at(url)  # type: ignore[assignment]
    capture = CaptureMethod.AUTOMATIC if by_hand == "refund" else CaptureMethod.MANUAL
    created = world.create(capture=capture, payment_method=make_payment_method(url))
    payment_id = json.loads(created.response.body)["id"]
    (intent,) = executed(url, f"{payment_id}-1")
    if by_hand == "refund":
        call(url, "POST", "/v1/refunds", {"payment_intent": intent["id"], "amount": 1000})
    else:
        call(url, "POST", f"/v1/payment_intents/{intent['id']}/{by_hand}")
    answer = world.follow_up(kind, payment_id, "key-1", None if kind is OperationKind.VOID else 1000)
    assert answer.response.status == status
    assert payment_reads.get_payment(world.services, MERCHANT, payment_id)["status"] == expected
    assert world.follow_up(kind, payment_id, "key-1", None if kind is OperationKind.VOID else 1000).replayed


def test_a_decline_whose_answer_is_lost_stays_a_decline(url: str, proxy: FaultyProxy, gateway: StripeGateway) -> None:
    """Fails when a declined try is "not found", and is made again: the issuer might accept the second one."""
    instruction = payment(make_payment_method(url, DECLINED_CARD))
    proxy.fault = Fault.DROP_ANSWER
    assert isinstance(gateway.submit(instruction, soon()), Unknown)
    assert isinstance(owner(gateway, instruction), Declined)
    assert times_executed(url, instruction) == 0


def test_of_two_charges_the_first_is_reported(url: str, gateway: StripeGateway) -> None:
    """Fails when the later of two bookings is taken: a follow-up would go to the charge nobody knows."""
    instruction = payment()
    first = gateway.submit(instruction, soon())
    assert isinstance(gateway.submit(instruction, soon()), Succeeded)  # localstripe ignores the key
    assert times_executed(url, instruction) == 2
    assert gateway.find(instruction, soon()) == first


def test_it_is_found_among_many_and_never_said_to_be_missing_among_too_many() -> None:
    """Fails when only one page is read, or when reading too much ends in "not found"."""
    with running_localstripe() as crowded:
        gateway = gateway_at(crowded)
        early = payment()
        assert isinstance(gateway.submit(early, soon()), Succeeded)
        stranger = {"amount": 1, "currency": "eur"}

        def crowd(count: int) -> None:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda _: call(crowded, "POST", "/v1/payment_intents", stranger), range(count)))

        crowd(3 * PAGE_SIZE)
        assert isinstance(gateway.find(early, soon()), Succeeded)
        assert gateway.find(replace(early, gateway_reference=reference()), soon()) == NotFound()
        crowd((MAX_PAGES - 3) * PAGE_SIZE)
        outcome: Any = gateway.find(replace(early, gateway_reference=reference()), soon())
        assert isinstance(outcome, Unknown)


def test_the_amount_that_was_captured_and_given_back_is_the_one_that_was_asked_for(
    url: str, gateway: StripeGateway
) -> None:
    """Fails when an amount is not passed on: Stripe would capture or refund everything."""
    capture = prepared(gateway, OperationKind.CAPTURE)
    assert isinstance(gateway.submit(capture, soon()), Succeeded)
    refund = replace(capture, kind=OperationKind.REFUND, gateway_reference=reference("re"), money=Money(150, "EUR"))
    assert isinstance(gateway.submit(refund, soon()), Succeeded)
    (captured,), (given_back,) = executed(url, capture.gateway_reference), executed(url, refund.gateway_reference)
    assert (captured["amount_received"], given_back["amount"]) == (400, 150)
