"""The application's adapters: the database, the gateways, and the other services of AWS.

Every adapter is constructed on first use, so that a function's cold start pays only for those it needs.
"""

from __future__ import annotations

import os
import random
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.clock import SystemClock
from payonce.domain.errors import BodyMalformed, GatewayUnavailable, MisconfiguredError, PayonceError
from payonce.domain.gateway_address import PLATFORM, parts_of
from payonce.domain.ids import UlidSource
from payonce.extras import needs
from payonce.wiring.aws_clients import client_config, dynamodb_client, secret_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sqs.client import SQSClient

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.ports import Cipher, Clock, Database, FileStore, Gateway, MessageQueue, Workflows
    from payonce.wiring.merchant_gateways import MerchantGateways
    from payonce.wiring.platform_keys import PlatformKeys
    from payonce.wiring.settings import Settings

DRAWS = random.SystemRandom()  # has no state that a snapshot of the process could copy
BUCKET_VARIABLE = "PAYONCE_RECONCILIATION_BUCKET"


class Adapters:
    """The adapters of an application. Tests can pass in their own."""

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
        from payonce.stores.dynamodb import DynamoDatabase

        client = dynamodb_client(self.settings.endpoint_url)
        # Not the module's generator: environments that are restored from one snapshot would pause for the same times.
        return DynamoDatabase(client, self.settings.table_names, jitter=lambda: 0.5 + DRAWS.random())

    @cached_property
    def workflows(self) -> Workflows:
        """Return the workflows of corrections: Step Functions, unless a test passed others."""
        if self._workflows is not None:
            return self._workflows
        with needs("dynamodb"):
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
        with needs("dynamodb"):
            import boto3

        from payonce.aws.s3_files import S3Files

        return S3Files(boto3.client("s3", config=client_config(), endpoint_url=self.settings.endpoint_url), bucket)

    @cached_property
    def cipher(self) -> Cipher:
        """Return the cipher of the webhooks' and gateways' secrets. Raises ``MisconfiguredError``."""
        if self._cipher is not None:
            return self._cipher
        if not self.settings.secrets_key_arn:
            raise MisconfiguredError("PAYONCE_SECRETS_KEY_ARN is not set: no secret can be sealed or opened.")
        with needs("dynamodb"):
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
        with needs("dynamodb"):
            import boto3

        return boto3.client("sqs", config=client_config(), endpoint_url=self.settings.endpoint_url)

    def without_method(self, method: str) -> frozenset[str]:
        """Return the configured gateways that can't be paid by payment methods of this type."""
        gateways = self.settings.gateways.values()
        return frozenset(gateway.name for gateway in gateways if method not in gateway.payment_method_types)

    def require_gateway(self, name: str, method: str, merchant_gateway: str) -> None:
        """Refuse a new payment that has no gateway ``name``; ``merchant_gateway`` is the merchant's own one, if any.

        Raises ``BodyMalformed`` where only its payment method's type is in the way, else ``GatewayUnavailable``.
        """
        if name in self.settings.gateways or name in self._gateways:
            return
        routes = {merchant_gateway} if merchant_gateway else {name for name in self.settings.routing.neutral if name}
        if routes and routes <= self.without_method(method):
            detail = f"No gateway of this merchant takes the payment_method_type {method}. Nothing was executed."
            raise BodyMalformed(detail, errors=[{"pointer": "/payment_method_type", "detail": detail}])
        raise GatewayUnavailable("No payment gateway is configured for this merchant. Nothing was executed.")

    def gateway(self, address: GatewayAddress) -> Gateway:
        """Return the gateway at ``address``. Raises ``GatewayUnavailable`` unless it is configured.

        At a merchant's account see ``MerchantGateways.gateway``.
        """
        if address not in self._gateways:
            where = parts_of(address)
            if where.account != PLATFORM:
                return self.merchant_gateways.gateway(where)
            self._gateways[address] = self._platform_gateway(where.gateway)
        return self._gateways[address]

    def _platform_gateway(self, name: str) -> Gateway:
        """Return the gateway at the platform's account, whose key is read again when it is refused."""
        from payonce.gateways.renewed import RenewedGateway
        from payonce.wiring.gateways import make_gateway

        keys, made_with = self.platform_keys, self.platform_keys.version

        def make() -> Gateway:
            return make_gateway(self.settings, name, keys.secrets, self.clock, lambda: self.database)

        def renew() -> Gateway | None:
            nonlocal made_with
            if not keys.renewed(made_with):
                return None
            made_with = keys.version
            try:
                return make()
            except PayonceError:
                return None  # the newer credentials can't be used at all: the refusal stands

        return RenewedGateway(make(), renew)

    def account_in_use(self, merchant_id: str, gateway: str) -> str:
        """Return the account at ``gateway`` to which the merchant's new payments go: see ``MerchantGateways``."""
        return self.merchant_gateways.account_in_use(merchant_id, gateway)

    @cached_property
    def merchant_gateways(self) -> MerchantGateways:
        """Return the gateways at the accounts of merchants."""
        from payonce.wiring.merchant_gateways import MerchantGateways

        return MerchantGateways(
            self.settings,
            database=lambda: self.database,
            cipher=lambda: self.cipher,
            platform_keys=lambda: self.platform_keys,
            clock=self.clock,
        )

    @cached_property
    def platform_keys(self) -> PlatformKeys:
        """Return the platform's credentials at the gateways."""
        from payonce.wiring.platform_keys import PlatformKeys

        return PlatformKeys(lambda: self._secrets, self._read_secrets, self.clock)

    @cached_property
    def _secrets(self) -> Mapping[str, str]:
        """Return the gateways' credentials as they were when the process first needed them."""
        return self._read_secrets()

    def _read_secrets(self) -> Mapping[str, str]:
        from payonce.gateways.secrets import read_secrets

        return read_secrets(secret_reader(self.settings.endpoint_url), self.settings.gateway_secret_arn)
