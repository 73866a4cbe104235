"""Adapters that break one promise each, and the check that finds each of them by its name.

They are the template adapter with one mistake, of those that adapters in the field have: a lost answer that counts as
a decline, a client that repeats by itself or follows redirects, a capability copied from another vendor.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from local.gateway_kits import sandbox_bank
from local.gateway_kits.template import OTHER_SECRET, SECRET, ToypayVendor
from local.gateway_kits.template_events import SIGNATURE_HEADER, TOLERANCE_SECONDS, ToypayNoticeReader, sign
from local.gateway_kits.template_gateway import TOYPAY_CAPABILITIES, ToypayGateway
from local.gateway_kits.template_server import ToypayBooks, running_toypay
from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    CANCELED,
    ChargeState,
    Declined,
    NeverSent,
    NotFound,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.check.every_check import CHECKS
from payonce.gateways.check.fault_proxy import running_fault_proxy
from payonce.gateways.check.stage import Stage
from payonce.gateways.check.verdicts import Verdict, run_check
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.sandbox_bank import SandboxBankGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.domain.gateway import AwaitsPayer, GatewayCapabilities, Instruction
    from payonce.gateways.check.vendor import Vendor
    from payonce.ports import Clock, Deadline

BY_NAME = {check.name: check for check in CHECKS}


class SendsNoKey(ToypayGateway):
    def _send(self, *arguments: Any, key: str = "", **named: Any) -> Any:
        return super()._send(*arguments, **named)


class ALostAnswerIsADecline(ToypayGateway):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        outcome = super().submit(instruction, deadline)
        return Declined("declined", "The payment failed.") if isinstance(outcome, Unknown) else outcome


class ALostAnswerWasNeverSent(ToypayGateway):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        outcome = super().submit(instruction, deadline)
        return NeverSent(outcome.reason) if isinstance(outcome, Unknown) else outcome


class NothingIsEverRepeatable(ToypayGateway):
    def _judge(self, answer: Answered, instruction: Instruction) -> Any:
        outcome = super()._judge(answer, instruction)
        return replace(outcome, repeatable=True) if isinstance(outcome, Unknown) else outcome


class AFailedQuestionIsNotFound(ToypayGateway):
    def find(self, instruction: Instruction, deadline: Deadline) -> Any:
        found = super().find(instruction, deadline)
        return NotFound() if isinstance(found, Unknown) else found


class FindsNothing(ToypayGateway):
    def find(self, instruction: Instruction, deadline: Deadline) -> Any:
        return NotFound()


class TakesAnyAnswer(ToypayGateway):
    def _judge(self, answer: Answered, instruction: Instruction) -> Any:
        row = json.loads(answer.body) if answer.status == 201 else {}
        own = isinstance(row, dict) and isinstance(row.get("id"), str)
        return Succeeded(row["id"], row["id"]) if own else super()._judge(answer, instruction)


class RepeatsByItself(ToypayGateway):
    def _send(self, *arguments: Any, **named: Any) -> Any:
        answer = super()._send(*arguments, **named)
        return super()._send(*arguments, **named) if isinstance(answer, Lost) else answer


class WithTheStandardLibrary(ToypayGateway):
    """It has a timeout, as one would think: the library counts it anew for each read, and follows redirects."""

    def _send(self, method: str, path: str, deadline: Deadline, body: Any = None, *, key: str = "") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data=data, method=method)
        if key:
            request.add_header("Idempotency-Key", key)
        try:
            with urlopen(request, timeout=max(0.001, deadline.remaining_seconds(self._clock))) as answer:
                return Answered(answer.status, dict(answer.headers.items()), answer.read())
        except HTTPError as error:
            return Answered(error.code, {}, error.read())
        except URLError as error:
            return NotSent(str(error))
        except (OSError, HTTPException) as error:
            return Lost(str(error))

    def __init__(self, name: str, url: str, api_key: str, clock: Clock, capabilities: GatewayCapabilities) -> None:
        super().__init__(name, url, api_key, clock, capabilities)
        self._clock = clock


class Raises(ToypayGateway):
    def find(self, instruction: Instruction, deadline: Deadline) -> Any:
        found = super().find(instruction, deadline)
        if isinstance(found, Unknown):
            raise ConnectionError("no answer")
        return found


class ReadsWithoutALimit(ToypayGateway):
    def __init__(self, name: str, url: str, api_key: str, clock: Clock, capabilities: GatewayCapabilities) -> None:
        super().__init__(name, url, api_key, clock, capabilities)
        self._exchange = DeadlineExchange(clock, max_answer_bytes=2**30)


class WithdrawsWithoutAnAnswer(ToypayGateway):
    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> Any:
        super().withdraw(instruction, waiting, deadline)
        return Declined(CANCELED, "The payment was canceled.")


class NeverWithdraws(ToypayGateway):
    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> Any:
        return Declined(CANCELED, "The payment was canceled.")


class SaysPresent(ToypayGateway):
    """It does not tell the vendor that nobody is there, and calls the payment, which goes on waiting, declined."""

    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        outcome = super().submit(replace(instruction, payer=Payer.PRESENT), deadline)
        waits = instruction.payer is Payer.ABSENT and isinstance(outcome, Pending)
        return Declined("authentication_required", "The payer is asked for.") if waits else outcome


class ForgetsRefunds(ToypayGateway):
    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> Any:
        state = super().read_charge(gateway_charge_id, deadline)
        return replace(state, refunded_minor=0) if isinstance(state, ChargeState) else state


class NamesRefundsAnew(ToypayGateway):
    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> Any:
        state = super().read_charge(gateway_charge_id, deadline)
        if not isinstance(state, ChargeState):
            return state
        named = (replace(each, gateway_refund_id=f"re_{each.gateway_refund_id}") for each in state.refunds)
        return replace(state, refunds=tuple(named))


class SeesNoReturn(ToypayGateway):
    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> Any:
        state = super().read_charge(gateway_charge_id, deadline)
        if not isinstance(state, ChargeState):
            return state
        return replace(state, refunds=tuple(replace(each, came_back=False) for each in state.refunds))


class SendsTwice(SendsNoKey):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        super().submit(instruction, deadline)
        return super().submit(instruction, deadline)


class NobodyElseChangesACharge(ToypayGateway):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        outcome = super().submit(instruction, deadline)
        return Declined(outcome.code, outcome.message) if isinstance(outcome, Declined) else outcome


class FindsByTheAmount(ToypayGateway):
    """It takes the first operation of the kind and the amount for ours."""

    def find(self, instruction: Instruction, deadline: Deadline) -> Any:
        if instruction.kind is OperationKind.PAYMENT:
            return super().find(instruction, deadline)
        answer = self._send("GET", f"/payments/{instruction.gateway_charge_id}", deadline)
        rows = json.loads(answer.body).get("operations", []) if isinstance(answer, Answered) else []
        for row in rows:
            if (row["kind"], row["amount_minor"]) == (instruction.kind, instruction.money.amount_minor):
                return Succeeded(row["payment_id"], row["id"])
        return NotFound()


class ALimitIsADecline(ToypayGateway):
    def _judge(self, answer: Answered, instruction: Instruction) -> Any:
        if answer.status == 429:
            return Declined("declined", "Too many.")
        return super()._judge(answer, instruction)


class NothingIsEverFinal(ToypayGateway):
    def find(self, instruction: Instruction, deadline: Deadline) -> Any:
        found = super().find(instruction, deadline)
        return Unknown("not there yet") if isinstance(found, NotFound) else found


class ADeclineIsADoubt(ToypayGateway):
    def _judge(self, answer: Answered, instruction: Instruction) -> Any:
        return Unknown("HTTP 402") if answer.status == 402 else super()._judge(answer, instruction)


class ReadsNoCharge(ToypayGateway):
    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> Any:
        return Unknown("not possible")


class HasNoVoids(ToypayGateway):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        if instruction.kind is OperationKind.VOID:
            return Declined("rejected_by_gateway", "Not possible.")
        return super().submit(instruction, deadline)


class WaitingIsPaid(ToypayGateway):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        outcome = super().submit(instruction, deadline)
        held = isinstance(outcome, Pending)
        return Succeeded(outcome.gateway_object_id, outcome.gateway_object_id) if held else outcome


class ComesTooLate(ToypayGateway):
    def submit(self, instruction: Instruction, deadline: Deadline) -> Any:
        outcome = super().submit(instruction, deadline)
        if isinstance(outcome, Unknown):
            time.sleep(1.5)
        return outcome


class ChecksNoSignature(ToypayNoticeReader):
    def read(self, body: bytes, headers: Any, *, now_ms: int) -> Any:
        now = now_ms // 1000
        return ToypayNoticeReader([SECRET]).read(body, {SIGNATURE_HEADER: sign(SECRET, now, body)}, now_ms=now_ms)


class ChecksNoTime(ToypayNoticeReader):
    def read(self, body: bytes, headers: Any, *, now_ms: int) -> Any:
        seconds = headers.get(SIGNATURE_HEADER, "").removeprefix("t=").partition(",")[0]
        return super().read(body, headers, now_ms=int(seconds) * 1000 if seconds.isdecimal() else now_ms)


class NamesEventsAnew(ToypayNoticeReader):
    def read(self, body: bytes, headers: Any, *, now_ms: int) -> Any:
        return [
            replace(one, notice_id=f"{one.notice_id}-{time.perf_counter_ns()}")
            for one in super().read(body, headers, now_ms=now_ms)
        ]


class RaisesOnNonsense(ToypayNoticeReader):
    def read(self, body: bytes, headers: Any, *, now_ms: int) -> Any:
        body.decode()
        return super().read(body, headers, now_ms=now_ms)


class LyingVendor(ToypayVendor):
    """Toypay with another adapter or another reader."""

    def __init__(self, url: str, books: ToypayBooks, lie: Lie) -> None:
        super().__init__(url, books, replace(TOYPAY_CAPABILITIES, **lie.capabilities))
        self._lie = lie

    def make_adapter(self, url: str, clock: Clock) -> Any:
        return self._lie.adapter("toypay", url, "key_of_nobody", clock, self._capabilities)

    def notice_reader(self, *, trusted: bool = True) -> Any:
        return self._lie.reader([SECRET if trusted else OTHER_SECRET])


@dataclass(frozen=True)
class Lie:
    """A lie, the check that finds it, and words of what it says."""

    found_by: str
    says: str
    adapter: Callable[..., Any] = ToypayGateway
    reader: Callable[..., Any] = ToypayNoticeReader
    capabilities: Any = ()
    books: Any = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "capabilities", dict(self.capabilities))
        object.__setattr__(self, "books", dict(self.books))


def claim(**capabilities: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(capabilities.items())


LIES = {
    "keys that the vendor ignores": Lie("key_retention_seconds.honoured", "not 1", books=claim(keys_seconds=0)),
    "keys that the adapter does not send": Lie("key_retention_seconds.honoured", "not 1", SendsNoKey),
    "keys of refunds that are not sent": Lie("key_retention_seconds.refunds", "not 1", SendsNoKey),
    "keys that race": Lie("key_retention_seconds.at_once", "not 1", books=claim(keys_seconds=0)),
    "keys for a week": Lie(
        "key_retention_seconds.long_enough", "not 1", capabilities=claim(key_retention_seconds=7 * 86_400)
    ),
    "keys of another request": Lie("key_retention_seconds.another_request", "ended as", SendsNoKey),
    "a kept failure that is said to be repeatable": Lie(
        "key_retention_seconds.kept_failure", "repeatable=True", NothingIsEverRepeatable
    ),
    "a lookup that is final too soon": Lie(
        "lookup_authoritative_after_seconds.late",
        "executed afterwards",
        capabilities=claim(lookup_authoritative_after_seconds=0.1),
    ),
    "a lookup that finds nothing": Lie("lookup_by_reference", "NotFound", FindsNothing),
    "a lookup that is final and finds nothing": Lie(
        "lookup_authoritative_after_seconds.executed", "NotFound", FindsNothing
    ),
    "several captures that the vendor has not": Lie(
        "multiple_captures", "multiple_captures is True", books=claim(several_captures=False)
    ),
    "one capture of several": Lie(
        "multiple_captures", "multiple_captures is False", capabilities=claim(multiple_captures=False)
    ),
    "a rest that is not released": Lie("void.rest", "could be captured nevertheless", books=claim(keeps_the_rest=True)),
    "voids that the vendor has not": Lie("operations.void", "ended as Declined", HasNoVoids),
    "no payments": Lie("operations", "lacks payment", capabilities=claim(operations=frozenset())),
    "vouchers that the vendor has not": Lie(
        "payment_method_types.voucher",
        "ended as Declined",
        capabilities=claim(payment_method_types=frozenset(PaymentMethodType)),
    ),
    "a lost answer that is a decline": Lie("fault.submit.drop_after", "Declined", ALostAnswerIsADecline),
    "a lost answer that was never sent": Lie("fault.submit.truncated_after", "NeverSent", ALostAnswerWasNeverSent),
    "a gateway timeout that was never sent": Lie("fault.submit.status_504_after", "NeverSent", ALostAnswerWasNeverSent),
    "a failed question that is not found": Lie("fault.find.status_500_before", "NotFound", AFailedQuestionIsNotFound),
    "nobody listening that is not found": Lie("fault.nobody_listening", "find said", AFailedQuestionIsNotFound),
    "another payment's answer": Lie("fault.submit.others_answer_after", "Succeeded", TakesAnyAnswer),
    "a client that repeats by itself": Lie("fault.submit.drop_before", "2 requests", RepeatsByItself),
    "a client that follows redirects": Lie("fault.submit.redirect_before", "redirect", WithTheStandardLibrary),
    "a timeout for each read": Lie("fault.submit.drip_after", "deadline of", WithTheStandardLibrary),
    "an exception": Lie("fault.find.drop_before", "find raised ConnectionError", Raises),
    "an answer without a limit": Lie("fault.submit.huge_after", "MiB", ReadsWithoutALimit),
    "an end after the deadline": Lie("fault.submit.silent_after", "deadline of", ComesTooLate),
    "a withdrawal without an answer": Lie("withdraw.lost", "still waits", WithdrawsWithoutAnAnswer),
    "a withdrawal that is none": Lie("withdraw", "not 0", NeverWithdraws),
    "a payer who was faster": Lie("withdraw.payer_was_faster", "Declined", NeverWithdraws),
    "an absent payer who can still pay": Lie("payer.absent", "not 0", SaysPresent),
    "a payment that waits and counts as paid": Lie("payer.asked", "Succeeded", WaitingIsPaid),
    "a debit that is paid at once": Lie("debit.fails", "Succeeded", WaitingIsPaid),
    "refunds that are not read": Lie("read_charge.paid", "refunded_minor=0", ForgetsRefunds),
    "refunds under other ids": Lie("read_charge.refunds", "re_op_", NamesRefundsAnew),
    "a return that is not seen": Lie("read_charge.refund_returned", "300, False)", SeesNoReturn),
    "a payment that is sent twice": Lie("payment.executed", "have 2 executions", SendsTwice),
    "a decline that is a doubt": Lie("payment.declined", "Unknown", ADeclineIsADoubt),
    "a capture that is overtaken unseen": Lie("overtaken.capture", "Declined", NobodyElseChangesACharge),
    "a void that is overtaken unseen": Lie("overtaken.void", "Declined", NobodyElseChangesACharge),
    "a refund that is overtaken unseen": Lie("overtaken.refund", "Declined", NobodyElseChangesACharge),
    "refunds that are found by their amount": Lie("refund.told_apart", "Succeeded", FindsByTheAmount),
    "a capture that is found by its amount": Lie("operations.capture", "Succeeded", FindsByTheAmount),
    "a limit that is a decline": Lie("fault.vendor.throttled", "Declined", ALimitIsADecline),
    "a limit in no words that is a decline": Lie("fault.submit.status_429_before", "Declined", ALimitIsADecline),
    "a lookup that is never final": Lie(
        "lookup_authoritative_after_seconds.never_arrived", "Unknown", NothingIsEverFinal
    ),
    "charges that can't be read": Lie("read_charge.paid", "Unknown", ReadsNoCharge),
    "charges that nobody has": Lie("read_charge.nobodys", "Unknown", ReadsNoCharge),
    "events without a signature": Lie("events.forged", "taken", reader=ChecksNoSignature),
    "events that were changed": Lie("events.changed", "taken", reader=ChecksNoSignature),
    "events that are old": Lie("events.stale", f"{2 * TOLERANCE_SECONDS + 1} s old", reader=ChecksNoTime),
    "events with a name of their own": Lie("events.genuine", "two different", reader=NamesEventsAnew),
    "events that raise": Lie("events.nonsense", "UnicodeDecodeError", reader=RaisesOnNonsense),
}


@contextmanager
def lying(lie: Lie) -> Iterator[LyingVendor]:
    """Run Toypay for one lie."""
    books = ToypayBooks(**lie.books)
    with running_toypay(books) as url:
        yield LyingVendor(url, books, lie)


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found_by_its_name(name: str) -> None:
    """Fails when a check does not find what it is there for. The template passes it in test_gateway_contract.py."""
    lie = LIES[name]
    with lying(lie) as vendor, running_fault_proxy(vendor.url) as proxy:
        result = run_check(BY_NAME[lie.found_by], Stage(vendor, proxy))
    assert (result.verdict, lie.says in result.happened) == (Verdict.BROKEN, True), result.happened


def forges(*_: Any) -> Any:
    return Succeeded("ch_1", "op_1")


def loses(honest: Callable[..., Any]) -> Callable[..., Any]:
    """Take a lost answer for one that says that there is nothing."""

    def call(*arguments: Any) -> Any:
        outcome = honest(*arguments)
        return NeverSent("lost") if isinstance(outcome, Unknown) else outcome

    return call


def hurries(honest: Callable[..., Any]) -> Callable[..., Any]:
    """Give up long before the deadline."""

    def call(adapter: Any, instruction: Instruction, deadline: Deadline) -> Any:
        return honest(adapter, instruction, deadline.earlier(time.time_ns() // 1_000_000 + 100))

    return call


@pytest.mark.parametrize(
    ("method", "lie", "found_by"),
    [
        ("confirm", lambda _: forges, "confirm.forged"),
        ("confirm", loses, "confirm.twice"),
        ("find", loses, "payer.find_lost"),
        ("submit", hurries, "fault.submit.slow_after"),
    ],
)
def test_a_lie_about_a_second_step_is_found(
    bank: Vendor, monkeypatch: pytest.MonkeyPatch, method: str, lie: Callable[..., Any], found_by: str
) -> None:
    """On the sandbox bank, because Toypay needs no confirmation."""
    with running_fault_proxy(bank.url) as proxy:
        stage = Stage(bank, proxy)
        assert run_check(BY_NAME[found_by], stage).verdict is Verdict.HELD
        monkeypatch.setattr(SandboxBankGateway, method, lie(getattr(SandboxBankGateway, method)))
        assert run_check(BY_NAME[found_by], stage).verdict is Verdict.BROKEN


@pytest.fixture(scope="module")
def bank() -> Iterator[Vendor]:
    """The sandbox bank that remembers."""
    with sandbox_bank.vendor() as vendor:
        yield vendor
