"""The audit trail: one immutable entry for every transition of a claim, whatever store keeps the claims.

An entry's id is made of what changed and not of who noticed it: a stream that is read twice, or an operator's entry
that the stream reports again, adds nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from payonce.domain.ids import content_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.idempotency.records import IdempotencyRecord

AUDIT_NAMESPACE = "payonce/audit/v1"
ENGINE_PRINCIPAL = "payonce"  # the engine made it: for a request, or in recovery
MAX_NOTE_CHARACTERS = 1000  # of an operator's texts: a sentence or a ticket, not a file


class Transition(StrEnum):
    """What can happen to a claim. ``UNFORESEEN`` is what neither the engine nor an operator's release does.

    ``ACTED`` and ``REFUSED`` are of no claim: what a person did by the operator's command, or tried to do.
    """

    CLAIMED = "claimed"
    TAKEN_OVER = "taken_over"
    PARKED = "parked"
    COMPLETED = "completed"
    RELEASED = "released"
    EXPIRED = "expired"
    UNFORESEEN = "unforeseen"
    ACTED = "acted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedBy:
    """An operator's release: who, why, what was found where the effect would be, and whether a lease was cut short.

    ``at_ms``: when, in epoch milliseconds.
    """

    operator: str
    reason: str
    at_ms: int
    finding: str = ""
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One transition. ``fence`` and the status are those after it; for a deletion, those that were deleted.

    Times are epoch milliseconds. ``principal``: who did it, the id of an API key or "operator:<name>"; "payonce" where
    nobody in particular asked, else the service that did it. ``sequence`` is the store's own number of an unforeseen
    change, of which there may be several under one fence, or tells a person's acts apart; "" otherwise.
    No member holds a plan, a response body or a key: the key is in ``record_id`` as a hash.
    """

    record_id: str
    claim_id: str
    fence: int
    transition: Transition
    at_ms: int
    status: str
    principal: str = ENGINE_PRINCIPAL
    resource: str = ""
    fingerprint: str = ""
    lease_expires_at_ms: int = 0
    response_status: int = 0
    reason: str = ""
    finding: str = ""
    forced: bool = False
    sequence: str = ""

    @property
    def entry_id(self) -> str:
        """The one id of this transition, however often and by whomever it is reported."""
        return content_id(
            "aud", AUDIT_NAMESPACE, self.record_id, self.claim_id, str(self.fence), self.transition.value, self.sequence
        )

    @property
    def scope(self) -> str:
        """The merchant (or other tenant) whose claim it is."""
        return self.record_id.rsplit("#", 2)[0]

    @property
    def operation(self) -> str:
        """The operation of the claim."""
        parts = self.record_id.rsplit("#", 2)
        return parts[1] if len(parts) == 3 else ""

    def to_data(self) -> dict[str, Any]:
        """Return the members as strings, ints and bools: what stores keep and ``from_data`` reads."""
        return {**asdict(self), "transition": self.transition.value}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> AuditEntry:
        """Return the entry of ``to_data``; further members are ignored, so that stores may add their keys."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(**{**known, "transition": Transition(data["transition"])})


def released_entry(owned: IdempotencyRecord, by: ReleasedBy) -> AuditEntry:
    """Return the entry of an operator's release. Stores write it in the same transaction as the release."""
    return AuditEntry(
        record_id=owned.record_id,
        claim_id=owned.claim_id,
        fence=owned.fence,
        transition=Transition.RELEASED,
        at_ms=by.at_ms,
        status=owned.status.value,
        principal=f"operator:{by.operator}",
        resource=owned.resource,
        fingerprint=owned.fingerprint,
        lease_expires_at_ms=owned.lease_expires_at_ms,
        response_status=0 if owned.response is None else owned.response.status,
        reason=by.reason,
        finding=by.finding,
        forced=by.forced,
    )


def act_entry(
    *, scope: str, operation: str, resource: str, principal: str, at_ms: int, act_id: str, reason: str, refused: bool
) -> AuditEntry:
    """Return the entry of what a person did, or tried to do, by the operator's command: no claim is made for it.

    ``act_id`` is one id for each act, such as the version that it made.
    """
    return AuditEntry(
        record_id=f"{scope}#{operation}#{resource.replace('#', '')}",
        claim_id=resource,
        fence=0,
        transition=Transition.REFUSED if refused else Transition.ACTED,
        at_ms=at_ms,
        status="refused" if refused else "acted",
        principal=principal,
        resource=resource,
        reason=reason[:MAX_NOTE_CHARACTERS],
        sequence=act_id,
    )


class AuditTrail(Protocol):
    """Port of the trail as it is read. How it is written is the store's own business: with the transition, or from it.

    Both methods read page by page: their memory does not grow with what they return.
    """

    def entries(self, *, from_ms: int, until_ms: int, scope: str | None = None) -> Iterator[AuditEntry]:
        """Yield the entries with ``from_ms <= at_ms < until_ms``, by time, of one scope or of all."""
        ...

    def history(self, record_id: str, *, newest_first: bool = False, limit: int = 100) -> list[AuditEntry]:
        """Return up to ``limit`` entries of one record in the order of its claims and owners."""
        ...
