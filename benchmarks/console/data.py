"""A merchant's month, written by production's own writers: payments, refunds, doubts, breaks and the audit trail.

The writers write into memory, where a payment takes about a millisecond; what they have written is copied in batches.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.ids import UlidSource
from payonce.domain.money import Money
from payonce.entrypoints.claim_stream import entries_of_record
from payonce.idempotency.audit import Transition
from payonce.idempotency.audit_items import DatabaseAuditTrail
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import KeyedRequest
from payonce.idempotency.window import IdempotencySettings
from payonce.merchants.api_keys import Merchants
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.payment_work import Services
from payonce.payments.planning import plan_follow_up
from payonce.ports import Deadline, Table
from payonce.reconciliation.cases.case import CaseChange, opened
from payonce.reconciliation.cases.case_items import case_writes
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.dynamodb_requests import to_attributes
from tests.support.breaks import break_of
from tests.support.stream import StreamingDatabase
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Item

BATCH, WRITERS = 25, 6
DAY_MS = 86_400_000
MONTH_MS = 30 * DAY_MS
RETENTION_SECONDS = 400 * 86_400
REQUEST_MS = 25_000
GATEWAYS = ("sandbox_bank", "honouring_bank")
REFUNDED, DECLINED = 20, 15  # one in so many
CLASSES = (
    BreakClass.DUPLICATE_CAPTURE, BreakClass.AMOUNT_MISMATCH, BreakClass.MISSING_IN_GATEWAY,
    BreakClass.MISSING_IN_LEDGER, BreakClass.STATUS_MISMATCH,
)  # fmt: skip


class Kept(StreamingDatabase):
    """A database in memory that says what it holds."""

    def items(self, table: Table) -> list[Item]:
        """Return the items of a table."""
        return list(self._tables[table].values())


@dataclass
class Month:
    """A merchant's month. Ids are unguessable only as far as a seed is: nobody else's data is beside them."""

    now_ms: int
    payments: int
    breaks: int
    doubts: int
    seed: int = 7
    payment_ids: list[str] = field(default_factory=list)
    break_ids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._clock = ManualClock(self.now_ms - MONTH_MS)
        self.database = Kept(self._clock)
        self._random = random.Random(self.seed)
        ids = UlidSource(self._clock.now_ms, self._random.randbytes)
        self._services = Services(database=self.database, clock=self._clock, ids=ids)
        self._engine = IdempotencyEngine(
            store=DatabaseIdempotencyStore(self.database),
            settings=IdempotencySettings(),
            clock=self._clock,
            sleep=self._clock.sleep,
        )
        self._trail = DatabaseAuditTrail(self.database, RETENTION_SECONDS)
        self._gateways = {name: ScriptedGateway(self._clock, name) for name in GATEWAYS}
        merchants = Merchants(database=self.database, clock=self._clock, ids=ids, random_bytes=self._random.randbytes)
        self.merchant_id = merchants.create_merchant("A month")

    def write(self) -> Month:
        """Write payments from the oldest to the newest, then breaks of them."""
        step_ms = MONTH_MS // self.payments
        for number in range(self.payments):
            self._clock.ms = self.now_ms - MONTH_MS + number * step_ms
            self._pay(number)
        for number in range(self.breaks):
            self._break(number, self.payment_ids[-1 - number % len(self.payment_ids)])
        return self

    def _pay(self, number: int) -> None:
        gateway = self._gateways[GATEWAYS[number % len(GATEWAYS)]]
        is_in_doubt = number % (self.payments // self.doubts) == 0
        if is_in_doubt:
            gateway.script.append("lost")
            gateway.lookup_fails = True
        elif number % DECLINED == DECLINED - 1:
            gateway.script.append("decline")
        new = NewPayment(
            money=Money(self._random.randint(100, 90_000), self._random.choice(("EUR", "USD", "JPY"))),
            payment_method=f"pm_{number % 997}_of_a_payer",
            capture_method=CaptureMethod.AUTOMATIC,
            reference=f"order-{number}",
            customer=f"cus_{number % 499}" if number % 3 == 0 else None,
            metadata={"till": str(number % 9), "shift": "early"},
        )
        plan = plan_payment(new, merchant_id=self.merchant_id, route=lambda _id: gateway.name, services=self._services)
        key = f"order-{number:09d}-{self._random.getrandbits(64):016x}"
        self._execute("create_payment", key, CreatePayment(plan, self._gateways.__getitem__, self._services))
        self.payment_ids.append(plan.payment_id)
        self.keys.append(key)
        gateway.lookup_fails = False
        for each in (gateway.submissions, gateway.inquiries):
            each.clear()
        if number % REFUNDED == REFUNDED - 1 and number % DECLINED != DECLINED - 1 and not is_in_doubt:
            refund = plan_follow_up(
                OperationKind.REFUND, merchant_id=self.merchant_id, payment_id=plan.payment_id, amount_minor=50,
                services=self._services,
            )  # fmt: skip
            self._execute("refund", f"{key}-r", follow_up_work(refund, self._gateways.__getitem__, self._services))
        gateway.bookings.clear()

    def _execute(self, operation: str, key: str, work: Any) -> None:
        deadline = Deadline(self._clock.ms + REQUEST_MS)
        self._engine.execute(
            KeyedRequest(
                scope=self.merchant_id, operation=operation, key=key, fingerprint="f", deadline=deadline, wait_seconds=0
            ),
            work,
        )
        for record in self.database.stream:
            entry, claimed = entries_of_record(record)
            if entry.transition is not Transition.CLAIMED:
                self._trail.add(entry, claimed)
        self.database.stream.clear()

    def _break(self, number: int, payment_id: str) -> None:
        break_class = CLASSES[number % len(CLASSES)]
        found = break_of(
            self.merchant_id,
            payment_id,
            break_class=break_class,
            subject=(GATEWAYS[0], f"{payment_id}-1", f"t{number}"),
            amount_minor=100 + number,
            gateway=GATEWAYS[0],
            occurred_at_ms=self.now_ms - (number % 30) * DAY_MS,
        )
        case = replace(opened(found, run_id="run_1", at_ms=self.now_ms - (number % 30) * DAY_MS))
        self.database.write(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))
        self.break_ids.append(case.break_id)


def copy(database: Kept, client: Any, names: Mapping[Table, str]) -> int:
    """Copy everything into the tables of a server; return the number of items."""
    batches = [
        (names[table], items[begin : begin + BATCH])
        for table in names
        for items in (database.items(table),)
        for begin in range(0, len(items), BATCH)
    ]

    def put(batch: tuple[str, list[Item]]) -> int:
        name, items = batch
        left = {name: [{"PutRequest": {"Item": to_attributes(item)}} for item in items]}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]
        return len(items)

    with ThreadPoolExecutor(WRITERS) as pool:
        return sum(pool.map(put, batches))
