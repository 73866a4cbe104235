"""Decides what a new owner may do after asking the gateway: one pure function, the centre of "never charged twice"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.gateway import Declined, NotFound, Pending, Succeeded, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import GatewayCapabilities, LookupOutcome
    from payonce.payments.operations import AttemptedPlan

# A gateway's own clock ends a key's retention, and the request still has to travel: keep this distance from the end.
KEY_RETENTION_MARGIN_MS = 600_000
# A payer who was told "in progress" must not be charged unexpectedly much later. An hour outlives most incidents. It is
# counted up to the moment at which the turn of the claim was due, so that a queue of ours costs no payment its chance.
MAX_RESUBMIT_AGE_MS = 3_600_000
# Maximum number of references: a second failure stored by the gateway is an outage, and the client gets its answer.
MAX_SUBMISSIONS = 2
FIRST_INQUIRY_DELAY_MS = 5_000
MAX_INQUIRY_DELAY_MS = 15 * 60_000


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Send the same instruction with the same reference again: it can't be executed twice."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Nothing was executed under any reference, and this one can't succeed: prepare another attempt."""


@dataclass(frozen=True, slots=True)
class NeverExecuted:
    """The gateway certainly has not executed it, and nobody will send it again."""


@dataclass(frozen=True, slots=True)
class AskLater:
    """The decision has to wait: ask again at ``at_ms``."""

    at_ms: int


type Decision = Succeeded | Declined | Resubmit | Renew | NeverExecuted | AskLater


def decide(
    found: LookupOutcome,
    capabilities: GatewayCapabilities,
    *,
    now_ms: int,
    turn_at_ms: int,
    sendable_until_ms: int,
    submit_horizon_ms: int,
    first_submitted_at_ms: int,
    owners: int,
    plan: AttemptedPlan,
    max_submissions: int = MAX_SUBMISSIONS,
) -> Decision:
    """Return what to do with an operation that an earlier owner may have submitted.

    ``found`` is the combined outcome of all attempts, see ``together``. ``submit_horizon_ms``: the last moment at which
    an earlier owner can have sent anything. ``owners``: how many have held the claim; it sets the backoff between
    inquiries. ``turn_at_ms``: since when this owner could have asked; what has passed since was our own queue, and does
    not make the operation older. ``sendable_until_ms``: nothing is sent later, whoever has waited for whom.

    Resubmits only where nothing can be executed twice: the gateway still remembers the key, or declares with authority
    that nothing was executed. To the gateway a new reference is a new operation: only the latter allows one.

    ::

        first submit        horizon                authoritative
        ────●──────────────────●─────────────────────────●────────────▶ time
            | may be on its way |  may still show up late |  "not found" is final
    """
    match found:
        case Succeeded() | Declined():
            return found
    young = turn_at_ms - first_submitted_at_ms < MAX_RESUBMIT_AGE_MS and now_ms < sendable_until_ms
    settles_at_ms = _settles_at_ms(capabilities, submit_horizon_ms)
    if isinstance(found, NotFound) and settles_at_ms is not None and now_ms >= settles_at_ms:
        return _after_not_executed(plan, young=young, max_submissions=max_submissions)
    repeatable = not plan.spent and not isinstance(found, Pending)
    if young and repeatable and _key_is_remembered(capabilities, now_ms, first_submitted_at_ms):
        return Resubmit()
    return AskLater(next_inquiry_ms(now_ms, owners, settles_at_ms))


def together(found: Sequence[LookupOutcome]) -> LookupOutcome:
    """Return the outcome of an operation from those of its attempts, the present one last.

    An attempt is only made after the gateway declared with authority that the earlier ones were not executed. If an
    earlier one appears nevertheless, it counts: first one that moved money, then one that still may. Otherwise the
    present attempt decides.
    """
    for wanted in (Succeeded, Pending, Unknown):
        for outcome in found:
            if isinstance(outcome, wanted):
                return outcome
    return found[-1]


def _after_not_executed(plan: AttemptedPlan, *, young: bool, max_submissions: int) -> Resubmit | Renew | NeverExecuted:
    if young and not plan.spent:
        return Resubmit()
    if young and plan.submission < max_submissions:
        return Renew()
    return NeverExecuted()


def _settles_at_ms(capabilities: GatewayCapabilities, submit_horizon_ms: int) -> int | None:
    after_seconds = capabilities.lookup_authoritative_after_seconds
    if not capabilities.lookup_by_reference or after_seconds is None:
        return None
    return submit_horizon_ms + int(after_seconds * 1000)


def _key_is_remembered(capabilities: GatewayCapabilities, now_ms: int, first_submitted_at_ms: int) -> bool:
    retention_ms = capabilities.key_retention_seconds * 1000 - KEY_RETENTION_MARGIN_MS
    return now_ms < first_submitted_at_ms + retention_ms


def next_inquiry_ms(now_ms: int, owners: int, settles_at_ms: int | None = None) -> int:
    """Return when to ask again: exponential backoff by the number of owners, from seconds to a quarter of an hour."""
    backoff_ms = min(FIRST_INQUIRY_DELAY_MS << min(owners - 1, 16), MAX_INQUIRY_DELAY_MS)
    at_ms = now_ms + backoff_ms
    # There is no need to wait past the moment when the gateway's "not found" becomes final.
    if settles_at_ms is not None and now_ms < settles_at_ms < at_ms:
        return settles_at_ms
    return at_ms
