"""The adapter of Adyen on the fake: payers, methods that take days, faults, and what only notifications tell.

What the port asks of every adapter is in test_gateway_contract.py; here is what only Adyen's has to show.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    CredentialsRefused,
    Declined,
    Instruction,
    NeverSent,
    NotFound,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    ResultRefused,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.payments.payment_reads import get_payment
from payonce.ports import Deadline
from tests.contract.adyen.conftest import DAY_SECONDS, at_the_bank, library, result_of
from tests.support.adyen import CLOCK, SHOPPER, AdyenStage, adyen_stage, token
from tests.support.world import MERCHANT, World
from tests.unit.payments.test_attempts import Killed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.gateways.adyen_gateway import AdyenGateway

HOUR_MS = 3_600_000
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdyenStage]:
    with adyen_stage(tmp_path_factory.mktemp("adyen")) as stage:
        yield stage


@pytest.fixture
def stage(running: AdyenStage) -> Iterator[AdyenStage]:
    """The fake as it is by default, whatever a test before has set."""
    yield running
    running.handle.behave()
    running.handle.configure(modification_reference="own", outcome_delay_ms=0)


def payment(payment_method: str | None = None, **changes: Any) -> Instruction:
    number = next(_numbers)
    plain = Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference=f"pay_A{number}-1",
        merchant_id="mer_1",
        payment_id=f"pay_A{number}",
        money=Money(1000, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method=payment_method or token(),
        first_submitted_at_ms=CLOCK.now_ms(),
        customer=SHOPPER,
    )
    return replace(plain, **changes)


def follow_up(kind: OperationKind, first: Instruction, charge_id: str, amount_minor: int = 1000) -> Instruction:
    reference = f"{kind.value[:3]}_A{next(_numbers)}-1"
    return replace(
        first,
        kind=kind,
        gateway_reference=reference,
        gateway_charge_id=charge_id,
        money=Money(amount_minor, first.money.currency),
    )


def soon(seconds: float = 30) -> Deadline:
    return Deadline(CLOCK.now_ms() + int(seconds * 1000))


def held(instruction: Instruction, pending: object) -> Instruction:
    """Return the instruction with which a settlement looks for what the gateway holds."""
    assert isinstance(pending, Pending)
    if instruction.kind is OperationKind.PAYMENT:
        return replace(instruction, gateway_charge_id=pending.gateway_object_id)
    return replace(instruction, gateway_operation_id=pending.gateway_object_id)


def waiting_for_its_payer(gateway: AdyenGateway, holder: str = "AUTHENTICATE") -> tuple[Instruction, AwaitsPayer]:
    asked = payment(token(holder))
    outcome = gateway.submit(asked, soon())
    assert isinstance(outcome, AwaitsPayer)
    return held(asked, outcome), outcome


def url_of(waiting: AwaitsPayer) -> str:
    assert waiting.action is not None
    assert waiting.action.type is ActionType.REDIRECT
    return waiting.action.url or ""


def count(stage: AdyenStage, instruction: Instruction) -> int:
    return len(stage.handle.charges(reference=instruction.gateway_reference))


# What is sent


def test_the_request_says_what_the_documents_ask_for(stage: AdyenStage) -> None:
    """Fails when the capture is left to the account, or when the payer's presence is not said."""
    gateway = stage.gateway()
    present, absent = payment(return_url="https://shop.example/r"), payment(payer=Payer.ABSENT)
    later = payment(capture_method=CaptureMethod.MANUAL)
    for each in (present, absent, later):
        assert isinstance(gateway.submit(each, soon()), Succeeded)

    def sent(instruction: Instruction) -> dict[str, Any]:
        (row,) = stage.handle.payments(reference=instruction.gateway_reference)
        return dict(json.loads(row["request"]))

    asked = sent(present)
    assert asked["returnUrl"] == "https://shop.example/r"
    assert (asked["shopperInteraction"], asked["recurringProcessingModel"]) == ("Ecommerce", "CardOnFile")
    assert asked["shopperReference"] == SHOPPER
    assert asked["metadata"] == {"payonce_payment_id": present.payment_id, "payonce_merchant_id": "mer_1"}
    assert asked["captureDelayHours"] == 0
    asked = sent(absent)
    assert (asked["shopperInteraction"], asked["recurringProcessingModel"]) == ("ContAuth", "UnscheduledCardOnFile")
    assert sent(later)["additionalData"] == {"manualCapture": "true"}


