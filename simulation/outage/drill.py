"""One drill: payments come while their gateway is down, and recovery works throughout, as it is deployed.

::

    0 s        outage: every payment is left in doubt          back                       drained
    ├───────────────────────────────────────────────────────────┼───────────────────────────┤
      payments, merchants unequal; the feeder every minute        none new; only recovery
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod
from payonce.domain.ids import UlidSource
from payonce.domain.money import Money
from payonce.domain.payment import PaymentStatus
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.keys import record_id
from payonce.idempotency.persistence import with_powertools
from payonce.idempotency.records import KeyedRequest
from payonce.idempotency.window import IdempotencySettings
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.ports import Deadline, Table
from payonce.recovery.asker import Asker
from payonce.recovery.book import Book
from payonce.recovery.feeder import Feeder, FeederReport, Feeding
from payonce.wiring.application import Application
from payonce.wiring.recovery import RUN_SECONDS
from payonce.wiring.settings import load_settings
from simulation.outage.bank import DrillBank, every
from simulation.outage.cloud import DrillDatabase, DrillQueue
from simulation.scheduler import START_MS, Scheduler
from tests.support.aws import load_template
from tests.support.stored import payments_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REQUEST_SECONDS = 25  # timeouts of template.yaml
FEED_SECONDS, ASK_SECONDS = 90, 35
MERCHANTS = 20
GREEDY = "mer_greedy"
HIDES_SECONDS = 15.0  # less than the 30 s after which the gateway's "not found" is final


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A drill. Rates are per second. ``bound``: the gateway's configured one, by default what it takes.

    ``executed``: the share of the payments without an answer that the gateway has executed. ``greedy``: the share of
    one merchant; 19 others have the rest. ``others``: payments a second at a second gateway, which answers inquiries
    alone. ``dead``: payments of the first minute at a third one, which stays down.
    """

    payments_per_second: float
    outage_seconds: float
    takes_per_second: float
    executed: float = 0.0
    refuses: bool = True
    bound: float | None = None
    greedy: float = 0.0
    others: float = 0.0
    dead: int = 0
    longest_seconds: float = 4 * 3600


