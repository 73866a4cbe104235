"""The asker, with the production protocol behind it: what it settles, leaves alone, and reports."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import BodyMalformed, StoreUnavailable
from payonce.domain.gateway import OperationKind
from payonce.idempotency.keys import record_id
from payonce.payments.recovery_run import Recovery
from payonce.payments.rules import MAX_RESUBMIT_AGE_MS
from payonce.ports import Adjust, Deadline, Table
from payonce.recovery.asker import Asker, AskReport
from payonce.recovery.book import Book
from payonce.recovery.lanes import Asked
from payonce.recovery.messages import AskMessage
from tests.support.world import CAPABILITIES, MERCHANT, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.recovery.asker import Recover

MINUTE_MS = 60_000
PAYMENT = record_id(MERCHANT, "create_payment", "key")


def ask(world: World, *claims: str, recoveries: Sequence[Recover] | None = None, **known: object) -> AskReport:
    """Handle one message about these claims, one after the other."""
    recovery = Recovery(engine=world.engine, services=world.services, gateway_named=lambda _name: world.gateway)
    asker = Asker(
        recoveries=recoveries or [recovery.recover],
        book=Book(world.database),
        clock=world.clock,
        timeout_per_claim_ms=25_000,
        report_error=lambda _id, error: world.errors.append(error),
        each=lambda settle, ids: [settle(one) for one in ids],
    )
    message = AskMessage(lane="bank", claims=claims, **known)  # type: ignore[arg-type]
    return asker.handle(message.to_text(), Deadline(world.clock.ms + 30_000))


def asked(world: World, lane: str = "bank") -> Asked:
    return Book(world.database).asked([lane])[lane]


def doubtful(script: str = "lost") -> World:
    """Return a world with one payment in doubt, a minute later."""
    world = World()
    world.gateway.script = [script]
    world.gateway.lookup_fails = True
    assert world.create().response.status == 202
    world.gateway.lookup_fails = False
    world.clock.ms += MINUTE_MS
    return world


def test_a_claim_is_settled_and_what_it_took_is_reported() -> None:
    world = doubtful()
    assert ask(world, PAYMENT) == AskReport(concluded=1)
    assert world.create().response.status == 201
    assert asked(world) == Asked(claims=1, requests=2, unanswered=0, concluded=1)


def test_a_message_that_comes_twice_asks_once() -> None:
    """Fails when a copy asks the gateway again."""
    world = doubtful("booked_lost")
    inquiries = len(world.gateway.inquiries)
    assert ask(world, PAYMENT, PAYMENT) == AskReport(concluded=1, still_open=1)
    assert ask(world, PAYMENT) == AskReport(still_open=1)
    assert len(world.gateway.inquiries) == inquiries + 1
    assert asked(world) == Asked(claims=3, requests=1, unanswered=0, concluded=1)


def test_two_askers_at_the_same_time_ask_once() -> None:
    """The lease is taken before anything is asked. Fails when both ask, and both send."""
    world = doubtful()
    inner, found = world.gateway.find, []

    def find(instruction: object, deadline: object) -> object:
        found.append(instruction)
        if len(found) == 1:
            assert ask(world, PAYMENT) == AskReport(still_open=1)
        return inner(instruction, deadline)  # type: ignore[arg-type]

    world.gateway.find = find  # type: ignore[method-assign,assignment]
    assert ask(world, PAYMENT) == AskReport(concluded=1)
    assert len(found) == 1
    assert len(world.gateway.bookings) == 1


def test_silence_is_reported_and_the_claim_waits_longer_each_time() -> None:
    """Fails when a gateway that is down looks like one that answers, or a claim is asked about again at once."""
    world = doubtful()
    world.gateway.lookup_fails = True
    assert ask(world, PAYMENT) == AskReport(still_open=1)
    assert asked(world) == Asked(claims=1, requests=1, unanswered=1, concluded=0)
    assert ask(world, PAYMENT) == AskReport(still_open=1)
    assert asked(world).requests == 1
    first = world.store.get(PAYMENT)
    assert first is not None
    world.clock.ms = first.lease_expires_at_ms + 1
    ask(world, PAYMENT)
    second = world.store.get(PAYMENT)
    assert second is not None
    assert second.lease_expires_at_ms - world.clock.ms == 2 * (first.lease_expires_at_ms - first.ended_at_ms)


def test_a_claim_of_a_silent_gateway_is_left_without_a_takeover() -> None:
    """It was queued before the gateway fell silent. Fails when it is asked about all the same, and loses a turn."""
    world = doubtful()
    before = world.store.get(PAYMENT)
    assert ask(world, PAYMENT, silent=frozenset({"bank"})) == AskReport(still_open=1)
    assert world.store.get(PAYMENT) == before
    assert asked(world) == Asked(claims=1)


def test_a_refund_does_not_name_its_gateway_and_is_left_to_it_all_the_same() -> None:
    """Fails when the claims that name nobody are sent into a gateway that is down."""
    world = World()
    created = world.create()
    payment_id = json.loads(created.response.body)["id"]
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    assert world.follow_up(OperationKind.REFUND, payment_id, "refund", 400).response.status == 202
    world.clock.ms += MINUTE_MS
    refund = record_id(MERCHANT, OperationKind.REFUND.value, "refund")
    before = world.store.get(refund)
    assert before is not None
    assert before.lane == ""
    assert ask(world, refund, silent=frozenset({"bank"})) == AskReport(still_open=1)
    assert world.store.get(refund) == before
    world.gateway.lookup_fails = False
    assert ask(world, refund) == AskReport(concluded=1)


def test_an_hour_in_our_queue_costs_no_payment_its_chance() -> None:
    """The gateway answered all the time, and its backlog took two hours. Fails when the payment ends unasked."""
    world = doubtful()
    began_ms = world.clock.ms
    world.clock.ms += 2 * MAX_RESUBMIT_AGE_MS
    assert ask(world, PAYMENT, answering_since_ms={"bank": began_ms}) == AskReport(concluded=1)
    assert world.create().response.status == 201
    assert len(world.gateway.bookings) == 1


def test_a_claim_that_was_not_due_has_not_waited_for_us() -> None:
    """It was asked about in time, and its own pause ended after the hour. Fails when every wait counts as our queue."""
    world = doubtful()
    began_ms = world.clock.ms
    world.clock.ms += 2 * MAX_RESUBMIT_AGE_MS
    later = Adjust(
        table=Table.IDEMPOTENCY, key={"id": PAYMENT}, set={"lease_expires_at_ms": world.clock.ms - MINUTE_MS}
    )
    world.database.write([later])
    assert ask(world, PAYMENT, answering_since_ms={"bank": began_ms}) == AskReport(concluded=1)
    assert world.gateway.bookings == []


def test_a_payments_claim_names_its_gateway() -> None:
    """Fails when payments have no lane of their own, and one gateway's outage holds up another's."""
    claim = doubtful().store.get(PAYMENT)
    assert claim is not None
    assert claim.lane == "bank"


@pytest.mark.parametrize("known", [{}, {"bank": 0}, {"other": 0}])
def test_an_outage_of_two_hours_is_not_our_queue(known: dict[str, int]) -> None:
    """Fails when a payer is charged hours later because the gateway was down: nothing is sent after the hour."""
    world = doubtful()
    world.clock.ms += 2 * MAX_RESUBMIT_AGE_MS
    since = dict.fromkeys(known, world.clock.ms - 5000)
    assert ask(world, PAYMENT, answering_since_ms=since) == AskReport(concluded=1)
    assert world.create().response.status == 402
    assert world.gateway.bookings == []


def test_the_excuse_ends_with_the_keys_window() -> None:
    world = doubtful()
    began_ms = world.clock.ms
    world.clock.ms += 25 * MAX_RESUBMIT_AGE_MS
    ask(world, PAYMENT, answering_since_ms={"bank": began_ms})
    assert world.gateway.bookings == []
    stored = world.database.get(Table.IDEMPOTENCY, {"id": PAYMENT})
    assert stored is not None
    assert stored["response_status"] == 402


def test_a_gateway_that_remembers_keys_is_not_asked_to_after_it_may_have_forgotten() -> None:
    world = World()
    world.gateway.capabilities = CAPABILITIES["honouring"]
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.create()
    world.gateway.lookup_fails = False
    began_ms = world.clock.ms
    world.clock.ms += 24 * MAX_RESUBMIT_AGE_MS - 1
    assert ask(world, PAYMENT, answering_since_ms={"bank": began_ms}) == AskReport(still_open=1)
    assert len(world.gateway.submissions) == 1


def test_a_claim_that_fails_costs_no_other_its_turn() -> None:
    world = doubtful()

    def recover(open_id: str, *_more: object) -> bool | None:
        if open_id == "poison":
            raise ZeroDivisionError
        return True

    report = ask(world, "poison", PAYMENT, "poison", recoveries=[recover])  # type: ignore[list-item]
    assert report == AskReport(concluded=1, failed=2)
    assert [type(error) for error in world.errors] == [ZeroDivisionError, ZeroDivisionError]
    assert asked(world).claims == 3


def test_each_claim_is_settled_by_the_recovery_whose_it_is() -> None:
    world = doubtful()
    seen: list[str] = []

    def foreign(open_id: str, *_more: object) -> bool | None:
        seen.append(open_id)
        return None

    recovery = Recovery(engine=world.engine, services=world.services, gateway_named=lambda _name: world.gateway)
    assert ask(world, PAYMENT, recoveries=[foreign, recovery.recover]) == AskReport(concluded=1)  # type: ignore[list-item]
    assert seen == [PAYMENT]


def test_a_report_that_can_not_be_written_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = doubtful()

    def refuse(*_args: object) -> None:
        raise StoreUnavailable("throttled")

    monkeypatch.setattr(Book, "add", refuse)
    assert ask(world, PAYMENT) == AskReport(concluded=1)
    assert [type(error) for error in world.errors] == [StoreUnavailable]


def test_what_is_no_message_is_not_handled() -> None:
    world = World()
    asker = Asker(
        recoveries=[],
        book=Book(world.database),
        clock=world.clock,
        timeout_per_claim_ms=1,
        report_error=lambda _id, _error: None,
    )
    with pytest.raises(BodyMalformed):
        asker.handle("{}", Deadline(world.clock.ms))


def test_the_claims_of_a_message_are_settled_at_the_same_time() -> None:
    """Fails when ten claims of a gateway that takes 4 s to give no answer take 40 s. Nobody here goes on alone."""
    world = World()
    together = threading.Barrier(10, timeout=20)

    def recover(*_args: object) -> bool | None:
        together.wait()
        return True

    asker = Asker(
        recoveries=[recover],  # type: ignore[list-item]
        book=Book(world.database),
        clock=world.clock,
        timeout_per_claim_ms=1,
        report_error=lambda _id, error: world.errors.append(error),
    )
    message = AskMessage(lane="bank", claims=tuple(f"m#op#{number}" for number in range(10)))
    assert asker.handle(message.to_text(), Deadline(world.clock.ms)) == AskReport(concluded=10)
