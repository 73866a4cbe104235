"""Killed, or frozen, at every step about a gateway's event: disputes, late reversals, what its dashboard does.

Real processes, DynamoDB Local and the sandbox bank over HTTP, whose own events are posted: as they happen, each twice,
in the reverse order, and a day late. A request that is struck is posted again, as gateways do, and a message that is
struck comes again, as queues do. At the end there is one charge, one journal entry for each movement of the bank's, a
balanced journal, and a status that is the bank's. PAYONCE_CRASH_MATRIX=full runs every case.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.ledger import gateway_disputed, gateway_receivable
from tests.crash_matrix.conftest import NOTICE_ROWS
from tests.crash_matrix.notice_case import DAY_MS, NoticeCase
from tests.crash_matrix.test_crash_matrix import FULL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from tests.crash_matrix.fork_server import ForkServer

ORDERS = ("as they happen", "twice", "reversed", "a day late")
SIDES, HOWS = ("before", "after"), ("exit", "freeze", "nap")
ACCEPTED = ("accept write:1", "accept send:1")
# The first event that changes a payment makes its head, then it is booked, and then the event is ended.
APPLIED = ("apply read:1", "apply write:1", "apply write:2", "apply write:3")
# A refund of ours has made the head already, where its events come late.
AFTER_OURS = APPLIED[:-1]
# A debit's success is read by its settlement: taken over, asked, committed; then the charge is read, and it ends.
SETTLED = ("apply find:1", "apply read:1", "apply write:1", "apply write:2", "apply write:3")


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
    "refunded by us and in the dashboard": Story(
        ("refund 300", "ours 200", "refund 100"), "partially_refunded", steps=(*ACCEPTED, *AFTER_OURS)
    ),
    "refunded by us while disputed": Story(
        ("dispute 500", "ours 400", "win"), "partially_refunded", steps=(*ACCEPTED, *AFTER_OURS)
    ),
    "our refund is in doubt": Story(("lost 400",), "partially_refunded", steps=(*ACCEPTED, *SETTLED)),
    "our refund is in doubt, then disputed": Story(
        ("lost 400", "dispute 500", "lose"), "partially_refunded", steps=(*ACCEPTED, *SETTLED)
    ),
    "canceled in the dashboard": Story(("cancel",), "voided", capture="manual"),
}


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
    """Return every case, or of each story one or two: at another point, in another order, killed and frozen in turn."""
    found: list[Any] = []
    for index, (name, story) in enumerate(STORIES.items()):
        cases = [case for case in itertools.product(story.steps, SIDES, ORDERS, HOWS) if _is_another(story, *case[2:])]
        chosen = {(31 * index + 101) % len(cases), *([(7 * index + 11) % len(cases)] if len(story.acts) > 1 else [])}
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
