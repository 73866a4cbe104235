"""A gateway that keeps a failure under its key: one new reference, written before it is sent, and then an end.

Stripe's keys answer with the first result for a day, a 500 included: https://docs.stripe.com/api/idempotent_requests.
Adyen marks an error after which the same key may be sent again: https://docs.adyen.com/development-resources/api-idempotency.
So whether a repetition can succeed is said per answer, and not per gateway.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import (
    MONEY_OPERATIONS,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    LookupOutcome,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from payonce.idempotency.keys import record_id
from payonce.payments.payment_reads import get_history
from payonce.payments.rules import KEY_RETENTION_MARGIN_MS, MAX_RESUBMIT_AGE_MS
from payonce.payments.stored_payments import find_payment
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from tests.support.stored import entries_in
from tests.support.world import MERCHANT, REMEMBERING, VISIBLE_AFTER_MS, ScriptedGateway, World

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.idempotency.records import KeyedResponse
    from payonce.ports import Deadline

MINUTE_MS = 60_000
LOUD = "executed after the gateway's final not-found"
FOLLOW_UPS = sorted(MONEY_OPERATIONS - {OperationKind.PAYMENT})


class Killed(BaseException):
    """The process is gone."""


class Fused(MemoryDatabase):
    """Kills before or after its nth write."""

    def __init__(self, fuse: int, *, after: bool) -> None:
        super().__init__()
        self.fuse, self.after = fuse, after

    def write(self, writes: Any) -> None:
        """See ``Database``."""
        self.fuse -= 1
        if self.fuse == 0 and not self.after:
            raise Killed
        super().write(writes)
        if self.fuse == 0:
            raise Killed


def remembering(*script: str) -> World:
    world = World()
    world.gateway = ScriptedGateway(world.clock, capabilities=REMEMBERING, script=list(script))
    return world


def body(answer: KeyedResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.response.body)
    return document


def references(world: World) -> list[str]:
    return [instruction.gateway_reference[-2:] for instruction in world.gateway.submissions]


def recover_every_minute(world: World, minutes: int) -> None:
    for _ in range(minutes):
        world.clock.ms += MINUTE_MS
        world.recover()
        world.settle()
    assert world.errors == []


def movements(world: World) -> list[str]:
    tables = world.database._tables  # type: ignore[attr-defined]
    return [entry.movement.gateway_reference for entry in entries_in(tables[Table.OUTBOX].values()) if entry.movement]


def test_a_kept_failure_is_settled_under_a_new_reference() -> None:
    """Fails (60 submissions of one reference, then 402) when a kept failure counts as any other doubt."""
    world = remembering("remembered")
    assert world.create().response.status == 202
    recover_every_minute(world, 5)
    final = world.create()
    assert (final.response.status, body(final)["status"], body(final)["attempts"]) == (201, "captured", 2)
    assert references(world) == ["-1", "-2"]
    assert len(world.gateway.succeeded()) == 1
    charged = world.gateway.succeeded()[0].instruction.gateway_reference
    stored = find_payment(world.database, MERCHANT, body(final)["id"])
    assert stored is not None
    assert stored.gateway_reference == charged
    assert movements(world) == [charged]
    history = get_history(world.services, MERCHANT, body(final)["id"])["data"]
    assert [(entry["type"], entry["data"]["attempts"]) for entry in history] == [
        ("payment.in_doubt", 1),
        ("payment.captured", 2),
    ]


def test_a_second_kept_failure_is_the_end() -> None:
    """Fails when there is a new reference for every failure: an outage would be answered with ever more submissions."""
    world = remembering(*["remembered"] * 99)
    world.create()
    recover_every_minute(world, 8)
    final = world.create()
    assert (final.response.status, body(final)["payment"]["status"]) == (402, "failed")
    assert references(world) == ["-1", "-2"]
    assert world.gateway.bookings == []


def test_what_was_booked_behind_a_kept_failure_is_found_and_not_sent_again() -> None:
    """Fails (two charges) when the new reference does not wait until "not found" is final: it shows up 20 s later."""
    world = remembering("booked_remembered")
    world.gateway.visible_after_ms = VISIBLE_AFTER_MS["remembering"]
    world.create()
    for _ in range(12):
        world.clock.ms += 5_000
        world.recover()
    assert world.create().response.status == 201
    assert references(world) == ["-1"]
    assert len(world.gateway.succeeded()) == 1


def test_nothing_is_sent_anew_while_the_gateway_can_not_be_asked() -> None:
    """Fails (two charges) when a lookup that failed is taken for "not found"."""
    world = remembering("booked_remembered")
    world.gateway.lookup_fails = True
    world.create()
    recover_every_minute(world, 20)
    assert references(world) == ["-1"]
    world.gateway.lookup_fails = False
    recover_every_minute(world, 16)
    assert world.create().response.status == 201
    assert len(world.gateway.succeeded()) == 1


def test_a_failure_that_was_kept_and_never_answered_is_met_again_and_believed() -> None:
    """The first owner died before it read the answer. Fails when only an owner that lives can know of it."""
    world = remembering("remembered")
    submit = world.gateway.submit

    def dies(instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        submit(instruction, deadline)
        raise Killed

    world.gateway.submit = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.create()
    world.gateway.submit = submit  # type: ignore[method-assign]
    recover_every_minute(world, 6)
    assert world.create().response.status == 201
    assert references(world) == ["-1", "-1", "-2"]
    assert len(world.gateway.succeeded()) == 1


@pytest.mark.parametrize("word", ["remembered", "booked_remembered"])
@pytest.mark.parametrize("second", ["ok", "lost", "booked_lost", "remembered", "booked_remembered"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fuse", range(1, 12))
def test_killed_at_any_write_there_is_one_charge_at_most(word: str, second: str, fuse: int, after: bool) -> None:
    """Fails (two charges) when the new reference is sent before it is written: the next owner asks for the old one."""
    database = Fused(fuse, after=after)
    world = World(database=database)
    world.gateway = ScriptedGateway(world.clock, capabilities=REMEMBERING, script=[word, second])
    world.gateway.visible_after_ms = VISIBLE_AFTER_MS["remembering"]
    for step in range(40):
        with suppress(Killed):
            world.create() if step < 2 else world.recover()
        world.clock.ms += 40_000
    database.fuse = 0
    statuses = {world.create().response.status for _ in range(2)}
    charged = len(world.gateway.succeeded())
    assert (statuses, charged) in [({201}, 1), ({402}, 0)]
    assert len(set(references(world))) <= 2
    assert world.errors == []


def test_a_kill_between_sending_the_new_reference_and_recording_it_is_asked_about_under_both() -> None:
    """Fails (two charges) when only the first reference is asked about: the second one was booked already.

    ::

        owner 3   ASK -1, -2 ─ SUBMIT -2 ─ booked, killed
        owner 4   ASK -1 ─ not found;  -2 ─ found
    """
    world = remembering("remembered", "ok")
    world.create()
    submit = world.gateway.submit

    def dies(instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        submit(instruction, deadline)
        raise Killed

    world.gateway.submit = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        recover_every_minute(world, 9)
    world.gateway.submit = submit  # type: ignore[method-assign]
    world.gateway.capabilities = replace(REMEMBERING, key_retention_seconds=0)  # the key alone must not save it
    world.gateway.inquiries.clear()
    recover_every_minute(world, 3)
    assert world.create().response.status == 201
    assert [asked.gateway_reference[-2:] for asked in world.gateway.inquiries] == ["-1", "-2"]
    assert references(world) == ["-1", "-2"]


def test_the_new_reference_is_stored_before_anything_is_sent_under_it() -> None:
    """Fails when owner 2 renews and sends in one: its crash would leave a charge whose reference nobody knows."""
    world = remembering("remembered")
    world.create()
    stored_at_send: list[int] = []
    submit = world.gateway.submit

    def looking(instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        record = world.store.get(record_id(MERCHANT, "create_payment", "key"))
        assert record is not None
        stored_at_send.append(record.plan["submission"])
        return submit(instruction, deadline)

    world.gateway.submit = looking  # type: ignore[method-assign]
    recover_every_minute(world, 4)
    assert stored_at_send == [2]
    assert references(world) == ["-1", "-2"]


def test_the_new_reference_is_sent_by_whoever_comes_next() -> None:
    """Nothing is on its way. Fails when it has to wait for a pause, or for a "not found" of its own to become final."""
    world = remembering("remembered")
    # Not even its key's memory would allow a repetition.
    world.gateway.capabilities = replace(REMEMBERING, key_retention_seconds=KEY_RETENTION_MARGIN_MS // 1000)
    world.create()
    world.clock.ms += MINUTE_MS
    world.recover()
    assert references(world) == ["-1"]
    world.clock.ms += 1
    world.recover()
    assert references(world) == ["-1", "-2"]
    assert world.create().response.status == 201


def test_an_old_reference_that_turns_up_after_all_counts_and_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """The gateway breaks its promise: "not found" was not final. Fails when the first reference is not asked about."""
    world = remembering("booked_remembered", "remembered")
    world.gateway.visible_after_ms = 3 * MINUTE_MS
    world.create()
    recover_every_minute(world, 30)
    final = world.create()
    assert final.response.status == 201
    assert movements(world) == [world.gateway.submissions[0].gateway_reference]
    said = [record for record in caplog.records if record.message == LOUD]
    assert said
    assert {(one.gateway, one.reference) for one in said} == {  # type: ignore[attr-defined]
        ("bank", world.gateway.submissions[0].gateway_reference)
    }


def test_of_two_references_that_were_both_executed_the_charge_and_its_reference_belong_together() -> None:
    """Fails when the payment has the first one's charge, and is known by the second one's reference."""
    world = remembering("booked_remembered", "booked_remembered")
    world.gateway.visible_after_ms = 3 * MINUTE_MS
    world.create()
    recover_every_minute(world, 2)
    assert references(world) == ["-1", "-2"]
    world.gateway.lookup_fails = True  # until both can be seen
    recover_every_minute(world, 10)
    world.gateway.lookup_fails = False
    recover_every_minute(world, 20)
    payment = find_payment(world.database, MERCHANT, body(world.create())["id"])
    first, second = world.gateway.bookings  # the gateway broke its promise, and has charged twice
    assert payment is not None
    assert isinstance(first.outcome, Succeeded)
    assert payment.gateway_charge_id == first.outcome.gateway_charge_id
    assert payment.gateway_reference == first.instruction.gateway_reference
    assert movements(world) == [first.instruction.gateway_reference]
    assert first.instruction.gateway_reference != second.instruction.gateway_reference


def test_what_is_found_under_its_present_reference_is_no_broken_promise(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when each lost answer alarms people."""
    world = remembering("booked_lost")
    world.create()
    recover_every_minute(world, 2)
    assert world.create().response.status == 201
    assert LOUD not in [record.message for record in caplog.records]


@pytest.mark.parametrize("kind", FOLLOW_UPS)
def test_a_follow_up_has_its_attempts_too(kind: OperationKind) -> None:
    """Fails when only payments get a second reference: a refund would be promised and never made."""
    world = remembering()
    manual = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    payment_id = body(world.create(capture=manual))["id"]
    world.gateway.script = ["remembered"]
    doubtful = world.follow_up(kind, payment_id, "key-1")
    assert doubtful.response.status == 202
    recover_every_minute(world, 4)
    final = body(world.follow_up(kind, payment_id, "key-1"))
    assert (final["status"], final["attempts"], final["id"]) == ("succeeded", 2, body(doubtful)["id"])
    operation = world.database.get(Table.PAYMENTS, {"pk": f"{MERCHANT}#{payment_id}", "sk": f"OPERATION#{final['id']}"})
    assert operation is not None
    assert operation["operation_reference"] == f"{final['id']}-2"
    assert kind is OperationKind.VOID or movements(world)[-1] == f"{final['id']}-2"
    assert len(world.gateway.succeeded(kind)) == 1


@pytest.mark.parametrize("kind", FOLLOW_UPS)
def test_a_follow_up_that_ends_gives_its_reservation_back(kind: OperationKind) -> None:
    world = remembering()
    manual = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    payment_id = body(world.create(capture=manual))["id"]
    world.gateway.script = ["remembered", "remembered"]
    world.follow_up(kind, payment_id, "key-1")
    recover_every_minute(world, 8)
    assert world.follow_up(kind, payment_id, "key-1").response.status == 402
    assert world.follow_up(kind, payment_id, "key-2").response.status == 201


