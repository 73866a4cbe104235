"""Work without a gateway: its whole effect is one transaction, the commit of its claim.

So nothing has happened before the commit. A new owner simply starts again, a draft is rebuilt from what is stored when
it meets a change, and recovery releases the claim of a dead owner.
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

# More than an endpoint's largest response, including JSON escapes and a seal (see MAX_* in domain.endpoint).
LARGEST_RESPONSE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases' dependencies, wired in ``wiring.application``."""

    database: Database
    clock: Clock
    ids: IdSource


class ManagementWork(ABC):
    """One change that a merchant requests, as the engine's ``Work``.

    ``identities`` are the ids that are drawn once and kept by every later owner of the claim. The rest of the plan is
    the request itself, which is equal for every owner.
    """

    kind: str

    def __init__(self, services: Services, merchant_id: str, **identities: str) -> None:
        self._services = services
        self._merchant_id = merchant_id
        self._identities = identities

    @abstractmethod
    def resource(self) -> str:
        """Return the path of the changed resource, to which problem documents link."""

    @abstractmethod
    def draft(self, record_id: str, now_ms: int) -> Draft:
        """Return response and writes, based on what is stored now. Raises ``RequestRejected`` when it is impossible."""

    def prepare(self) -> None:  # noqa: B027 - most works have nothing to prepare
        """Prepare, before the first draft, what all drafts use. Must be idempotent.

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
        """See ``Work``. There is nothing to do before the commit."""
        try:
            self.prepare()
        except (NotStarted, OutcomeUnknown, RequestRejected) as error:
            # ``prepare`` is idempotent, so the key can be free again at once.
            return Released(error)
        return Completed(lambda: self._drafted(claim.record.record_id))

    def adopt(self, record: IdempotencyRecord) -> Self:
        """See ``Work``. The ids are the claim's."""
        adopted = copy.copy(self)
        adopted._identities = {name: text for name, text in record.plan.items() if name != "kind"}
        return adopted

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. The earlier owner has committed nothing; otherwise there would be nothing to resume."""
        return self.start(claim)

    def _drafted(self, record_id: str) -> Draft | Released:
        try:
            return self.draft(record_id, self._services.clock.now_ms())
        except RequestRejected as refused:
            return Released(refused)


class EndpointWork(ManagementWork):
    """Work on one existing endpoint."""

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
