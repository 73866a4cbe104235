"""The world of one run: the production code on simulated ports, and what is watched."""

from __future__ import annotations

import itertools
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from payonce.corrections.policy import Policy
from payonce.corrections.workflow import Corrections
from payonce.domain.endpoint import Endpoint, EndpointKey, KeyKind
from payonce.domain.ids import UlidSource
from payonce.domain.webhooks import delivery_id
from payonce.each import in_turn
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.persistence import with_powertools
from payonce.outbox import is_event
from payonce.payments.recovery_run import Recovery
from payonce.ports import Table
from payonce.reconciliation.taxonomy import BreakClass
from payonce.recovery.asker import Asker
from payonce.recovery.book import Book
from payonce.recovery.feeder import Feeder, Feeding
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.webhooks.attempts import Attempts
from payonce.webhooks.deliveries import DELIVERY_PREFIX
from payonce.webhooks.dispatch import Dispatcher
from payonce.webhooks.endpoints import create_writes
from payonce.webhooks.gate import Gates
from payonce.webhooks.keys import key_context
from payonce.webhooks.relay import Relay
from payonce.webhooks.replays import advance_replay
from payonce.webhooks.scheduler import Scheduler as DeliveryScheduler
from payonce.webhooks.session import Tools
from payonce.webhooks.signer import Signer
from payonce.webhooks.signing import HmacKey
from payonce.webhooks.sweeper import Sweeper
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from simulation import invariants
from simulation.database import SimulatedDatabase
from simulation.drawing import CURRENCIES, MAX_SKEW_MS, MERCHANTS
from simulation.facts import Facts, Violated
from simulation.faults import Fates
from simulation.gateway import SimulatedGateway
from simulation.messages import SimulatedQueue, SimulatedReceivers, SimulatedStream
from simulation.plan import Plan, played
from simulation.promises.shared import event_name
from simulation.scheduler import Scheduler
from simulation.wire import Wire
from tests.support.crews import OneByOne

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.database import Commit
    from simulation.facts import Answered
    from simulation.gateway_books import Booking, Sent
    from simulation.messages import Received

DEFECTS = ("StoreRequestInvalid", "CaseTransitionError", "MisconfiguredError", "ConservationViolated")
KEY_ID = "whk_1"
AUTOMATIC_MINOR = 10_000
BOUND = 25.0  # requests per second: wiring.settings' default
ASK_MS = 25_000  # as in wiring.recovery


