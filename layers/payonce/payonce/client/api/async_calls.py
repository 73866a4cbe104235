"""The async methods, one an operation of the API. Made from openapi.json by tools/client_calls.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from payonce.client.api import calls as operations
from payonce.client.call import given, make_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

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


class AsyncCalls(ABC):
    """The async methods. Each raises a ``ClientError`` (payonce.client.errors)."""

    @abstractmethod
    async def _read(self, call: Call, options: Mapping[str, Any]) -> Any: ...

    @abstractmethod
    async def _write(self, call: Call, options: Mapping[str, Any]) -> Answer[Any]: ...

    async def list_payments(
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
            await self._read(
                make_call(
                    operations.LIST_PAYMENTS,
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

    async def each_payments(
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
    ) -> AsyncIterator[Payment]:
        """Yield every item of ``list_payments``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = await self.list_payments(
                limit=limit,
                cursor=cursor,
                reference=reference,
                status=status,
                created_from_ms=created_from_ms,
                created_until_ms=created_until_ms,
                **options,
            )
            for item in page["data"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def create_payment(
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
            await self._write(
                make_call(
                    operations.CREATE_PAYMENT,
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

    async def capture_payment(
        self, payment_id: str, *, amount_minor: int | None = None, **options: Unpack[WriteOptions]
    ) -> Answer[Operation]:
        """Capture an authorized payment, in whole or in part.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Operation]",
            await self._write(
                make_call(
                    operations.CAPTURE_PAYMENT,
                    path={"payment_id": payment_id},
                    body=given({}, {"amount_minor": amount_minor}),
                ),
                options,
            ),
        )

    async def confirm_payment(
        self, payment_id: str, *, payment_result: str, **options: Unpack[WriteOptions]
    ) -> Answer[Payment]:
        """Confirm a payment with what its payer came back with.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Payment]",
            await self._write(
                make_call(
                    operations.CONFIRM_PAYMENT,
                    path={"payment_id": payment_id},
                    body=given({"payment_result": payment_result}, {}),
                ),
                options,
            ),
        )

    async def cancel_payment(self, payment_id: str, **options: Unpack[WriteOptions]) -> Answer[Operation]:
        """Cancel (void) what is not captured of a payment, or a payment that waits for its payer.

        Needs the scope `payments:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Operation]",
            await self._write(make_call(operations.CANCEL_PAYMENT, path={"payment_id": payment_id}, body={}), options),
        )

    async def refund_payment(
        self, payment_id: str, *, amount_minor: int | None = None, **options: Unpack[WriteOptions]
    ) -> Answer[Operation]:
        """Refund a captured payment, in whole or in part.

        Needs the scope `refunds:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Operation]",
            await self._write(
                make_call(
                    operations.REFUND_PAYMENT,
                    path={"payment_id": payment_id},
                    body=given({}, {"amount_minor": amount_minor}),
                ),
                options,
            ),
        )

    async def get_payment(self, payment_id: str, **options: Unpack[ReadOptions]) -> Payment:
        """Read a payment.

        Needs the scope `payments:read`.
        """
        return cast(
            "Payment", await self._read(make_call(operations.GET_PAYMENT, path={"payment_id": payment_id}), options)
        )

    async def get_payment_history(self, payment_id: str, **options: Unpack[ReadOptions]) -> PaymentChangeList:
        """Read every change of a payment.

        Needs the scope `payments:read`.
        """
        return cast(
            "PaymentChangeList",
            await self._read(make_call(operations.GET_PAYMENT_HISTORY, path={"payment_id": payment_id}), options),
        )

    async def get_balances(self, **options: Unpack[ReadOptions]) -> BalanceList:
        """Read balances by currency and account.

        Needs the scope `balances:read`.
        """
        return cast("BalanceList", await self._read(make_call(operations.GET_BALANCES), options))

    async def list_disputes(
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
            await self._read(
                make_call(operations.LIST_DISPUTES, query={"limit": limit, "cursor": cursor, "status": status}), options
            ),
        )

    async def each_disputes(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["opened", "evidence_due", "under_review", "won", "lost"] | None = None,
        **options: Unpack[ReadOptions],
    ) -> AsyncIterator[Dispute]:
        """Yield every item of ``list_disputes``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = await self.list_disputes(limit=limit, cursor=cursor, status=status, **options)
            for item in page["data"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def get_dispute(self, dispute_id: str, **options: Unpack[ReadOptions]) -> Dispute:
        """Read a dispute.

        Needs the scope `payments:read`.
        """
        return cast(
            "Dispute", await self._read(make_call(operations.GET_DISPUTE, path={"dispute_id": dispute_id}), options)
        )

    async def list_payment_disputes(self, payment_id: str, **options: Unpack[ReadOptions]) -> DisputeList:
        """Read all disputes of a payment.

        Needs the scope `payments:read`.
        """
        return cast(
            "DisputeList",
            await self._read(make_call(operations.LIST_PAYMENT_DISPUTES, path={"payment_id": payment_id}), options),
        )

    async def list_webhook_endpoints(self, **options: Unpack[ReadOptions]) -> WebhookEndpointList:
        """List webhook endpoints, oldest first.

        Needs the scope `webhooks:read`.
        """
        return cast("WebhookEndpointList", await self._read(make_call(operations.LIST_WEBHOOK_ENDPOINTS), options))

    async def create_webhook_endpoint(
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
            await self._write(
                make_call(
                    operations.CREATE_WEBHOOK_ENDPOINT,
                    body=given(
                        {"url": url}, {"event_types": event_types, "description": description, "key_kind": key_kind}
                    ),
                ),
                options,
            ),
        )

    async def get_webhook_endpoint(self, endpoint_id: str, **options: Unpack[ReadOptions]) -> WebhookEndpointHealth:
        """Read a webhook endpoint and the health of its receiver.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookEndpointHealth",
            await self._read(make_call(operations.GET_WEBHOOK_ENDPOINT, path={"endpoint_id": endpoint_id}), options),
        )

    async def update_webhook_endpoint(
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
            await self._write(
                make_call(
                    operations.UPDATE_WEBHOOK_ENDPOINT,
                    path={"endpoint_id": endpoint_id},
                    body=given(
                        {}, {"url": url, "event_types": event_types, "description": description, "status": status}
                    ),
                ),
                options,
            ),
        )

    async def delete_webhook_endpoint(
        self, endpoint_id: str, **options: Unpack[WriteOptions]
    ) -> Answer[DeletedWebhookEndpoint]:
        """Delete a webhook endpoint; what is still to be delivered to it is canceled.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[DeletedWebhookEndpoint]",
            await self._write(
                make_call(operations.DELETE_WEBHOOK_ENDPOINT, path={"endpoint_id": endpoint_id}), options
            ),
        )

    async def rotate_webhook_secret(
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
            await self._write(
                make_call(
                    operations.ROTATE_WEBHOOK_SECRET,
                    path={"endpoint_id": endpoint_id},
                    body=given({}, {"overlap_seconds": overlap_seconds, "key_kind": key_kind}),
                ),
                options,
            ),
        )

    async def test_webhook_endpoint(self, endpoint_id: str, **options: Unpack[WriteOptions]) -> Answer[TestEvent]:
        """Send a test event to this endpoint alone.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[TestEvent]",
            await self._write(
                make_call(operations.TEST_WEBHOOK_ENDPOINT, path={"endpoint_id": endpoint_id}, body={}), options
            ),
        )

    async def list_webhook_deliveries(
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
            await self._read(
                make_call(
                    operations.LIST_WEBHOOK_DELIVERIES,
                    path={"endpoint_id": endpoint_id},
                    query={"limit": limit, "cursor": cursor, "status": status},
                ),
                options,
            ),
        )

    async def each_webhook_deliveries(
        self,
        endpoint_id: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: Literal["pending", "delivered", "failed", "held", "canceled"] | None = None,
        **options: Unpack[ReadOptions],
    ) -> AsyncIterator[WebhookDeliverySummary]:
        """Yield every item of ``list_webhook_deliveries``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = await self.list_webhook_deliveries(endpoint_id, limit=limit, cursor=cursor, status=status, **options)
            for item in page["data"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def get_webhook_delivery(
        self, endpoint_id: str, delivery_id: str, **options: Unpack[ReadOptions]
    ) -> WebhookDelivery:
        """Read a delivery and its attempts.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookDelivery",
            await self._read(
                make_call(
                    operations.GET_WEBHOOK_DELIVERY, path={"endpoint_id": endpoint_id, "delivery_id": delivery_id}
                ),
                options,
            ),
        )

    async def redeliver_webhook(
        self, endpoint_id: str, delivery_id: str, **options: Unpack[WriteOptions]
    ) -> Answer[WebhookDeliverySummary]:
        """Deliver again, with the same event id and bytes.

        Needs the scope `webhooks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[WebhookDeliverySummary]",
            await self._write(
                make_call(
                    operations.REDELIVER_WEBHOOK, path={"endpoint_id": endpoint_id, "delivery_id": delivery_id}, body={}
                ),
                options,
            ),
        )

    async def replay_webhooks(
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
            await self._write(
                make_call(
                    operations.REPLAY_WEBHOOKS,
                    path={"endpoint_id": endpoint_id},
                    body=given({"from_ms": from_ms, "until_ms": until_ms}, {"only": only}),
                ),
                options,
            ),
        )

    async def get_webhook_replay(
        self, endpoint_id: str, replay_id: str, **options: Unpack[ReadOptions]
    ) -> WebhookReplay:
        """Read a replay and how far it is.

        Needs the scope `webhooks:read`.
        """
        return cast(
            "WebhookReplay",
            await self._read(
                make_call(operations.GET_WEBHOOK_REPLAY, path={"endpoint_id": endpoint_id, "replay_id": replay_id}),
                options,
            ),
        )

    async def list_events(
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
            await self._read(
                make_call(operations.LIST_EVENTS, query={"limit": limit, "after": after, "type": type}), options
            ),
        )

    async def each_events(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        type: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> AsyncIterator[Event]:
        """Yield every item of ``list_events``, from ``after`` on. A page is read when it is needed."""
        while True:
            page = await self.list_events(limit=limit, after=after, type=type, **options)
            for item in page["data"]:
                yield item
            after = page.get("next_after")
            if not after or not page["has_more"]:
                return

    async def get_event(self, event_id: str, **options: Unpack[ReadOptions]) -> Event:
        """Read an event, byte for byte as it is delivered.

        Needs the scope `events:read`.
        """
        return cast("Event", await self._read(make_call(operations.GET_EVENT, path={"event_id": event_id}), options))

    async def list_breaks(
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
            await self._read(
                make_call(
                    operations.LIST_BREAKS, query={"limit": limit, "cursor": cursor, "status": status, "class": class_}
                ),
                options,
            ),
        )

    async def each_breaks(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: str | None = None,
        class_: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> AsyncIterator[BreakSummary]:
        """Yield every item of ``list_breaks``, from ``cursor`` on. A page is read when it is needed."""
        while True:
            page = await self.list_breaks(limit=limit, cursor=cursor, status=status, class_=class_, **options)
            for item in page["data"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def get_break(self, break_id: str, **options: Unpack[ReadOptions]) -> Break:
        """Read a break, its evidence, why it arose and its correction.

        Needs the scope `breaks:read`.
        """
        return cast("Break", await self._read(make_call(operations.GET_BREAK, path={"break_id": break_id}), options))

    async def get_break_history(self, break_id: str, **options: Unpack[ReadOptions]) -> BreakHistory:
        """Read the changes of a break, the steps of its correction and the comments on it, oldest first.

        Needs the scope `breaks:read`.
        """
        return cast(
            "BreakHistory",
            await self._read(make_call(operations.GET_BREAK_HISTORY, path={"break_id": break_id}), options),
        )

    async def comment_on_break(
        self, break_id: str, *, text: str, **options: Unpack[WriteOptions]
    ) -> Answer[BreakComment]:
        """Comment on a break.

        Needs the scope `breaks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[BreakComment]",
            await self._write(
                make_call(operations.COMMENT_ON_BREAK, path={"break_id": break_id}, body=given({"text": text}, {})),
                options,
            ),
        )

    async def assign_break(
        self, break_id: str, *, assignee: str | None, **options: Unpack[WriteOptions]
    ) -> Answer[BreakSummary]:
        """Hand a break to somebody of yours, or to nobody.

        Needs the scope `breaks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[BreakSummary]",
            await self._write(
                make_call(operations.ASSIGN_BREAK, path={"break_id": break_id}, body=given({"assignee": assignee}, {})),
                options,
            ),
        )

    async def get_correction(self, break_id: str, **options: Unpack[ReadOptions]) -> Correction:
        """Read the correction of a break.

        Needs the scope `breaks:read`.
        """
        return cast(
            "Correction", await self._read(make_call(operations.GET_CORRECTION, path={"break_id": break_id}), options)
        )

    async def propose_correction(
        self, break_id: str, *, amount_minor: int, proposal_version: int, **options: Unpack[WriteOptions]
    ) -> Answer[Correction]:
        """Change what is proposed; whoever does can't decide about it.

        Needs the scope `breaks:write`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Correction]",
            await self._write(
                make_call(
                    operations.PROPOSE_CORRECTION,
                    path={"break_id": break_id},
                    body=given({"amount_minor": amount_minor, "proposal_version": proposal_version}, {}),
                ),
                options,
            ),
        )

    async def approve_correction(
        self, break_id: str, *, proposal_version: int, **options: Unpack[WriteOptions]
    ) -> Answer[Correction]:
        """Approve the proposal as it was read; it is carried out soon.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Correction]",
            await self._write(
                make_call(
                    operations.APPROVE_CORRECTION,
                    path={"break_id": break_id},
                    body=given({"proposal_version": proposal_version}, {}),
                ),
                options,
            ),
        )

    async def reject_correction(
        self, break_id: str, *, proposal_version: int, **options: Unpack[WriteOptions]
    ) -> Answer[Correction]:
        """Reject the proposal as it was read.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Correction]",
            await self._write(
                make_call(
                    operations.REJECT_CORRECTION,
                    path={"break_id": break_id},
                    body=given({"proposal_version": proposal_version}, {}),
                ),
                options,
            ),
        )

    async def list_break_matches(self, break_id: str, **options: Unpack[ReadOptions]) -> MatchList:
        """List the matches by hand that a break is in, oldest first.

        Needs the scope `breaks:read`.
        """
        return cast(
            "MatchList",
            await self._read(make_call(operations.LIST_BREAK_MATCHES, path={"break_id": break_id}), options),
        )

    async def match_breaks(
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
            await self._write(
                make_call(
                    operations.MATCH_BREAKS,
                    path={"break_id": break_id},
                    body=given({"reason": reason}, {"break_ids": break_ids, "accept_difference": accept_difference}),
                ),
                options,
            ),
        )

    async def unmatch_breaks(
        self, break_id: str, match_id: str, *, reason: str, **options: Unpack[WriteOptions]
    ) -> Answer[Match]:
        """Take a match back; the next run finds its rows again.

        Needs the scope `breaks:approve`. Raises ``Declined`` and the other ends of payonce.client.errors.
        """
        return cast(
            "Answer[Match]",
            await self._write(
                make_call(
                    operations.UNMATCH_BREAKS,
                    path={"break_id": break_id, "match_id": match_id},
                    body=given({"reason": reason}, {}),
                ),
                options,
            ),
        )

    async def get_idempotency_key(
        self, idempotency_key: str, *, operation: str | None = None, **options: Unpack[ReadOptions]
    ) -> IdempotencyRecordList:
        """Read what became of an idempotency key, by operation.

        Needs the scope `idempotency:read`.
        """
        return cast(
            "IdempotencyRecordList",
            await self._read(
                make_call(
                    operations.GET_IDEMPOTENCY_KEY,
                    path={"idempotency_key": idempotency_key},
                    query={"operation": operation},
                ),
                options,
            ),
        )
