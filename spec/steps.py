"""The steps of a claim that the specification allows, and the check of a step that was seen.

``steps.json`` holds them as TLC prints them (``PayonceSteps.tla``); a test compares it with a fresh run. A step is
seen in two images of a record, in a submission, or in two entries of the audit trail. What is not seen is ``None``, and
fits anything.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.idempotency.audit_stream import entry_of
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.payments.operations import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.ports import Item

STEPS = Path(__file__).with_name("steps.json")
NONE = "none"
IN_PROGRESS, COMPLETED = RecordStatus.IN_PROGRESS.value, RecordStatus.COMPLETED.value


class NotAllowed(Exception):
    """The specification has no such step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one key, in the words of ``PayonceSteps.tla``. ``None``: not seen.

    ``effect``: "outside" of the commit or all in the "commit". ``event``: the transition, or "sent". ``by``: "owner" or
    "operator". ``before``, ``after``: the record's status. ``owners``: none, first or later, before the step.
    ``fence``, ``claim``: how they change. ``lease``: whether the one before was over, by the actor's clock.
    ``horizon``: how it changes. ``sent``: whether a parking owner had sent anything, or a sending one had asked.
    ``reference``: how the present attempt changes.
    """

    effect: str | None = None
    event: str
    by: str | None = "owner"
    before: str | None
    after: str | None
    owners: str | None
    fence: str | None
    claim: str | None
    lease: str | None = "-"
    horizon: str | None = "-"
    sent: str | None = "-"
    reference: str | None = "-"


type Row = tuple[str, ...]


def printed() -> dict[str, frozenset[Row]]:
    """Return the steps that TLC has printed, by model."""
    document = json.loads(STEPS.read_text("utf-8"))
    return {model: frozenset(tuple(row) for row in rows) for model, rows in document.items()}


def write_printed(steps: Mapping[str, Iterable[Row]]) -> None:
    """Write the file: a line for each step."""
    models = []
    for model, rows in steps.items():
        lines = ",\n".join(json.dumps(row) for row in sorted(rows))
        models.append(f"{json.dumps(model)}: [\n{lines}\n]")
    STEPS.write_text("{\n" + ",\n".join(models) + "\n}\n", "utf-8")


@cache
def allowed() -> frozenset[Row]:
    """Return the steps that the specification allows, whatever the gateway."""
    return frozenset().union(*printed().values())


def check(step: Step) -> None:
    """Return if the specification allows the step. Raises ``NotAllowed`` with what is next to it."""
    wrong = _wrong(step)
    if wrong:
        raise NotAllowed(f"The specification has no such step {step.event!r}. Next to it: {wrong}. {step}")


@cache  # the same few steps are seen again and again
def _wrong(step: Step) -> str:
    seen = astuple(step)
    nearest = min(allowed(), key=lambda row: (sum(_differs(*pair) for pair in zip(seen, row, strict=True)), row))
    names = (field.name for field in fields(Step))
    rows = zip(names, seen, nearest, strict=True)
    return "; ".join(f"{name} is {was!r}, not {may!r}" for name, was, may in rows if _differs(was, may))


def _differs(seen: str | None, allows: str) -> bool:
    return seen is not None and seen != allows


def record_step(
    record_id: str, before: Item | None, after: Item | None, *, clock_ms: int | None = None, sent: bool = False
) -> Step:
    """Return the step between two images of a record. At least one is there.

    ``clock_ms``: the actor's clock, to judge a lease by. ``sent``: the owner is known to have sent something.
    """
    event = entry_of(record_id, before, after, at_ms=0, sequence="").transition.value
    was, now = before or {}, after or {}
    parked = event == "parked"
    return Step(
        effect=_effect(was, now),
        event=event,
        before=was.get("status", NONE),
        after=now.get("status", NONE),
        owners=owners_of(was.get("fence", 0)),
        fence=fence_change(was.get("fence", 0), now.get("fence", 0)),
        claim=claim_change(was.get("claim_id"), now.get("claim_id")),
        lease=lease_was(was.get("lease_expires_at_ms"), clock_ms) if event == "taken_over" else "-",
        horizon=_horizon_change(was, now, event),
        sent="yes" if parked and sent else None if parked else "-",
        reference=_reference_change(was, now, event),
    )


def owners_of(fence: int) -> str:
    """Return how many owners there were, as the specification counts them."""
    return (NONE, "first")[fence] if fence < 2 else "later"


def fence_change(before: int, after: int) -> str:
    """Return how the fence changes; 0 where there is no record."""
    if not after:
        return "gone"
    if not before:
        return "one" if after == 1 else "other"
    return {before: "same", before + 1: "next"}.get(after, "other")


def claim_change(before: str | None, after: str | None) -> str:
    """Return how the claim's identity changes; ``None`` where there is no record."""
    if after is None:
        return "gone"
    if before is None:
        return "new"
    return "same" if before == after else "other"


def lease_was(lease_expires_at_ms: int | None, clock_ms: int | None) -> str | None:
    """Return whether a lease was over by a clock."""
    if lease_expires_at_ms is None or clock_ms is None:
        return None
    return "over" if lease_expires_at_ms < clock_ms else "running"


def _effect(was: Item, now: Item) -> str | None:
    """Return where the effect is. A completed record has no plan, and a plan of the proxy has no references."""
    plan = now.get("plan") or was.get("plan")
    if not isinstance(plan, dict):
        return None
    return "outside" if REFERENCES in plan else None


def _horizon_change(was: Item, now: Item, event: str) -> str | None:
    horizon_ms, before_ms = now.get("submit_horizon_ms", 0), was.get("submit_horizon_ms", 0)
    if event == "taken_over" and was["status"] == IN_PROGRESS:
        return "lease" if horizon_ms == max(before_ms, was["lease_expires_at_ms"]) else "other"
    if event == "taken_over":
        return "kept" if horizon_ms == before_ms else "other"
    if event != "parked":
        return "-"
    if horizon_ms >= now["ended_at_ms"] + LEASE_MARGIN_MS:
        return "covers"
    return "kept" if horizon_ms == before_ms else "other"


def _reference_change(was: Item, now: Item, event: str) -> str | None:
    if event not in {"claimed", "taken_over", "parked"}:
        return "-"
    if REFERENCES not in now.get("plan", {}):
        return None
    number, spent = _attempt(now)
    if event == "claimed":
        return "first" if (number, spent) == (1, False) else "other"
    before = _attempt(was)
    if (number, spent) == before:
        return "same"
    named = {(before[0], True): "spent"} | ({(before[0] + 1, False): "renewed"} if before[1] else {})
    return named.get((number, spent), "other")


def _attempt(item: Item) -> tuple[int, bool]:
    plan = item["plan"]
    return plan.get("submission", 1), plan.get("spent", False)  # a plan stores what is not as usual
