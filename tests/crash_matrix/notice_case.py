"""One case of the matrix of gateways' events: a bank of its own, whose events it posts, and a queue of its own."""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import os
import time
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.sender import signature
from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from tests.crash_matrix import notice_child
from tests.crash_matrix.child import KILLED_EXIT_CODE
from tests.crash_matrix.test_crash_matrix import LEASE_JUST_OVER_MS, Case
from tests.support.aws import dump
from tests.support.stored import entries_in, events_in, payments_in

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from payonce.domain.payment import Payment
    from tests.crash_matrix.fork_server import ForkServer, Process
    from tests.crash_matrix.test_notice_matrix import Story

DAY_MS = 86_400_000
VISIBILITY_MS = 61_000  # after which a message comes again that nobody has deleted
ATTEMPTS = 5
_banks = itertools.count()


class NoticeCase(Case):
    """A case with a bank of its own, whose events it posts, and a queue of its own."""

    def __init__(self, url: str, bank: BankHandle, folder: Path, server: ForkServer, story: Story) -> None:
        super().__init__(url, bank, "forgetful", folder, "", server)
        self.bank_name = f"told-{next(_banks)}-{os.getpid()}"
        bank.configure(self.bank_name, visible_after_ms=0)
        self.secret = bank.send_events(self.bank_name, None)
        self.queue_file = folder / "queue"
        self.queue_file.touch()
        self.task |= {
            "gateway": {"url": bank.base_url(self.bank_name), "lookup_authoritative_after_seconds": 0},
            "queue_file": str(self.queue_file),
            "secret": self.secret,
            "token": story.token,
            "method_type": story.method_type,
            "capture": story.capture,
        }
        self.offset_ms = 0
        self.payment_id, self.refund_task = "", dict[str, Any]()
        self.answers: list[dict[str, Any]] = []
        self.armed: tuple[str, str, str] | None = None
        self.struck: Process | None = None
        self._posted = self._read = 0
        self._waiting: list[tuple[int, int, str]] = []
        self._numbers = itertools.count()

    def now_ms(self) -> int:
        """Return payonce's time."""
        return time.time_ns() // 1_000_000 + self.offset_ms

    def pass_time(self, ms: int) -> None:
        """Move payonce's clock."""
        self.offset_ms += ms
        self.clock_file.write_text(str(self.offset_ms))

    def act(self, act: str) -> None:
        """Let something happen at the bank."""
        what, _, amount = act.partition(" ")
        if what == "days":
            self.bank.advance(self.bank_name, days=float(amount))
            self.pass_time(int(float(amount) * DAY_MS))
            return
        if what in {"ours", "lost"}:
            self._refund(int(amount), lost=what == "lost")
            return
        values: dict[str, Any] = {"amount_minor": int(amount)} if amount else {}
        if what in {"evidence", "win", "lose"}:
            newest = self.charge()["disputes"][-1]
            values = {"dispute_id": newest["dispute_id"]} | ({"text": "It was sent."} if what == "evidence" else {})
        else:
            values["charge_id"] = self.charge()["charge_id"]
        self.bank.dashboard(self.bank_name, what, **values)

    def _refund(self, amount_minor: int, *, lost: bool) -> None:
        """Let the merchant refund; with ``lost`` its process is killed once the bank has executed it."""
        task = {"do": "refund", "key": "the-key-of-the-refund", "payment_id": self.payment_id}
        self.refund_task = task | {"amount_minor": amount_minor}
        if lost:
            self.strike(point="after:submit:1", **self.refund_task)
        else:
            self.answers.append(self.run(**self.refund_task))

    def charge(self) -> dict[str, Any]:
        """Return the charge in the bank's books."""
        [row] = self.bank.books(bank=self.bank_name, kind="payment")
        return self.bank.charge(self.bank_name, row["charge_id"])

    def new_events(self) -> list[dict[str, Any]]:
        """Return what has happened at the bank since the last time."""
        events = self.bank.events(self.bank_name)[self._posted :]
        self._posted += len(events)
        return events

    # Our side.

    def post(self, event: dict[str, Any]) -> None:
        """Post an event until it is taken, as the bank does; then apply what is due."""
        body = json.dumps({name: value for name, value in event.items() if name != "deliveries"}).encode()
        for _ in range(ATTEMPTS):
            stamp = self.now_ms() // 1000
            signed = signature(self.secret, event["id"], stamp, body)
            headers = {"webhook-id": event["id"], "webhook-timestamp": str(stamp), "webhook-signature": signed}
            answer = self._do("accept", event=base64.b64encode(body).decode(), headers=headers)
            if answer is not None:
                assert answer["status"] == 200
                return
        raise AssertionError("the event is not taken")

    def apply_due(self) -> None:
        """Apply the messages that are due; one that was struck comes again."""
        while (message := self._next()) is not None:
            if self._do("apply", message=message) is None:
                self._put(message, self.now_ms() + VISIBILITY_MS)

    def apply_all(self) -> None:
        """Apply everything, also what becomes due."""
        self.apply_due()
        while self._waiting:
            self.pass_time(max(0, self._waiting[0][0] - self.now_ms()))
            self.apply_due()

    def _do(self, do: str, **values: Any) -> dict[str, Any] | None:
        """Do a task; ``None`` when it was struck."""
        task = {**self.task, "do": do, **values}
        if self.armed is None or self.armed[0] != do:
            return notice_child.run(task)
        process = self.server.do("notice", {**task, "point": self.armed[1], "how": self.armed[2]})
        if process.exit == 0:
            return process.said
        assert process.exit in {KILLED_EXIT_CODE, None}
        self.armed, self.struck = None, process
        return None

    def wake(self) -> None:
        """Wake what is frozen."""
        if self.struck is not None and self.struck.exit is None:
            self.struck = self.server.thaw(self.struck)
            assert self.struck.exit == 0

    def _next(self) -> str | None:
        lines = self.queue_file.read_text().splitlines()
        for line in lines[self._read :]:
            message = json.loads(line)
            self._put(message["body"], message["due_ms"])
        self._read = len(lines)
        if not self._waiting or self._waiting[0][0] > self.now_ms():
            return None
        return heapq.heappop(self._waiting)[2]

    def _put(self, message: str, due_ms: int) -> None:
        heapq.heappush(self._waiting, (due_ms, next(self._numbers), message))

    # The end.

    def quiet(self) -> None:
        """Let the schedule recover and settle what events have left, and apply the rest."""
        for pause_ms in (LEASE_JUST_OVER_MS, DAY_MS // 4):
            self.pass_time(pause_ms)
            assert self.run(do="recover")["failed"] == 0
            self.run(do="settle")
            self.apply_all()

    def types(self) -> list[str]:
        """Return the types of the payment's events."""
        outbox = [from_attributes(item) for item in dump(self.client, self.names)[Table.OUTBOX.value]]
        return [json.loads(event["body"])["type"] for event in events_in(outbox)]

    def stored(self) -> tuple[Payment, list[dict[str, Any]]]:
        """Return the payment, and the journal's entries as what they book and by how much."""
        tables = dump(self.client, self.names)
        outbox = [from_attributes(item) for item in tables[Table.OUTBOX.value]]
        [payment] = payments_in(map(from_attributes, tables[Table.PAYMENTS.value]), outbox)
        types = {int(item["sk"]): json.loads(item["body"])["type"] for item in events_in(outbox)}
        return payment, [{"type": types[entry.version], "accounts": entry.by_account()} for entry in entries_in(outbox)]
