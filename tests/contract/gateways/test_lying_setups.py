"""Adapters that lie about set-ups and revocations: each lie is found by the check that is there for it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.gateway_kits import sandbox_bank
from payonce.domain.gateway import (
    AwaitsPayer,
    Declined,
    MethodSaved,
    NotFound,
    OperationKind,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.every_check import CHECKS
from payonce.gateways.check.fault_proxy import running_fault_proxy
from payonce.gateways.check.stage import CUSTOMER, Stage
from payonce.gateways.check.vendor import Token
from payonce.gateways.check.verdicts import Verdict, run_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.gateway_kits.sandbox_bank import BankVendor
    from payonce.domain.gateway import Instruction
    from payonce.gateways.sandbox_bank import SandboxBankGateway

BY_NAME = {check.name: check for check in CHECKS}
PAYMENT, SETUP, REVOCATION = OperationKind.PAYMENT, OperationKind.SETUP, OperationKind.REVOCATION


class Lying:
    """The sandbox bank's adapter, with one method that lies about one kind of operation."""

    def __init__(self, honest: SandboxBankGateway, method: str, kind: OperationKind, lie: Callable[..., Any]) -> None:
        self._honest = honest
        self._method = method
        self._kind = kind
        self._lie = lie

    def __getattr__(self, name: str) -> Any:
        honest = getattr(self._honest, name)
        if name != self._method:
            return honest

        def call(instruction: Instruction, *arguments: Any) -> Any:
            if instruction.kind is not self._kind:
                return honest(instruction, *arguments)
            return self._lie(honest, instruction, *arguments)

        return call


@pytest.fixture(scope="module")
def vendor() -> Iterator[BankVendor]:
    with sandbox_bank.vendor() as running:
        yield running  # type: ignore[misc]


def saves_nothing(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return Succeeded("seti_1", "seti_1") if isinstance(outcome, MethodSaved) else outcome


def saves_the_token_it_was_given(honest: Any, instruction: Instruction, *arguments: Any) -> Any:
    outcome = honest(instruction, *arguments)
    return replace(outcome, token="sm_nobodys") if isinstance(outcome, MethodSaved) else outcome


def waiting_is_saved(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return MethodSaved("seti_1", "seti_1", "sm_1") if isinstance(outcome, AwaitsPayer) else outcome


def lost_is_declined(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return Declined("declined", "") if isinstance(outcome, Unknown) else outcome


def a_decline_is_a_doubt(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return Unknown("HTTP 402") if isinstance(outcome, Declined) else outcome


def nothing_is_found(honest: Any, *arguments: Any) -> Any:
    del honest, arguments
    return NotFound()


def nothing_is_never_found(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return Unknown("nothing") if isinstance(outcome, NotFound) else outcome


def a_failed_question_is_not_found(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return NotFound() if isinstance(outcome, Unknown) else outcome


def is_done_without_asking(honest: Any, *arguments: Any) -> Any:
    del honest, arguments
    return Succeeded("mandate_1", "sm_1")


def is_canceled_without_asking(honest: Any, *arguments: Any) -> Any:
    del honest, arguments
    return Declined("canceled", "")


def is_saved_without_asking(honest: Any, *arguments: Any) -> Any:
    del honest, arguments
    return MethodSaved("seti_1", "seti_1", "sm_1")


def a_decline_is_saved(honest: Any, *arguments: Any) -> Any:
    outcome = honest(*arguments)
    return MethodSaved("seti_1", "seti_1", "sm_1") if isinstance(outcome, Declined) else outcome


def anybody_charges(honest: Any, instruction: Instruction, *arguments: Any) -> Any:
    whose = CUSTOMER if instruction.payment_method.startswith("sm_") else instruction.customer
    return honest(replace(instruction, customer=whose), *arguments)


class SavesOnce:
    """Saves a method that it has seen before under a token of nobody's."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, honest: Any, instruction: Instruction, *arguments: Any) -> Any:
        outcome = honest(instruction, *arguments)
        again = instruction.payment_method in self._seen
        self._seen.add(instruction.payment_method)
        return replace(outcome, token="sm_nobodys") if again and isinstance(outcome, MethodSaved) else outcome


LIES = {
    "a set-up that names nothing to charge": ("setup.saved", "not as MethodSaved", "submit", SETUP, saves_nothing),
    "a token of nobody's": ("setup.saved", "charged while", "submit", SETUP, saves_the_token_it_was_given),
    "a set-up that waits and counts as made": ("setup.agreed", "needs its payer", "submit", SETUP, waiting_is_saved),
    "a payer who refuses and has agreed": ("setup.refused", "needs its payer", "submit", SETUP, waiting_is_saved),
    "a lost set-up that is a decline": ("setup.lost", "Declined", "submit", SETUP, lost_is_declined),
    "a set-up that is not found": ("setup.lost", "NotFound", "find", SETUP, nothing_is_found),
    "a set-up that is never not there": ("setup.never_arrived", "Unknown", "find", SETUP, nothing_is_never_found),
    "a refusal that is a doubt": ("setup.declined", "Unknown", "submit", SETUP, a_decline_is_a_doubt),
    "a withdrawal that is none": ("setup.withdrawn", "find said", "withdraw", SETUP, is_canceled_without_asking),
    "a revocation that is none": ("revocation.ends", "find said", "submit", REVOCATION, is_done_without_asking),
    "a method that is always revoked": ("revocation.ends", "before it", "find", REVOCATION, is_done_without_asking),
    "a lost revocation that is done": ("revocation.lost", "submit said", "submit", REVOCATION, is_done_without_asking),
    "a revocation that is not found": ("revocation.lost", "afterwards", "find", REVOCATION, nothing_is_found),
    "a failed question that is not found": (
        "revocation.find_lost",
        "NotFound",
        "find",
        REVOCATION,
        a_failed_question_is_not_found,
    ),
    "a doubt that is a decline": ("setup.submit.drop_after", "Declined", "submit", SETUP, lost_is_declined),
    "a doubt that is not found": ("setup.submit.reset_after", "NotFound", "find", SETUP, nothing_is_found),
    "a question that ends a set-up": (
        "setup.find.status_500_before",
        "NotFound",
        "find",
        SETUP,
        a_failed_question_is_not_found,
    ),
    "a forged result that saves": ("setup.forged", "never issued", "confirm", SETUP, is_saved_without_asking),
    "a lost confirmation that is a decline": ("setup.confirm_lost", "confirm said", "confirm", SETUP, lost_is_declined),
    "a lost withdrawal that is done": (
        "setup.withdraw_lost",
        "withdraw said",
        "withdraw",
        SETUP,
        is_canceled_without_asking,
    ),
    "a revocation in doubt that is done": (
        "revocation.submit.status_500_before",
        "the outcome is",
        "submit",
        REVOCATION,
        is_done_without_asking,
    ),
    "a revocation in doubt that is undone": (
        "revocation.submit.status_500_after",
        "afterwards",
        "find",
        REVOCATION,
        nothing_is_found,
    ),
    "a method that is saved once": ("setup.again", "charged while", "submit", SETUP, SavesOnce()),
    "a method of everybody's": (
        "setup.foreign_customer",
        "another customer's",
        "submit",
        PAYMENT,
        anybody_charges,
    ),
    "a payer who never came and has agreed": ("setup.abandoned", "never came", "find", SETUP, a_decline_is_saved),
    "an end elsewhere that is not seen": ("revocation.elsewhere", "find said", "find", REVOCATION, nothing_is_found),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found_by_its_name(vendor: BankVendor, name: str) -> None:
    """Fails when a check does not find what it is there for. The honest adapter passes in test_gateway_contract.py."""
    found_by, says, method, kind, lie = LIES[name]
    with running_fault_proxy(vendor.url) as proxy:
        stage = Stage(vendor, proxy)
        stage.gateway = Lying(stage.gateway, method, kind, lie)  # type: ignore[arg-type,assignment]
        result = run_check(BY_NAME[found_by], stage)
    assert (result.verdict, says in result.happened) == (Verdict.BROKEN, True), result.happened


def test_keys_that_the_vendor_ignores_are_found() -> None:
    """Fails when a set-up that is made twice for one key passes."""
    with sandbox_bank.forgetful() as forgetful, running_fault_proxy(forgetful.url) as proxy:
        stage = Stage(forgetful, proxy)
        stage.capabilities = replace(stage.capabilities, key_retention_seconds=86_400)
        result = run_check(BY_NAME["setup.keys"], stage)
    assert (result.verdict, "have 2 executions" in result.happened or "two tokens" in result.happened) == (
        Verdict.BROKEN,
        True,
    ), result.happened


class Hasty(sandbox_bank.BankVendor):
    """The bank as one whose methods are declined later, saved late or not at all, or whose events come in an order.

    It is none of these: so an adapter looks that takes the first answer for the truth.
    """

    def token(self, token: Token) -> str:
        return super().token(Token.OK if token is Token.DECLINED_LATER else token)

    @contextmanager
    def misbehave_at_setup(self, fault: object) -> Iterator[None]:
        del fault
        yield

    in_order = misbehave_at_setup


ORDERS = sorted(name for name in BY_NAME if name.startswith("setup.order."))


@pytest.mark.parametrize(
    ("found_by", "says"),
    [
        ("setup.declined_later", "the charge of a saved method"),
        ("setup.saved_late", "can't be charged yet"),
        ("setup.saved_nothing", "saved nothing"),
        *((name, "NotFound") for name in ORDERS),
        *((name, "") for name in ORDERS),
    ],
)
def test_what_only_some_vendors_do_is_checked(vendor: BankVendor, found_by: str, says: str) -> None:
    """Fails when a check of what the bank never does finds nothing, or when one of the orders can't be held."""
    hasty = Hasty(vendor._handle, vendor._bank, keys=True)
    with running_fault_proxy(hasty.url) as proxy:
        stage = Stage(hasty, proxy)
        if says == "NotFound":
            stage.gateway = Lying(stage.gateway, "find", SETUP, nothing_is_found)  # type: ignore[arg-type,assignment]
        result = run_check(BY_NAME[found_by], stage)
    assert (result.verdict, says in result.happened) == (Verdict.BROKEN if says else Verdict.HELD, True), (
        result.happened
    )
