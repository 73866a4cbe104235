"""The decision after asking the gateway, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.gateway import (
    Declined,
    GatewayCapabilities,
    LookupOutcome,
    NotFound,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.idempotency.window import MIN_WINDOW_SECONDS
from payonce.payments.operations import AttemptedPlan
from payonce.payments.rules import (
    FIRST_INQUIRY_DELAY_MS,
    KEY_RETENTION_MARGIN_MS,
    MAX_INQUIRY_DELAY_MS,
    MAX_RESUBMIT_AGE_MS,
    MAX_SUBMISSIONS,
    AskLater,
    Decision,
    NeverExecuted,
    Renew,
    Resubmit,
    decide,
    together,
)
from tests.support.world import FORGETFUL, HONOURING, LATE, REMEMBERING

NEVER_AUTHORITATIVE = replace(FORGETFUL, lookup_authoritative_after_seconds=None)
NO_LOOKUP = replace(FORGETFUL, lookup_by_reference=False)
SHORT_MEMORY = replace(NEVER_AUTHORITATIVE, key_retention_seconds=1200)
SUBMITTED_MS = 1_000_000
FIRST = AttemptedPlan()


def judge(
    found: LookupOutcome,
    capabilities: GatewayCapabilities,
    age_ms: int,
    horizon_ms: int = 0,
    owners: int = 2,
    plan: AttemptedPlan = FIRST,
    queued_ms: int = 0,
) -> Decision:
    return decide(
        found,
        capabilities,
        now_ms=SUBMITTED_MS + age_ms,
        turn_at_ms=SUBMITTED_MS + age_ms - queued_ms,
        sendable_until_ms=SUBMITTED_MS + MIN_WINDOW_SECONDS * 1000,
        submit_horizon_ms=SUBMITTED_MS + horizon_ms,
        first_submitted_at_ms=SUBMITTED_MS,
        owners=owners,
        plan=plan,
    )


@pytest.mark.parametrize("capabilities", [HONOURING, FORGETFUL, LATE, NO_LOOKUP])
@pytest.mark.parametrize("found", [Succeeded("ch", "op"), Declined("declined", "no")])
def test_what_is_found_is_believed(found: Succeeded | Declined, capabilities: GatewayCapabilities) -> None:
    assert judge(found, capabilities, 60_000) is found


@pytest.mark.parametrize(
    ("found", "capabilities", "age_ms", "horizon_ms", "expected"),
    [
        (NotFound(), HONOURING, 60_000, 30_000, Resubmit),  # the key is remembered
        (Unknown("x"), HONOURING, 60_000, 30_000, Resubmit),
        (NotFound(), HONOURING, MAX_RESUBMIT_AGE_MS, 30_000, AskLater),  # too old to surprise the payer
        (NotFound(), FORGETFUL, 60_000, 30_000, Resubmit),  # authoritatively not executed
        (NotFound(), FORGETFUL, 30_000, 30_000, Resubmit),
        (NotFound(), FORGETFUL, 29_999, 30_000, AskLater),  # something may still be on its way
        (Unknown("x"), FORGETFUL, 60_000, 30_000, AskLater),
        (NotFound(), FORGETFUL, MAX_RESUBMIT_AGE_MS, 30_000, NeverExecuted),
        (NotFound(), LATE, 59_999, 30_000, AskLater),  # a booking may show up 30 s late
        (NotFound(), LATE, 60_000, 30_000, Resubmit),
        (NotFound(), NEVER_AUTHORITATIVE, MAX_RESUBMIT_AGE_MS * 9, 0, AskLater),
        (NotFound(), NO_LOOKUP, 60_000, 0, AskLater),
        (NotFound(), SHORT_MEMORY, 1_200_000 - KEY_RETENTION_MARGIN_MS - 1, 0, Resubmit),
        (NotFound(), SHORT_MEMORY, 1_200_000 - KEY_RETENTION_MARGIN_MS, 0, AskLater),  # it may have forgotten the key
    ],
)
def test_the_decision_table(
    found: LookupOutcome, capabilities: GatewayCapabilities, age_ms: int, horizon_ms: int, expected: type
) -> None:
    """Each AskLater row next to a Resubmit row fails when its bound is dropped, and each is a double charge."""
    assert isinstance(judge(found, capabilities, age_ms, horizon_ms), expected)


@pytest.mark.parametrize(
    ("age_ms", "queued_ms", "expected"),
    [
        (MAX_RESUBMIT_AGE_MS - 1, 0, Resubmit),
        (MAX_RESUBMIT_AGE_MS, 0, NeverExecuted),
        (MAX_RESUBMIT_AGE_MS, 1, Resubmit),  # its turn was due within the hour
        (3 * MAX_RESUBMIT_AGE_MS, 2 * MAX_RESUBMIT_AGE_MS, NeverExecuted),
        (3 * MAX_RESUBMIT_AGE_MS, 2 * MAX_RESUBMIT_AGE_MS + 1, Resubmit),
        (MIN_WINDOW_SECONDS * 1000 - 1, 23 * MAX_RESUBMIT_AGE_MS, Resubmit),
        (MIN_WINDOW_SECONDS * 1000, MIN_WINDOW_SECONDS * 1000 - 1, NeverExecuted),  # whatever the queue: a day is a day
    ],
)
def test_the_hour_leaves_out_what_a_claim_has_waited_in_our_queue(age_ms: int, queued_ms: int, expected: type) -> None:
    """Fails when a payment is ended because of the backlog before it, or sent a day later."""
    assert isinstance(judge(NotFound(), FORGETFUL, age_ms, queued_ms=queued_ms), expected)


def test_a_key_that_may_be_forgotten_is_not_sent_however_long_our_queue_was() -> None:
    """The excuse is for the payer's surprise, not for the gateway's memory. Fails with a second charge."""
    late_ms = 1_200_000 - KEY_RETENTION_MARGIN_MS
    assert isinstance(judge(NotFound(), SHORT_MEMORY, late_ms, queued_ms=late_ms), AskLater)


def test_inquiries_are_spaced_out_and_never_sleep_past_the_settling_time() -> None:
    delays = []
    for owners in (1, 2, 3, 40):
        decision = judge(Unknown("x"), NEVER_AUTHORITATIVE, 60_000, owners=owners)
        assert isinstance(decision, AskLater)
        delays.append(decision.at_ms - SUBMITTED_MS - 60_000)
    assert delays == [
        FIRST_INQUIRY_DELAY_MS,
        2 * FIRST_INQUIRY_DELAY_MS,
        4 * FIRST_INQUIRY_DELAY_MS,
        MAX_INQUIRY_DELAY_MS,
    ]
    settling = judge(NotFound(), LATE, 31_000, 30_000, owners=9)
    assert settling == AskLater(SUBMITTED_MS + 60_000)
    # At that very moment nothing is left to wait for: a gateway that gives no answer then is not asked without a pause.
    silent = judge(Unknown("x"), LATE, 60_000, 30_000, owners=1)
    assert silent == AskLater(SUBMITTED_MS + 60_000 + FIRST_INQUIRY_DELAY_MS)


FRESH = AttemptedPlan(submission=2)


@pytest.mark.parametrize(
    ("found", "capabilities", "plan", "age_ms", "expected"),
    [
        (NotFound(), REMEMBERING, FIRST, 59_000, Resubmit),  # the key is remembered, and no failure was
        (NotFound(), REMEMBERING, FIRST.exhausted(), 59_999, AskLater),  # "not found" is final after 30 s
        (NotFound(), REMEMBERING, FIRST.exhausted(), 60_000, Renew),
        (Unknown("x"), REMEMBERING, FIRST.exhausted(), 600_000, AskLater),  # nobody has said that it was not executed
        (Pending("pi_1", "x"), REMEMBERING, FIRST.exhausted(), 600_000, AskLater),
        (NotFound(), REMEMBERING, FIRST.exhausted(), MAX_RESUBMIT_AGE_MS, NeverExecuted),
        (NotFound(), REMEMBERING, FRESH, 60_000, Resubmit),  # written and, as far as anybody knows, never sent
        (NotFound(), REMEMBERING, FRESH.exhausted(), 59_999, AskLater),
        (NotFound(), REMEMBERING, FRESH.exhausted(), 60_000, NeverExecuted),  # and no third one
        (NotFound(), HONOURING, FIRST.exhausted(), MAX_RESUBMIT_AGE_MS - 1, AskLater),  # its "not found" is never final
        (Pending("pi_1", "x"), REMEMBERING, FIRST, 40_000, AskLater),
        (Pending("pi_1", "x"), HONOURING, FIRST, MAX_RESUBMIT_AGE_MS * 9, AskLater),
    ],
)
def test_the_decision_table_of_kept_failures(
    found: LookupOutcome, capabilities: GatewayCapabilities, plan: AttemptedPlan, age_ms: int, expected: type
) -> None:
    """Each AskLater row next to a Renew row fails when its bound is dropped, and each is a double charge."""
    assert isinstance(judge(found, capabilities, age_ms, 30_000, plan=plan), expected)


DONE, NO, GONE = Succeeded("ch", "op"), Declined("declined", "no"), NotFound()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([GONE, DONE], DONE),
        ([DONE, GONE], DONE),  # against its promise, but money
        ([DONE, Unknown("x")], DONE),
        ([Pending("pi_1", "x"), NO], Pending("pi_1", "x")),
        ([Unknown("x"), NO], Unknown("x")),
        ([GONE, NO], NO),
        ([NO, GONE], GONE),  # the present one is not decided
        ([GONE, GONE], GONE),
    ],
)
def test_of_several_attempts_what_may_be_money_decides(found: list[LookupOutcome], expected: LookupOutcome) -> None:
    """Fails when a charge of an earlier attempt is forgotten, or a refusal hides what may still be executed."""
    assert together(found) == expected


def test_the_limits_are_those_that_payers_and_gateways_are_told() -> None:
    """In numbers, since the other tests count from the constants. Fails when a limit is lost, or is in another unit."""
    minute_ms = 60_000
    assert 10 * minute_ms == KEY_RETENTION_MARGIN_MS
    assert 60 * minute_ms == MAX_RESUBMIT_AGE_MS
    assert (5_000, 15 * minute_ms) == (FIRST_INQUIRY_DELAY_MS, MAX_INQUIRY_DELAY_MS)
    assert MAX_SUBMISSIONS == 2