@pytest.mark.parametrize(("currency", "minor", "amount"), [("ISK", 5, "5.00"), ("JPY", 5, "5"), ("CLP", 700, "700.00")])
def test_the_amount_is_in_adyens_units(stage: AdyenStage, currency: str, minor: int, amount: str) -> None:
    """https://docs.adyen.com/development-resources/currency-codes. Fails with ISO 4217's exponents: a hundredth."""
    asked = payment(money=Money(minor, currency))
    assert isinstance(stage.gateway().submit(asked, soon()), Succeeded)
    (row,) = stage.handle.payments(reference=asked.gateway_reference)
    assert row["amount"] == amount


# Faults

HABITS: dict[str, tuple[object, int, object]] = {
    # the outcome, the charges after it, and the outcome of the same request again
    "throttle": (Unknown("HTTP 429 000", repeatable=True), 0, Succeeded),
    "unavailable": (Unknown("HTTP 503 000"), 0, Succeeded),
    "key_store_unavailable": (Unknown("HTTP 503 703", repeatable=True), 0, Succeeded),
    "decline": (Declined, 0, Declined),
    "slow": (Succeeded, 1, Succeeded),
    "timeout_before_booking": (Unknown, 0, Succeeded),
    "timeout_after_booking": (Unknown, 1, Succeeded),
    "drop_before_booking": (Unknown, 0, Succeeded),
    "drop_after_booking": (Unknown, 1, Succeeded),
    "error_after_booking": (Unknown("HTTP 500 000"), 1, Succeeded),
    "error_kept": (Unknown("HTTP 500 000"), 0, Unknown("HTTP 500 000")),
    "garbage_body": (Unknown("the answer is not usable", repeatable=True), 1, Succeeded),
    "huge_body": (Unknown, 1, Succeeded),
    "drip": (Unknown, 1, Succeeded),
    "wrong_reference": (Unknown("the answer is for another operation"), 1, Succeeded),
}


@pytest.mark.parametrize("mode", list(HABITS))
def test_every_bad_habit_has_its_outcome_and_leaves_at_most_one_charge(stage: AdyenStage, mode: str) -> None:
    """Fails when a broken answer counts as a failure, or when a repetition is another request to Adyen."""
    expected, charges, repeated = HABITS[mode]
    gateway, asked = stage.gateway(), payment()
    with stage.handle.misbehaving(mode, delay_ms=200 if mode == "slow" else 1_500, times=1):
        outcome = gateway.submit(asked, soon(3))
    assert isinstance(outcome, expected) if isinstance(expected, type) else outcome == expected
    assert count(stage, asked) == charges
    again = gateway.submit(asked, soon())
    assert isinstance(again, repeated) if isinstance(repeated, type) else again == repeated
    assert count(stage, asked) == (1 if repeated is Succeeded else 0)
    stage.feed()
    found = gateway.find(asked, soon())
    assert type(found) is type(again) if isinstance(again, Succeeded | Declined) else found == NotFound()


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND])
@pytest.mark.parametrize("mode", ["drop_before_booking", "drop_after_booking", "error_after_booking", "garbage_body"])
def test_a_modification_whose_answer_is_lost_is_made_once(stage: AdyenStage, kind: OperationKind, mode: str) -> None:
    """Fails when a repeated modification has another key: Adyen would execute it twice."""
    gateway = stage.gateway()
    first = payment(capture_method=CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL)
    paid = gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    asked = follow_up(kind, first, paid.gateway_charge_id, 400)
    with stage.handle.misbehaving(mode, times=1):
        assert isinstance(gateway.submit(asked, soon()), Unknown)
    outcome = gateway.submit(asked, soon())
    assert outcome == gateway.submit(asked, soon())
    assert type(outcome) is Pending
    stage.feed()
    assert isinstance(gateway.find(held(asked, outcome), soon()), Succeeded)
    (row,) = stage.handle.books(reference=asked.gateway_reference)
    assert (row["psp_reference"], row["status"]) == (outcome.gateway_object_id, "succeeded")


