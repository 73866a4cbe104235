"""The application's wiring, shared by all kinds of processes.

Every part is constructed on first use, so that a function's cold start pays only for the parts it needs.
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.wiring.adapters import BUCKET_VARIABLE, Adapters
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    from payonce.corrections.policy import PolicySource
    from payonce.corrections.workflow import Corrections
    from payonce.idempotency.audit_items import DatabaseAuditTrail
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.idempotency.release import ReleaseDesk
    from payonce.merchants.api_keys import Merchants
    from payonce.overview.request_counts import RequestCounts
    from payonce.payments.payment_work import Services
    from payonce.payments.recovery_run import Recovery
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.cases.explain import Explainer
    from payonce.reconciliation.cases.match_desk import MatchDesk
    from payonce.routing.control.router import Router
    from payonce.webhooks.commit_work import Services as WebhookServices
    from payonce.webhooks.keys import KeyMaker


class Application(Adapters):
    """The wired application. Tests can pass in the adapters; the properties construct the others on first use."""

    @cached_property
    def services(self) -> Services:
        """Return the dependencies of the payment use cases."""
        from payonce.payments.payment_work import Services

        return Services(database=self.database, clock=self.clock, ids=self.ids)

    @cached_property
    def store(self) -> DatabaseIdempotencyStore:
        """Return the store of idempotency records."""
        from payonce.idempotency.record_store import DatabaseIdempotencyStore

        return DatabaseIdempotencyStore(self.database, audit_retention_seconds=self.settings.audit_retention_seconds)

    @cached_property
    def audit_trail(self) -> DatabaseAuditTrail:
        """Return the audit trail of the idempotency records."""
        from payonce.idempotency.audit_items import DatabaseAuditTrail

        return DatabaseAuditTrail(self.database, self.settings.audit_retention_seconds)

    @cached_property
    def engine(self) -> IdempotencyEngine:
        """Return the idempotency engine."""
        from payonce.idempotency.engine import IdempotencyEngine
        from payonce.idempotency.persistence import with_powertools

        return IdempotencyEngine(
            store=self.store,
            settings=self.settings.idempotency,
            clock=self.clock,
            sleep=time.sleep,
            flow=with_powertools,
        )

    @cached_property
    def release_desk(self) -> ReleaseDesk:
        """Return the use case with which operators release claims."""
        from payonce.payments.recovery_run import release_desk

        return release_desk(self.store, self.gateway, self.services)

    @cached_property
    def merchants(self) -> Merchants:
        """Return the use cases of merchants and API keys."""
        from payonce.merchants.api_keys import Merchants

        return Merchants(database=self.database, clock=self.clock, ids=self.ids, random_bytes=os.urandom)

    @cached_property
    def explainer(self) -> Explainer:
        """Return the explainer of why breaks arose."""
        from payonce.reconciliation.cases.explain import Explainer

        return Explainer(database=self.database, store=self.store, open_claims=self.store, trail=self.audit_trail)

    @cached_property
    def corrections(self) -> Corrections:
        """Return the use cases of corrections."""
        from payonce.corrections.workflow import Corrections

        return Corrections(
            services=self.services,
            engine=self.engine,
            gateway_named=self.gateway,
            # Called late, because only the worker and operators may read the bucket.
            policy=lambda: self._correction_policy(),
            notifier=self.workflows,
            reads_policy=lambda: "files" in self.__dict__ or bool(os.environ.get(BUCKET_VARIABLE)),
            audited=lambda entry: [self.audit_trail.write_of(entry)],
        )

    def correcting(self, case: Case) -> str | None:
        """Return the state of the case's correction while it is under way, else ``None``."""
        from payonce.corrections.record import FINAL
        from payonce.corrections.workflow import Identity

        identity = Identity(case.merchant_id or "", case.payment_id or "", case.break_id)
        correction = self.corrections.find(identity)
        return None if correction is None or correction.status in FINAL else correction.status.value

    @cached_property
    def matches(self) -> MatchDesk:
        """Return the use cases of the operator's matches by hand."""
        from payonce.reconciliation.cases.match_desk import MatchDesk

        return MatchDesk(
            database=self.database,
            clock=self.clock,
            ids=self.ids,
            audited=lambda entry: [self.audit_trail.write_of(entry)],
            correcting=self.correcting,
        )

    @cached_property
    def _correction_policy(self) -> PolicySource:
        from payonce.corrections.policy import PolicySource

        return PolicySource(self.files, self.clock)

    @cached_property
    def recovery(self) -> Recovery:
        """Return the recovery of one open claim."""
        from payonce.payments.recovery_run import Recovery

        return Recovery(engine=self.engine, services=self.services, gateway_named=self.gateway)

    @cached_property
    def webhook_services(self) -> WebhookServices:
        """Return the dependencies of the webhook use cases."""
        from payonce.webhooks.commit_work import Services as WebhookServices

        return WebhookServices(database=self.database, clock=self.clock, ids=self.ids)

    @cached_property
    def key_maker(self) -> KeyMaker:
        """Return the generator of the endpoints' signing keys."""
        from payonce.webhooks.keys import KeyMaker

        return KeyMaker(self.cipher, os.urandom)

    @cached_property
    def request_counts(self) -> RequestCounts:
        """Return this environment's counts of requests that leave no item."""
        from payonce.observability import get_logger
        from payonce.overview.request_counts import RequestCounts

        return RequestCounts(self.clock, get_logger())

    def check_endpoint_url(self, url: str) -> None:
        """Raise ``BodyMalformed`` unless webhooks may be sent to ``url``."""
        from payonce.network.webhook_urls import check_url

        check_url(url, allow_local=self.settings.allow_local_endpoints)

    @cached_property
    def router(self) -> Router:
        """Return the router, which chooses the gateway of new payments and admits them."""
        from payonce.wiring.gateways import make_router

        return make_router(self.settings, lambda: self.database, self.clock)

    def route(
        self, payment_id: str, method: str, merchant_gateway: str, passed_over: frozenset[str] = frozenset()
    ) -> str:
        """Return the gateway of a new payment, one that takes its ``method``; see ``Router.route``.

        What comes of it may be no gateway at all: ``require_gateway`` refuses such a payment.
        """
        return self.router.route(payment_id, method, merchant_gateway, passed_over | self.without_method(method))


def bootstrap() -> Application:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return Application(load_settings(os.environ))
