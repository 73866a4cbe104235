"""Random interleavings of operations, crashes, gateway faults, lost answers, clock jumps, retries and recovery.

Whatever happens, nothing is executed twice at the gateway, the books balance, and what a client was told was not
executed is not executed later by itself. PAYONCE_SIMULATION=long runs more.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from payonce.domain.errors import NotStarted, PayonceError
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.idempotency.records import RecordStatus
from payonce.payments import payment_reads
from payonce.ports import Table
from tests.support.faulty_database import FaultyDatabase
from tests.support.stored import entries_in, payments_in
from tests.support.world import CAPABILITIES, MERCHANT, VISIBLE_AFTER_MS, ScriptedGateway, World

if TYPE_CHECKING:
    from payonce.domain.payment import Payment

LONG = os.environ.get("PAYONCE_SIMULATION") == "long"
WORDS = st.sampled_from(
    ["ok", "ok", "decline", "never", "lost", "booked_lost", "booked_lost", "remembered", "booked_remembered"]
)
KEY_NAMES = ("key-0", "key-1", "key-2")  # few, so that keys are used again
KEYS = st.sampled_from(KEY_NAMES)
FOLLOW_UPS = st.sampled_from([OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND])
# The database's: refused; written or not, and the answer lost; written later, whenever that is.
ANSWERS = st.lists(st.sampled_from(["ok", "ok", "refused", "lost", "applied", "late"]), max_size=5)
READS = st.lists(st.sampled_from(["ok", "refused"]), max_size=4)
PAST_THE_WINDOW_SECONDS = 25 * 3600


class Killed(BaseException):
    """The process is gone: nothing in production code catches this."""


class KillableDatabase(FaultyDatabase):
    """Kills before or after the nth write from now."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse: int | None = None
        self.after = False

    def write(self, writes: Any) -> None:
        """See ``Database``."""
        burning = self.fuse is not None
        if self.fuse is not None:
            self.fuse -= 1
        if burning and self.fuse == 0 and not self.after:
            self.fuse = None
            raise Killed
        super().write(writes)
        if burning and self.fuse == 0:
            self.fuse = None
            raise Killed


