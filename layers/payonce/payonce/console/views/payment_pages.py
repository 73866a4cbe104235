"""The pages of payments, keys and webhooks: what a request asks for becomes a view model, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.exports import saved
from payonce.console.forms import REPLAYED
from payonce.console.operations import KEYED_OPERATIONS
from payonce.console.page import Rendered
from payonce.console.views.asked import text_of
from payonce.console.views.finders import FINDERS
from payonce.console.views.keys import PAGE_ROWS, keys_page, keys_sheet
from payonce.console.views.payment import payment_page
from payonce.console.views.payments import payments_page
from payonce.console.views.search import search
from payonce.console.views.sources import Sources
from payonce.console.views.webhooks import delivery_page, endpoint_page, webhooks_page
from payonce.domain.gateway import PaymentMethodType
from payonce.domain.payment import PaymentStatus
from payonce.domain.webhooks import DeliveryStatus
from payonce.each import InThreads

if TYPE_CHECKING:
    from payonce.console.page import Download, PageRequest, Services

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


def payments(services: Services, request: PageRequest) -> Rendered:
    """``/payments``: the list, or what ``?q=`` finds."""
    sources, merchant_id = sources_of(services), request.require_merchant()
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
    if request.query.get("format"):
        return saved(request, keys_sheet(sources, request.merchant_id))
    page = keys_page(sources, request.merchant_id, request.query)
    is_behind = page.page > 1 and page.open_count <= (page.page - 1) * PAGE_ROWS
    return Rendered("keys.html", {"page": page, "is_behind": is_behind}, 404 if is_behind else 200)


def webhooks(services: Services, request: PageRequest) -> Rendered:
    """``/webhooks``: the merchant's endpoints."""
    sources, merchant_id = sources_of(services), request.require_merchant()
    page = webhooks_page(sources, merchant_id, request.query)
    return Rendered("webhooks.html", {"page": page})


def webhook(services: Services, request: PageRequest) -> Rendered:
    """``/webhooks/{endpoint_id}``: an endpoint, its deliveries and replays."""
    sources, merchant_id = sources_of(services), request.require_merchant()
    endpoint_id = request.path_parameters["endpoint_id"]
    page = endpoint_page(sources, merchant_id, endpoint_id, request.query)
    statuses = [status.value for status in DeliveryStatus]
    return Rendered("webhook.html", {"page": page, "statuses": statuses, "replayed": REPLAYED})


def delivery(services: Services, request: PageRequest) -> Rendered:
    """``/webhooks/{endpoint_id}/deliveries/{delivery_id}``: one delivery with each attempt's answer."""
    named = request.path_parameters
    page = delivery_page(sources_of(services), request.require_merchant(), named["endpoint_id"], named["delivery_id"])
    return Rendered("delivery.html", {"page": page})
