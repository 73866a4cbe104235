"""What is said to a gateway and by it: the published words, and what a field means that an adapter leaves out."""

from __future__ import annotations

import json

import pytest

from payonce.domain.gateway import (
    CANCELED,
    MAX_URL_CHARACTERS,
    PAYMENT_EXPIRED,
    ActionType,
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    DisputeState,
    DisputeStatus,
    GatewayCapabilities,
    Instruction,
    NextAction,
    NoticeOutcome,
    OperationKind,
    Payer,
    PaymentMethodType,
    Unknown,
)
from payonce.domain.money import Money
from tests.support.aws import REPOSITORY


def capabilities(**more: object) -> GatewayCapabilities:
    """Return those of a gateway that promises as little as possible."""
    operations = more.pop("operations", frozenset(OperationKind))
    return GatewayCapabilities(
        key_retention_seconds=0,
        lookup_by_reference=False,
        lookup_authoritative_after_seconds=None,
        multiple_captures=False,
        operations=operations,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def test_the_words_are_those_that_are_published() -> None:
    """Fails when a word is renamed: merchants send and read them, and stored payments have them."""
    schemas = json.loads((REPOSITORY / "openapi.json").read_text())["components"]["schemas"]
    for words in (PaymentMethodType, CaptureMethod, ActionType, DisputeStatus):
        assert {each.value for each in words} == set(schemas[words.__name__]["enum"])


def test_an_address_may_be_as_long_as_is_published() -> None:
    """Fails when an adapter drops an address that a merchant may send, or asks for one that no merchant may."""
    body = json.loads((REPOSITORY / "openapi.json").read_text())["components"]["schemas"]["PaymentBody"]
    assert body["properties"]["return_url"]["anyOf"][0]["maxLength"] == MAX_URL_CHARACTERS == 2_000


def test_words_that_are_stored_stay() -> None:
    """Fails when a word is renamed that no schema publishes: stored instructions, plans and declines have it."""
    assert [kind.value for kind in OperationKind] == ["payment", "capture", "void", "refund", "setup", "revocation"]
    assert [payer.value for payer in Payer] == ["present", "absent"]
    assert (CANCELED, PAYMENT_EXPIRED) == ("canceled", "payment_expired")


@pytest.mark.parametrize(
    ("can", "told"),
    [
        (True, {}),
        (True, {"setup_methods": "card:pm_.*"}),
        (False, {"setup_methods": "card:pm_"}),
        (False, {"setup_methods": "pm_1"}),
        (False, {"operations": frozenset(OperationKind) - {OperationKind.SETUP}}),
        (False, {"payment_method_types": frozenset({PaymentMethodType.WALLET})}),
    ],
)
def test_what_can_be_set_up(can: bool, told: dict[str, object]) -> None:
    """Fails when a set-up is claimed that the adapter can only refuse, or one is refused that it can do."""
    assert capabilities(**told).sets_up(PaymentMethodType.CARD, "pm_1") is can


def test_a_gateway_can_be_asked_about_charges_unless_it_says_otherwise() -> None:
    """Fails when what somebody else did to a charge goes unseen at every gateway that says nothing of it."""
    assert capabilities().reads_charges


def test_what_an_adapter_does_not_tell_did_not_happen() -> None:
    """Fails when a gateway without disputes or reversals takes money of every charge that is read, or undoes it."""
    charge = ChargeState(captured_minor=500, refunded_minor=0, voided=False, currency="EUR")
    assert (charge.reversed_minor, charge.disputes, charge.refunds, charge.gateway_reference) == (0, (), (), None)
    dispute = DisputeState(
        gateway_dispute_id="dp_1",
        status=DisputeStatus.OPENED,
        amount_minor=500,
        withdrawn_minor=0,
        currency="EUR",
        reason="fraudulent",
    )
    assert (dispute.fee_minor, dispute.evidence_due_at_ms) == (0, None)
    told = NoticeOutcome(
        kind=OperationKind.REFUND, executed=True, gateway_operation_id="re_1", amount_minor=5, currency="EUR"
    )
    assert (told.undone, told.code, told.token) == (False, "", None)
    assert not ChargeRefund(gateway_refund_id="re_1", amount_minor=5).came_back


def test_a_charges_reference_is_no_part_of_its_state() -> None:
    """Fails when a charge counts as changed because one of two answers says whose it is."""
    one, other = (
        ChargeState(captured_minor=5, refunded_minor=0, voided=False, currency="EUR", gateway_reference=reference)
        for reference in ("pay_1-1", None)
    )
    assert one == other


def test_a_doubt_is_not_sent_again_unless_its_adapter_says_so() -> None:
    """Fails when an answer of which nothing is known goes out again under a reference whose failure may be stored."""
    assert not Unknown("HTTP 500").repeatable


def test_no_payment_method_is_saved_unasked() -> None:
    instruction = Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference="pay_1-1",
        merchant_id="mer_1",
        payment_id="pay_1",
        money=Money(5, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method="pm_1",
        first_submitted_at_ms=1,
    )
    assert not instruction.saves_method
    assert instruction.payer is Payer.PRESENT


def test_what_a_gateways_sdk_is_given_is_in_no_log() -> None:
    """Fails when the text of an outcome, which goes to the log, has what lets anybody act for the payer."""
    action = NextAction(type=ActionType.GATEWAY_SDK, client_secret="pi_1_secret_2")
    assert action.client_secret == "pi_1_secret_2"
    assert "secret_2" not in repr(action)
    assert NextAction(type=ActionType.REDIRECT, url="https://bank.example").client_secret is None