@dataclass(slots=True)
class Result:
    """What came of it. Times in seconds; ``drained`` is counted from the gateway's return, ``None`` if it was not."""

    payments: int
    in_doubt_by_minute: list[int] = field(default_factory=list)
    drained: float | None = None
    unasked: int = 0
    not_executed: int = 0
    charged_twice: int = 0
    asks: Counter[int] = field(default_factory=Counter)
    requests_in_outage: int = 0
    requests_after: int = 0
    refused: int = 0
    invocations: int = 0
    most_running: int = 0
    cut_off: int = 0
    waits: dict[str, list[float]] = field(default_factory=dict)
    dead_requests: int = 0
    runs: list[FeederReport] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Drill:
    """A run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.scheduler = scheduler = Scheduler(seed=1)
        down = (0.0, scenario.outage_seconds)
        bank = partial(DrillBank, scheduler)
        self.bank = bank("bank", scenario.takes_per_second, scenario.refuses, down, every(scenario.executed))
        self.other = bank("other", 1_000.0, True, (0.0, 0.0), every(1.0), hides_seconds=HIDES_SECONDS)
        self.dead = bank("dead", 1_000.0, True, (0.0, 1e9), every(0.0))
        self.banks = {one.name: one for one in (self.bank, self.other, self.dead)}
        self.database = DrillDatabase(scheduler)
        self.result = Result(int(scenario.payments_per_second * scenario.outage_seconds))
        self.left_at: dict[str, float] = {}
        self.of_bank: dict[str, bool] = {}
        self._numbers = 0
        self._wire()

    def _wire(self) -> None:
        scheduler = self.scheduler
        application = Application(
            load_settings({}), clock=scheduler, database=self.database, gateways=dict(self.banks.items())
        )
        application.ids = UlidSource(scheduler.now_ms, self._bytes)
        application.engine = IdempotencyEngine(
            store=application.store,
            settings=IdempotencySettings(),
            clock=scheduler,
            sleep=scheduler.sleep,
            flow=with_powertools,  # what the functions use
        )
        self.application = application
        environment = load_template()["Mappings"]["Environments"]["production"]
        self.queue = DrillQueue(scheduler, self._ask, environment["MaxAskers"])
        book = Book(self.database)
        bound = self.scenario.bound or self.scenario.takes_per_second
        self.feeder = Feeder(
            Feeding(
                store=application.store,
                book=book,
                queue=self.queue,
                clock=scheduler,
                ids=application.ids,
                sleep=scheduler.sleep,
                bounds={"bank": bound, "other": 25.0, "dead": 25.0},
                other_bound=25.0,
                limits=dict,
                report_error=self._report_error,
            )
        )
        self.asker = Asker(
            recoveries=[application.recovery.recover],
            book=book,
            clock=scheduler,
            timeout_per_claim_ms=REQUEST_SECONDS * 1000,
            report_error=self._report_error,
            each=self._each,
        )

    def run(self) -> Result:
        """Play it to the end."""
        scenario, scheduler, result = self.scenario, self.scheduler, self.result
        for number in range(result.payments):
            scheduler.after(number / scenario.payments_per_second, partial(self._pay, self.bank, number))
        for number in range(int(scenario.others * (scenario.outage_seconds + 600))):
            scheduler.after(number / scenario.others, partial(self._pay, self.other, number))
        for number in range(scenario.dead):
            scheduler.after(number * 60 / scenario.dead, partial(self._pay, self.dead, number))
        scheduler.after(60, self._feed)
        seconds = 0.0
        while seconds < scenario.longest_seconds:
            seconds += 60
            scheduler.run_until(seconds, is_over=self._is_drained)
            result.in_doubt_by_minute.append(self._open("bank"))
            if self._is_drained():
                break
        self._count()
        result.cut_off = self.queue.cut_off
        scheduler.close()
        return result

    def _is_drained(self) -> bool:
        since_return = self.scheduler.now_us / 1e6 - self.scenario.outage_seconds
        if self.result.drained is None and since_return > REQUEST_SECONDS and not self._open("bank"):
            self.result.drained = since_return
        return self.result.drained is not None

    def _open(self, lane: str) -> int:
        return self.database.open_by_lane[lane]

    def _bytes(self, size: int) -> bytes:
        self._numbers += 1
        return self._numbers.to_bytes(size, "big")

    def _pay(self, bank: DrillBank, number: int) -> None:
        greedy = bank is self.bank and number % 100 < 100 * self.scenario.greedy
        merchant = GREEDY if greedy else f"mer_{number % (MERCHANTS - 1):02d}"
        name, key = f"pay-{bank.name}-{number}", f"{bank.name}-{number:016d}"
        self.of_bank[record_id(merchant, "create_payment", key)] = bank is self.bank

        def work() -> None:
            application = self.application
            new = NewPayment(money=Money(1000, "EUR"), payment_method="pm_visa", capture_method=CaptureMethod.AUTOMATIC)
            plan = plan_payment(new, merchant_id=merchant, route=lambda _id: bank.name, services=application.services)
            request = KeyedRequest(
                scope=merchant,
                operation="create_payment",
                key=key,
                fingerprint="f",
                deadline=Deadline(self.scheduler.now_ms() + REQUEST_SECONDS * 1000),
            )
            application.engine.execute(request, CreatePayment(plan, application.gateway, application.services))

        self.scheduler.start(name, work, timeout_seconds=REQUEST_SECONDS)

    def _feed(self) -> None:
        self.scheduler.after(60, self._feed)
        number = len(self.result.runs) + 1

        def work() -> None:
            until = Deadline(self.scheduler.now_ms() + RUN_SECONDS * 1000)
            self.result.runs.append(self.feeder.run(until))

        self.scheduler.start(f"feed-{number}-{self.scheduler.now_us}", work, timeout_seconds=FEED_SECONDS)

    def _ask(self, body: str) -> None:
        self.asker.handle(body, Deadline(self.scheduler.now_ms() + (ASK_SECONDS - 4) * 1000))

    def _each(self, settle: Callable[[str], bool | None], claims: Sequence[str]) -> list[bool | None]:
        settled = self.scheduler.together([partial(settle, claim) for claim in claims])
        for claim, concluded in zip(claims, settled, strict=True):
            if concluded:
                self.left_at[claim] = self.scheduler.now_us / 1e6
        return settled

    def _report_error(self, name: str, error: Exception) -> None:
        self.result.errors[repr(error)] += 1

    def _count(self) -> None:
        result, outage = self.result, self.scenario.outage_seconds
        tables = self.database._tables
        for payment in payments_in(tables[Table.PAYMENTS].values(), tables[Table.OUTBOX].values()):
            if payment.gateway != "bank":
                continue
            reference = payment.gateway_reference
            if payment.status is PaymentStatus.FAILED:
                result.not_executed += 1
                result.unasked += self.bank.sent_at[reference] < outage
            result.asks[self.bank.asked[reference]] += 1
        for one in self.banks.values():
            result.charged_twice += sum(count > 1 for count in one.charges.values())
        for item in self.database._tables[Table.IDEMPOTENCY].values():
            settled_at = self.left_at.get(item["id"])
            if settled_at is None:
                continue
            scope = item["id"].partition("#")[0]
            asked_at = (item["created_at_ms"] - START_MS) / 1000
            at_bank = self.of_bank[item["id"]]
            if not at_bank:
                result.waits.setdefault("other gateway", []).append(settled_at - asked_at)
            elif asked_at < outage <= settled_at:
                whose = "greedy merchant" if scope == GREEDY else "other merchants"
                result.waits.setdefault(whose, []).append(settled_at - outage)
        by_minute = self.bank.requests_by_minute
        result.requests_in_outage = sum(by_minute[minute] for minute in by_minute if minute < outage // 60)
        result.requests_after = sum(by_minute.values()) - result.requests_in_outage
        result.refused = self.bank.refused
        result.dead_requests = sum(self.dead.requests_by_minute.values())
        result.invocations, result.most_running = self.queue.invocations, self.queue.most_running
