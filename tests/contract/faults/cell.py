"""One cell: an operation, a fault, the request at which it begins, a bank. It returns what is not true in it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.ports import Table
from tests.contract.faults.stage import LEASE_JUST_OVER_MS, SETTLING_MS, staged
from tests.support.dynamodb_fates import Comes
from tests.support.stored import entries_in, payments_in

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from tests.contract.faults.catalogue import Fault
    from tests.contract.faults.operations import Operation
    from tests.contract.faults.servers import Servers
    from tests.contract.faults.stage import Answer, Stage

RECEIVABLE = "gateway_receivable:bank"
# An answer of these says that nothing was executed, and that nothing will be unless somebody asks again.
NOTHING_EXECUTED = frozenset({"store-unavailable", "gateway-unavailable", "throttled", "overloaded"})
UNKNOWN = frozenset({"outcome-unknown", "key-in-progress"})
MAX_RETRIES = 8


READS = frozenset({"getitem", "batchgetitem", "query"})


@dataclass
class Result:
    """What the client was told, and every promise that did not hold."""

    answer: str
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Healthy:
    """What an operation does with a bank when all is well: the answer, and the actions of its DynamoDB requests."""

    answer: str
    actions: tuple[str, ...]

    @property
    def claim_number(self) -> int:
        """The number of the request that claims: the first write. What a follow-up reads before it decides nothing."""
        writes = (number for number, action in enumerate(self.actions, start=1) if action not in READS)
        return next(writes, 1)


def dry_run(servers: Servers, operation: Operation, bank: str) -> Healthy:
    """Run the operation without faults."""
    with staged(servers, bank) as stage:
        operation.prepare(stage)
        servers.proxy.arm(None)
        answer = operation.act(stage)
        assert answer.name in {operation.healthy, *operation.healthy_late}, answer
        return Healthy(answer.name, tuple(servers.proxy.disarm()))


def run_cell(servers: Servers, operation: Operation, fault: Fault, number: int, bank: str, healthy: Healthy) -> Result:
    """Play the cell and check each promise."""
    hasty = any(fate.comes is Comes.SILENCE for fate in fault.fates)
    with staged(servers, bank, hasty=hasty) as stage:
        operation.prepare(stage)
        servers.proxy.overtake = lambda: _overtake(stage, operation, fault)
        servers.proxy.arm(fault.script(number))
        answer = operation.act(stage)
        seen = servers.proxy.disarm()
        assert len(seen) >= number
        if fault.lands == "end":
            servers.proxy.land()
        result = Result(answer.name)
        check = _Checks(stage, operation, fault, number, healthy, answer, result.broken)
        check.answer()
        stage.bank.lookup_fails = False
        check.nobody_asks()
        if fault.lands == "recovered":
            servers.proxy.land()
            check.nobody_asks()
        check.client_retries()
        check.books()
        return result


def _overtake(stage: Stage, operation: Operation, fault: Fault) -> None:
    """While a sender stands still its lease ends, and another process does its work: recovery, or a client's retry."""
    stage.pass_time(LEASE_JUST_OVER_MS)
    if fault.overtaker == "recovery":
        stage.recover(database=stage.servers.direct)
    else:
        operation.ask(stage, application=stage.application(stage.servers.direct))


