"""The pages of payments, keys and webhooks: what a request asks for becomes a view model, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.exports import export_form, exported
from payonce.console.forms import REPLAYED
from payonce.console.operations import KEYED_OPERATIONS
from payonce.console.page import Download, Rendered
from payonce.console.views.asked import text_of
from payonce.console.views.finders import FINDERS
from payonce.console.views.keys import keys_page, keys_sheet
from payonce.console.views.payment import payment_page
from payonce.console.views.payments import payments_page, payments_sheet
from payonce.console.views.search import search
from payonce.console.views.sources import Sources
from payonce.console.views.webhooks import (
    deliveries_sheet,
    delivery_page,
    endpoint_page,
    endpoints_sheet,
    webhooks_page,
)
from payonce.domain.gateway import PaymentMethodType
from payonce.domain.payment import PaymentStatus
from payonce.domain.webhooks import DeliveryStatus
from payonce.each import InThreads

if TYPE_CHECKING:
    from payonce.console.exports import ExportForm, Sheet
    from payonce.console.page import PageRequest, Services

READING_THREADS: Final = 8  # within the ten connections that the SDK keeps open


def sources_of(services: Services) -> Sources:
    """Return what the views read from."""
    return Sources(
        payments=services.services,
        webhooks=services.webhook_services,
        store=services.store,
        trail=services.audit_trail,
        gateways=tuple(services.settings.gateways),
        operations=KEYED_OPERATIONS,
        each=InThreads(READING_THREADS),
    )


def payments(services: Services, request: PageRequest) -> Rendered | Download:
    """``/payments``: the list, or what ``?q=`` finds; ``?format=`` saves the list."""
    sources, merchant_id = sources_of(services), request.require_merchant()
    form = export_form(request.query)
    if form is not None:
        sheet, more = payments_sheet(sources, merchant_id, request.query)
        return _download(form, sheet, more)
    text = text_of(request.query, "q")
    context = {
        "statuses": [status.value for status in PaymentStatus],
        "methods": [method.value for method in PaymentMethodType],
        "gateways": list(sources.gateways),
        "finders": FINDERS,
        "text": text or "",
    }
    if text is not None:
        return Rendered("search.html", {**context, "found": search(sources, merchant_id, text)})
    return Rendered("payments.html", {**context, "page": payments_page(sources, merchant_id, request.query)})


def payment(services: Services, request: PageRequest) -> Rendered:
    """``/payments/{payment_id}``: one payment's story. It refreshes itself until the payment is settled."""
    page = payment_page(sources_of(services), request.require_merchant(), request.path_parameters["payment_id"])
    # The page asks for itself every few seconds, and names what it has: what is unchanged is neither sent nor swapped,
    # so that nobody loses the place in the story, or a reason that is being typed.
    known = f"{len(page.moments)}.{0 if page.payment is None else page.payment['version']}"
    owned = ".".join(f"{key.view['fence']}{key.view['state'].value}" for key in page.keys) or "none"
    unchanged = {"is_known": request.query.get("seen") == known, "is_owned": request.query.get("owned") == owned}
    return Rendered("payment.html", {"page": page, "known": known, "owned": owned, **unchanged})


def keys(services: Services, request: PageRequest) -> Rendered | Download:
    """``/keys``: what is in flight and in doubt, of the chosen merchant or of all; ``?key=`` looks one up."""
    sources = sources_of(services)
    form = export_form(request.query)
    if form is not None:
        return _download(form, keys_sheet(sources, request.merchant_id), None)
    return Rendered("keys.html", {"page": keys_page(sources, request.merchant_id, request.query)})


def webhooks(services: Services, request: PageRequest) -> Rendered | Download:
    """``/webhooks``: the merchant's endpoints."""
    sources, merchant_id = sources_of(services), request.require_merchant()
    form = export_form(request.query)
    if form is not None:
        return _download(form, endpoints_sheet(sources, merchant_id), None)
    page = webhooks_page(sources, merchant_id, request.query)
    return Rendered("webhooks.html", {"page": page})


def webhook(services: Services, request: PageRequest) -> Rendered | Download:
    """``/webhooks/{endpoint_id}``: an endpoint, its deliveries and replays."""
    sources, merchant_id = sources_of(services), request.require_merchant()
    endpoint_id = request.path_parameters["endpoint_id"]
    form = export_form(request.query)
    if form is not None:
        sheet, more = deliveries_sheet(sources, merchant_id, endpoint_id, request.query)
        return _download(form, sheet, more)
    page = endpoint_page(sources, merchant_id, endpoint_id, request.query)
    statuses = [status.value for status in DeliveryStatus]
    return Rendered("webhook.html", {"page": page, "statuses": statuses, "replayed": REPLAYED})


def delivery(services: Services, request: PageRequest) -> Rendered:
    """``/webhooks/{endpoint_id}/deliveries/{delivery_id}``: one delivery with each attempt's answer."""
    named = request.path_parameters
    page = delivery_page(sources_of(services), request.require_merchant(), named["endpoint_id"], named["delivery_id"])
    return Rendered("delivery.html", {"page": page})


def _download(form: ExportForm, sheet: Sheet, next_cursor: str | None) -> Download:
    saved = exported(form, sheet, next_cursor=next_cursor)
    return Download(saved.name, saved.media_type, saved.body)