def test_concurrent_duplicates_are_one_charge(stage: AdyenStage) -> None:
    """Adyen answers one, and the others with 704 or the first answer. Fails without a key, and if 704 is a decline."""
    gateway, asked = stage.gateway(), payment()
    with stage.handle.misbehaving("book_late", delay_ms=300), ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: gateway.submit(asked, soon()), range(6)))
    assert count(stage, asked) == 1
    assert sum(isinstance(outcome, Succeeded) for outcome in outcomes) >= 1
    doubts = [outcome for outcome in outcomes if not isinstance(outcome, Succeeded)]
    assert set(doubts) <= {Unknown("HTTP 422 704", repeatable=True)}
    assert isinstance(gateway.submit(asked, soon()), Succeeded)


def test_what_is_wrong_is_refused_and_the_operators_mistakes_are_told_apart(stage: AdyenStage) -> None:
    """Fails when a wrong key is a decline: the payer would be told of it."""
    unknown = payment("stored:8NOBODYS")
    refused = stage.gateway().submit(unknown, soon())
    assert isinstance(refused, Declined)
    assert refused.code == "rejected_by_gateway"
    stranger = stage.gateway()
    stranger._api_key = "nonsense"
    assert stranger.submit(payment(), soon()) == CredentialsRefused("the gateway refuses our credentials")
    assert stage.gateway(f"{stage.handle.url}/v12").submit(payment(), soon()) == NeverSent(
        "the gateway has no such address"
    )
    unsupported = payment("blik", payment_method_type=PaymentMethodType.WALLET)
    assert isinstance(stage.gateway().submit(unsupported, soon()), Declined)  # 500 with 905


# The payer


def test_a_payer_who_authenticates_has_paid(stage: AdyenStage) -> None:
    gateway = stage.gateway()
    asked, waiting = waiting_for_its_payer(gateway)
    assert gateway.find(asked, soon()) == AwaitsPayer(waiting.gateway_object_id, "no notification has told of its end")
    result = result_of(at_the_bank(url_of(waiting), "approved"))
    paid = gateway.confirm(asked, waiting, result, soon())
    assert isinstance(paid, Succeeded)
    assert gateway.confirm(asked, waiting, result, soon()) == paid  # the same key: Adyen refuses another one
    stage.feed()
    assert gateway.find(asked, soon()) == paid
    assert count(stage, asked) == 1


@pytest.mark.parametrize(("said", "code"), [("refused", "authentication_required"), ("cancelled", "canceled")])
def test_a_payer_who_fails_is_declined(stage: AdyenStage, said: str, code: str) -> None:
    gateway = stage.gateway()
    asked, waiting = waiting_for_its_payer(gateway)
    outcome = gateway.confirm(asked, waiting, result_of(at_the_bank(url_of(waiting), said)), soon())
    assert isinstance(outcome, Declined)
    assert outcome.code == code
    stage.feed()
    assert gateway.find(asked, soon()) == outcome
    assert count(stage, asked) == 0


def test_a_result_of_nobody_and_of_another_payment_are_refused(stage: AdyenStage) -> None:
    """Fails when the answer's reference is not compared: one payer's result would pay another's order."""
    gateway = stage.gateway()
    asked, waiting = waiting_for_its_payer(gateway)
    other, others = waiting_for_its_payer(gateway)
    assert isinstance(gateway.confirm(asked, waiting, "X6XtfGC3!forged", soon()), ResultRefused)
    result = result_of(at_the_bank(url_of(others), "approved"))
    assert isinstance(gateway.confirm(asked, waiting, result, soon()), ResultRefused)
    assert isinstance(gateway.find(asked, soon()), AwaitsPayer)
    stage.feed()
    assert isinstance(gateway.find(other, soon()), Succeeded)  # which Adyen has executed, and told of


def test_details_that_the_shop_has_handed_in_itself_are_waited_for(stage: AdyenStage) -> None:
    """Adyen refuses the same details under another key. Fails when that is a forged result."""
    gateway = stage.gateway()
    asked, waiting = waiting_for_its_payer(gateway)
    result = result_of(at_the_bank(url_of(waiting), "approved"))
    namesake = replace(asked, gateway_reference="pay_Somebody-1")
    assert isinstance(gateway.confirm(namesake, waiting, result, soon()), ResultRefused)  # under another key
    assert isinstance(gateway.confirm(asked, waiting, result, soon()), AwaitsPayer)
    stage.feed()
    assert isinstance(gateway.confirm(asked, waiting, result, soon()), Succeeded)


