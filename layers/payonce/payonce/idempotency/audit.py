"""The audit trail: one immutable entry for every transition of a claim, in every store.

An entry's id is derived from the transition, not from its reporter. So reading a stream twice adds nothing, and neither
does the stream's report of a transition that an operator's entry already records.

A store may report a claim together with the transition that follows it: until then the record itself says everything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from payonce.domain.ids import content_id
from payonce.domain.principals import OPERATOR_PREFIX
from payonce.idempotency.records import RecordStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.idempotency.records import IdempotencyRecord

AUDIT_NAMESPACE = "payonce/audit/v1"
ASKED_BY = "by"  # the member of a plan that names the requesting API key
ENGINE_PRINCIPAL = "payonce"  # the principal of the engine's own transitions, for a request or in recovery
MAX_NOTE_CHARACTERS = 1000  # an operator's text may be a sentence or a ticket number, not a file


class Transition(StrEnum):
    """The transitions of a claim. ``UNFORESEEN`` is a change that neither the engine nor an operator's release makes.

    ``ACTED`` and ``REFUSED`` concern no claim: a person did something by the operator's command, or tried to.
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
    """An operator's release: who, why, what was found where the effect would be, and whether it broke a lease.

    ``at_ms`` is its time in epoch milliseconds.
    """

    operator: str
    reason: str
    at_ms: int
    finding: str = ""
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One transition. ``fence`` and the status are those after it, or for a deletion those of the deleted record.

    Times are epoch milliseconds. ``principal`` is who caused it: an API key's id, "operator:<name>", the service that
    did it, or "payonce" when nobody in particular asked. ``sequence`` distinguishes several unforeseen changes under
    one fence (the store's own number) or several acts of a person; otherwise it is "".
    No member holds a plan, a response body or a key: ``record_id`` contains only the key's hash.
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
        """The id of this transition: the same for every report of it, whoever reports it."""
        return content_id(
            "aud", AUDIT_NAMESPACE, self.record_id, self.claim_id, str(self.fence), self.transition.value, self.sequence
        )

    @property
    def scope(self) -> str:
        """The merchant (or other tenant) who owns the claim."""
        return self.record_id.rsplit("#", 2)[0]

    @property
    def operation(self) -> str:
        """The claim's operation."""
        parts = self.record_id.rsplit("#", 2)
        return parts[1] if len(parts) == 3 else ""

    def to_data(self) -> dict[str, Any]:
        """Return the members as strings, ints and bools, the form that stores keep and ``from_data`` reads."""
        # Not ``asdict``, which copies every member: this is done twice for each keyed request of a sidecar.
        return {**{name: getattr(self, name) for name in _MEMBERS}, "transition": self.transition.value}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> AuditEntry:
        """Return the entry from ``to_data``'s form. Unknown members are ignored, so that stores may add their own."""
        known = {name: data[name] for name in _MEMBERS if name in data}
        return cls(**{**known, "transition": Transition(data["transition"])})


_MEMBERS = tuple(field.name for field in fields(AuditEntry))


def released_entry(owned: IdempotencyRecord, by: ReleasedBy) -> AuditEntry:
    """Return the entry of an operator's release. Stores write it in the same transaction as the release."""
    return AuditEntry(
        record_id=owned.record_id,
        claim_id=owned.claim_id,
        fence=owned.fence,
        transition=Transition.RELEASED,
        at_ms=by.at_ms,
        status=owned.status.value,
        principal=f"{OPERATOR_PREFIX}{by.operator}",
        resource=owned.resource,
        fingerprint=owned.fingerprint,
        lease_expires_at_ms=owned.lease_expires_at_ms,
        response_status=0 if owned.response is None else owned.response.status,
        reason=by.reason,
        finding=by.finding,
        forced=by.forced,
    )


def claimed_entry(owned: IdempotencyRecord) -> AuditEntry | None:
    """Return the entry of the claim itself while nothing has followed it, otherwise ``None``."""
    if (owned.fence, owned.status) != (1, RecordStatus.IN_PROGRESS):
        return None
    asked_by = owned.plan.get(ASKED_BY)
    return AuditEntry(
        record_id=owned.record_id,
        claim_id=owned.claim_id,
        fence=owned.fence,
        transition=Transition.CLAIMED,
        at_ms=owned.created_at_ms,
        status=owned.status.value,
        principal=asked_by if isinstance(asked_by, str) and asked_by else ENGINE_PRINCIPAL,
        resource=owned.resource,
        fingerprint=owned.fingerprint,
        lease_expires_at_ms=owned.lease_expires_at_ms,
    )


def act_entry(
    *, scope: str, operation: str, resource: str, principal: str, at_ms: int, act_id: str, reason: str, refused: bool
) -> AuditEntry:
    """Return the entry of an act, done or refused, of a person at the operator's command. It concerns no claim.

    ``act_id`` is unique per act, for instance the version that the act created.
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
    """Port for reading the trail. Each store decides how it writes it: with the transition, or derived from it.

    Both methods read page by page: their use of memory does not grow with the number of entries.
    """

    def entries(self, *, from_ms: int, until_ms: int, scope: str | None = None) -> Iterator[AuditEntry]:
        """Yield the entries with ``from_ms <= at_ms < until_ms`` of one scope by time, or of all scopes.

        A store may yield those of all scopes month by month (UTC) and scope by scope, each by time. A claim that is
        reported with the transition after it comes before that one, and both lie in the claim's period, or in that of
        an operator's release.
        """
        ...

    def history(self, record_id: str, *, newest_first: bool = False, limit: int = 100) -> list[AuditEntry]:
        """Return up to ``limit`` entries of one record, ordered by claim and owner."""
        ...
