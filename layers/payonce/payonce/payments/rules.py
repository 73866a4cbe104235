"""What a new owner may do after asking the gateway: one pure decision, the centre of "never charged twice"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.gateway import Declined, NotFound, Succeeded

if TYPE_CHECKING:
    from payonce.domain.gateway import GatewayCapabilities, LookupOutcome

# A gateway forgets a key after its retention by its own clock, and the request still has to travel: stay clear of it.
KEY_RETENTION_MARGIN_MS = 600_000
# A payer who was told "we are on it" is not charged out of the blue long after. An hour outlives most incidents.
MAX_RESUBMIT_AGE_MS = 3_600_000
FIRST_INQUIRY_DELAY_MS = 5_000
MAX_INQUIRY_DELAY_MS = 15 * 60_000


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Send the same instruction with the same reference again: it can't be executed twice."""


@dataclass(frozen=True, slots=True)
class NeverExecuted:
    """The gateway certainly has not executed it and nobody will send it any more."""


@dataclass(frozen=True, slots=True)
class AskLater:
    """Not decidable now; ask again at ``at_ms``."""

    at_ms: int
    reason: str


type Decision = Succeeded | Declined | Resubmit | NeverExecuted | AskLater


def decide(
    found: LookupOutcome,
    capabilities: GatewayCapabilities,
    *,
    now_ms: int,
    submit_horizon_ms: int,
    first_submitted_at_ms: int,
    owners: int,
) -> Decision:
    """Return what to do with an operation that an earlier owner may have submitted.

    ``submit_horizon_ms``: no earlier owner can have sent anything later. ``owners``: how many have held the claim,
    which spaces the inquiries out. Resubmits only where it can't be executed twice: the gateway still remembers the
    key, or it says with authority that nothing was executed.

    ::

        first submit        horizon                authoritative
        ────●──────────────────●─────────────────────────●────────────▶ time
            | may be on its way |  may still show up late |  "not found" is final
    """
    match found:
        case Succeeded() | Declined():
            return found
    young = now_ms - first_submitted_at_ms < MAX_RESUBMIT_AGE_MS
    settles_at_ms = _settles_at_ms(capabilities, submit_horizon_ms)
    never_executed = isinstance(found, NotFound) and settles_at_ms is not None and now_ms >= settles_at_ms
    if never_executed and not young:
        return NeverExecuted()
    if young and (never_executed or _key_is_remembered(capabilities, now_ms, first_submitted_at_ms)):
        return Resubmit()
    return AskLater(_next_inquiry_ms(now_ms, owners, settles_at_ms), "not found yet" if never_executed else "unknown")


def _settles_at_ms(capabilities: GatewayCapabilities, submit_horizon_ms: int) -> int | None:
    after_seconds = capabilities.lookup_authoritative_after_seconds
    if not capabilities.lookup_by_reference or after_seconds is None:
        return None
    return submit_horizon_ms + int(after_seconds * 1000)


def _key_is_remembered(capabilities: GatewayCapabilities, now_ms: int, first_submitted_at_ms: int) -> bool:
    retention_ms = capabilities.key_retention_seconds * 1000 - KEY_RETENTION_MARGIN_MS
    return now_ms < first_submitted_at_ms + retention_ms


def _next_inquiry_ms(now_ms: int, owners: int, settles_at_ms: int | None) -> int:
    backoff_ms = min(FIRST_INQUIRY_DELAY_MS << min(owners - 1, 16), MAX_INQUIRY_DELAY_MS)
    at_ms = now_ms + backoff_ms
    # No need to wait longer than until the gateway's "not found" becomes final.
    if settles_at_ms is not None and now_ms < settles_at_ms < at_ms:
        return settles_at_ms
    return at_ms
