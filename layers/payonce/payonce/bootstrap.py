"""The composition root: the one place where adapters are chosen and wired.

Everything is made when it is first used, so that a function pays at cold start only for what it needs.
"""

from __future__ import annotations

import os
import random
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable
from payonce.domain.ids import UlidSource
from payonce.payments.work import Services
from payonce.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.endpoint import DisabledReason
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.idempotency.store import DatabaseIdempotencyStore
    from payonce.merchants.api_keys import Merchants
    from payonce.payments.recovery import Recovery
    from payonce.ports import Clock, Database, Gateway
    from payonce.webhooks.dispatch import Dispatcher
    from payonce.webhooks.inbox import Inbox
    from payonce.webhooks.relay import Relay
    from payonce.webhooks.scheduler import Scheduler

# A healthy DynamoDB answers in milliseconds. Three tries of at most two seconds each fit into a request's budget.
DATABASE_CONNECT_TIMEOUT_SECONDS = 1
DATABASE_READ_TIMEOUT_SECONDS = 2
DATABASE_MAX_ATTEMPTS = 3
DATABASE_MAX_CONNECTIONS = 10


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000


class Application:
    """The wired application. ``clock``, ``database`` and ``gateways`` can be given by tests."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        database: Database | None = None,
        gateways: Mapping[str, Gateway] | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.ids = UlidSource(self.clock.now_ms, os.urandom)
        self._database = database
        self._gateways: dict[str, Gateway] = dict(gateways or {})

    @cached_property
    def database(self) -> Database:
        """DynamoDB, unless a test gave another."""
        if self._database is not None:
            return self._database
        import boto3
        from botocore.config import Config

        from payonce.stores.dynamodb import DynamoDatabase

        config = Config(
            connect_timeout=DATABASE_CONNECT_TIMEOUT_SECONDS,
            read_timeout=DATABASE_READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": DATABASE_MAX_ATTEMPTS},
            max_pool_connections=DATABASE_MAX_CONNECTIONS,
        )
        client = boto3.client("dynamodb", config=config, endpoint_url=self.settings.endpoint_url)
        return DynamoDatabase(client, self.settings.table_names, jitter=lambda: 0.5 + random.random())  # noqa: S311

    @cached_property
    def services(self) -> Services:
        """What the payment use cases need."""
        return Services(database=self.database, clock=self.clock, ids=self.ids)

    @cached_property
    def store(self) -> DatabaseIdempotencyStore:
        """The store of idempotency records."""
        from payonce.idempotency.store import DatabaseIdempotencyStore

        return DatabaseIdempotencyStore(self.database)

    @cached_property
    def engine(self) -> IdempotencyEngine:
        """The idempotency engine."""
        from payonce.idempotency.engine import IdempotencyEngine

        return IdempotencyEngine(
            store=self.store, settings=self.settings.idempotency, clock=self.clock, sleep=time.sleep
        )

    @cached_property
    def merchants(self) -> Merchants:
        """Merchants and API keys."""
        from payonce.merchants.api_keys import Merchants

        return Merchants(database=self.database, clock=self.clock, ids=self.ids, random_bytes=os.urandom)

    @cached_property
    def recovery(self) -> Recovery:
        """Recovery of open claims."""
        from payonce.observability import get_logger
        from payonce.payments.recovery import Recovery

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
    def relay(self) -> Relay:
        """The relay from the outbox to the delivery queue."""
        from payonce.webhooks.relay import Relay

        return Relay(database=self.database, queue=self.delivery_queue, clock=self.clock)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """The dispatcher of deliveries."""
        from payonce.network.webhook_sender import WebhookSender
        from payonce.observability import get_logger
        from payonce.webhooks.dispatch import Dispatcher
        from payonce.webhooks.gate import Gates
        from payonce.webhooks.signer import Signer

        def report_disabled(endpoint_id: str, reason: DisabledReason) -> None:
            get_logger().warning("endpoint disabled", extra={"endpoint_id": endpoint_id, "reason": reason.value})

        return Dispatcher(
            database=self.database,
            queue=self.delivery_queue,
            transport=WebhookSender(self.clock, allow_local=self.settings.allow_local_endpoints),
            signer=Signer(cipher=self.cipher, clock=self.clock),
            gates=Gates(self.database, choose=random.randrange),
            clock=self.clock,
            jitter=random.random,
            report_disabled=report_disabled,
        )

    @cached_property
    def scheduler(self) -> Scheduler:
        """The scheduler of deliveries and replays."""
        from payonce.observability import get_logger
        from payonce.webhooks.replays import advance_replay
        from payonce.webhooks.scheduler import Scheduler

        def report_error(name: str, error: Exception) -> None:
            get_logger().error("not scheduled", extra={"item": name, "error": repr(error)})

        return Scheduler(
            database=self.database,
            queue=self.delivery_queue,
            relay=self.relay,
            advance=partial(advance_replay, self.database, self.delivery_queue, self.clock),
            clock=self.clock,
            report_error=report_error,
        )

    @cached_property
    def inbox(self) -> Inbox:
        """The inbox of merchants' own events."""
        from payonce.webhooks.inbox import Inbox

        return Inbox(database=self.database, clock=self.clock)

    def route(self, merchant_gateway: str) -> str:
        """Return the gateway of a new payment. Raises ``GatewayUnavailable`` when none is configured."""
        name = merchant_gateway or self.settings.default_gateway
        if name not in self.settings.gateways and name not in self._gateways:
            raise GatewayUnavailable("No payment gateway is configured for this merchant. Nothing was executed.")
        return name

    def gateway(self, name: str) -> Gateway:
        """Return the configured gateway ``name``. Raises ``GatewayUnavailable`` when it is not configured."""
        if name not in self._gateways:
            self._gateways[name] = self._make_gateway(name)
        return self._gateways[name]

    def _make_gateway(self, name: str) -> Gateway:
        settings = self.settings.gateways.get(name)
        if settings is None:
            raise GatewayUnavailable(f"The gateway {name!r} is not configured.")
        if settings.kind == "stripe":
            # The SDK takes some 0.4 s to import: only a deployment that uses it pays for it.
            from payonce.gateways.stripe_gateway import stripe_from_options

            return stripe_from_options(name, settings.options, self._secrets, self.clock)
        from payonce.gateways.sandbox_bank import sandbox_bank_from_options

        return sandbox_bank_from_options(name, settings.options, self._secrets, self.clock)

    @cached_property
    def _secrets(self) -> Mapping[str, str]:
        """The gateways' credentials, read once per process."""
        from payonce.gateways.secrets import read_secrets

        return read_secrets(self.settings.gateway_secret_arn, endpoint_url=self.settings.endpoint_url)


def bootstrap() -> Application:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return Application(load_settings(os.environ))
