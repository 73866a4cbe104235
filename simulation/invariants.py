"""The promises by moment: each is told of every moment that concerns it, and raises ``Violated``.

A moment is a transaction that took place, a submission that left, an execution at a gateway, an answer to a client, a
webhook at its receiver, or the end. The functions know the truth: the gateways' books, and who owns which claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.promises import answers, books, charges, claims, events, setups, specification, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.database import Commit
    from simulation.facts import Answered, Facts
    from simulation.gateway_books import Booking, Sent
    from simulation.messages import Received

ON_COMMIT: tuple[Callable[[Facts, Commit], None], ...] = (
    claims.p3_completed_is_final,
    claims.p5_only_the_owner_writes,
    claims.p5_no_takeover_from_a_running_owner,
    claims.p5_money_moves_under_a_fence,
    charges.p4_unknown_is_no_failure,
    charges.p2_success_was_executed,
    waiting.p4_ended_unpaid_is_certain,
    events.p6_one_event_per_change,
    books.p7_ledger_balances,
    books.p7_returned_as_the_gateway_says,
    books.p8_writes_are_the_merchants_own,
    setups.p4_set_up_is_certain,
    setups.p4_charged_while_active,
    specification.spec_allows_the_change,
    claims.note_commit,
    waiting.note_waiting,
)
ON_SENT: tuple[Callable[[Facts, Sent], None], ...] = (
    charges.p1_stored_before_sent,
    charges.p1_no_more_than_there_is,
    charges.p4_never_rerouted,
    specification.spec_allows_the_submission,
)
ON_BOOKED: tuple[Callable[[Facts, str, Booking], None], ...] = (
    charges.p1_one_execution_per_key,
    charges.p2_nothing_after_a_503,
    books.p9_corrected_at_most_once,
)
ON_ANSWERED: tuple[Callable[[Facts, Answered], None], ...] = (
    answers.p2_acknowledged_is_stored,
    answers.p2_refused_is_not_executed,
    answers.p3_replay_is_the_first_answer,
    answers.p8_answers_are_the_merchants_own,
)
ON_RECEIVED: tuple[Callable[[Facts, Received], None], ...] = (
    events.p6_every_copy_is_the_same,
    events.p8_webhooks_are_the_merchants_own,
)
IN_THE_END: tuple[Callable[[Facts], None], ...] = (
    books.p9_books_agree,
    books.p9_returns_are_booked,
    events.p6_every_event_arrived,
    waiting.p4_status_is_true,
    setups.p4_methods_are_true,
)
