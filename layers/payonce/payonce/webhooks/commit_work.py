"""Work without a gateway: all that it does is one transaction, the commit of its claim.

So nothing has happened before the commit. A new owner just begins again, a draft that meets a change is made anew from
what is stored, and a claim whose owner died is given back by recovery.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from payonce.domain.errors import NotFound, NotStarted, OutcomeUnknown, RequestRejected
from payonce.idempotency.records import Completed, Draft, Plan, Released, StoredResponse
from payonce.webhooks.endpoints import load_endpoint

if TYPE_CHECKING:
    from payonce.domain.endpoint import Endpoint
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Clock, Database, IdSource

# More than an endpoint can have of everything, JSON's escapes and a seal included (see MAX_* in domain.endpoint).
LARGEST_RESPONSE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the use cases need, wired in ``wiring.application``."""

    database: Database
    clock: Clock
    ids: IdSource


class ManagementWork(ABC):
    """One change that a merchant asks for, as the engine's ``Work``.

    ``identities`` are the ids that are drawn once and kept by whoever takes the claim over. The rest of the plan is the
    request itself: who carries it on has sent the same one.
    """

    kind: str

    def __init__(self, services: Services, merchant_id: str, **identities: str) -> None:
        self._services = services
        self._merchant_id = merchant_id
        self._identities = identities

    @abstractmethod
    def resource(self) -> str:
        """Return the path of what is changed, which problem documents link to."""

    @abstractmethod
    def draft(self, record_id: str, now_ms: int) -> Draft:
        """Return response and writes, from what is stored now. Raises ``RequestRejected`` where it can't be done."""

    def prepare(self) -> None:  # noqa: B027 - most works have nothing to prepare
        """Do once, before the first draft, what later drafts keep; done again, change nothing.

        Raises ``StoreUnavailable``, ``OutcomeUnknown`` or a rejection.
        """

    def plan(self) -> Plan:
        """See ``Work``."""
        data = {"kind": self.kind, **self._identities}
        return Plan(claim_id=self._services.ids.new("clm"), resource=self.resource(), data=data)

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return StoredResponse(200, {}, bytes(LARGEST_RESPONSE_BYTES))

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``: there is nothing to do before the commit."""
        try:
            self.prepare()
        except (NotStarted, OutcomeUnknown, RequestRejected) as error:
            # What ``prepare`` may have done changes nothing when it is done again, so the key is free at once.
            return Released(error)
        return Completed(lambda: self._drafted(claim.record.record_id))

    def adopt(self, record: IdempotencyRecord) -> Self:
        """See ``Work``: the ids of the claim."""
        adopted = copy.copy(self)
        adopted._identities = {name: text for name, text in record.plan.items() if name != "kind"}
        return adopted

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. The earlier owner has committed nothing, or there would be nothing to resume."""
        return self.start(claim)

    def _drafted(self, record_id: str) -> Draft | Released:
        try:
            return self.draft(record_id, self._services.clock.now_ms())
        except RequestRejected as refused:
            return Released(refused)


class EndpointWork(ManagementWork):
    """Work on one endpoint that exists."""

    def __init__(self, services: Services, merchant_id: str, endpoint_id: str, **identities: str) -> None:
        super().__init__(services, merchant_id, **identities)
        self._endpoint_id = endpoint_id

    def resource(self) -> str:
        """See ``ManagementWork``."""
        return endpoint_path(self._endpoint_id)

    def load(self) -> Endpoint:
        """Return the endpoint as it is stored now. Raises ``NotFound``."""
        return require_endpoint(self._services.database, self._merchant_id, self._endpoint_id)


def endpoint_path(endpoint_id: str) -> str:
    """Return the path of an endpoint."""
    return f"/webhook_endpoints/{endpoint_id}"


def require_endpoint(database: Database, merchant_id: str, endpoint_id: str) -> Endpoint:
    """Return the merchant's endpoint as it is stored now. Raises ``NotFound``."""
    endpoint = load_endpoint(database, merchant_id, endpoint_id)
    if endpoint is None:
        raise NotFound(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint
