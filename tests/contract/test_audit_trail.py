"""The contract of the AuditTrail port, on every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.idempotency import audit_items
from payonce.idempotency.audit import AuditEntry, Transition
from payonce.idempotency.audit_items import DatabaseAuditTrail, month_of

if TYPE_CHECKING:
    from payonce.ports import Database

DAY_MS = 86_400_000
START_MS = 1_800_000_000_000
WHOLE = AuditEntry(
    record_id="m#op#k",
    claim_id="c1",
    fence=3,
    transition=Transition.RELEASED,
    at_ms=START_MS,
    status="IN_DOUBT",
    principal="operator:ada",
    resource="/payments/p",
    fingerprint="f",
    lease_expires_at_ms=5,
    response_status=202,
    reason="why",
    finding="what",
    forced=True,
    sequence="9",
)


@pytest.fixture
def trail(database: Database) -> DatabaseAuditTrail:
    return DatabaseAuditTrail(database, 86_400)


def entry(**changes: Any) -> AuditEntry:
    plain = AuditEntry(
        record_id="m#op#k",
        claim_id="c1",
        fence=1,
        transition=Transition.CLAIMED,
        at_ms=START_MS,
        status="INPROGRESS",
    )
    return replace(plain, **changes)


def test_an_entry_comes_back_whole(trail: DatabaseAuditTrail) -> None:
    for one in (WHOLE, entry(), entry(record_id="m#op#empty", claim_id="", fence=0, status="", sequence="1")):
        assert trail.add(one)
        assert trail.history(one.record_id, newest_first=one is not WHOLE)[-1 if one is not WHOLE else 0] == one


def test_an_entry_is_never_overwritten(trail: DatabaseAuditTrail) -> None:
    """Fails when it is put without a condition: the stream would take the operator's name off a release."""
    assert trail.add(WHOLE)
    assert not trail.add(replace(WHOLE, principal="payonce", reason="", at_ms=START_MS + 1))
    assert trail.history("m#op#k") == [WHOLE]


def test_a_history_is_in_the_order_of_claims_owners_and_transitions(trail: DatabaseAuditTrail) -> None:
    """Fails when the sort key is spelled so that fence 10 comes before fence 2."""
    made = [
        entry(),
        entry(transition=Transition.PARKED),
        *(entry(fence=fence, transition=Transition.TAKEN_OVER) for fence in range(2, 12)),
        entry(fence=11, transition=Transition.COMPLETED),
        entry(claim_id="c2"),
    ]
    for one in reversed(made):
        trail.add(one)
    trail.add(entry(record_id="m#op#k2"))
    assert trail.history("m#op#k") == made
    assert trail.history("m#op#k", newest_first=True, limit=1) == made[-1:]


def test_entries_by_time_of_one_scope_or_all(trail: DatabaseAuditTrail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages, two months, every shard. Fails when a page, month or shard is left out, or the end is included."""
    monkeypatch.setattr(audit_items, "PAGE_SIZE", 3)
    made = [
        entry(record_id=f"{scope}#op#{number}", at_ms=START_MS + number * DAY_MS // 2)
        for number in range(40)
        for scope in ("m", "m2")
    ]
    for one in made:
        trail.add(one)
    first, end = START_MS + DAY_MS // 2, START_MS + 39 * DAY_MS // 2
    inside = [one for one in made if first <= one.at_ms < end]
    of_all = list(trail.entries(from_ms=first, until_ms=end))
    assert sorted(of_all, key=repr) == sorted(inside, key=repr)
    by_month = [(month_of(one.at_ms), one.scope, one.at_ms) for one in of_all]
    assert by_month == sorted(by_month)
    assert len({month for month, _, _ in by_month}) == 2
    assert list(trail.entries(from_ms=first, until_ms=end, scope="m2")) == [o for o in inside if o.scope == "m2"]
    assert list(trail.entries(from_ms=first, until_ms=end, scope="nobody")) == []