@pytest.mark.parametrize("mode", ["drop_before_booking", "drop_after_booking", "error_after_booking", "garbage_body"])
def test_a_confirmation_whose_answer_is_lost_is_made_again(stage: AdyenStage, mode: str) -> None:
    """Fails when the key is not of the payment and its result: the second one would be refused."""
    gateway = stage.gateway()
    asked, waiting = waiting_for_its_payer(gateway)
    result = result_of(at_the_bank(url_of(waiting), "approved"))
    with stage.handle.misbehaving(mode, kinds=["details"], times=1):
        assert isinstance(gateway.confirm(asked, waiting, result, soon()), Unknown)
    assert isinstance(gateway.confirm(asked, waiting, result, soon()), Succeeded)
    assert count(stage, asked) == 1


def test_what_waits_can_not_be_withdrawn_and_is_over_when_adyen_says_so(stage: AdyenStage) -> None:
    """Fails when a withdrawal is believed: the payer could pay for hours after it."""
    gateway = stage.gateway()
    asked, waiting = waiting_for_its_payer(gateway)
    assert gateway.withdraw(asked, waiting, soon()) is waiting
    faster, others = waiting_for_its_payer(gateway)
    gateway.confirm(faster, others, result_of(at_the_bank(url_of(others), "approved")), soon())
    stage.feed(13 * 3600)
    outcome = gateway.withdraw(asked, waiting, soon())
    assert isinstance(outcome, Declined)
    assert outcome.code == "payment_expired"
    assert isinstance(gateway.withdraw(faster, others, soon()), Succeeded)


def test_an_absent_payer_is_declined_and_not_asked(stage: AdyenStage) -> None:
    gateway = stage.gateway()
    asked = payment(token("AUTHENTICATE"), payer=Payer.ABSENT)
    outcome = gateway.submit(asked, soon())
    assert isinstance(outcome, Declined)
    assert outcome.code == "authentication_required"
    assert count(stage, asked) == 0


def test_a_component_is_given_the_action_and_its_result_is_handed_in(stage: AdyenStage) -> None:
    """A voucher's number has no page: Adyen's component shows it."""
    gateway = stage.gateway()
    asked = payment("multibanco", payment_method_type=PaymentMethodType.VOUCHER)
    outcome = gateway.submit(asked, soon())
    assert isinstance(outcome, AwaitsPayer)
    assert outcome.action is not None
    assert outcome.action.type is ActionType.GATEWAY_SDK
    action = json.loads(outcome.action.client_secret or "")
    assert (action["type"], action["entity"]) == ("voucher", "12101")
    assert outcome.action.expires_at_ms is not None
    stage.handle.act("pay", reference=asked.gateway_reference)
    stage.feed()
    assert isinstance(gateway.find(held(asked, outcome), soon()), Succeeded)


def test_the_result_of_a_component_is_told_from_that_of_a_redirect(stage: AdyenStage) -> None:
    """Adyen takes each under a name of its own. Fails (refused) when all are called ``redirectResult``."""
    gateway = stage.gateway()
    asked = payment(token("AUTHENTICATE"))
    body = {
        "merchantAccount": "ShopECOM",
        "reference": asked.gateway_reference,
        "amount": {"value": 1000, "currency": "EUR"},
        "paymentMethod": {"type": "scheme", "holderName": "AUTHENTICATE"},
        "returnUrl": "https://shop.example/",
        "authenticationData": {"threeDSRequestData": {"nativeThreeDS": "preferred"}},
    }
    answer = library(stage.handle.api_url).checkout.payments_api.payments(body).message
    done = {"authorisationToken": answer["action"]["authorisationToken"], "transStatus": "Y"}
    result = base64.b64encode(json.dumps(done).encode()).decode()
    waiting = AwaitsPayer(asked.gateway_reference, "ChallengeShopper")
    assert isinstance(gateway.confirm(held(asked, waiting), waiting, result, soon()), Succeeded)


# What takes time


