"""The public names of the package, and where they are imported from. Everything else may change in any version.

docs/reference.md is made from this table and the docstrings of what it names (``python -m tools.reference``). A name
that a page of the documentation imports has to be in it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# By section: the modules, and the names of each that are public.
PUBLIC: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "Idempotent operations": {
            "payonce": ("idempotent_operation", "current_attempt", "memory_store", "redis_store", "dynamodb_store"),
            "payonce.idempotency.operation": (
                "IdempotentOperation",
                "current_attempt",
                "idempotent_operation",
                "never_known",
                "run_again",
            ),
            "payonce.idempotency.attempt": ("Attempt", "NotKnown", "Verdict", "WasExecuted", "WasNotExecuted"),
            "payonce.idempotency.codecs": ("BytesCodec", "Codec", "JsonCodec", "JsonValue"),
            "payonce.idempotency.window": ("IdempotencySettings",),
            "payonce.idempotency.release": ("ReleaseDesk", "ReleaseOrder"),
        },
        "Middlewares": {
            "payonce.middlewares.contract": ("Contract",),
            "payonce.middlewares.answer": ("Answer",),
            "payonce.middlewares.asgi": ("AsgiIdempotency",),
            "payonce.middlewares.wsgi": ("WsgiIdempotency",),
            "payonce.middlewares.django": ("django_idempotency",),
            "payonce.middlewares.lambda_handler": ("idempotent_handler",),
            "payonce.middlewares.consumers": (
                "attribute_key",
                "body_fingerprint",
                "body_key",
                "header_key",
                "kafka_records",
                "offset_key",
                "retried_while_in_progress",
                "sqs_handler",
                "task_key",
                "value_fingerprint",
            ),
        },
        "The client": {
            "payonce.client": (
                "Client",
                "AsyncClient",
                "Answer",
                "Backoff",
                "Journal",
                "OpenIntent",
                "DerivedKeys",
                "ClientError",
                "Misused",
                "IntentReused",
                "IntentTooOld",
                "JournalUnusable",
                "NothingExecuted",
                "Declined",
                "NotExecuted",
                "Refused",
                "NotFound",
                "NotBegun",
                "AlreadyExecuted",
                "KeyReused",
                "OutcomeUnknown",
                "ReadFailed",
            ),
        },
        "Webhooks": {
            "payonce.client.webhooks": (
                "Verifier",
                "VerifiedWebhook",
                "WebhookRejected",
                "SqliteDedupeStore",
                "handled_once",
            ),
            "payonce.webhooks.verify": ("Verifier", "VerifiedWebhook"),
            "payonce.webhooks.rejections": ("WebhookRejected",),
            "payonce.webhooks.dedupe": ("handled_once",),
            "payonce.webhooks.dedupe_sqlite": ("SqliteDedupeStore",),
            "payonce.webhooks.signing": ("new_ed25519_key", "public_key_of", "webhook_headers"),
        },
        "Gateways' events": {
            "payonce.gateways.stripe_notices": ("StripeNoticeReader",),
            "payonce.gateways.adyen_notices": ("AdyenNoticeReader",),
        },
        "Stores": {
            "payonce.idempotency.record_store": ("DatabaseIdempotencyStore", "IdempotencyStore"),
            "payonce.stores.memory": ("MemoryDatabase",),
            "payonce.stores.dynamodb": ("DynamoDatabase",),
            "payonce.stores.redis_idempotency": ("RedisIdempotencyStore",),
            "payonce.stores.redis_calls": ("check_redis", "redis_client"),
            "payonce.stores.redis_checks": ("Durability",),
            "payonce.stores.redlock": ("RedlockIdempotencyStore", "lock_node"),
            "payonce.ports": ("Clock", "Table"),
            "payonce.clock": ("SystemClock",),
        },
        "Errors": {
            "payonce.domain.errors": (
                "PayonceError",
                "KeyMissing",
                "KeyMalformed",
                "KeyReused",
                "KeyInProgress",
                "KeyExpired",
                "NotExecuted",
                "NotStarted",
                "StoreUnavailable",
                "OutcomeUnknown",
                "ResultNotStored",
                "LeaseLost",
                "MisconfiguredError",
                "PackageMissing",
            ),
        },
    }
)
