"""An application in memory whose console has something on every page and in every list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.delivery import Answer
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.ids import event_id
from payonce.outbox import find_event
from payonce.packing import pack
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case_items import RUN_CHANGE_PREFIX, run_partition
from payonce.reconciliation.readers.read import file_id_of
from payonce.reconciliation.runs.files import KnownFile, remember_file
from payonce.reconciliation.runs.run_log import REPORT_KEY, RUNS_PARTITION
from payonce.reconciliation.runs.uploads import remember_refusal
from payonce.routing.control.override_desk import OverrideDesk
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_queue import MemoryQueue
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.webhooks.replay_items import ReplayOnly, insert_replay_write, new_replay
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.breaks import store_break, store_proposal
from tests.support.console_reads import CountingDatabase
from tests.support.console_views import AuditedTable, payment_id_of
from tests.support.decisions import keep_decisions
from tests.support.disputes import store_dispute
from tests.support.overview import ENVIRONMENT, GATEWAYS, store_hour, store_routes
from tests.support.webhooks import WebhookWorld
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from tests.support.world import ManualClock

BREAK_ID, AWAITING_ID = "brk_" + "b7" * 32, "brk_" + "c8" * 32
ENDPOINT_ID = "we_" + "0" * 26
RUN_ID = f"run_{1:026d}"
KEYS = ("key-of-a-shop-0001", "key-of-a-capture-1", "key-of-a-refund-01")


class Stocked:
    """The application, and the paths of its pages. ``merchant_id`` is the merchant whose they are."""

    merchant_id = MERCHANT

    def __init__(self) -> None:
        world = World(database=CountingDatabase())
        self.clock: ManualClock = world.clock
        self.application = Application(
            load_settings(ENVIRONMENT),
            clock=world.clock,
            database=world.database,
            delivery_queue=MemoryQueue(),
            workflows=MemoryWorkflows(),
            files=MemoryFiles(),
        )
        trail = AuditedTable(world)
        self._routing()
        self.payment_id = str(json.loads(world.create(KEYS[0], capture=CaptureMethod.MANUAL).response.body)["id"])
        world.follow_up(OperationKind.CAPTURE, self.payment_id, KEYS[1], 900)
        world.gateway.script = ["lost"]
        world.gateway.lookup_fails = True
        world.follow_up(OperationKind.REFUND, self.payment_id, KEYS[2], 100)
        trail.note()
        self.disputed_id = payment_id_of(5)
        store_dispute(world.database, MERCHANT, payment_id=self.disputed_id, name="dp_bank")
        self.delivery_id = self._webhooks(world)
        self._cases()
        world.clock.ms += 1_000

    def pages(self) -> list[str]:
        """Return the path of every page, with the merchant where a page is about one."""
        of = f"merchant={MERCHANT}"
        return [
            "/",
            f"/payments?{of}",
            f"/payments?{of}&q={self.payment_id}",
            f"/payments/{self.payment_id}?{of}",
            f"/payments/{self.disputed_id}?{of}",
            "/keys",
            f"/keys?{of}&key={KEYS[0]}",
            f"/webhooks?{of}",
            f"/webhooks/{ENDPOINT_ID}?{of}",
            f"/webhooks/{ENDPOINT_ID}/deliveries/{self.delivery_id}?{of}",
            "/gateways",
            "/gateways/decisions",
            f"/gateways/decisions/{self.epoch}?hour={self.hour}",
            "/breaks",
            f"/breaks/{BREAK_ID}",
            f"/breaks/{AWAITING_ID}",
            "/runs",
            f"/runs/{RUN_ID}",
            "/files",
            f"/balances?{of}",
            "/audit",
        ]

    def _routing(self) -> None:
        database, now_ms = self.application.database, self.clock.ms
        store_hour(database, now_ms)
        store_routes(database, now_ms)
        document = keep_decisions(database, now_ms)
        self.epoch, self.hour = document.epoch, ""
        desk = OverrideDesk(database, self.clock, dict.fromkeys(GATEWAYS, 1 / 3))
        desk.set(operator="ann", reason="alder maintains its hosts", shares={"alder": 0.0}, life_ms=7_200_000)
        desk.set(operator="bob", reason="birch is slow", shares={"birch": 0.5}, life_ms=300_000)

    def _webhooks(self, world: World) -> str:
        hooks = WebhookWorld(clock=world.clock, database=world.database)
        endpoint = hooks.endpoint(ENDPOINT_ID)
        hooks.receivers.scripts[endpoint.url] = [Answer(status=500, latency_ms=70, excerpt="oh <b>no</b>")]
        event = find_event(world.database, MERCHANT, event_id(self.payment_id, 1))
        assert event is not None
        hooks.relay_events(event)
        hooks.dispatch()
        delivery_id, now_ms = hooks.deliveries(endpoint)[0].delivery_id, world.clock.ms
        replay = new_replay(
            endpoint, "rpl_" + "0" * 26, only=ReplayOnly.ALL, from_ms=now_ms - 60_000, until_ms=now_ms, now_ms=now_ms
        )
        world.database.write([insert_replay_write(replay)])
        return delivery_id

    def _cases(self) -> None:
        database, now_ms = self.application.database, self.clock.ms
        store_break(database, MERCHANT, BREAK_ID, now_ms, payment_id_of(6))
        store_proposal(database, store_break(database, MERCHANT, AWAITING_ID, now_ms, payment_id_of(7)))
        numbers = dict.fromkeys(("seconds", "files", "rows", "opened", "reopened", "closed", "notices"), 1)
        line = {**numbers, "run_id": RUN_ID, "as_of_ms": now_ms, "breaks": 2, "policy_refused": False}
        classes = {"break_class": "missing_in_bank", "severity": "high", "currency": "EUR"}
        aged = {"break_class": "missing_in_bank", "currency": "EUR", "counts": [1, 1, 0, 0, 0, 0], "overdue": 1}
        report = {
            "notices": [], "remarks": ["A file came late."], "policy_refused": None, "manifest_hash": "a" * 64,
            "digest": "b" * 64, "policy_id": None, "tallies": [["bank", "EUR", "break", 2, 1_050]],
            "classes": [{**classes, "count": 2, "amount_minor": 1_050, "overdue": 1}],
            "ageing": [aged, {**aged, "break_class": None}],
        }  # fmt: skip
        whole = {**line, "pk": run_partition(RUN_ID), "sk": REPORT_KEY, "packed": pack(json.dumps(report).encode())}
        changed = {"pk": run_partition(RUN_ID), "sk": f"{RUN_CHANGE_PREFIX}{BREAK_ID}", "break_id": BREAK_ID}
        known = KnownFile(
            file_id=file_id_of(b"x"), name="bank.csv", file_format="camt", gateway=None, received_at_ms=now_ms
        )
        remember_file(database, known)
        remember_refusal(database, "incoming/bank/odd.csv", "It is <b>odd</b>.", now_ms)
        database.write(
            [
                Insert(Table.RECONCILIATION, whole),
                Insert(Table.RECONCILIATION, {**line, "pk": RUNS_PARTITION, "sk": f"{now_ms:013d}#{RUN_ID}"}),
                Insert(Table.RECONCILIATION, {**changed, "change": "found"}),
            ]
        )
