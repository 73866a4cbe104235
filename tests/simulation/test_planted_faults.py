"""Faults planted in the production code, one at a time: the simulation finds each, by the promise that it breaks.

These are the ones found within a second or two. docs/simulation.md has the whole list, with the seeds that each took.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import StoreUnavailable
from payonce.domain.gateway import NeverSent, NotFound, Unknown
from payonce.domain.ids import content_id
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.keys import record_id
from payonce.idempotency.open_claims import OpenPage
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import Draft
from payonce.payments.create import CreatePayment
from payonce.payments.follow_up import FollowUp
from payonce.payments.payment_work import GatewayWork
from payonce.ports import Adjust, Table
from payonce.recovery.feeder import _Term
from payonce.webhooks.relay import Relay
from payonce.webhooks.signer import Signer
from payonce.webhooks.waiting_list import WaitingList
from simulation.plan import draw_plan
from simulation.run import run

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_SEEDS = 40


def assert_violated(promise: str, *, most_seeds: int) -> None:
    """Fail unless the first of the runs that violates anything violates one of the promises named."""
    outcomes = (run(draw_plan(seed)) for seed in range(most_seeds))
    found = next((outcome for outcome in outcomes if outcome.violated), None)
    assert found is not None
    assert found.invariant in promise.split(), found.violated


def plant(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace a method by ``around``, which is given the original first."""
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **more: around(original, *args, **more))


def resubmits_without_asking(patch: pytest.MonkeyPatch) -> None:
    plant(patch, GatewayWork, "_find", lambda _original, *_args, **_more: NotFound())


def takes_unknown_for_never_sent(patch: pytest.MonkeyPatch) -> None:
    def submit(original: Any, *args: Any) -> Any:
        outcome = original(*args)
        return NeverSent("no answer") if isinstance(outcome, Unknown) else outcome

    plant(patch, GatewayWork, "_submit", submit)


def reserves_nothing(patch: pytest.MonkeyPatch) -> None:
    plant(patch, FollowUp, "reservation", _without_amounts)


def _without_amounts(original: Any, work: Any) -> Any:
    reservation = original(work)
    return replace(reservation, minimum={}, add=dict.fromkeys(reservation.add, 0))


def drops_the_fence(patch: pytest.MonkeyPatch) -> None:
    def write(original: Any, store: Any, owned: Any, writes: list[Any]) -> None:
        first = writes[0]
        if isinstance(first, Adjust):
            first = replace(first, require={"claim_id": owned.claim_id})
        original(store, owned, [first, *writes[1:]])

    plant(patch, DatabaseIdempotencyStore, "_write_owned", write)


def says_503_after_a_lost_claim(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> Any:
        raise StoreUnavailable("The claim was not stored.")

    patch.setattr("payonce.idempotency.record_store.claimed_after_all", refuse)


def renders_replays_anew(patch: pytest.MonkeyPatch) -> None:
    def replay(original: Any, engine: Any, record: Any) -> Any:
        response = original(engine, record)
        return replace(
            response, response=replace(response.response, body=response.response.body.replace(b'":', b'": '))
        )

    plant(patch, IdempotencyEngine, "_replay", replay)


def makes_a_new_identity_at_takeover(patch: pytest.MonkeyPatch) -> None:
    plant(patch, CreatePayment, "adopt", lambda _original, work, _record: work)


def writes_the_event_apart(patch: pytest.MonkeyPatch) -> None:
    def draft(original: Any, work: Any, result: Any) -> Draft:
        drafted = original(work, result)
        events = [write for write in drafted.writes if write.table is Table.OUTBOX]
        work._database.write(events)
        return Draft(drafted.response, [write for write in drafted.writes if write not in events])

    plant(patch, CreatePayment, "draft", draft)


def names_events_anew_at_delivery(patch: pytest.MonkeyPatch) -> None:
    def headers(original: Any, signer: Any, endpoint: Any, event_id: str, body: bytes) -> Any:
        return original(signer, endpoint, content_id("evt", event_id, str(signer._clock.now_ms())), body)

    plant(patch, Signer, "headers", headers)


def relays_to_the_first_endpoint_alone(patch: pytest.MonkeyPatch) -> None:
    def targets(original: Any, relay: Any, merchant_id: str) -> Any:
        found = original(relay, merchant_id)
        return found[:1] if isinstance(found, list) else found

    plant(patch, Relay, "_targets", targets)


def leaves_what_waits_in_a_lane(patch: pytest.MonkeyPatch) -> None:
    """Whoever is woken finds nothing: only what is leased to a message of its own is sent."""
    plant(patch, WaitingList, "take", lambda _original, *_args, **_more: [])


def books_half(patch: pytest.MonkeyPatch) -> None:
    def balance_write(original: Any, *entries: Any) -> Any:
        write = original(*entries)
        return replace(write, add={name: amount // 2 for name, amount in write.add.items()})

    import payonce.payments.booking as booking

    plant(patch, booking, "balance_write", balance_write)


def forgets_whose_key_it_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "payonce.idempotency.engine.record_id", lambda _scope, operation, key: record_id("mer_a", operation, key)
    )


def recovers_nothing(patch: pytest.MonkeyPatch) -> None:
    plant(patch, DatabaseIdempotencyStore, "open_page", lambda _original, *_args, **_more: OpenPage([], None))


def asks_for_nobody_else(patch: pytest.MonkeyPatch) -> None:
    """A silent gateway is only asked about claims that name it: refunds do not."""

    def silent(_original: Any, term: Any, _now_ms: int) -> frozenset[str]:
        return frozenset(name for name, lane in term._lanes.items() if not lane.answers)

    plant(patch, _Term, "_silent", silent)


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        (resubmits_without_asking, "P1 P4 P9"),
        (reserves_nothing, "P0 P1"),
        (makes_a_new_identity_at_takeover, "P1"),
        (says_503_after_a_lost_claim, "P2"),
        (renders_replays_anew, "P3"),
        (takes_unknown_for_never_sent, "P4"),
        (drops_the_fence, "P3 P5"),
        (writes_the_event_apart, "P5"),
        (names_events_anew_at_delivery, "P6"),
        (relays_to_the_first_endpoint_alone, "P6 settling"),
        (leaves_what_waits_in_a_lane, "settling"),
        (books_half, "P7"),
        (forgets_whose_key_it_is, "P8"),
        (recovers_nothing, "settling"),
        (asks_for_nobody_else, "settling"),
    ],
)
@pytest.mark.usefixtures("without_the_specification")
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], promise: str
) -> None:
    fault(monkeypatch)
    assert_violated(promise, most_seeds=MOST_SEEDS)
