"""An hour of payments as the streams keep it, for the pages that show it."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS, MINUTE_MS
from payonce.overview.breaks import CaseMoved, add_move
from payonce.overview.doubts import keep_doubts
from payonce.overview.failing import keep_failing
from payonce.overview.from_log import add_lines
from payonce.overview.minutes import MinuteCounts, Told, minute_of
from payonce.ports import Insert, Table
from payonce.routing.control.control_store import document_write
from payonce.routing.control.document import EVERYTHING, ControlDocument
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.minutes import CellMinute, RouteMinute, minute_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database

NOW_MS = 1_795_526_278_000
ACME, OTHER = "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRB"
REASON = "alder: 14.0 % of its card payments are late or will be within 60 s: card moves from 50 % to 10 %"
GATEWAYS = ("alder", "birch", "cedar")
CELLS = {f"{gateway}|{method}": share for gateway in GATEWAYS for method, share in (("card", 0.8), ("sepa_debit", 0.2))}
ENVIRONMENT: Mapping[str, str] = {
    "PAYONCE_GATEWAYS": json.dumps(
        [{"name": name, "kind": "sandbox_bank", "url": "http://127.0.0.1:9"} for name in GATEWAYS]
    ),
    "PAYONCE_DEFAULT_GATEWAY": "alder",
    "PAYONCE_ROUTING_MODE": "on",
    "PAYONCE_ROUTING": json.dumps({"weights": {"alder": 0.5, "birch": 0.3, "cedar": 0.2}}),
    "PAYONCE_ROUTING_TABLE": "routing",
}


def store_hour(database: Database, now_ms: int = NOW_MS) -> None:
    """Store an hour of payments of two merchants: 40 a minute of one and 2 of the other, with all that is kept."""
    for merchant in (ACME, OTHER):
        database.write([Insert(Table.MERCHANTS, {"pk": f"MERCHANT#{merchant}", "sk": "MERCHANT"})])
    counts, number, last = MinuteCounts(database), 0, minute_of(now_ms)
    for minute in range(last - 60, last + 1):
        told = []
        for place in range(42):
            number += 1
            merchant = ACME if place < 40 else OTHER
            ended = ("payment.captured",) if place % 10 else ("payment.declined", "declined:insufficient_funds")
            told.append(Told(str(number), merchant, minute, (*ended, "made")))
        counts.add("shard-1", told)
    at_ms = last * MINUTE_MS
    keep_doubts(database, [(ACME, at_ms - age * MINUTE_MS) for age in (2, 8, 20, 300)], at_ms, complete=True)
    keep_failing(database, {ACME: 2}, at_ms, True)
    add_lines(database, [("line-1", at_ms, {ACME: {"replayed": 5, "conflict:KeyReused": 1}})])
    for number, age in enumerate((0, 0, 5, 60)):
        move = CaseMoved(f"brk_{number}", 1, ACME, now_ms // DAY_MS - age, 1)
        add_move(database, move, now_ms=now_ms)


def store_routes(database: Database, now_ms: int = NOW_MS, minutes: int = 60) -> None:
    """Store as many minutes of three gateways, one of which becomes slow for a while, and a decision in force."""
    draw, last = random.Random(5), minute_of(now_ms)
    for place in range(minutes):
        minute = last - minutes + 1 + place
        slow = 1 + 3.5 * (place - 30) / 12 if 30 < place < 44 else 1.0
        weights = {"alder": 0.5 if place < 38 else 0.1, "birch": 0.3, "cedar": 0.2 if place < 38 else 0.6}
        cells = {}
        for key, share in CELLS.items():
            cell = cells[key] = CellMinute(expected=0.25 if key == "alder|card" and 36 < place < 46 else 0.004)
            for _ in range(int(100 * weights[key.partition("|")[0]] * share)):
                latency_ms = draw.lognormvariate(math.log(240 * (slow if key == "alder|card" else 1)), 0.5)
                cell.sketch.add(latency_ms)
                cell.bad += latency_ms > 3_000
                outcome = "approved" if draw.random() < 0.88 else "declined"
                cell.ends[outcome] = cell.ends.get(outcome, 0) + 1
        limits = {"alder": 41.0} if place > 38 else {}
        seen = RouteMinute(cells, {"card": weights}, limits, "on", REASON, 100 + place)
        database.write([minute_write(minute, seen)])
    document = ControlDocument(
        mode=Mode.ON,
        epoch=160,
        issued_at_ms=now_ms - 2_000,
        expires_at_ms=now_ms + 28_000,
        reason=REASON,
        weights={"card": {"alder": 0.1, "birch": 0.3, "cedar": 0.6}},
        limits={"alder": 41.0},
        admission=EVERYTHING,
    )
    database.write([document_write(document)])