@dataclass
class _Checks:
    stage: Stage
    operation: Operation
    fault: Fault
    number: int
    healthy: Healthy
    answered: Answer
    broken: list[str]

    def _require(self, holds: object, promise: str) -> None:
        if not holds:
            self.broken.append(promise)

    @property
    def _is_claim(self) -> bool:
        return self.number == self.healthy.claim_number

    @property
    def executed(self) -> int:
        return self.stage.executed(self.operation.kind)

    @property
    def claims_nothing(self) -> bool:
        """Whether the answer says that nothing was executed, of this request or of any that nobody else answers for.

        A request whose first try to claim was refused each time has read nothing of the requests before it.
        """
        before = self.operation.replayed or self.operation.overtakes
        excused = (before and self._is_claim and self.fault.refused) or self.fault.overtaker == "client"
        return self.answered.slug in NOTHING_EXECUTED and not excused

    def answer(self) -> None:
        """The answer's class is true at the moment at which it is given."""
        answer, operation = self.answered, self.operation
        if operation.by_recovery:
            self._require(answer.status == 200, f"recovery ended with {answer.name}")
        elif answer.status == 500:
            self._require(self.fault.invalid, f"500: {'; '.join(self.stage.log.lines)}")
        elif answer.status == 201:
            self._committed(answer)
        elif answer.slug in NOTHING_EXECUTED:
            self._require(not (self.claims_nothing and self.executed), f"{answer.name}, and the bank has executed it")
        elif answer.slug in UNKNOWN:
            self._require("nothing was" not in answer.detail.lower(), f"{answer.name} says: {answer.detail}")
        elif answer.status == 202:
            self._require(self.stage.stored(Table.IDEMPOTENCY), "202, and nothing is stored")
        else:
            self._require(answer.status == 402, f"unexpected {answer.name}: {answer.detail}")
        self._require(self.executed == 0 or answer.status != 402, "402, and the bank has executed it")
        self._in_place()

    def _in_place(self) -> None:
        """The answer is as good as it can be under this fault."""
        answer, operation = self.answered, self.operation
        if answer.status == 402:
            self._require(operation.healthy == answer.name, f"402 where {operation.healthy} is right")
        if self.fault.heals:
            # What is released after a try to claim that may still arrive can only be called unknown.
            cautious = operation.healthy.startswith("503") and answer.slug == "outcome-unknown"
            healed = answer.name == self.healthy.answer or cautious
            self._require(healed, f"{answer.name} though the next try succeeded")
        if self._is_claim and not operation.by_recovery:
            if self.fault.invalid:
                self._require(answer.status == 500, f"{answer.name} to a request of ours that can never be right")
            elif self.fault.refused:
                self._require(answer.slug in NOTHING_EXECUTED, f"{answer.name} though every try was refused")

    def _committed(self, answer: Answer) -> None:
        records = [item for item in self.stage.stored(Table.IDEMPOTENCY) if item["status"] == "COMPLETED"]
        document = json.loads(answer.body)
        stored = [
            item["pk"] + item["sk"] for table in (Table.PAYMENTS, Table.OUTBOX) for item in self.stage.stored(table)
        ]
        self._require(self.executed == self.operation.executed, f"201, and the bank has executed {self.executed}")
        self._require(records, "201, and no completed record")
        self._require(
            any(document["id"] in key for key in stored),
            f"201 for {document['id']}, and stored is {stored}",
        )
        self._events_and_journal("201")

    def nobody_asks(self) -> None:
        """Time passes, recovery runs, no client asks: what was said not to be executed never is."""
        for pause_ms in SETTLING_MS:
            if not self.stage.open_claims():
                break
            self.stage.pass_time(pause_ms)
            report = self.stage.recover(database=self.stage.servers.direct)
            self._require(report.failed == 0, f"recovery failed: {self.stage.log.lines[-1:]}")
        self._require(not self.stage.open_claims(), "a claim stays open")
        if self.claims_nothing:
            self._require(self.executed == 0, f"{self.answered.name}, and recovery executed it with nobody asking")
        if self.operation.by_recovery:
            self._require(self.executed == 1, f"recovery left {self.executed} executions")

    def client_retries(self) -> None:
        """The client asks with the same key until it knows; from then on it gets the same bytes."""
        direct = self.stage.servers.direct
        for _ in range(MAX_RETRIES):
            last = self.operation.ask(self.stage, application=self.stage.application(direct))
            if last.final:
                break
            self.stage.pass_time(LEASE_JUST_OVER_MS)
        again = self.operation.ask(self.stage, application=self.stage.application(direct))
        self._require(last.final, f"no final answer, but {last.name}: {last.detail} {self.stage.log.lines}")
        self._require(again.same() == last.same(), f"replayed differently: {last.same()} and {again.same()}")
        if self.answered.final and not self.operation.by_recovery:
            self._require(self.answered.same() == last.same(), f"first {self.answered.same()}, replayed {last.same()}")
        self._require(self.executed == self.operation.executed, f"{self.executed} executions in the end")
        expected = self.operation.healthy if self.operation.healthy.startswith("402") else "201"
        self._require(last.name == expected, f"ended as {last.name}: {last.detail}")

    def books(self) -> None:
        """Journal, balances, events and reservations agree with the bank, and nothing is open."""
        self._events_and_journal("in the end")
        self._require(not self.stage.open_claims(), "a claim is open in the end")
        for payment in self._payments():
            left = payment.captured_minor - payment.refunded_minor
            self._require(payment.refundable_minor == left, f"refundable is {payment.refundable_minor}, not {left}")
            if self.operation.kind is not OperationKind.VOID and payment.capture_method is CaptureMethod.MANUAL:
                left = payment.amount_minor - payment.captured_minor
                self._require(payment.capturable_minor == left, f"capturable is {payment.capturable_minor}")
        if not self.fault.invalid:
            unforeseen = [line for line in self.stage.log.lines if "unforeseen" in line]
            self._require(not unforeseen, f"unforeseen: {unforeseen}")

    def _payments(self) -> list[Payment]:
        return payments_in(self.stage.stored(Table.PAYMENTS), self.stage.stored(Table.OUTBOX))

    def _events_and_journal(self, when: str) -> None:
        ledger = self.stage.stored(Table.LEDGER)
        totals: Counter[str] = Counter()
        outbox = self.stage.stored(Table.OUTBOX)
        for entry in entries_in(outbox):
            self._require(sum(line.amount_minor for line in entry.postings) == 0, f"{when}: unbalanced entry")
            for line in entry.postings:
                totals[line.account] += line.amount_minor
        owed = self.stage.owed_minor()
        self._require(totals[RECEIVABLE] == owed, f"{when}: journal {totals[RECEIVABLE]}, bank {owed}")
        counted: Counter[str] = Counter()
        for item in ledger:
            for name, amount in item.items():
                if name.startswith("account:"):
                    counted[name.removeprefix("account:")] += amount
        self._require(+counted == +totals and -counted == -totals, f"{when}: counters {counted}, journal {totals}")
        payments = self._payments()
        self._require(len(payments) == 1, f"{when}: {len(payments)} payments")
        versions = sorted(int(item["sk"]) for item in outbox)
        expected = list(range(1, payments[0].version + 1)) if len(payments) == 1 else []
        self._require(versions == expected, f"{when}: events of versions {versions}, payment at {expected[-1:]}")
