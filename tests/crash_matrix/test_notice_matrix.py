"""Killed, or frozen, at every step about a gateway's event: disputes, late reversals, what its dashboard does.

Real processes, DynamoDB Local and the sandbox bank over HTTP, whose own events are posted: as they happen, each twice,
in the reverse order, and a day late. A request that is struck is posted again, as gateways do, and a message that is
struck comes again, as queues do. At the end there is one charge, one journal entry for each movement of the bank's, a
balanced journal, and a status that is the bank's. PAYONCE_CRASH_MATRIX=full runs every case.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.sandbox_bank.sender import signature
from payonce.domain.ledger import gateway_disputed, gateway_receivable
from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from tests.crash_matrix import notice_child
from tests.crash_matrix.conftest import NOTICE_ROWS
from tests.crash_matrix.test_crash_matrix import FULL, LEASE_JUST_OVER_MS, Case
from tests.support.aws import dump
from tests.support.stored import entries_in, events_in, payments_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from payonce.domain.payment import Payment
    from tests.crash_matrix.fork_server import ForkServer, Process

DAY_MS = 86_400_000
VISIBILITY_MS = 61_000  # after which a message comes again that nobody has deleted
ATTEMPTS = 5
ORDERS = ("as they happen", "twice", "reversed", "a day late")
SIDES, HOWS = ("before", "after"), ("exit", "freeze", "nap")
ACCEPTED = ("accept write:1", "accept send:1")
# The first event that changes a payment makes its head, then it is booked, and then the event is ended.
APPLIED = ("apply read:1", "apply write:1", "apply write:2", "apply write:3")
# A debit's success is read by its settlement: taken over, asked, committed; then the charge is read, and it ends.
SETTLED = ("apply find:1", "apply read:1", "apply write:1", "apply write:2", "apply write:3")
_banks = itertools.count()


@dataclass(frozen=True, slots=True)
class Story:
    """What happens at the bank after the payment, and what our payment comes to.

    ``acts``: actions of the bank's dashboard, ``days`` that pass, or ``ours``, a refund of the merchant's, whose
    process is killed in ``lost``. ``status``: of the payment at the end.
    """

    acts: tuple[str, ...]
    status: str
    token: str = "tok_ok"
    capture: str = "automatic"
    method_type: str = "card"
    steps: tuple[str, ...] = (*ACCEPTED, *APPLIED)


STORIES: dict[str, Story] = {
    "dispute opened": Story(("dispute",), "captured"),
    "evidence due": Story(("dispute", "days 6.5"), "captured"),
    "dispute won": Story(("dispute", "evidence", "win"), "captured"),
    "dispute lost": Story(("dispute", "lose"), "captured"),
    "dispute lost unanswered": Story(("dispute", "days 6.5", "days 1"), "captured"),
    "part disputed, part refunded": Story(("dispute 600", "refund 400", "win"), "partially_refunded"),
    "disputed again": Story(("dispute 300", "win", "dispute 500", "lose"), "captured"),
    "refunded in the dashboard": Story(("refund",), "refunded"),
    "refunded in parts": Story(("refund 300", "refund 200"), "partially_refunded"),
    "reversed in part": Story(("reverse 400",), "captured"),
    "reversed": Story(("reverse",), "reversed"),
    "debit reversed": Story(
        ("days 3", "days 6"), "reversed", "tok_debit_reversed", method_type="bank_debit", steps=(*ACCEPTED, *SETTLED)
    ),
    "captured in the dashboard, then disputed": Story(("capture", "dispute"), "captured", capture="manual"),
    "refunded by us and in the dashboard": Story(("refund 300", "ours 200", "refund 100"), "partially_refunded"),
    "refunded by us while disputed": Story(("dispute 500", "ours 400", "win"), "partially_refunded"),
    "our refund is in doubt": Story(("lost 400",), "partially_refunded", steps=(*ACCEPTED, *SETTLED)),
    "our refund is in doubt, then disputed": Story(
        ("lost 400", "dispute 500", "lose"), "partially_refunded", steps=(*ACCEPTED, *SETTLED)
    ),
    "canceled in the dashboard": Story(("cancel",), "voided", capture="manual"),
}


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
        assert process.exit in {137, None}
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


def moved_at_the_bank(charge: dict[str, Any]) -> Counter[str]:
    """Return what was moved of a charge, in minor units, by the words of ``moved_in_the_journal``."""
    moved = Counter({name: charge[f"{name}_minor"] for name in ("captured", "refunded", "reversed")})
    for dispute in charge["disputes"]:
        moved["withdrawn"] += dispute["amount_minor"]
        if dispute["status"] in {"won", "lost"}:
            moved[dispute["status"]] += dispute["amount_minor"]
    return moved


def moved_in_the_journal(entries: list[dict[str, Any]]) -> Counter[str]:
    """Return what was booked, in minor units."""
    moved: Counter[str] = Counter()
    for entry in entries:
        owed = entry["accounts"].get(gateway_receivable("bank"), 0)
        disputed = entry["accounts"].get(gateway_disputed("bank"), 0)
        subject, _, change = entry["type"].partition(".")
        kind = {"refund": "refunded", "capture": "captured"}.get(subject, change.partition("_")[0])
        if disputed:
            kind = "withdrawn" if disputed > 0 else "won" if owed else "lost"
        moved[kind] += abs(disputed or owed)
    return moved


def _is_another(story: Story, order: str, how: str) -> bool:
    """Return whether a case is not the same as another one: one event has no order, and wakes when the next comes."""
    if len(story.acts) == 1:
        return order != "reversed" and how != "nap"
    return how != "nap" or order in {"as they happen", "twice"}


def _cases() -> list[Any]:
    """Return every case, or of each story two: at another point, in another order, killed and frozen in turn."""
    found: list[Any] = []
    for index, (name, story) in enumerate(STORIES.items()):
        cases = [case for case in itertools.product(story.steps, SIDES, ORDERS, HOWS) if _is_another(story, *case[2:])]
        chosen = {(7 * index + 11) % len(cases), (31 * index + 101) % len(cases)}
        for number, (step, side, order, how) in enumerate(cases):
            if FULL or number in chosen:
                task, _, call = step.partition(" ")
                label = f"{task}, {side} {call}"
                found.append(
                    pytest.param(name, order, (task, f"{side}:{call}"), how, id=f"{name}-{order}-{label}-{how}")
                )
    return found


@pytest.mark.parametrize(("name", "order", "point", "how"), _cases())
def test_each_movement_is_booked_once_and_truly(
    name: str,
    order: str,
    point: tuple[str, str],
    how: str,
    dynamodb_url: str,
    bank: BankHandle,
    fork_server: ForkServer,
    tmp_path: Path,
) -> None:
    story = STORIES[name]
    case = NoticeCase(dynamodb_url, bank, tmp_path, fork_server, story)
    created = case.run(do="payment", key="the-key-of-the-payment")
    case.payment_id = json.loads(created["body"])["id"]
    for event in case.new_events():
        case.post(event)
    case.apply_all()
    case.armed = (*point, "exit" if how == "exit" else "freeze")
    told = _told(case, story, order, how)
    case.apply_all()
    assert case.struck is not None, "nothing was struck"
    case.wake()
    case.apply_all()
    case.quiet()
    for event in told[::-1]:
        case.post(event)  # once more, long after
    case.apply_all()
    _check(case, story, f"{name}, {order}", f"{point[0]} {point[1]}", how)
    if case.refund_task:
        case.answers.append(case.run(**case.refund_task))
        assert len({answer["body"] for answer in case.answers if answer.get("status") == 201}) <= 1
    again = case.run(do="payment", key="the-key-of-the-payment")
    # After a day the key has expired; until then it is answered as it was.
    assert again.get("error") == "KeyExpired" or (again["status"], again["body"]) == (201, created["body"])


def _told(case: NoticeCase, story: Story, order: str, how: str) -> list[dict[str, Any]]:
    """Let the story happen, and post its events in the order; return them."""
    told: list[dict[str, Any]] = []
    for act in story.acts:
        case.act(act)
        if how == "nap":
            case.wake()  # what it has read is older than what has just happened
        events = case.new_events()
        told += events
        for event in events if order in {"as they happen", "twice"} else ():
            case.post(event)
            if order == "twice":
                case.post(event)
            case.apply_due()
    if order == "a day late":
        case.pass_time(DAY_MS)
    for event in {"reversed": told[::-1], "a day late": told}.get(order, ()):
        case.post(event)
        case.apply_due()
    return told


def _check(case: NoticeCase, story: Story, told: str, point: str, how: str) -> None:
    charge = case.charge()
    payment, entries = case.stored()
    executed = len(case.bank.books(bank=case.bank_name, kind="payment", status="succeeded"))
    moves, booked = moved_at_the_bank(charge), moved_in_the_journal(entries)
    NOTICE_ROWS.append((told, point, how, f"{executed} / {len(entries)} / {payment.status.value}"))
    assert executed == 1
    assert payment.status.value == story.status
    # Of a dispute that was won before anybody asked about it, neither the loss nor the win is booked.
    unseen = moves["withdrawn"] - booked["withdrawn"]
    assert unseen in _sums(each["amount_minor"] for each in charge["disputes"] if each["status"] == "won")
    assert booked + Counter(withdrawn=unseen, won=unseen) == +moves
    held = sum(each["amount_minor"] for each in charge["disputes"] if each["status"] not in {"won", "lost"})
    lost = sum(each["amount_minor"] for each in charge["disputes"] if each["status"] == "lost")
    assert (payment.captured_minor, payment.refunded_minor, payment.reversed_minor, payment.disputed_minor) == (
        charge["captured_minor"],
        charge["refunded_minor"],
        charge["reversed_minor"],
        held + lost,
    )
    owed = charge["captured_minor"] - charge["refunded_minor"] - charge["reversed_minor"] - held - lost
    totals: Counter[str] = Counter()
    for entry in entries:
        totals.update(entry["accounts"])
    assert (totals[gateway_receivable("bank")], totals[gateway_disputed("bank")]) == (owed, held)
    told_of = Counter(case.types())
    assert told_of["dispute.opened"] == len(charge["disputes"])
    for end in ("won", "lost"):
        assert told_of[f"dispute.{end}"] == sum(each["status"] == end for each in charge["disputes"])
    case.check_stored()


def _sums(amounts: Iterable[int]) -> set[int]:
    """Return every sum of some of the amounts."""
    sums = {0}
    for amount in amounts:
        sums |= {each + amount for each in sums}
    return sums