def test_a_redirect_to_a_bank_is_known_by_our_reference_until_it_is_paid(stage: AdyenStage) -> None:
    """Adyen gives iDEAL no PSP reference before the details. Fails when a payment without one is in doubt."""
    gateway = stage.gateway()
    asked = payment("ideal", payment_method_type=PaymentMethodType.BANK_TRANSFER)
    outcome = gateway.submit(asked, soon())
    assert isinstance(outcome, AwaitsPayer)
    assert outcome.gateway_object_id == asked.gateway_reference
    at_the_bank(url_of(outcome), "approved")  # and never comes back
    stage.feed()
    found = gateway.find(held(asked, outcome), soon())
    assert isinstance(found, Succeeded)
    assert found.gateway_charge_id == stage.handle.charges(reference=asked.gateway_reference)[0]["psp_reference"]


def test_what_is_received_is_pending_until_a_notification_tells(stage: AdyenStage) -> None:
    gateway = stage.gateway()
    asked = payment(token("PENDING"))
    outcome = gateway.submit(asked, soon())
    assert type(outcome) is Pending
    assert isinstance(gateway.find(held(asked, outcome), soon()), AwaitsPayer)  # as it was: nothing to show
    stage.feed(3 * DAY_SECONDS)
    assert isinstance(gateway.find(held(asked, outcome), soon()), Succeeded)


@pytest.mark.parametrize("named", ["own", "payment"])
@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND])
def test_a_modification_is_found_whichever_reference_its_notification_carries(
    stage: AdyenStage, kind: OperationKind, named: str
) -> None:
    """The public pages say both. Fails when the lookup goes by our reference alone."""
    stage.handle.configure(modification_reference=named)
    gateway = stage.gateway()
    first = payment(capture_method=CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL)
    paid = gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    one, two = (follow_up(kind, first, paid.gateway_charge_id, 300) for _ in range(2))
    outcome = gateway.submit(one, soon())
    assert gateway.find(held(one, outcome), soon()) == Pending(
        held(one, outcome).gateway_operation_id or "", "no notification has told of its end"
    )
    stage.feed()
    assert isinstance(gateway.find(held(one, outcome), soon()), Succeeded)
    assert gateway.find(two, soon()) == NotFound()
    assert gateway.find(first, soon()) == paid  # a modification's end is not its payment's


@pytest.mark.parametrize(
    ("holder", "kind"), [("capture_failed", OperationKind.CAPTURE), ("refund_failed", OperationKind.REFUND)]
)
def test_a_modification_that_the_scheme_rejects_later_is_declined(
    stage: AdyenStage, holder: str, kind: OperationKind
) -> None:
    """``CAPTURE`` with success means that it was sent to the bank. Fails when the first word is the last."""
    gateway = stage.gateway()
    manual = kind is OperationKind.CAPTURE
    first = payment(token(holder), capture_method=CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC)
    paid = gateway.submit(first, soon())
    assert isinstance(paid, Succeeded)
    asked = follow_up(kind, first, paid.gateway_charge_id)
    outcome = gateway.submit(asked, soon())
    stage.feed(1)
    found = gateway.find(held(asked, outcome), soon())
    assert isinstance(found, Declined)
    assert found.code == holder


# The whole protocol


def world_at(stage: AdyenStage) -> World:
    """Return the protocol on the stage's database, with the adapter."""
    world = World(database=stage.database)
    world.clock.ms = CLOCK.now_ms() + next(_numbers) * 60_000
    world.gateway = stage.gateway()  # type: ignore[assignment]
    return world


def key(name: str) -> str:
    """Return a key: the worlds of all tests share the stage's database."""
    return f"{name}-{next(_numbers)}"


def status_of(world: World, payment_id: str) -> str:
    return str(get_payment(world.services, MERCHANT, payment_id)["status"])


def test_a_payment_with_3d_secure_and_its_refund_end_by_notifications(stage: AdyenStage) -> None:
    """Through the whole protocol. Fails when a settlement does not know the refund's id at Adyen."""
    stage.handle.configure(modification_reference="payment")
    world = world_at(stage)
    created = world.create(key=key("a"), payment_method=token("AUTHENTICATE"), customer=SHOPPER)
    view = json.loads(created.response.body)
    assert (created.response.status, view["status"]) == (201, "requires_action")
    result = result_of(at_the_bank(view["next_action"]["url"], "approved"))
    assert world.confirm(view["id"], key("b"), result).response.status == 201
    assert status_of(world, view["id"]) == "captured"
    refunded = world.follow_up(OperationKind.REFUND, view["id"], key("c"), 400)
    assert json.loads(refunded.response.body)["status"] == "processing"
    world.clock.ms += HOUR_MS
    world.settle()
    assert status_of(world, view["id"]) == "captured"
    stage.feed()
    world.clock.ms += HOUR_MS
    world.settle()
    assert status_of(world, view["id"]) == "partially_refunded"


