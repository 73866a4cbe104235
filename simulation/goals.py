"""Goals: situations that a run should reach sometimes. A slice that never reaches one proves nothing about it.

The idea is that of Antithesis' "sometimes" assertions (https://docs.rs/antithesis_sdk, macro ``assert_sometimes``): a
test that is always green may never have come where it could fail.
"""

from __future__ import annotations

from enum import StrEnum


class Goal(StrEnum):
    """Every situation, in words for people."""

    TAKEN_OVER = "a claim was taken over"
    TAKEN_OVER_TWICE = "a claim was taken over twice"
    TAKEN_OVER_AT_ANOTHER_TIME = "taken over by a machine whose clock is seconds ahead"
    STALE_OWNER_REFUSED = "a stale owner woke after the takeover, and its write was refused"
    FROZEN_PAST_LEASE = "an execution was frozen for longer than its lease"
    ENDED_AT_TIMEOUT = "Lambda ended an execution at its timeout"
    KILLED = "an execution was killed"
    REPLAYED = "a final answer was replayed"
    REPLAYED_IN_DOUBT = "a retry was answered while the outcome was in doubt"
    KEY_REUSED = "a key was refused for another body"
    KEY_IN_PROGRESS = "a duplicate waited in vain for the first"
    KEY_EXPIRED = "a retry after the window was refused by the guard"
    KEY_FORGOTTEN = "a key was used again after its record was deleted"
    CLAIM_LANDED_LATE = "a claim arrived after its sender had given up on the answer"
    COMMIT_ANSWER_LOST = "a commit took place and its answer was lost"
    CONFLICT_RETRIED = "a transaction was cancelled by a condition, and made again"
    RELEASED = "a claim was released"
    RESUBMITTED = "an owner sent a reference again"
    SECOND_REFERENCE = "an operation was sent under a second reference"
    FAILURE_KEPT = "a gateway kept a failure for a key"
    BOOKED_LATE = "a gateway executed what it had answered nobody about"
    BOOKED_AFTER_NOT_FOUND = "a gateway executed what it had said it does not know"
    LATE_BOOKING_MET_RESUBMISSION = "a late booking and a resubmission met"
    DECLINED = "a gateway declined"
    NEVER_EXECUTED = "an operation ended as never executed"
    RESERVATION_REFUSED = "an operation was refused, because others had reserved the amount"
    OVERTAKEN = "a gateway refused, because somebody else had changed the charge"
    OTHER_GATEWAY = "after a gateway that was never reached, the key was executed by another"
    STOOD_BY = "a recovery run stood by while another one had the lead, or waited for a silent gateway"
    ASKED_IN_VAIN = "a message of the recovery queue found a claim that was leased, concluded, or still unknown"
    RELAYED_TWICE = "an event was relayed twice"
    SWEPT = "the sweeper relayed what the stream had lost"
    DELIVERED_TWICE = "an event was delivered twice to one endpoint"
    DELIVERY_OVERTAKEN = "a delivery's stale owner was refused"
    DELIVERY_DEFERRED = "the breaker put a delivery off"
    DEAD_LETTER = "a message came to the dead-letter queue"
    CORRECTED = "a surplus charge was given back"
    CORRECTION_CONTENDED = "two workers executed one correction at the same time"
    KEY_SHARED = "two merchants used the same key"
    STRANGER_REFUSED = "a merchant asked for another's payment, and got 404"
