"""The application's wiring, shared by all kinds of processes.

Every part is constructed on first use, so that a function's cold start pays only for the parts it needs.
"""

from __future__ import annotations

import os
import random
import time
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.clock import SystemClock
from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.ids import UlidSource
from payonce.payments.payment_work import Services
from payonce.wiring.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config
    from mypy_boto3_sqs.client import SQSClient

    from payonce.corrections.policy import PolicySource
    from payonce.corrections.workflow import Corrections
    from payonce.idempotency.audit_items import DatabaseAuditTrail
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.idempotency.release import ReleaseDesk
    from payonce.merchants.api_keys import Merchants
    from payonce.payments.recovery_run import Recovery
    from payonce.ports import Cipher, Clock, Database, FileStore, Gateway, MessageQueue, Workflows
    from payonce.reconciliation.cases.explain import Explainer
    from payonce.routing.control.router import Router
    from payonce.webhooks.commit_work import Services as WebhookServices
    from payonce.webhooks.keys import KeyMaker

# DynamoDB, KMS and SQS normally answer in milliseconds. Three tries of at most two seconds fit into a request's budget.
AWS_CONNECT_TIMEOUT_SECONDS = 1
AWS_READ_TIMEOUT_SECONDS = 2
AWS_MAX_ATTEMPTS = 3
AWS_MAX_CONNECTIONS = 10
BUCKET_VARIABLE = "PAYONCE_RECONCILIATION_BUCKET"


