"""The sync methods, one an operation of the API. Made from openapi.json by tools/client_calls.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from payonce.client.call import Route, given, make_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.client.api.models import (
        BalanceList,
        Break,
        BreakComment,
        BreakHistory,
        BreakList,
        BreakSummary,
        Correction,
        DeletedWebhookEndpoint,
        Dispute,
        DisputeList,
        Event,
        EventList,
        IdempotencyRecordList,
        Match,
        MatchList,
        NewWebhookEndpoint,
        Operation,
        Payment,
        PaymentChangeList,
        PaymentList,
        TestEvent,
        WebhookDelivery,
        WebhookDeliverySummary,
        WebhookDeliverySummaryList,
        WebhookEndpoint,
        WebhookEndpointHealth,
        WebhookEndpointList,
        WebhookReplay,
    )
    from payonce.client.call import Answer, Call, ReadOptions, WriteOptions

LIST_PAYMENTS = Route("list_payments", "GET", "/payments", False, frozenset({"list"}))
CREATE_PAYMENT = Route("create_payment", "POST", "/payments", True, frozenset({"payment"}))
CAPTURE_PAYMENT = Route(
    "capture_payment", "POST", "/payments/{payment_id}/captures", True, frozenset({"capture", "cancellation", "refund"})
)
CONFIRM_PAYMENT = Route("confirm_payment", "POST", "/payments/{payment_id}/confirmations", True, frozenset({"payment"}))
CANCEL_PAYMENT = Route(
    "cancel_payment",
    "POST",
    "/payments/{payment_id}/cancellations",
    True,
    frozenset({"capture", "cancellation", "refund"}),
)
REFUND_PAYMENT = Route(
    "refund_payment", "POST", "/payments/{payment_id}/refunds", True, frozenset({"capture", "cancellation", "refund"})
)
GET_PAYMENT = Route("get_payment", "GET", "/payments/{payment_id}", False, frozenset({"payment"}))
GET_PAYMENT_HISTORY = Route("get_payment_history", "GET", "/payments/{payment_id}/history", False, frozenset({"list"}))
GET_BALANCES = Route("get_balances", "GET", "/balances", False, frozenset({"list"}))
LIST_DISPUTES = Route("list_disputes", "GET", "/disputes", False, frozenset({"list"}))
GET_DISPUTE = Route("get_dispute", "GET", "/disputes/{dispute_id}", False, frozenset({"dispute"}))
LIST_PAYMENT_DISPUTES = Route(
    "list_payment_disputes", "GET", "/payments/{payment_id}/disputes", False, frozenset({"list"})
)
LIST_WEBHOOK_ENDPOINTS = Route("list_webhook_endpoints", "GET", "/webhook_endpoints", False, frozenset({"list"}))
CREATE_WEBHOOK_ENDPOINT = Route(
    "create_webhook_endpoint", "POST", "/webhook_endpoints", True, frozenset({"webhook_endpoint"})
)
GET_WEBHOOK_ENDPOINT = Route(
    "get_webhook_endpoint", "GET", "/webhook_endpoints/{endpoint_id}", False, frozenset({"webhook_endpoint"})
)
UPDATE_WEBHOOK_ENDPOINT = Route(
    "update_webhook_endpoint", "PATCH", "/webhook_endpoints/{endpoint_id}", True, frozenset({"webhook_endpoint"})
)
DELETE_WEBHOOK_ENDPOINT = Route(
    "delete_webhook_endpoint", "DELETE", "/webhook_endpoints/{endpoint_id}", True, frozenset({"webhook_endpoint"})
)
ROTATE_WEBHOOK_SECRET = Route(
    "rotate_webhook_secret",
    "POST",
    "/webhook_endpoints/{endpoint_id}/secret_rotations",
    True,
    frozenset({"webhook_endpoint"}),
)
TEST_WEBHOOK_ENDPOINT = Route(
    "test_webhook_endpoint", "POST", "/webhook_endpoints/{endpoint_id}/test_events", True, frozenset({"test_event"})
)
LIST_WEBHOOK_DELIVERIES = Route(
    "list_webhook_deliveries", "GET", "/webhook_endpoints/{endpoint_id}/deliveries", False, frozenset({"list"})
)
GET_WEBHOOK_DELIVERY = Route(
    "get_webhook_delivery",
    "GET",
    "/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}",
    False,
    frozenset({"webhook_delivery"}),
)
REDELIVER_WEBHOOK = Route(
    "redeliver_webhook",
    "POST",
    "/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliveries",
    True,
    frozenset({"webhook_delivery"}),
)
REPLAY_WEBHOOKS = Route(
    "replay_webhooks", "POST", "/webhook_endpoints/{endpoint_id}/replays", True, frozenset({"webhook_replay"})
)
GET_WEBHOOK_REPLAY = Route(
    "get_webhook_replay",
    "GET",
    "/webhook_endpoints/{endpoint_id}/replays/{replay_id}",
    False,
    frozenset({"webhook_replay"}),
)
LIST_EVENTS = Route("list_events", "GET", "/events", False, frozenset({"list"}))
GET_EVENT = Route("get_event", "GET", "/events/{event_id}", False)
LIST_BREAKS = Route("list_breaks", "GET", "/breaks", False, frozenset({"list"}))
GET_BREAK = Route("get_break", "GET", "/breaks/{break_id}", False, frozenset({"break"}))
GET_BREAK_HISTORY = Route("get_break_history", "GET", "/breaks/{break_id}/history", False, frozenset({"list"}))
COMMENT_ON_BREAK = Route("comment_on_break", "POST", "/breaks/{break_id}/comments", True, frozenset({"comment"}))
ASSIGN_BREAK = Route("assign_break", "POST", "/breaks/{break_id}/assignments", True, frozenset({"break"}))
GET_CORRECTION = Route("get_correction", "GET", "/breaks/{break_id}/correction", False, frozenset({"correction"}))
PROPOSE_CORRECTION = Route(
    "propose_correction", "POST", "/breaks/{break_id}/correction/proposals", True, frozenset({"correction"})
)
APPROVE_CORRECTION = Route(
    "approve_correction", "POST", "/breaks/{break_id}/correction/approvals", True, frozenset({"correction"})
)
REJECT_CORRECTION = Route(
    "reject_correction", "POST", "/breaks/{break_id}/correction/rejections", True, frozenset({"correction"})
)
LIST_BREAK_MATCHES = Route("list_break_matches", "GET", "/breaks/{break_id}/matches", False, frozenset({"list"}))
MATCH_BREAKS = Route("match_breaks", "POST", "/breaks/{break_id}/matches", True, frozenset({"match"}))
UNMATCH_BREAKS = Route(
    "unmatch_breaks", "POST", "/breaks/{break_id}/matches/{match_id}/reversals", True, frozenset({"match"})
)
GET_IDEMPOTENCY_KEY = Route(
    "get_idempotency_key", "GET", "/idempotency-keys/{idempotency_key}", False, frozenset({"list"})
)


class Calls(ABC):
    """The sync methods. Each raises a ``ClientError`` (payonce.client.errors)."""

    @abstractmethod
    def _read(self, call: Call, options: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    def _write(self, call: Call, options: Mapping[str, Any]) -> Answer[Any]: ...

    def list_payments(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        reference: str | None = None,
        status: Literal[
            "in_doubt",
            "requires_action",
            "processing",
            "authorized",
            "partially_captured",
            "captured",
            "partially_refunded",
            "refunded",
            "voided",
            "declined",
            "failed",
            "expired",
            "reversed",
        ]
        | None = None,
        created_from_ms: int | None = None,
        created_until_ms: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> PaymentList:
        """List payments, newest first, by reference, status or time of creation.

        Needs the scope `payments:read`.
        """
        return cast(
            "PaymentList",
            self._read(
                make_call(
                    LIST_PAYMENTS,
                    query={
                        "limit": limit,
                        "cursor": cursor,
                        "reference": reference,
                        "status": status,
                        "created_from_ms": created_from_ms,
                        "created_until_ms": created_until_ms,
                    },
                ),
                options,
            ),
        )

    def each_payments(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        reference: str | None = None,
        status: Literal[
            "in_doubt",
            "requires_action",
            "processing",
            "authorized",
            "partially_captured",
            "captured",
            "partially_refunded",
            "refunded",
            "voided",
            "declined",
            "failed",
            "expired",
            "reversed",
        ]
        | None = None,
        created_from_ms: int | None = None,
        created_until_ms: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> Iterator[Payment]:
        """Yield every item of ``list_payments``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = self.list_payments(
                limit=limit,
                cursor=cursor,
                reference=reference,
                status=status,
                created_from_ms=created_from_ms,
                created_until_ms=created_until_ms,
                **options,
            )
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def create_payment(
        self,
        *,
        amount_minor: int,
        currency: str,
        payment_method: str,
        payment_method_type: Literal["card", "wallet", "bank_debit", "bank_transfer", "pay_later", "voucher"]
        | None = None,
        capture: Literal["automatic", "manual"] | None = None,
        return_url: str | None = None,
        off_session: bool | None = None,
        customer: str | None = None,
        save_payment_method: bool | None = None,
        description: str | None = None,
        statement_descriptor: str | None = None,
        reference: str | None = None,
        metadata: dict[str, str] | None = None,
        priority: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> Answer[Payment]:
        """Create a payment.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Payment]",
            self._write(
                make_call(
                    CREATE_PAYMENT,
                    body=given(
                        {"amount_minor": amount_minor, "currency": currency, "payment_method": payment_method},
                        {
                            "payment_method_type": payment_method_type,
                            "capture": capture,
                            "return_url": return_url,
                            "off_session": off_session,
                            "customer": customer,
                            "save_payment_method": save_payment_method,
                            "description": description,
                            "statement_descriptor": statement_descriptor,
                            "reference": reference,
                            "metadata": metadata,
                        },
                    ),
                    headers={"Priority": priority},
                ),
                options,
            ),
        )

    def capture_payment(
        self, payment_id: str, *, amount_minor: int | None = None, **options: Unpack[WriteOptions]
    ) -> Answer[Operation]:
        """Capture an authorized payment, in whole or in part.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Operation]",
            self._write(
                make_call(
                    CAPTURE_PAYMENT, path={"payment_id": payment_id}, body=given({}, {"amount_minor": amount_minor})
                ),
                options,
            ),
        )

    def confirm_payment(
        self, payment_id: str, *, payment_result: str, **options: Unpack[WriteOptions]
    ) -> Answer[Payment]:
        """Confirm a payment with what its payer came back with.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Payment]",
            self._write(
                make_call(
                    CONFIRM_PAYMENT, path={"payment_id": payment_id}, body=given({"payment_result": payment_result}, {})
                ),
                options,
            ),
        )

    def cancel_payment(self, payment_id: str, **options: Unpack[WriteOptions]) -> Answer[Operation]:
        """Cancel (void) what is not captured of a payment, or a payment that waits for its payer.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Operation]",
            self._write(make_call(CANCEL_PAYMENT, path={"payment_id": payment_id}, body={}), options),
        )

    def refund_payment(
        self, payment_id: str, *, amount_minor: int | None = None, **options: Unpack[WriteOptions]
    ) -> Answer[Operation]:
        """Refund a captured payment, in whole or in part.

        Needs the scope `refunds:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Operation]",
            self._write(
                make_call(
                    REFUND_PAYMENT, path={"payment_id": payment_id}, body=given({}, {"amount_minor": amount_minor})
                ),
                options,
            ),
        )

    def get_payment(self, payment_id: str, **options: Unpack[ReadOptions]) -> Payment:
        """Read a payment.

        Needs the scope `payments:read`.
        """
        return cast("Payment", self._read(make_call(GET_PAYMENT, path={"payment_id": payment_id}), options))

    def get_payment_history(self, payment_id: str, **options: Unpack[ReadOptions]) -> PaymentChangeList:
        """Read every change of a payment.

        Needs the scope `payments:read`.
        """
        return cast(
            "PaymentChangeList", self._read(make_call(GET_PAYMENT_HISTORY, path={"payment_id": payment_id}), options)
        )

    def get_balances(self, **options: Unpack[ReadOptions]) -> BalanceList:
        """Read balances by currency and account.

        Needs the scope `balances:read`.
        """
        return cast("BalanceList", self._read(make_call(GET_BALANCES), options))

    def list_disputes(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["opened", "evidence_due", "under_review", "won", "lost"] | None = None,
        **options: Unpack[ReadOptions],
    ) -> DisputeList:
        """List disputes, newest first.

        Needs the scope `payments:read`.
        """
        return cast(
            "DisputeList",
            self._read(make_call(LIST_DISPUTES, query={"limit": limit, "cursor": cursor, "status": status}), options),
        )

    def each_disputes(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["opened", "evidence_due", "under_review", "won", "lost"] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Iterator[Dispute]:
        """Yield every item of ``list_disputes``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = self.list_disputes(limit=limit, cursor=cursor, status=status, **options)
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def get_dispute(self, dispute_id: str, **options: Unpack[ReadOptions]) -> Dispute:
        """Read a dispute.

        Needs the scope `payments:read`.
        """
        return cast("Dispute", self._read(make_call(GET_DISPUTE, path={"dispute_id": dispute_id}), options))

    def list_payment_disputes(self, payment_id: str, **options: Unpack[ReadOptions]) -> DisputeList:
        """Read all disputes of a payment.

        Needs the scope `payments:read`.
        """
        return cast(
            "DisputeList", self._read(make_call(LIST_PAYMENT_DISPUTES, path={"payment_id": payment_id}), options)
        )

    def list_webhook_endpoints(self, **options: Unpack[ReadOptions]) -> WebhookEndpointList:
        """List webhook endpoints, oldest first.

        Needs the scope `webhooks:read`.
        """
        return cast("WebhookEndpointList", self._read(make_call(LIST_WEBHOOK_ENDPOINTS), options))

    def create_webhook_endpoint(
        self,
        *,
        url: str,
        event_types: list[str] | None = None,
        description: str | None = None,
        key_kind: Literal["v1", "v1a"] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Answer[NewWebhookEndpoint]:
        """Create a webhook endpoint; its secret is shown in this answer only.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[NewWebhookEndpoint]",
            self._write(
                make_call(
                    CREATE_WEBHOOK_ENDPOINT,
                    body=given(
                        {"url": url}, {"event_types": event_types, "description": description, "key_kind": key_kind}
                    ),
                ),
                options,
            ),
        )

    def get_webhook_endpoint(self, endpoint_id: str, **options: Unpack[ReadOptions]) -> WebhookEndpointHealth:
        """Read a webhook endpoint and the health of its receiver.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookEndpointHealth",
            self._read(make_call(GET_WEBHOOK_ENDPOINT, path={"endpoint_id": endpoint_id}), options),
        )

    def update_webhook_endpoint(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        event_types: list[str] | None = None,
        description: str | None = None,
        status: Literal["enabled", "disabled"] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Answer[WebhookEndpoint]:
        """Change a webhook endpoint; once it is enabled, what was held is sent.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[WebhookEndpoint]",
            self._write(
                make_call(
                    UPDATE_WEBHOOK_ENDPOINT,
                    path={"endpoint_id": endpoint_id},
                    body=given(
                        {}, {"url": url, "event_types": event_types, "description": description, "status": status}
                    ),
                ),
                options,
            ),
        )

    def delete_webhook_endpoint(
        self, endpoint_id: str, **options: Unpack[WriteOptions]
    ) -> Answer[DeletedWebhookEndpoint]:
        """Delete a webhook endpoint; what is still to be delivered to it is canceled.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[DeletedWebhookEndpoint]",
            self._write(make_call(DELETE_WEBHOOK_ENDPOINT, path={"endpoint_id": endpoint_id}), options),
        )

    def rotate_webhook_secret(
        self,
        endpoint_id: str,
        *,
        overlap_seconds: int | None = None,
        key_kind: Literal["v1", "v1a"] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Answer[NewWebhookEndpoint]:
        """Make a new signing key; the older ones go on signing for a while.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[NewWebhookEndpoint]",
            self._write(
                make_call(
                    ROTATE_WEBHOOK_SECRET,
                    path={"endpoint_id": endpoint_id},
                    body=given({}, {"overlap_seconds": overlap_seconds, "key_kind": key_kind}),
                ),
                options,
            ),
        )

    def test_webhook_endpoint(self, endpoint_id: str, **options: Unpack[WriteOptions]) -> Answer[TestEvent]:
        """Send a test event to this endpoint alone.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[TestEvent]",
            self._write(make_call(TEST_WEBHOOK_ENDPOINT, path={"endpoint_id": endpoint_id}, body={}), options),
        )

    def list_webhook_deliveries(
        self,
        endpoint_id: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["pending", "delivered", "failed", "held", "canceled"] | None = None,
        **options: Unpack[ReadOptions],
    ) -> WebhookDeliverySummaryList:
        """List an endpoint's deliveries, newest event first.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookDeliverySummaryList",
            self._read(
                make_call(
                    LIST_WEBHOOK_DELIVERIES,
                    path={"endpoint_id": endpoint_id},
                    query={"limit": limit, "cursor": cursor, "status": status},
                ),
                options,
            ),
        )

    def each_webhook_deliveries(
        self,
        endpoint_id: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["pending", "delivered", "failed", "held", "canceled"] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Iterator[WebhookDeliverySummary]:
        """Yield every item of ``list_webhook_deliveries``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = self.list_webhook_deliveries(endpoint_id, limit=limit, cursor=cursor, status=status, **options)
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def get_webhook_delivery(
        self, endpoint_id: str, delivery_id: str, **options: Unpack[ReadOptions]
    ) -> WebhookDelivery:
        """Read a delivery and its attempts.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookDelivery",
            self._read(
                make_call(GET_WEBHOOK_DELIVERY, path={"endpoint_id": endpoint_id, "delivery_id": delivery_id}), options
            ),
        )

    def redeliver_webhook(
        self, endpoint_id: str, delivery_id: str, **options: Unpack[WriteOptions]
    ) -> Answer[WebhookDeliverySummary]:
        """Deliver again, with the same event id and bytes.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[WebhookDeliverySummary]",
            self._write(
                make_call(REDELIVER_WEBHOOK, path={"endpoint_id": endpoint_id, "delivery_id": delivery_id}, body={}),
                options,
            ),
        )

    def replay_webhooks(
        self,
        endpoint_id: str,
        *,
        from_ms: int,
        until_ms: int,
        only: Literal["undelivered", "all"] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Answer[WebhookReplay]:
        """Deliver again the events of a range of time.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[WebhookReplay]",
            self._write(
                make_call(
                    REPLAY_WEBHOOKS,
                    path={"endpoint_id": endpoint_id},
                    body=given({"from_ms": from_ms, "until_ms": until_ms}, {"only": only}),
                ),
                options,
            ),
        )

    def get_webhook_replay(self, endpoint_id: str, replay_id: str, **options: Unpack[ReadOptions]) -> WebhookReplay:
        """Read a replay and how far it is.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookReplay",
            self._read(
                make_call(GET_WEBHOOK_REPLAY, path={"endpoint_id": endpoint_id, "replay_id": replay_id}), options
            ),
        )

    def list_events(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        type: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> EventList:
        """List events, oldest first, each as it is delivered.

        Needs the scope `events:read`.
        """
        return cast(
            "EventList",
            self._read(make_call(LIST_EVENTS, query={"limit": limit, "after": after, "type": type}), options),
        )

    def each_events(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        type: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> Iterator[Event]:
        """Yield every item of ``list_events``, from ``after`` on. A page is read when it is needed."""
        while True:
            page = self.list_events(limit=limit, after=after, type=type, **options)
            yield from page["data"]
            after = page.get("next_after")
            if not after or not page["has_more"]:
                return

    def get_event(self, event_id: str, **options: Unpack[ReadOptions]) -> Event:
        """Read an event, byte for byte as it is delivered.

        Needs the scope `events:read`.
        """
        return cast("Event", self._read(make_call(GET_EVENT, path={"event_id": event_id}), options))

    def list_breaks(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: str | None = None,
        class_: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> BreakList:
        """List the discrepancies that reconciliation found, newest first.

        Needs the scope `breaks:read`.
        """
        return cast(
            "BreakList",
            self._read(
                make_call(LIST_BREAKS, query={"limit": limit, "cursor": cursor, "status": status, "class": class_}),
                options,
            ),
        )

    def each_breaks(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: str | None = None,
        class_: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> Iterator[BreakSummary]:
        """Yield every item of ``list_breaks``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = self.list_breaks(limit=limit, cursor=cursor, status=status, class_=class_, **options)
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def get_break(self, break_id: str, **options: Unpack[ReadOptions]) -> Break:
        """Read a break, its evidence, why it arose and its correction.

        Needs the scope `breaks:read`.
        """
        return cast("Break", self._read(make_call(GET_BREAK, path={"break_id": break_id}), options))

    def get_break_history(self, break_id: str, **options: Unpack[ReadOptions]) -> BreakHistory:
        """Read the changes of a break, the steps of its correction and the comments on it, oldest first.

        Needs the scope `breaks:read`.
        """
        return cast("BreakHistory", self._read(make_call(GET_BREAK_HISTORY, path={"break_id": break_id}), options))

    def comment_on_break(self, break_id: str, *, text: str, **options: Unpack[WriteOptions]) -> Answer[BreakComment]:
        """Comment on a break.

        Needs the scope `breaks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[BreakComment]",
            self._write(
                make_call(COMMENT_ON_BREAK, path={"break_id": break_id}, body=given({"text": text}, {})), options
            ),
        )

    def assign_break(
        self, break_id: str, *, assignee: str | None, **options: Unpack[WriteOptions]
    ) -> Answer[BreakSummary]:
        """Hand a break to somebody of yours, or to nobody.

        Needs the scope `breaks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[BreakSummary]",
            self._write(
                make_call(ASSIGN_BREAK, path={"break_id": break_id}, body=given({"assignee": assignee}, {})), options
            ),
        )

    def get_correction(self, break_id: str, **options: Unpack[ReadOptions]) -> Correction:
        """Read the correction of a break.

        Needs the scope `breaks:read`.
        """
        return cast("Correction", self._read(make_call(GET_CORRECTION, path={"break_id": break_id}), options))

    def propose_correction(
        self, break_id: str, *, amount_minor: int, proposal_version: int, **options: Unpack[WriteOptions]
    ) -> Answer[Correction]:
        """Change what is proposed; whoever does can't decide about it.

        Needs the scope `breaks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Correction]",
            self._write(
                make_call(
                    PROPOSE_CORRECTION,
                    path={"break_id": break_id},
                    body=given({"amount_minor": amount_minor, "proposal_version": proposal_version}, {}),
                ),
                options,
            ),
        )

    def approve_correction(
        self, break_id: str, *, proposal_version: int, **options: Unpack[WriteOptions]
    ) -> Answer[Correction]:
        """Approve the proposal as it was read; it is carried out soon.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Correction]",
            self._write(
                make_call(
                    APPROVE_CORRECTION,
                    path={"break_id": break_id},
                    body=given({"proposal_version": proposal_version}, {}),
                ),
                options,
            ),
        )

    def reject_correction(
        self, break_id: str, *, proposal_version: int, **options: Unpack[WriteOptions]
    ) -> Answer[Correction]:
        """Reject the proposal as it was read.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Correction]",
            self._write(
                make_call(
                    REJECT_CORRECTION,
                    path={"break_id": break_id},
                    body=given({"proposal_version": proposal_version}, {}),
                ),
                options,
            ),
        )

    def list_break_matches(self, break_id: str, **options: Unpack[ReadOptions]) -> MatchList:
        """List the matches by hand that a break is in, oldest first.

        Needs the scope `breaks:read`.
        """
        return cast("MatchList", self._read(make_call(LIST_BREAK_MATCHES, path={"break_id": break_id}), options))

    def match_breaks(
        self,
        break_id: str,
        *,
        reason: str,
        break_ids: list[str] | None = None,
        accept_difference: bool | None = None,
        **options: Unpack[WriteOptions],
    ) -> Answer[Match]:
        """Say that the rows of a break, and of others, belong together; every later run goes by it.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Match]",
            self._write(
                make_call(
                    MATCH_BREAKS,
                    path={"break_id": break_id},
                    body=given({"reason": reason}, {"break_ids": break_ids, "accept_difference": accept_difference}),
                ),
                options,
            ),
        )

    def unmatch_breaks(
        self, break_id: str, match_id: str, *, reason: str, **options: Unpack[WriteOptions]
    ) -> Answer[Match]:
        """Take a match back; the next run finds its rows again.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Match]",
            self._write(
                make_call(
                    UNMATCH_BREAKS,
                    path={"break_id": break_id, "match_id": match_id},
                    body=given({"reason": reason}, {}),
                ),
                options,
            ),
        )

    def get_idempotency_key(
        self, idempotency_key: str, *, operation: str | None = None, **options: Unpack[ReadOptions]
    ) -> IdempotencyRecordList:
        """Read what became of an idempotency key, by operation.

        Needs the scope `idempotency:read`.
        """
        return cast(
            "IdempotencyRecordList",
            self._read(
                make_call(
                    GET_IDEMPOTENCY_KEY, path={"idempotency_key": idempotency_key}, query={"operation": operation}
                ),
                options,
            ),
        )