class World:
    """Production code wired as in wiring.application and wiring.delivery, on simulated ports."""

    def __init__(
        self,
        plan: Plan,
        *,
        handle: Callable[[str, Callable[[bool], None]], None],
        ask: Callable[[str, Callable[[bool], None]], None],
        relay: Callable[[Any, Callable[[bool], None]], None],
    ) -> None:
        self.plan = plan
        self.scheduler = Scheduler(plan.seed)
        self.fates = Fates(dict(plan.profile), played(plan))
        self.wire = wire = Wire(self.scheduler, self.fates)
        self.database = SimulatedDatabase(wire, self._committed)
        self.gateways = {
            name: SimulatedGateway(
                name,
                kind,
                wire,
                on_sent=self._sent,
                on_never_sent=self._never_sent,
                on_booked=self._booked,
                holds={f"pm_{each.name}": each.hold for each in plan.operations if each.hold is not None},
                receives_seconds=plan.receives_seconds,
            )
            for name, kind in plan.gateways
        }
        self.queue = SimulatedQueue(wire, handle)
        self.recovery_queue = SimulatedQueue(wire, ask)
        self._stream_chance = Random(f"{plan.seed}/stream")
        self.stream = SimulatedStream(self.scheduler, self._stall_seconds, relay)
        self.facts = Facts(
            self.scheduler,
            self.database,
            self.gateways,
            self.scheduler.history,
            {operation.name: operation for operation in plan.operations},
        )
        self._wire_application()
        self._wire_delivery()

    def report_error(self, name: str, error: Exception) -> None:
        """Take what recovery and the scheduler report: errors of the tree are faults survived, others are defects."""
        self.scheduler.record(f"reports {type(error).__name__} about {name}: {error}")
        self.check_no_defect(error)

    def check_no_defect(self, error: BaseException) -> None:
        """Raise ``Violated`` for an error that no fault of the world explains."""
        tree = [kind.__name__ for kind in type(error).__mro__]
        if "PayonceError" not in tree or any(name in DEFECTS for name in tree):
            raise Violated("P0", f"an error that nothing explains: {error!r}")

    def answered(self, answer: Answered) -> None:
        """Check an answer that a client has."""
        for holds in invariants.ON_ANSWERED:
            holds(self.facts, answer)

    def _wire_application(self) -> None:
        scheduler, wire = self.scheduler, self.wire
        settings = load_settings({})
        self.application = application = Application(
            settings, clock=scheduler, database=self.database, gateways=self.gateways
        )
        # Of the actor's own stream, as its latencies: an actor that is left out changes no other's ids.
        application.ids = UlidSource(scheduler.now_ms, lambda size: scheduler.alive().latencies.randbytes(size))
        application.engine = IdempotencyEngine(
            store=application.store,
            settings=settings.idempotency,
            clock=scheduler,
            sleep=wire.sleep,
            flow=with_powertools,  # what the functions use
        )
        self._wire_recovery()
        limits = {(BreakClass.DUPLICATE_CAPTURE, currency): AUTOMATIC_MINOR for currency in CURRENCIES}
        self.corrections = Corrections(
            services=application.services,
            engine=application.engine,
            gateway_named=application.gateway,
            policy=lambda: Policy(automatic=limits),
            notifier=MemoryWorkflows(),
        )

    def _wire_recovery(self) -> None:
        application, book = self.application, Book(self.database)
        self.feeder = Feeder(
            Feeding(
                store=application.store,
                book=book,
                queue=self.recovery_queue,
                clock=self.scheduler,
                ids=application.ids,
                sleep=self.wire.sleep,
                bounds=dict.fromkeys(self.gateways, BOUND),
                other_bound=BOUND,
                limits=dict,
                report_error=self.report_error,
            )
        )
        recovery = Recovery(engine=application.engine, services=application.services, gateway_named=application.gateway)
        self.asker = Asker(
            recoveries=[recovery.recover],
            book=book,
            clock=self.scheduler,
            timeout_per_claim_ms=ASK_MS,
            report_error=self.report_error,
            # One after the other: a kill ends an execution's threads together, and other executions interleave.
            each=lambda settle, claims: [settle(claim) for claim in claims],
        )

    def _wire_delivery(self) -> None:
        scheduler, database = self.scheduler, self.database
        self._cipher = MemoryCipher(scheduler, Random(f"{self.plan.seed}/cipher").randbytes)
        self.receivers = SimulatedReceivers(self.wire, self._received)
        gates = Gates(database)
        # One after the other: a kill ends an execution's threads together, and other executions interleave.
        self.relay = Relay(database=database, queue=self.queue, clock=scheduler, gates=gates, each=in_turn)
        attempts = Attempts(
            database=database,
            queue=self.queue,
            transport=self.receivers,
            signer=Signer(cipher=self._cipher, clock=scheduler),
            clock=scheduler,
            jitter=self._jitter,
            report_disabled=lambda _name, _reason: None,
        )
        self.dispatcher = Dispatcher(
            Tools(
                attempts=attempts,
                gates=gates,
                crew=OneByOne,
                sleep=self.wire.sleep,
                report_error=self.report_error,
            )
        )
        self.deliveries = DeliveryScheduler(
            database=database,
            queue=self.queue,
            sweeper=Sweeper(database=database, relay=self.relay, clock=scheduler, report_error=self.report_error),
            advance=partial(advance_replay, database, self.queue, scheduler),
            clock=scheduler,
            report_error=self.report_error,
            each=in_turn,
        )
        for merchant, number in itertools.product(MERCHANTS, range(1, self.plan.endpoints + 1)):
            self._add_endpoint(merchant, number)

    def _add_endpoint(self, merchant: str, number: int) -> None:
        name = f"{merchant}_whe_{number}"
        now_ms = self.scheduler.now_ms()
        secret = HmacKey(b"s" * 32).text().encode()
        key = EndpointKey(
            key_id=KEY_ID,
            kind=KeyKind.HMAC_SHA256,
            sealed=self._cipher.seal(secret, key_context(merchant, name, KEY_ID)),
            created_at_ms=now_ms,
        )
        made = Endpoint(
            merchant_id=merchant,
            endpoint_id=name,
            url=f"https://whe_{number}.{merchant}.example/",
            event_types=("*",),
            keys=(key,),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        self.database.apply(create_writes(made)[:2])

    def _jitter(self) -> float:
        return self.scheduler.alive().latencies.random()

    def _stall_seconds(self) -> float:
        if not self.fates.over and self._stream_chance.random() < self.plan.stream_stalls:
            return self._stream_chance.uniform(5, 200)
        return self._stream_chance.uniform(0.05, 0.8)

    def _committed(self, commit: Commit) -> None:
        for holds in invariants.ON_COMMIT:
            holds(self.facts, commit)
        self.stream.take(commit)

    def _sent(self, sent: Sent) -> None:
        for holds in invariants.ON_SENT:
            holds(self.facts, sent)

    def _never_sent(self, gateway: str, instruction: Any) -> None:
        record_id = self.facts.record_of.get(instruction.gateway_reference)
        if record_id is not None:
            self.facts.never_sent[record_id] = gateway

    def _booked(self, gateway: str, booking: Booking) -> None:
        for holds in invariants.ON_BOOKED:
            holds(self.facts, gateway, booking)

    def _received(self, received: Received) -> None:
        for holds in invariants.ON_RECEIVED:
            holds(self.facts, received)

    def open_claims(self) -> list[str]:
        """Return the ids of the claims that are not completed."""
        return [item["id"] for item in self.database.items(Table.IDEMPOTENCY) if item["status"] != "COMPLETED"]

    def undelivered(self) -> list[str]:
        """Return what has to be delivered yet: events that lack a delivery, and deliveries under way."""
        deliveries = self.database.items(Table.DELIVERIES)
        return self._unrelayed() + [item["delivery_id"] for item in deliveries if item.get("status") == "pending"]

    def is_due(self, within_seconds: int) -> bool:
        """Return whether an event lacks a delivery, or a delivery is to be looked at soon."""
        until_ms = self.scheduler.true_ms() + within_seconds * 1000 + MAX_SKEW_MS
        return bool(self._unrelayed()) or any(
            item.get("due_at_ms", until_ms + 1) <= until_ms for item in self.database.items(Table.DELIVERIES)
        )

    def _unrelayed(self) -> list[str]:
        there = {item["sk"] for item in self.database.items(Table.DELIVERIES)}
        endpoints = [item for item in self.database.items(Table.ENDPOINTS) if "url" in item]
        return [
            name
            for event in filter(is_event, self.database.items(Table.OUTBOX))
            for endpoint in endpoints
            if endpoint["merchant_id"] == event["merchant_id"]
            and DELIVERY_PREFIX
            + delivery_id(name := event_name(event), endpoint["endpoint_id"], event["created_at_ms"])
            not in there
        ]
