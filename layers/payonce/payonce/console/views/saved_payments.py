"""The lists of the pages of payments and webhooks as files, beside the two that are paged (``payments``, ``webhooks``).

Allowed: what ``payments``, ``payment``, ``search`` and ``webhooks`` say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.exports import Amount, Instant, Sheet, collected, saved
from payonce.console.views.asked import text_of
from payonce.console.views.payment import payment_page
from payonce.console.views.payment_pages import sources_of
from payonce.console.views.payments import payments_sheet
from payonce.console.views.search import search
from payonce.console.views.webhooks import deliveries_sheet, delivery_page, endpoints_sheet, replays_page

if TYPE_CHECKING:
    from payonce.console.page import Download, PageRequest, Services
    from payonce.console.views.payment import PaymentPage
    from payonce.console.views.time_line import Fact


def payments_list(services: Services, request: PageRequest) -> Download:
    """Return the list of payments, with its filters. Raises ``BodyMalformed`` for a filter or cursor that is none."""
    sheet, more = payments_sheet(sources_of(services), request.require_merchant(), request.query)
    return saved(request, sheet, more)


def found_list(services: Services, request: PageRequest) -> Download:
    """Return what a search has found. Raises ``BodyMalformed`` without a text to search for."""
    found = search(sources_of(services), request.require_merchant(), text_of(request.query, "q") or "")
    columns = (
        ("what", 40), ("name", 40), ("payment", 32), ("status", 18), ("amount", 14), ("currency", 8), ("gateway", 14),
        ("reference", 24), ("customer", 24), ("created", 20),
    )  # fmt: skip
    rows = []
    for hit in found.hits:
        row = found.payments.get(hit.payment_id)
        told = (None,) * 7 if row is None else (
            row.status.value, Amount(row.amount_minor, row.currency), row.currency, row.gateway, row.reference,
            row.customer, Instant(row.created_at_ms),
        )  # fmt: skip
        rows.append((hit.what, hit.name, hit.payment_id, *told))
    return saved(request, Sheet("Found", columns, rows))


def operations_list(services: Services, request: PageRequest) -> Download:
    """Return a payment's captures, voids and refunds. Raises ``NotFound``."""
    page = _payment(services, request)
    currency = "" if page.row is None else page.row.currency
    columns = (
        ("operation", 32), ("kind", 10), ("status", 14), ("amount", 14), ("currency", 8), ("decline code", 18),
        ("at the gateway", 36), ("created", 20), ("updated", 20),
    )  # fmt: skip
    rows = [
        (
            one.operation_id, one.kind, one.status, Amount(one.amount_minor, currency), currency, one.decline_code,
            one.reference, Instant(one.created_at_ms), Instant(one.updated_at_ms),
        )
        for one in page.operations
    ]  # fmt: skip
    return saved(request, Sheet("Operations", columns, rows))


def disputes_list(services: Services, request: PageRequest) -> Download:
    """Return a payment's disputes. Raises ``NotFound``."""
    columns = (
        ("dispute", 48), ("status", 20), ("reason", 24), ("amount", 14), ("withdrawn", 14), ("currency", 8),
        ("evidence due", 20), ("opened", 20),
    )  # fmt: skip
    rows = [
        (
            one.dispute_id, one.state.status.value, one.state.reason,
            Amount(one.state.amount_minor, one.state.currency), Amount(one.state.withdrawn_minor, one.state.currency),
            one.state.currency, _instant(one.state.evidence_due_at_ms), Instant(one.opened_at_ms),
        )
        for one in _payment(services, request).disputes
    ]  # fmt: skip
    return saved(request, Sheet("Disputes", columns, rows))


def journal_list(services: Services, request: PageRequest) -> Download:
    """Return what a payment's entries have booked on each account; debits are positive. Raises ``NotFound``."""
    rows = [
        (one.account, Amount(one.amount_minor, one.currency), one.currency) for one in _payment(services, request).sums
    ]
    return saved(request, Sheet("Journal", (("account", 40), ("balance", 16), ("currency", 8)), rows))


def story_list(services: Services, request: PageRequest) -> Download:
    """Return a payment's time line. Raises ``NotFound``."""
    columns = (("when", 20), ("kind", 12), ("what", 60), ("facts", 80))
    rows = [
        (Instant(moment.at_ms), moment.kind, moment.title, "; ".join(map(_said, moment.facts)))
        for moment in _payment(services, request).moments
    ]
    return saved(request, Sheet("Time line", columns, rows))


def endpoints_list(services: Services, request: PageRequest) -> Download:
    """Return the merchant's webhook endpoints."""
    return saved(request, endpoints_sheet(sources_of(services), request.require_merchant()))


def deliveries_list(services: Services, request: PageRequest) -> Download:
    """Return an endpoint's deliveries. Raises ``NotFound``, and ``BodyMalformed`` for another status or cursor."""
    sheet, more = deliveries_sheet(
        sources_of(services), request.require_merchant(), request.path_parameters["endpoint_id"], request.query
    )
    return saved(request, sheet, more)


def replays_list(services: Services, request: PageRequest) -> Download:
    """Return an endpoint's replays, newest first. Raises ``NotFound``, and ``BodyMalformed`` for another's cursor."""
    sources, merchant_id = sources_of(services), request.require_merchant()
    endpoint_id = request.path_parameters["endpoint_id"]
    found, more = collected(
        lambda cursor: replays_page(sources, merchant_id, endpoint_id, limit=100, cursor=cursor),
        text_of(request.query, "cursor"),
    )
    columns = (
        ("replay", 32), ("status", 12), ("which", 14), ("from", 20), ("until", 20), ("looked at", 10),
        ("sent again", 10), ("begun", 20),
    )  # fmt: skip
    rows = [
        (
            one["id"], one["status"].value, one["only"].value, Instant(one["from_ms"]), Instant(one["until_ms"]),
            one["seen_count"], one["queued_count"], Instant(one["created_at_ms"]),
        )
        for one in found
    ]  # fmt: skip
    return saved(request, Sheet("Replays", columns, rows), more)


def attempts_list(services: Services, request: PageRequest) -> Download:
    """Return a delivery's last attempts. Raises ``NotFound``."""
    named = request.path_parameters
    page = delivery_page(sources_of(services), request.require_merchant(), named["endpoint_id"], named["delivery_id"])
    columns = (("attempt", 8), ("when", 20), ("status", 8), ("error", 20), ("took ms", 10), ("what it said", 80))
    rows = [
        (
            one["number"], Instant(one["at_ms"]), one["status"], one["error"] or "", one["latency_ms"],
            one["response_excerpt"] or one["detail"] or "",
        )
        for one in page.delivery["attempts"]
    ]  # fmt: skip
    return saved(request, Sheet("Attempts", columns, rows))


def _payment(services: Services, request: PageRequest) -> PaymentPage:
    return payment_page(sources_of(services), request.require_merchant(), request.path_parameters["payment_id"])


def _instant(at_ms: int | None) -> Instant | None:
    return None if at_ms is None else Instant(at_ms)


def _said(fact: Fact) -> str:
    if fact.amount_minor is not None:
        return f"{fact.name}: {fact.amount_minor} {fact.currency} (minor units)"
    return f"{fact.name}: {fact.text}" if fact.at_ms is None else f"{fact.name}: {fact.at_ms} (epoch ms)"
