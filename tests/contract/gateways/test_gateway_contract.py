"""The contract of the Gateway port: the sandbox bank in its three characters, Stripe's adapter, and Adyen's.

Stripe's speaks to localstripe, and Adyen's to a fake that sends notifications, without which it finds nothing.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from local.localstripe_server import TEST_KEY, charges_of, make_payment_method, running_localstripe
from local.sandbox_bank.running import BankHandle, running_bank
from payonce.domain.gateway import (
    CaptureMethod,
    ChargeState,
    Declined,
    Instruction,
    NeverSent,
    NotFound,
    OperationKind,
    Overtaken,
    Payer,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.adyen_gateway import adyen_from_options
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from payonce.gateways.stripe_gateway import stripe_from_options
from payonce.notices.told import KeptNoticeBook
from payonce.ports import Deadline, Gateway
from payonce.stores.memory import MemoryDatabase
from tests.support.adyen import RETURN_URL, SHOPPER, AdyenStage, adyen_stage
from tests.support.adyen import token as adyen_token
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLOCK = RealClock()
PATIENCE_SECONDS = 60
OF_ADYEN = ("pm_token_A", "STORED_")  # whose stored methods are a shopper's
_numbers = itertools.count(1)


@dataclass
class Subject:
    """A gateway under test, a good and a declined token, and its real books."""

    gateway: Gateway
    token: Callable[[], str]
    declined_token: Callable[[], str]
    count_charges: Callable[[str], int]
    notify: Callable[[], object] = lambda: None  # lets the gateway tell what has become of what it held


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    with running_bank(tmp_path_factory.mktemp("bank")) as handle:
        handle.configure("late", visible_after_ms=300)
        yield handle


@pytest.fixture(scope="session")
def stripe_url() -> Iterator[str]:
    with running_localstripe() as url:
        yield url


@pytest.fixture(scope="session")
def adyen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdyenStage]:
    with adyen_stage(tmp_path_factory.mktemp("adyen")) as stage:
        yield stage


@pytest.fixture(params=["honouring", "forgetful", "late", "stripe", "adyen"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "adyen":
        stage = request.getfixturevalue("adyen")
        return Subject(
            stage.gateway(),
            adyen_token,
            lambda: adyen_token("DECLINED"),
            lambda token: len(stage.charges_of(token)),
            stage.feed,
        )
    if request.param == "stripe":
        url = request.getfixturevalue("stripe_url")
        gateway = stripe_from_options(
            "stripe", {"url": url, "key_retention_seconds": 0}, {"stripe_api_key": TEST_KEY}, CLOCK
        )
        return Subject(
            gateway,
            lambda: make_payment_method(url),
            lambda: make_payment_method(url, "4000000000000341"),
            lambda token: len(charges_of(url, token)),
        )
    handle = request.getfixturevalue("bank")
    handle.behave(request.param)
    return Subject(
        bank_gateway(handle, request.param),
        lambda: f"pm_token_{next(_numbers)}",
        lambda: "pm_sandbox_declined",
        lambda token: len(handle.charges(payment_method=token)),
    )


def bank_gateway(handle: BankHandle, name: str) -> Gateway:
    retention = 86_400 if name in {"honouring", "remembering"} else 0
    options = {"url": handle.base_url(name), "key_retention_seconds": retention}
    return sandbox_bank_from_options(name, options, {"sandbox_bank_api_key": "x"}, CLOCK)


def payment(token: str, capture: CaptureMethod = CaptureMethod.AUTOMATIC) -> Instruction:
    number = next(_numbers)
    return Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference=f"pay_{number}-1",
        merchant_id="mer_1",
        payment_id=f"pay_{number}",
        money=Money(1000, "EUR"),
        capture_method=capture,
        payment_method=token,
        first_submitted_at_ms=CLOCK.now_ms(),
        customer=SHOPPER if token.startswith(OF_ADYEN) else None,
    )


def follow_up(kind: OperationKind, first: Instruction, charge_id: str, amount_minor: int) -> Instruction:
    return replace(
        first,
        kind=kind,
        gateway_reference=f"{kind.value}_{next(_numbers)}-1",
        money=Money(amount_minor, "EUR"),
        gateway_charge_id=charge_id,
    )


def soon(seconds: float = 60) -> Deadline:
    return Deadline(CLOCK.now_ms() + int(seconds * 1000))


def found(subject: Subject, instruction: Instruction) -> object:
    """Look it up, again if the bank shows bookings late."""
    subject.notify()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while isinstance(outcome := subject.gateway.find(instruction, soon()), NotFound) and time.monotonic() < give_up:
        time.sleep(0.05)
    return outcome


def done(subject: Subject, instruction: Instruction) -> object:
    """Submit it, and follow it by its own id where the gateway has only received it."""
    outcome = subject.gateway.submit(instruction, soon())
    if type(outcome) is not Pending:
        return outcome
    return found(subject, replace(instruction, gateway_operation_id=outcome.gateway_object_id))


def test_a_payment_is_executed_once_and_found_by_its_reference(subject: Subject) -> None:
    instruction = payment(subject.token())
    assert subject.gateway.find(instruction, soon()) == NotFound()
    outcome = done(subject, instruction)
    assert isinstance(outcome, Succeeded)
    assert found(subject, instruction) == outcome
    assert subject.count_charges(instruction.payment_method) == 1


def test_a_decline_is_final(subject: Subject) -> None:
    instruction = payment(subject.declined_token())
    assert isinstance(done(subject, instruction), Declined)
    assert subject.count_charges(instruction.payment_method) == 0


def test_keys_are_honoured_exactly_as_declared(subject: Subject) -> None:
    """Fails when an adapter does not send the reference as the key, or declares what its gateway does not do."""
    instruction = payment(subject.token())
    first = subject.gateway.submit(instruction, soon())
    again = subject.gateway.submit(instruction, soon())
    honours = subject.gateway.capabilities.key_retention_seconds > 0
    assert (first == again) == honours
    assert subject.count_charges(instruction.payment_method) == (1 if honours else 2)


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID])
def test_an_authorization_is_captured_or_voided(subject: Subject, kind: OperationKind) -> None:
    first = payment(subject.token(), CaptureMethod.MANUAL)
    authorized = subject.gateway.submit(first, soon())
    assert isinstance(authorized, Succeeded)
    instruction = follow_up(kind, first, authorized.gateway_charge_id, 1000)
    assert subject.gateway.find(instruction, soon()) == NotFound()
    outcome = done(subject, instruction)
    assert isinstance(outcome, Succeeded)
    assert isinstance(found(subject, instruction), Succeeded)
    other = follow_up(kind, first, authorized.gateway_charge_id, 1000)
    if kind is OperationKind.CAPTURE and subject.gateway.capabilities.reads_charges:
        # Another operation's capture is not ours; where a charge is captured once, it is even known that ours can't be.
        multiple = subject.gateway.capabilities.multiple_captures
        assert isinstance(subject.gateway.find(other, soon()), NotFound if multiple else Overtaken)


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND])
def test_a_charge_that_somebody_else_has_changed_overtakes_ours(subject: Subject, kind: OperationKind) -> None:
    """Fails when it is an ordinary decline, after which nobody looks at the charge, or stays in doubt."""
    first = payment(subject.token(), CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL)
    paid = subject.gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    by_hand = {OperationKind.VOID: OperationKind.CAPTURE}.get(kind, kind)
    assert isinstance(done(subject, follow_up(by_hand, first, paid.gateway_charge_id, 1000)), Succeeded)
    ours = follow_up(kind, first, paid.gateway_charge_id, 1000)
    outcome = done(subject, ours)
    if isinstance(outcome, Unknown):
        outcome = subject.gateway.find(ours, soon())
    # Where the charge can't be read, nobody can say who has changed it.
    assert isinstance(outcome, Overtaken if subject.gateway.capabilities.reads_charges else Declined)


def test_refunds_are_told_apart_by_reference(subject: Subject) -> None:
    first = payment(subject.token())
    paid = subject.gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    one = follow_up(OperationKind.REFUND, first, paid.gateway_charge_id, 300)
    two = follow_up(OperationKind.REFUND, first, paid.gateway_charge_id, 300)
    outcome = done(subject, one)
    assert isinstance(outcome, Succeeded)
    assert found(subject, one) == outcome
    assert subject.gateway.find(two, soon()) == NotFound()


def test_a_charge_is_read_as_it_stands(subject: Subject) -> None:
    """Fails when a refund is not counted: a correction would pay it back once more."""
    first = payment(subject.token())
    paid = subject.gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    if not subject.gateway.capabilities.reads_charges:
        assert isinstance(subject.gateway.read_charge(paid.gateway_charge_id, soon()), Unknown)
        return
    whole = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR")
    assert subject.gateway.read_charge(paid.gateway_charge_id, soon()) == whole
    part = follow_up(OperationKind.REFUND, first, paid.gateway_charge_id, 300)
    assert isinstance(done(subject, part), Succeeded)
    assert subject.gateway.read_charge(paid.gateway_charge_id, soon()) == replace(whole, refunded_minor=300)


def test_an_authorization_is_read_as_not_captured_then_voided(subject: Subject) -> None:
    first = payment(subject.token(), CaptureMethod.MANUAL)
    authorized = subject.gateway.submit(first, soon())
    assert isinstance(authorized, Succeeded)
    held = ChargeState(captured_minor=0, refunded_minor=0, voided=False, currency="EUR")
    void = follow_up(OperationKind.VOID, first, authorized.gateway_charge_id, 1000)
    if not subject.gateway.capabilities.reads_charges:
        assert isinstance(subject.gateway.read_charge(authorized.gateway_charge_id, soon()), Unknown)
        return
    assert subject.gateway.read_charge(authorized.gateway_charge_id, soon()) == held
    assert isinstance(done(subject, void), Succeeded)
    assert subject.gateway.read_charge(authorized.gateway_charge_id, soon()) == replace(held, voided=True)


def test_a_charge_that_is_not_there_is_not_found(subject: Subject) -> None:
    expected = NotFound if subject.gateway.capabilities.reads_charges else Unknown
    assert isinstance(subject.gateway.read_charge("pi_or_ch_of_nobody", soon()), expected)


def test_what_finds_nobody_listening_was_never_sent() -> None:
    """Fails when a refused connection counts as unknown: every outage would leave payments in doubt."""
    bank = sandbox_bank_from_options("b", {"url": "http://127.0.0.1:9"}, {"sandbox_bank_api_key": "x"}, CLOCK)
    stripe = stripe_from_options("s", {"url": "http://127.0.0.1:9"}, {"stripe_api_key": TEST_KEY}, CLOCK)
    adyen_options = {"url": "http://127.0.0.1:9", "merchant_account": "ShopECOM", "return_url": RETURN_URL}
    book = KeptNoticeBook(MemoryDatabase())
    adyen = adyen_from_options("a", adyen_options, {"adyen_api_key": "x"}, book, CLOCK)
    for gateway in (bank, stripe, adyen):
        instruction = replace(payment("pm_token"), customer=SHOPPER if gateway is adyen else None)
        assert isinstance(gateway.submit(instruction, soon()), NeverSent)
        # Adyen's adapter asks its own book, which is there, and never final.
        assert isinstance(gateway.find(instruction, soon()), NotFound if gateway is adyen else Unknown)
        assert isinstance(gateway.read_charge("ch_1", soon()), Unknown)
        assert isinstance(gateway.submit(instruction, Deadline(CLOCK.now_ms() - 1)), NeverSent)


def test_stripe_is_never_left_waiting_for_an_absent_payer(stripe_url: str) -> None:
    """Fails without error_on_requires_action: an absent payer could pay after we said that the payment had failed."""
    options = {"url": stripe_url, "key_retention_seconds": 0}
    gateway = stripe_from_options("stripe", options, {"stripe_api_key": TEST_KEY}, CLOCK)
    instruction = replace(payment(make_payment_method(stripe_url, "4000000000003220")), payer=Payer.ABSENT)
    outcome = gateway.submit(instruction, soon())
    assert isinstance(outcome, Declined)
    assert outcome.code == "authentication_required"
    assert charges_of(stripe_url, instruction.payment_method) == []


@pytest.mark.parametrize(
    ("mode", "expected", "charges"),
    [
        ("throttle", NeverSent, 0),
        ("unavailable", NeverSent, 0),
        ("decline", Declined, 0),
        ("slow", Succeeded, 1),
        ("timeout_before_booking", Unknown, 0),
        ("timeout_after_booking", Unknown, 1),
        ("drop_before_booking", Unknown, 0),
        ("drop_after_booking", Unknown, 1),
        ("error_after_booking", Unknown, 1),
        ("error_kept", Unknown, 0),
        ("garbage_body", Unknown, 1),
        ("huge_body", Unknown, 1),
        ("drip", Unknown, 1),
        ("wrong_reference", Unknown, 1),
    ],
)
def test_every_bad_habit_has_its_outcome(bank: BankHandle, mode: str, expected: type, charges: int) -> None:
    """Fails when a timeout, a reset or a broken answer counts as a failure: the charge would be made again."""
    gateway = bank_gateway(bank, "forgetful")
    instruction = payment(f"pm_habit_{mode}")
    began_ms = CLOCK.now_ms()
    with bank.misbehaving("forgetful", mode, delay_ms=200 if mode == "slow" else 60_000, times=1):
        outcome = gateway.submit(instruction, soon(3))
    assert isinstance(outcome, expected)
    assert CLOCK.now_ms() - began_ms < 30_000  # over by the deadline, also when the answer drips for minutes
    assert len(bank.charges(payment_method=instruction.payment_method)) == charges


@pytest.mark.parametrize("bank_name", ["remembering", "forgetful"])
def test_a_kept_failure_comes_again_and_is_said_to(bank: BankHandle, bank_name: str) -> None:
    """Fails when the adapter does not say that repeating is of no use, or says so of a bank that keeps nothing."""
    keeps = bank_name == "remembering"
    bank.scenario(bank_name, "error_kept", times=1)
    gateway = bank_gateway(bank, bank_name)
    instruction = payment(f"pm_kept_{bank_name}")
    assert gateway.submit(instruction, soon()) == Unknown("HTTP 500", repeatable=not keeps)
    assert gateway.find(instruction, soon()) == NotFound()
    again = gateway.submit(instruction, soon())
    assert again == Unknown("HTTP 500", repeatable=False) if keeps else isinstance(again, Succeeded)
    renewed = replace(instruction, gateway_reference=instruction.gateway_reference.replace("-1", "-2"))
    assert isinstance(gateway.submit(renewed, soon()), Succeeded) or not keeps
