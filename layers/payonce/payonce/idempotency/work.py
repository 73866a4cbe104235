"""What the engine executes: the business's side of a keyed request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord, Plan, StoredResponse


class Work(Protocol):
    """The work to be done once per key. It knows the business; the engine knows keys, leases and fences."""

    def plan(self) -> Plan:
        """Return what the claim stores. Called once, before any effect."""
        ...

    def largest_response(self) -> StoredResponse:
        """Return a response at least as large as any possible one. Its size is checked before the effect."""
        ...

    def start(self, claim: Claim) -> Conclusion:
        """Execute for the first time under this claim."""
        ...

    def adopt(self, record: IdempotencyRecord) -> Work:
        """Return the work that the stored claim describes: after a takeover its identity counts, not the request's."""
        ...

    def resume(self, claim: Claim) -> Conclusion:
        """Continue after a takeover. An earlier owner may have executed it, so ask before executing."""
        ...
