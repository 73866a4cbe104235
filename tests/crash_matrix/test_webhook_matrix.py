"""The relay, the dispatcher and the scheduler are killed between every two steps, and everything is delivered twice.

Real processes, DynamoDB Local and a receiver over HTTP. Afterwards comes what the platform does by itself: the stream
gives its batch again, the queue its message, the scheduler runs. No event is lost, and every copy that a receiver saw
has the same ``webhook-id`` and the same bytes.

Seen to fail: with delivery ids drawn instead of derived, a relay run again makes more deliveries than endpoints;
with no look at what is due, "message lost" and a 500 killed before its message stay pending; with a sweeper that takes
an event with one delivery for relayed, "relay after:write:1, stream lost" is lost.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from local.receiver import running_receiver
from payonce.domain.endpoint import Endpoint, EndpointKey, KeyKind
from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.outbox import event_key, event_write
from payonce.stores.dynamodb_requests import from_attributes
from payonce.webhooks.endpoints import create_writes
from payonce.webhooks.keys import key_context
from payonce.webhooks.signing import HmacKey
from payonce.webhooks.verify import Verifier
from tests.crash_matrix.child import KILLED_EXIT_CODE, FileClock
from tests.crash_matrix.conftest import WEBHOOK_ROWS
from tests.crash_matrix.webhook_child import fixed_cipher, run
from tests.support.aws import create_tables, dump, dynamo_database, dynamodb_client
from tests.support.stored import events_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.receiver import ReceiverServer
    from tests.crash_matrix.fork_server import ForkServer

MERCHANT = "mer_hooks"
KEY = HmacKey(b"s" * 32)
VISIBILITY_TIMEOUT_MS = 360_000
ROUND_MS = 6 * 60_000  # longer than a lost message's grace
_numbers = itertools.count()

# Two endpoints: the relay inserts twice and queues once. The dispatcher of a direct message posts and records.
RELAY_POINTS = (
    "before:write:1",
    "after:write:1",
    "after:write:2",
    "before:send:1",
    "after:send:1",
)
DISPATCH_POINTS = (
    "before:post:1",
    "during:post:50",
    "after:post:1",
    "before:write:1",
    "after:write:1",
)
# After a failure: the record, the message of the next attempt, and the receiver's health.
RETRY_POINTS = ("before:write:1", "after:write:1", "before:send:1", "after:send:1", "before:write:2", "after:write:2")
# The endpoint is disabled before that.
GONE_POINTS = ("before:write:1", "after:write:1", "before:write:2", "after:write:2", "before:write:3", "after:write:3")
# Who is woken takes the lane, leases what a message had, posts, records, and gives the lane back.
LANE_POINTS = (
    "before:write:1",
    "after:write:1",
    "before:write:2",
    "after:write:2",
    "before:post:1",
    "during:post:50",
    "after:post:1",
    "before:write:3",
    "after:write:3",
    "before:write:4",
    "after:write:4",
)
LANE_RETRY_POINTS = (
    "before:write:3",
    "after:write:3",
    "before:send:1",
    "after:send:1",
    "before:write:4",
    "after:write:4",
    "before:write:5",
    "after:write:5",
)
SCHEDULE_POINTS = ("before:send:1", "after:send:1", "before:write:1", "after:write:1")
TROUBLES = (
    "stream read again",
    "stream lost, sweeper",
    "message twice",
    "message lost",
    "redriven after delivery",
    "redriven while pending",
)


class Case:
    """One event on its way to two endpoints, with tables, queue and clock of its own."""

    def __init__(self, url: str, folder: Path, receiver: ReceiverServer, server: ForkServer) -> None:
        self.client = dynamodb_client(url)
        self.names = create_tables(self.client, f"hooks{next(_numbers)}-")
        self.database = dynamo_database(self.client, self.names)
        self.queue_folder = folder / "queue"
        self.queue_folder.mkdir()
        self.clock_file = folder / "clock"
        self.clock_file.write_text("0")
        self.clock = FileClock(self.clock_file)
        self.receiver, self.server = receiver, server
        self.paths = ("/one", "/two")
        for path in self.paths:
            self.database.write(create_writes(self._endpoint(path))[:2])
        event = build_event(
            Change.CHARGED,
            merchant_id=MERCHANT,
            resource_id="pay_1",
            version=1,
            created_at_ms=self.clock.now_ms(),
            data={"text": "ö☃"},
        )
        self.event = event
        self.database.write([event_write(event)])
        self.task = {
            "dynamodb_url": url,
            "tables": {table.value: name for table, name in self.names.items()},
            "queue_folder": str(self.queue_folder),
            "clock_file": str(self.clock_file),
        }
        self.relay_task = {"do": "relay", "events": [event_key("pay_1", 1)]}

    def _endpoint(self, path: str) -> Endpoint:
        identity = path.removeprefix("/")
        now_ms = self.clock.now_ms()
        sealed = fixed_cipher(self.clock).seal(KEY.text().encode(), key_context(MERCHANT, identity, "whk_1"))
        key = EndpointKey(key_id="whk_1", kind=KeyKind.HMAC_SHA256, sealed=sealed, created_at_ms=now_ms)
        return Endpoint(
            merchant_id=MERCHANT,
            endpoint_id=identity,
            url=self.receiver.url + path,
            event_types=("payment.*",),
            keys=(key,),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )

    def run(self, **task: Any) -> dict[str, Any]:
        """Run a task that nobody kills, in this process."""
        return run({**self.task, **task})

    def kill(self, point: str, **task: Any) -> None:
        """Run a task in a process of its own that ends at ``point``."""
        assert self.server.do("webhook", {**self.task, **task, "point": point}).exit == KILLED_EXIT_CODE

    def take(self) -> list[str]:
        """Return and remove the messages that are visible now."""
        visible = [file for file in sorted(self.queue_folder.iterdir()) if int(file.name[:15]) <= self.clock.now_ms()]
        bodies = [file.read_text() for file in visible]
        for file in visible:
            file.unlink()
        return bodies

    def pass_time(self, milliseconds: int) -> None:
        self.clock_file.write_text(str(int(self.clock_file.read_text()) + milliseconds))

    def settle(self) -> None:
        """Let the platform go on: messages are delivered, time passes, the scheduler runs."""
        for _ in range(3):
            for message in self.take():
                self.run(do="dispatch", message=message)
            self.pass_time(ROUND_MS)
            self.run(do="schedule")
        for message in self.take():
            self.run(do="dispatch", message=message)

    def check(self, label: str, *, held: str | None = None) -> None:
        """Every endpoint has the event; every copy is the same; nothing is left over."""
        copies = Counter(one.path for one in self.receiver.received)
        seen = {(one.headers["webhook-id"], one.body) for one in self.receiver.received}
        tables = dump(self.client, self.names)
        statuses = {item["endpoint_id"]["S"]: item["status"]["S"] for item in tables["deliveries"]}
        WEBHOOK_ROWS.append((label, f"{copies['/one']}+{copies['/two']}", str(len(seen)), ", ".join(statuses.values())))
        assert len(tables["deliveries"]) == len(self.paths)
        assert seen == {(self.event.event_id, self.event.body)}
        assert set(copies) == set(self.paths)
        assert statuses == {path[1:]: "held" if path == held else "delivered" for path in self.paths}
        assert all("due_list" not in item for item in tables["deliveries"])
        now_seconds = self.clock.now_ms() / 1000
        verifier = Verifier([KEY.text()], tolerance_seconds=3600, clock=lambda: now_seconds)
        for one in self.receiver.received:
            assert verifier.verify(one.headers, one.body).id == self.event.event_id


@pytest.fixture
def case(dynamodb_url: str, tmp_path: Path, fork_server: ForkServer) -> Iterator[Case]:
    with running_receiver() as receiver:
        yield Case(dynamodb_url, tmp_path, receiver, fork_server)


@pytest.mark.parametrize("point", RELAY_POINTS)
def test_a_relay_killed_anywhere_loses_nothing(case: Case, point: str) -> None:
    case.kill(point, **case.relay_task)
    case.run(**case.relay_task)  # the stream gives the batch again
    case.settle()
    case.check(f"relay {point}")


@pytest.mark.parametrize("point", RELAY_POINTS)
def test_a_relay_killed_with_its_stream_lost_is_made_good_by_the_sweeper(case: Case, point: str) -> None:
    case.kill(point, **case.relay_task)
    case.settle()
    case.check(f"relay {point}, stream lost")


@pytest.mark.parametrize("point", DISPATCH_POINTS)
def test_a_dispatcher_killed_anywhere_loses_nothing(case: Case, point: str) -> None:
    case.run(**case.relay_task)
    case.receiver.delay_seconds = 0.3 if point.startswith("during") else 0
    first, *others = case.take()
    case.kill(point, do="dispatch", message=first)
    case.receiver.delay_seconds = 0
    for message in others:
        case.run(do="dispatch", message=message)
    case.pass_time(VISIBILITY_TIMEOUT_MS)
    case.run(do="dispatch", message=first)  # the queue gives the message again
    case.settle()
    case.check(f"dispatch {point}")


@pytest.mark.parametrize("point", RETRY_POINTS)
def test_a_dispatcher_killed_around_a_failed_attempt_loses_nothing(case: Case, point: str) -> None:
    case.run(**case.relay_task)
    first, *others = case.take()
    case.receiver.statuses = {f"/{json.loads(first)['endpoint_id']}": [500]}
    case.kill(point, do="dispatch", message=first)
    for message in others:
        case.run(do="dispatch", message=message)
    case.pass_time(VISIBILITY_TIMEOUT_MS)
    case.run(do="dispatch", message=first)
    case.settle()
    case.check(f"dispatch of a 500 {point}")


@pytest.mark.parametrize("point", GONE_POINTS)
def test_a_dispatcher_killed_around_a_410_holds_the_event(case: Case, point: str) -> None:
    case.run(**case.relay_task)
    first, *others = case.take()
    path = f"/{json.loads(first)['endpoint_id']}"
    case.receiver.statuses = {path: [410] * 9}
    case.kill(point, do="dispatch", message=first)
    for message in others:
        case.run(do="dispatch", message=message)
    case.pass_time(VISIBILITY_TIMEOUT_MS)
    case.run(do="dispatch", message=first)
    case.settle()
    tables = dump(case.client, case.names)
    outbox = [from_attributes(item) for item in tables["outbox"] if item["pk"]["S"] == path[1:]]
    changes = [event["event_type"] for event in events_in(outbox)]
    assert changes == ["webhook_endpoint.disabled"]
    case.check(f"dispatch of a 410 {point}", held=path)


def _woken(case: Case) -> list[str]:
    """Lose both direct messages, and return the wake messages that the scheduler sends for their deliveries."""
    case.run(**case.relay_task)
    case.take()
    case.pass_time(ROUND_MS)
    case.run(do="schedule")
    messages = case.take()
    assert all("lane" in json.loads(message) for message in messages)
    return messages


@pytest.mark.parametrize("point", LANE_POINTS)
def test_a_sender_killed_anywhere_in_a_lane_loses_nothing(case: Case, point: str) -> None:
    first, *others = _woken(case)
    case.receiver.delay_seconds = 0.3 if point.startswith("during") else 0
    case.kill(point, do="dispatch", message=first)
    case.receiver.delay_seconds = 0
    for message in others:
        case.run(do="dispatch", message=message)
    case.pass_time(VISIBILITY_TIMEOUT_MS)
    case.run(do="dispatch", message=first)
    case.settle()
    case.check(f"lane {point}")


@pytest.mark.parametrize("point", LANE_RETRY_POINTS)
def test_a_sender_killed_in_a_lane_around_a_failed_attempt_loses_nothing(case: Case, point: str) -> None:
    first, *others = _woken(case)
    case.receiver.statuses = {f"/{json.loads(first)['endpoint_id']}": [500]}
    case.kill(point, do="dispatch", message=first)
    for message in others:
        case.run(do="dispatch", message=message)
    case.settle()
    case.check(f"lane, a 500 {point}")


@pytest.mark.parametrize("point", SCHEDULE_POINTS)
def test_a_scheduler_killed_anywhere_loses_nothing(case: Case, point: str) -> None:
    case.run(**case.relay_task)
    case.take()  # both messages are lost
    case.pass_time(ROUND_MS)
    case.kill(point, do="schedule")
    case.settle()
    case.check(f"schedule {point}")


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_comes_twice_or_not_at_all_is_one_event(case: Case, trouble: str) -> None:
    if trouble != "stream lost, sweeper":
        case.run(**case.relay_task)
    messages = case.take()
    if trouble == "redriven while pending":
        case.receiver.statuses = {path: [500] for path in case.paths}
    if trouble != "message lost":
        for message in messages:
            case.run(do="dispatch", message=message)
    if trouble == "stream read again":
        case.run(**case.relay_task)
    if trouble in {"message twice", "redriven after delivery", "redriven while pending"}:
        case.pass_time(0 if trouble == "message twice" else VISIBILITY_TIMEOUT_MS)
        for message in messages:
            # A copy that comes while the next attempt is due asks for that one.
            due = trouble == "redriven while pending"
            assert case.run(do="dispatch", message=message)["outcome"] == ("drained" if due else "not_asked_for")
    case.settle()
    case.check(trouble)