class Application:
    """The wired application. Tests can pass in the adapters; the properties construct the others on first use."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        database: Database | None = None,
        gateways: Mapping[str, Gateway] | None = None,
        cipher: Cipher | None = None,
        delivery_queue: MessageQueue | None = None,
        workflows: Workflows | None = None,
        files: FileStore | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.ids = UlidSource(self.clock.now_ms, os.urandom)
        self._database = database
        self._gateways: dict[str, Gateway] = dict(gateways or {})
        self._cipher = cipher
        self._delivery_queue = delivery_queue
        self._workflows = workflows
        if files is not None:
            self.files = files

    @cached_property
    def database(self) -> Database:
        """Return the database: DynamoDB, unless a test passed another."""
        if self._database is not None:
            return self._database
        import boto3

        from payonce.stores.dynamodb import DynamoDatabase

        client = boto3.client("dynamodb", config=client_config(), endpoint_url=self.settings.endpoint_url)
        return DynamoDatabase(client, self.settings.table_names, jitter=lambda: 0.5 + random.random())  # noqa: S311

    @cached_property
    def services(self) -> Services:
        """Return the dependencies of the payment use cases."""
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

        return IdempotencyEngine(
            store=self.store, settings=self.settings.idempotency, clock=self.clock, sleep=time.sleep
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

        return Explainer(database=self.database, store=self.store, trail=self.audit_trail)

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

    @cached_property
    def _correction_policy(self) -> PolicySource:
        from payonce.corrections.policy import PolicySource

        return PolicySource(self.files, self.clock)

    @cached_property
    def workflows(self) -> Workflows:
        """Return the workflows of corrections: Step Functions, unless a test passed others."""
        if self._workflows is not None:
            return self._workflows
        import boto3

        from payonce.aws.step_functions import StepFunctionsWorkflows

        client = boto3.client("stepfunctions", config=client_config(), endpoint_url=self.settings.endpoint_url)
        return StepFunctionsWorkflows(client, self.settings.corrections_arn)

    @cached_property
    def files(self) -> FileStore:
        """Return the bucket of reports, statements and policies. Raises ``MisconfiguredError``."""
        bucket = os.environ.get(BUCKET_VARIABLE, "")
        if not bucket:
            raise MisconfiguredError(f"{BUCKET_VARIABLE} is not set: there is no place for reports and statements.")
        import boto3

        from payonce.aws.s3_files import S3Files

        return S3Files(boto3.client("s3", config=client_config(), endpoint_url=self.settings.endpoint_url), bucket)

    @cached_property
    def recovery(self) -> Recovery:
        """Return the recovery of open claims."""
        from payonce.observability import get_logger
        from payonce.payments.recovery_run import Recovery

        def report(open_id: str, error: Exception) -> None:
            get_logger().error("claim not recovered", extra={"record_id": open_id, "error": repr(error)})

        return Recovery(
            store=self.store,
            engine=self.engine,
            services=self.services,
            gateway_named=self.gateway,
            report_error=report,
        )

    @cached_property
    def cipher(self) -> Cipher:
        """Return the cipher of the webhooks' secrets. Raises ``MisconfiguredError``."""
        if self._cipher is not None:
            return self._cipher
        if not self.settings.secrets_key_arn:
            raise MisconfiguredError("PAYONCE_SECRETS_KEY_ARN is not set: no secret can be sealed or opened.")
        import boto3

        from payonce.aws.envelope import EnvelopeCipher

        client = boto3.client("kms", config=client_config(), endpoint_url=self.settings.endpoint_url)
        return EnvelopeCipher(client, self.settings.secrets_key_arn, self.clock, os.urandom)

    @cached_property
    def delivery_queue(self) -> MessageQueue:
        """Return the queue of due deliveries. Raises ``MisconfiguredError``."""
        if self._delivery_queue is not None:
            return self._delivery_queue
        if not self.settings.delivery_queue_url:
            raise MisconfiguredError("PAYONCE_DELIVERY_QUEUE_URL is not set: no delivery can be queued.")
        from payonce.aws.sqs import SqsQueue

        return SqsQueue(self.sqs_client, self.settings.delivery_queue_url)

    @cached_property
    def sqs_client(self) -> SQSClient:
        """Return the SQS client."""
        import boto3

        return boto3.client("sqs", config=client_config(), endpoint_url=self.settings.endpoint_url)

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

    def check_endpoint_url(self, url: str) -> None:
        """Raise ``BodyMalformed`` unless webhooks may be sent to ``url``."""
        from payonce.network.webhook_urls import check_url

        check_url(url, allow_local=self.settings.allow_local_endpoints)

    @cached_property
    def router(self) -> Router:
        """Return the router, which chooses the gateway of new payments and admits them."""
        from payonce.wiring.gateways import make_router

        return make_router(self.settings, lambda: self.database, self.clock)

    def route(self, payment_id: str, method: str, merchant_gateway: str) -> str:
        """Return the gateway of a new payment; see ``require_gateway``."""
        return self.router.route(payment_id, method, merchant_gateway)

    def require_gateway(self, name: str) -> None:
        """Raise ``GatewayUnavailable`` unless the gateway of a new payment is configured."""
        if name not in self.settings.gateways and name not in self._gateways:
            raise GatewayUnavailable("No payment gateway is configured for this merchant. Nothing was executed.")

    def gateway(self, name: str) -> Gateway:
        """Return the adapter of the gateway ``name``. Raises ``GatewayUnavailable`` unless it is configured."""
        if name not in self._gateways:
            from payonce.wiring.gateways import make_gateway

            self._gateways[name] = make_gateway(self.settings, name, lambda: self._secrets, self.clock)
        return self._gateways[name]

    @cached_property
    def _secrets(self) -> Mapping[str, str]:
        """Return the gateways' credentials, read once per process."""
        from payonce.gateways.secrets import read_secrets

        return read_secrets(self.settings.gateway_secret_arn, endpoint_url=self.settings.endpoint_url)


def client_config(max_connections: int = AWS_MAX_CONNECTIONS) -> Config:
    """Return the configuration of every AWS client: timeouts, retries and connections."""
    from botocore.config import Config

    return Config(
        connect_timeout=AWS_CONNECT_TIMEOUT_SECONDS,
        read_timeout=AWS_READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": AWS_MAX_ATTEMPTS},
        max_pool_connections=max_connections,
    )


def bootstrap() -> Application:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return Application(load_settings(os.environ))