def test_a_payer_who_does_not_act_in_time_is_given_up_when_adyen_gives_up(stage: AdyenStage) -> None:
    """Fails when the payment expires by our clock alone: the payer could still pay at Adyen."""
    world = world_at(stage)
    created = world.create(key=key("a"), payment_method=token("AUTHENTICATE"), customer=SHOPPER)
    payment_id = json.loads(created.response.body)["id"]
    world.clock.ms += 2 * HOUR_MS
    world.settle()
    assert status_of(world, payment_id) == "requires_action"
    stage.feed(13 * 3600)
    world.clock.ms += 13 * HOUR_MS
    world.settle()
    assert status_of(world, payment_id) in {"declined", "expired"}


class Dies:
    """A process that is killed once Adyen has answered, or before it has sent anything."""

    def __init__(self, inner: AdyenGateway, *, sends: bool) -> None:
        self._inner, self._sends = inner, sends
        self.name, self.capabilities = inner.name, inner.capabilities

    def submit(self, instruction: Instruction, deadline: Deadline) -> NoReturn:
        """See ``Gateway``."""
        if self._sends:
            self._inner.submit(instruction, deadline)
        raise Killed


@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize("told", [True, False])
def test_an_owner_that_is_killed_leaves_one_charge(stage: AdyenStage, sends: bool, told: bool) -> None:
    """The next owner finds what was told, or sends the same once more. Fails when that is another request to Adyen."""
    world = world_at(stage)
    world.gateway = Dies(stage.gateway(), sends=sends)  # type: ignore[assignment]
    named, method = key("a"), token()
    with pytest.raises(Killed):
        world.create(key=named, payment_method=method, customer=SHOPPER)
    if told:
        stage.feed()
    world.gateway = stage.gateway()  # type: ignore[assignment]
    world.clock.ms += 120_000
    world.recover()
    (row,) = stage.charges_of(method)
    assert status_of(world, str(row["reference"]).rpartition("-")[0]) == "captured"


FAULTS = (
    "throttle",
    "unavailable",
    "key_store_unavailable",
    "timeout_before_booking",
    "timeout_after_booking",
    "drop_before_booking",
    "drop_after_booking",
    "error_after_booking",
    "garbage_body",
    "wrong_reference",
    "book_late",
)


@pytest.mark.parametrize("seed", range(6))
def test_under_any_faults_there_is_one_charge_and_the_truth_is_told(stage: AdyenStage, seed: int) -> None:
    """Retries, recoveries and notifications in any order: one charge a reference, and our status is what the books say.

    Fails when a repetition has another key, or when an error that must not be repeated is taken for a failure.
    """
    chance, world = random.Random(seed), world_at(stage)
    before = {row["reference"] for row in stage.handle.payments()}
    for number in range(4):
        method = token(chance.choice(["", "", "DECLINED"]))
        for _ in range(chance.randrange(2, 5)):
            if chance.random() < 0.7:
                stage.handle.scenario(chance.choice(FAULTS), delay_ms=50, times=1)
            # Something else may be under way, or Adyen be out of reach, and the client is told to come again.
            with suppress(PayonceError):
                world.create(key=f"s{seed}-{number}", payment_method=method, customer=SHOPPER)
            world.clock.ms += chance.choice([1_000, 60_000])
            if chance.random() < 0.5:
                world.recover()
        stage.handle.behave()
    if chance.random() < 0.5:
        stage.feed()
    for _ in range(12):
        world.clock.ms += 20 * 60_000
        world.recover()
    stage.feed()
    world.clock.ms += HOUR_MS
    world.recover()
    assert world.errors == []
    charged = Counter(row["reference"] for row in stage.handle.charges())
    assert set(charged.values()) == {1}
    seen = {row["reference"] for row in stage.handle.payments()} - before
    assert seen
    for reference in seen:
        expected = "captured" if reference in charged else "declined"
        assert status_of(world, reference.rpartition("-")[0]) == expected
