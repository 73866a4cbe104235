"""The demo's reconciliation: a day with faults at the bank, each found by class, corrected once, and proved gone."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.taxonomy import CLASSES, BreakClass

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3
    from rich.console import Console

    from local.shop import Shop
    from local.stack import Stack
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

BANK = "forgetful"
GATEWAY = "sandbox_bank"
ORDERS = 12
PATIENCE_SECONDS = 900  # cold starts with DuckDB and a workflow of several steps
RUN_POLICY = """
# Nothing is "still on its way" in a demo of a minute.
in_transit_hours = 0
payout_sla_days = 0
"""
CORRECTIONS_POLICY = """
# What is given back without a second person: up to 20.00 EUR of what a gateway charged twice.
[automatic.duplicate_capture]
EUR = 2000
"""
PAYMENT_METHOD = "pm_sandbox_visa"


@dataclass(frozen=True)
class Planted:
    """A planted fault: what was done at the bank, and the break class that must be found."""

    what: str
    break_class: BreakClass
    about: str


@dataclass(frozen=True)
class Audit:
    """A day of one shop, with the API keys of a proposer and of an approver."""

    stack: Stack
    shop: Shop
    checker: Shop
    console: Console

    def show(self) -> None:
        """Run the day and its reconciliation."""
        self.console.rule("a day with faults at the bank, and the audit that finds them")
        self._put("policy/corrections.toml", CORRECTIONS_POLICY.encode())
        planted = self._plant(self._sell(1))
        report, statement = self._settle(1)
        report()
        self._wait("the report is read, and the audit runs", lambda: len(self._duplicates()) > 1)
        statement()
        # The policy is put last, because runs use it at once, and before the report everything would be missing there.
        self._put("policy/run.toml", RUN_POLICY.encode())
        classes = {one.break_class for one in planted}
        self._wait(
            "and once more with the statement, by the policy",
            lambda: classes <= {case.break_class for case in self._cases()},
        )
        self._found(planted)
        self._correct()
        self._sell(2)
        report, statement = self._settle(2)
        report()
        self._proved()
        statement()

    def _sell(self, day: int) -> list[dict[str, Any]]:
        # One payer with distinct amounts, because two equal payments in a short time would count as a double charge.
        payments = [self._pay(1000 + 250 * number + day, f"sale-{day}-{number}") for number in range(ORDERS)]
        self.console.print(f"  {len(payments)} payments of {sum(p['amount_minor'] for p in payments) / 100:.2f} EUR")
        return payments

    def _pay(self, amount_minor: int, reference: str) -> dict[str, Any]:
        body = {"amount_minor": amount_minor, "currency": "EUR", "payment_method": PAYMENT_METHOD}
        answer = self.shop.call("POST", "/payments", {**body, "reference": reference}, str(uuid.uuid4()))
        document: dict[str, Any] = answer.json()
        return document

    def _plant(self, payments: list[dict[str, Any]]) -> list[Planted]:
        """Commit faults at the bank and return them. They are used only for the final table."""
        references = [f"{payment['id']}-1" for payment in payments]
        small, disputed, refunded, wrong, *_, large = references
        fault = self.stack.bank.fault
        fault(BANK, "duplicate_capture", reference=small)
        fault(BANK, "duplicate_capture", reference=large)
        fault(BANK, "dispute", reference=disputed)
        fault(BANK, "orphan_refund", reference=refunded, amount_minor=300)
        fault(BANK, "wrong_amount", reference=wrong, amount_minor=payments[3]["amount_minor"] - 100)
        twice = [self._pay(6400, "sale-1-impatient") for _ in range(2)]
        stranger = fault(BANK, "unrequested_charge", amount_minor=4200, currency="EUR")
        fault(BANK, "credit_twice", currency="EUR")
        return [
            Planted("charged a payer twice, a small amount", BreakClass.DUPLICATE_CAPTURE, small),
            Planted("charged a payer twice, a larger amount", BreakClass.DUPLICATE_CAPTURE, large),
            Planted("a client asked again under another key", BreakClass.DOUBLE_CHARGE, twice[1]["id"]),
            Planted("a payer disputes", BreakClass.DISPUTE_OPEN, disputed),
            Planted("paid back what nobody refunded", BreakClass.ORPHAN_REFUND, ""),
            Planted("booked another amount", BreakClass.AMOUNT_MISMATCH, wrong),
            Planted("charged what nobody asked for", BreakClass.MISSING_IN_LEDGER, stranger["reference"]),
            Planted("credited a payout twice", BreakClass.DUPLICATE_CREDIT, ""),
        ]

    def _settle(self, day: int) -> tuple[Callable[[], None], Callable[[], None]]:
        """Let the bank pay out; return functions that put its report and its statement into the bucket."""
        bank, now_ms = self.stack.bank, time.time_ns() // 1_000_000
        payouts = bank.settle(BANK, now_ms)
        sums = ", ".join(f"{one['amount_minor'] / 100:.2f} {one['currency']}" for one in payouts)
        self.console.print(f"  the bank pays out {sums or 'nothing'}, and gives its report and a camt.053 statement")
        csv, camt = bank.report(BANK, to_ms=now_ms + 1), bank.statement(BANK)
        return (
            lambda: self._put(f"incoming/gateway/{GATEWAY}/day-{day}.csv", csv),
            lambda: self._put(f"incoming/bank/day-{day}.xml", camt),
        )

    def _found(self, planted: list[Planted]) -> None:
        table = Table("what was done", "found as", "at stake", "break")
        cases = self._cases()
        for one in planted:
            fitting = [c for c in cases if c.break_class is one.break_class and one.about in (*c.subject, "")]
            for case in fitting[:1]:
                cases.remove(case)
                money = f"{case.amount_minor / 100:.2f} {case.currency}"
                table.add_row(one.what, f"[green]{one.break_class}[/]", money, case.break_id[:14] + "…")
            if not fitting:
                table.add_row(one.what, "[red]not found[/]", "", "")
        self.console.print(table)
        for case in cases:
            self.console.print(f"  [yellow]also found: {case.break_class.value} {', '.join(case.subject)}[/]")

    def _correct(self) -> None:
        """Show the automatic corrections, and let two persons decide about the others."""
        self.console.rule("corrected once, by policy or by two persons")
        large, small = sorted(self._duplicates(), key=lambda case: -case.amount_minor)
        path = f"/breaks/{large.break_id}/correction"
        self._wait(
            "the workflow asks the gateway, and waits for an approval",
            lambda: self._correction(large).get("status") == "awaiting_approval",
        )
        seen = self._correction(large)
        body = {"proposal_version": seen["proposal_version"], "amount_minor": seen["amount_minor"]}
        proposed = self.shop.call("POST", f"{path}/proposals", body, str(uuid.uuid4())).json()
        version = {"proposal_version": proposed["proposal_version"]}
        self._answer("who proposed approves", self.shop.call("POST", f"{path}/approvals", version, str(uuid.uuid4())))
        self._answer(
            "a second person approves", self.checker.call("POST", f"{path}/approvals", version, str(uuid.uuid4()))
        )
        self._answer("and once more", self.checker.call("POST", f"{path}/approvals", version, str(uuid.uuid4())))
        for case, how in ((small, "by policy"), (large, "after its approval")):
            self._wait(
                f"{case.amount_minor / 100:.2f} {case.currency} goes back {how}",
                lambda case=case: self._correction(case)["status"] == "corrected",  # type: ignore[misc]
            )
        table = Table("charged twice under", "charges at the bank", "refunds at the bank")
        for case in (small, large):
            charges = [row["charge_id"] for row in self.stack.bank.charges(bank=BANK, reference=case.subject[1])]
            books = self.stack.bank.books(bank=BANK, kind="refund")
            refunds = [row for row in books if row["charge_id"] in charges]
            table.add_row(case.subject[1], str(len(charges)), _coloured(len(refunds), 1))
        self.console.print(table)

    def _proved(self) -> None:
        duplicates = [case.break_id for case in self._duplicates()]
        self._wait(
            "the next report has the refunds: the next audit closes the cases",
            lambda: all(self._case(break_id).status is CaseStatus.CLOSED for break_id in duplicates),
        )
        table = Table("break", "class", "status", "severity")
        for case in sorted(self._cases(), key=lambda case: (case.status, case.break_class)):
            colour = "green" if case.status is CaseStatus.CLOSED else "yellow"
            severity = CLASSES[case.break_class].severity.value
            table.add_row(
                case.break_id[:14] + "…", case.break_class.value, f"[{colour}]{case.status.value}[/]", severity
            )
        self.console.print(table)
        self.console.print("  what is open is for a person: payonce breaks list")

    def _duplicates(self) -> list[Case]:
        return [case for case in self._cases() if case.break_class is BreakClass.DUPLICATE_CAPTURE]

    def _cases(self) -> list[Case]:
        store = CaseStore(self._database)
        return [case for status in CaseStatus for case in store.with_status(status)]

    def _correction(self, case: Case) -> dict[str, Any]:
        document: dict[str, Any] = self.shop.call("GET", f"/breaks/{case.break_id}/correction").json()
        return document

    def _case(self, break_id: str) -> Case:
        return CaseStore(self._database).get(break_id)

    def _answer(self, what: str, answer: urllib3.BaseHTTPResponse) -> None:
        document = answer.json()
        colour = "green" if answer.status < 300 else "yellow"
        says = document["status"] if answer.status < 300 else document["detail"]
        self.console.print(f"  [{colour}]{answer.status}[/] {what}: {says}")

    @property
    def _database(self) -> Database:
        return self.stack.database()

    def _put(self, name: str, data: bytes) -> None:
        self.stack.client("s3").put_object(Bucket=self._bucket, Key=name, Body=data)

    @property
    def _bucket(self) -> str:
        return self.stack.outputs["ReconciliationBucketName"]

    def _wait[T](self, what: str, look: Callable[[], T]) -> T:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        give_up = time.monotonic() + PATIENCE_SECONDS
        with Progress(*columns, console=self.console) as progress:
            progress.add_task(what)
            while not (found := look()):
                if time.monotonic() > give_up:
                    raise TimeoutError(f"not within {PATIENCE_SECONDS} seconds: {what}")
                time.sleep(0.5)
        return found


def _coloured(found: int, expected: int) -> str:
    return f"[{'green' if found == expected else 'red'}]{found}[/]"