class Payments(RuleBasedStateMachine):
    """The protocol under fire."""

    def __init__(self) -> None:
        super().__init__()
        self.finals: dict[str, bytes] = {}
        self.payments: list[str] = []
        self.faults: tuple[list[str], list[str]] = ([], [])
        self.unsettled: set[str] = set()  # keys of which a client can't tell what became of them
        self.not_executed: dict[str, int] = {}  # keys of which it was told, with the charges that there were

    @initialize(
        behaviour=st.sampled_from(list(CAPABILITIES)),
        single=st.booleans(),
        lookup_fails=st.booleans(),
        words=st.lists(WORDS, max_size=2),
        kept=st.sampled_from(["remembered", "booked_remembered", "booked_remembered"]),
        manual=st.booleans(),
    )
    def start(
        self, behaviour: str, single: bool, lookup_fails: bool, words: list[str], kept: str, manual: bool
    ) -> None:
        self.database = KillableDatabase()
        self.world = World(database=self.database)
        capabilities = replace(CAPABILITIES[behaviour], multiple_captures=not single)
        self.world.gateway = ScriptedGateway(
            self.world.clock,
            capabilities=capabilities,
            visible_after_ms=VISIBLE_AFTER_MS[behaviour],
            lookup_fails=lookup_fails,
        )
        # Hypothesis leaves out some rules in each run; without this, half of the runs would submit nothing.
        # Of what a gateway that keeps failures is for, there is too little by chance.
        self.pay(KEY_NAMES[0], [kept] if behaviour == "remembering" else words, manual)

    def attempt(self, key: str, call: Any) -> None:
        """Make a call as a client would, and remember its final answer, or that nothing was executed."""
        self.not_executed.pop(key, None)
        self.database.script, self.database.reads = self.faults
        try:
            answer = call()
        except NotStarted:
            # It speaks of this request alone: what an earlier one left open is still open.
            if key not in self.unsettled:
                self.not_executed[key] = self.charges()[f"pm_{key}"]
            return
        except (PayonceError, Killed):
            self.unsettled.add(key)
            return
        finally:
            self.calm()
        if answer.response.status == 202:
            self.unsettled.add(key)
            return
        self.unsettled.discard(key)
        body = answer.response.body
        assert self.finals.setdefault(key, body) == body
        if answer.response.status == 201 and b'"object":"payment","status"' in body[:80]:
            identity = json.loads(body)["id"]
            if identity not in self.payments:
                self.payments.append(identity)

    def calm(self) -> None:
        """End the faults of one call: what checks the world meets none."""
        self.database.fuse, self.faults = None, ([], [])
        self.database.script, self.database.reads = self.faults

    def charges(self) -> Counter[str]:
        """Return how often each payment method was charged."""
        return Counter(b.instruction.payment_method for b in self.world.gateway.succeeded(OperationKind.PAYMENT))

    @rule(key=KEYS, words=st.lists(WORDS, max_size=2), manual=st.booleans())
    def create(self, key: str, words: list[str], manual: bool) -> None:
        self.pay(key, words, manual)

    def pay(self, key: str, words: list[str], manual: bool) -> None:
        self.world.gateway.script = list(words)
        capture = CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC
        # The payment method tells the bookings of one key apart from those of another, whatever their payments' ids.
        self.attempt(
            key,
            lambda: self.world.create(key, capture=capture, fingerprint=str(manual), payment_method=f"pm_{key}"),
        )

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), kind=FOLLOW_UPS, key=KEYS, words=st.lists(WORDS, max_size=2))
    def follow_up(self, data: st.DataObject, kind: OperationKind, key: str, words: list[str]) -> None:
        identity = data.draw(st.sampled_from(self.payments))
        amount = None if kind is OperationKind.VOID else data.draw(st.sampled_from([None, 1, 400, 1000]))
        self.world.gateway.script = list(words)
        name = f"{kind.value}-{identity}-{key}-{amount}"
        self.attempt(name, lambda: self.world.follow_up(kind, identity, name, amount))

    @rule(fuse=st.integers(1, 3), after=st.booleans())
    def kill_the_next_execution(self, fuse: int, after: bool) -> None:
        self.database.fuse, self.database.after = fuse, after

    @rule(answers=ANSWERS, reads=READS)
    def the_database_fails_the_next_call(self, answers: list[str], reads: list[str]) -> None:
        self.faults = (answers, reads)

    @rule()
    def what_was_late_lands(self) -> None:
        self.database.land()

    @rule(seconds=st.sampled_from([1, 10, 31, 61, 600, 4000, PAST_THE_WINDOW_SECONDS]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.ms += seconds * 1000

    @rule(fails=st.booleans())
    def the_lookup_breaks_or_heals(self, fails: bool) -> None:
        self.world.gateway.lookup_fails = fails

    @rule(words=st.lists(WORDS, max_size=2), seconds=st.sampled_from([0, 6, 10, 31, 61]))
    def recovery_runs(self, words: list[str], seconds: int) -> None:
        self.world.clock.ms += seconds * 1000  # most runs would find no lease over
        self.world.gateway.script = list(words)
        self.database.script, self.database.reads = self.faults
        try:
            self.world.recover()
        except Killed:
            pass
        finally:
            self.calm()

    @invariant()
    def nothing_is_executed_twice(self) -> None:
        if not hasattr(self, "world"):
            return
        # Of an operation's attempts, each under its own reference, one at most.
        executed = Counter(b.instruction.gateway_reference.rpartition("-")[0] for b in self.world.gateway.succeeded())
        assert not [operation for operation, count in executed.items() if count > 1]

    @invariant()
    def no_key_is_charged_twice(self) -> None:
        """Not under a second identity either, which has a reference of its own."""
        if not hasattr(self, "world"):
            return
        assert not [payment_method for payment_method, count in self.charges().items() if count > 1]

    @invariant()
    def what_was_not_executed_stays_so(self) -> None:
        """Every 503 is true: nothing is executed for its key until somebody asks again."""
        if hasattr(self, "world"):
            charges = self.charges()
            assert {key: charges[f"pm_{key}"] for key in self.not_executed} == self.not_executed

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "world"):
            return
        journal: Counter[str] = Counter()
        for entry in entries_in(self.database._tables[Table.OUTBOX].values()):
            for posting in entry.postings:
                journal[posting.account] += posting.amount_minor
        assert sum(journal.values()) == 0
        balances = payment_reads.get_balances(self.world.services, MERCHANT)["data"]
        assert {line["account"]: line["balance_minor"] for line in balances} == dict(journal)

    @invariant()
    def amounts_and_events_agree(self) -> None:
        if not hasattr(self, "world"):
            return
        versions: dict[str, list[int]] = {}
        for item in self.database._tables[Table.OUTBOX].values():
            versions.setdefault(item["pk"], []).append(int(item["sk"]))
        for payment in self.payments_stored():
            assert sorted(versions.pop(payment.payment_id)) == list(range(1, payment.version + 1))
            assert 0 <= payment.refunded_minor <= payment.captured_minor <= payment.amount_minor
            assert payment.capturable_minor >= 0
            assert 0 <= payment.refundable_minor <= payment.captured_minor - payment.refunded_minor
        assert versions == {}

    def payments_stored(self) -> list[Payment]:
        """Return all payments as they are stored."""
        return payments_in(self.database._tables[Table.PAYMENTS].values(), self.database._tables[Table.OUTBOX].values())

    @invariant()
    def no_error_is_a_defect(self) -> None:
        """TransitionError and the like: recovery reports what it could not carry on."""
        if hasattr(self, "world"):
            assert [error for error in self.world.errors if not isinstance(error, PayonceError)] == []

    def teardown(self) -> None:
        """In the end everything that the gateway can answer for is settled, and our books are the gateway's."""
        if not hasattr(self, "world"):
            return
        self.calm()
        self.database.land()
        self.world.gateway.lookup_fails = False
        self.world.gateway.script = []
        for _ in range(12):
            self.world.clock.ms += 16 * 60_000
            self.world.recover()
        open_claims = [
            item
            for item in self.database._tables[Table.IDEMPOTENCY].values()
            if item["status"] != RecordStatus.COMPLETED.value
        ]
        never_final = self.world.gateway.capabilities.lookup_authoritative_after_seconds is None
        assert never_final or open_claims == []
        self.no_error_is_a_defect()
        self.what_was_not_executed_stays_so()
        executed: Counter[OperationKind] = Counter()
        for booking in self.world.gateway.succeeded():
            executed[booking.instruction.kind] += 1
        stored = self.payments_stored()
        paid = [payment for payment in stored if payment.status.value not in {"declined", "failed", "in_doubt"}]
        assert len(paid) == executed[OperationKind.PAYMENT]
        refunded = sum(
            booking.instruction.money.amount_minor for booking in self.world.gateway.succeeded(OperationKind.REFUND)
        )
        assert sum(payment.refunded_minor for payment in stored) == refunded


TestPayments = Payments.TestCase
TestPayments.settings = settings(
    max_examples=5000 if LONG else 600,
    stateful_step_count=60 if LONG else 40,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)