def test_what_may_be_repeated_is_repeated_at_a_growing_pause() -> None:
    """Fails (60 submissions) when every run of the hour sends again."""
    world = remembering(*["lost"] * 99)
    world.gateway.capabilities = replace(REMEMBERING, lookup_authoritative_after_seconds=None)
    world.create()
    recover_every_minute(world, MAX_RESUBMIT_AGE_MS // MINUTE_MS)
    assert set(references(world)) == {"-1"}
    assert len(world.gateway.submissions) < 12


class Undecided(ScriptedGateway):
    """Holds what it is sent and decides it when told to."""

    decision: LookupOutcome | None = None

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        self.submissions.append(instruction)
        return Unknown("HTTP 500")

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        self.inquiries.append(instruction)
        return self.decision or Pending("pi_1", "processing")


@pytest.mark.parametrize("decision", [Succeeded("pi_1", "ch_1"), Declined("declined", "no")])
def test_what_the_gateway_holds_undecided_is_only_asked_about(decision: LookupOutcome) -> None:
    """A bank debit takes days. Fails (60 submissions in the hour) when only a decision keeps it from being sent again.

    https://github.com/woocommerce/woocommerce-gateway-stripe/issues/1943
    """
    world = World()
    world.gateway = gateway = Undecided(world.clock, capabilities=REMEMBERING)
    first = world.create().response
    assert (first.status, json.loads(first.body)["status"]) == (201, "processing")
    recover_every_minute(world, 17 * 60)
    assert len(gateway.submissions) == 1
    assert len(gateway.inquiries) < 40
    gateway.decision = decision
    recover_every_minute(world, 6 * 60)
    payment = find_payment(world.database, MERCHANT, json.loads(first.body)["id"])
    assert payment is not None
    assert payment.status.value == ("captured" if isinstance(decision, Succeeded) else "declined")
    assert world.create().response == first
    assert len(gateway.submissions) == 1


class Waiting(Undecided):
    """Waits for the payer; a withdrawal fails as often as ``failures`` says."""

    failures = 0
    paid = False

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        super().submit(instruction, deadline)
        return AwaitsPayer("pi_1", "requires_action")

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        super().find(instruction, deadline)
        if self.paid:
            return Succeeded("pi_1", "ch_1")
        return self.decision or AwaitsPayer("pi_1", "requires_action")

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``."""
        if self.failures:
            self.failures -= 1
            return waiting
        if self.paid:
            return Succeeded("pi_1", "ch_1")
        self.decision = Declined("authentication_required", "no")
        return Declined("authentication_required", "no")


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_declined_is_said_only_of_what_is_withdrawn(failures: int) -> None:
    """Fails (a final 402 while the payer may still complete it) when a lost cancellation counts as one."""
    world = World()
    world.gateway = gateway = Waiting(world.clock, capabilities=REMEMBERING)
    gateway.failures = failures
    assert world.create().response.status == (202 if failures else 402)
    recover_every_minute(world, 10)
    final = world.create()
    assert (final.response.status, body(final)["code"]) == (402, "authentication_required")
    assert gateway.decision is not None
    assert len(gateway.submissions) == 1


def test_a_payer_who_was_faster_than_the_cancellation_has_paid() -> None:
    """Fails (the payer is charged, and the merchant told "declined") when the cancellation's failure is the end."""
    world = World()
    world.gateway = gateway = Waiting(world.clock, capabilities=REMEMBERING)
    gateway.failures = 2
    assert world.create().response.status == 202
    gateway.paid = True
    recover_every_minute(world, 4)
    final = world.create()
    assert (final.response.status, body(final)["status"]) == (201, "captured")
