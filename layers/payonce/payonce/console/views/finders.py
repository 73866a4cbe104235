"""What the search box finds, each kind of name by its key or index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payonce.domain.dispute import payment_of
from payonce.domain.errors import NotFound
from payonce.domain.gateway_address import PLATFORM
from payonce.domain.ids import ID_PATTERN, event_place, operation_of
from payonce.idempotency.inspect import inspect_keys
from payonce.idempotency.keys import MAX_KEY_CHARACTERS, MIN_KEY_CHARACTERS
from payonce.merged_lists import LAST
from payonce.notices.kept import key_of, notice_of, place_of
from payonce.notices.told import KeptNoticeBook
from payonce.outbox import keys_by_customer, keys_by_reference
from payonce.payments.dispute_items import dispute_key
from payonce.payments.payment_items import BY_REFERENCE_INDEX
from payonce.payments.setup_items import find_method, methods_at_gateway
from payonce.payments.stored_payments import find_payments
from payonce.ports import Table
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.webhooks.deliveries import delivery_from, delivery_key
from payonce.webhooks.endpoints import load_endpoint, load_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from payonce.console.views.sources import Sources
    from payonce.ports import Page


# Of the payments with a reference or of a customer, so many are shown; the rest is in the list.
SHOWN_OF_A_LIST: Final = 10
ATTEMPTS_LOOKED_UP: Final = 3  # references of an operation; one has two at most (payments.rules.MAX_SUBMISSIONS)
_PAYMENT = re.compile(f"(pay_{ID_PATTERN})(?:-[0-9]{{1,3}})?", re.ASCII)
_OPERATION = re.compile(f"((?:cap|void|re)_{ID_PATTERN})(-[0-9]{{1,3}})?", re.ASCII)
_CORRECTION = re.compile(r"(cor_[0-9a-f]{40})(-[0-9]{1,3})?", re.ASCII)
_DISPUTE = re.compile(f"dp_{ID_PATTERN}_[0-9a-f]{{16}}", re.ASCII)
_BREAK = re.compile(r"brk_[0-9a-f]{64}", re.ASCII)
_ENDPOINT = re.compile(f"we_{ID_PATTERN}", re.ASCII)
_DELIVERY = re.compile(f"whd_{ID_PATTERN}", re.ASCII)
_METHOD = re.compile(f"method_{ID_PATTERN}", re.ASCII)
_KEY = re.compile(rf"[\x21-\x7e]{{{MIN_KEY_CHARACTERS},{MAX_KEY_CHARACTERS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something found. ``path`` and ``query`` are its page's; ``payment_id`` names the payment where it is one."""

    what: str
    name: str
    path: str
    query: Mapping[str, str] | None = None
    payment_id: str = ""


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds by one kind of name. ``form``: the texts that can be one, ``None`` for any. ``by``: the key or index."""

    name: str
    by: str
    form: re.Pattern[str] | None
    find: Callable[[Sources, str, str], Iterable[Hit]]

    def hits(self, sources: Sources, merchant_id: str, text: str) -> Iterable[Hit]:
        """Return what is found, nothing for a text of another form."""
        return self.find(sources, merchant_id, text) if self.form is None or self.form.fullmatch(text) else ()


def _payment(sources: Sources, merchant_id: str, text: str, what: str = "payment") -> Iterator[Hit]:
    payment_id = operation_of(text) or text
    if find_payments(sources.database, merchant_id, [payment_id]):
        yield Hit(what=what, name=text, path=f"/payments/{payment_id}", payment_id=payment_id)
        return
    # Nothing is stored of a payment before its commit but its claim.
    if _open_claim(sources, merchant_id, payment_id) is not None:
        yield Hit(what="payment in flight", name=text, path=f"/payments/{payment_id}")


def _open_claim(sources: Sources, merchant_id: str, claim_id: str) -> str | None:
    """Return the record of the merchant's open claim. Raises ``StoreUnavailable`` where too many are open."""
    record_id = sources.store.open_claim(claim_id)
    return record_id if record_id is not None and record_id.startswith(f"{merchant_id}#") else None


def _operation(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    operation_id = operation_of(text) or text
    references = [text] if operation_id != text else [f"{text}-{each + 1}" for each in range(ATTEMPTS_LOOKED_UP)]
    for reference in references:
        page = sources.database.query(
            Table.PAYMENTS, index=BY_REFERENCE_INDEX, partition=("operation_reference", reference), limit=1
        )
        for item in page.items:
            owner, _, payment_id = str(item["pk"]).rpartition("#")
            if owner == merchant_id:
                yield Hit(what="operation", name=text, path=f"/payments/{payment_id}", payment_id=payment_id)
                return
    record_id = _open_claim(sources, merchant_id, operation_id)
    for record in sources.store.get_many([record_id]) if record_id is not None else ():
        payment_id = str(record.plan.get("payment_id", ""))
        if payment_id:
            yield Hit(what="operation in flight", name=text, path=f"/payments/{payment_id}", payment_id=payment_id)


def _event(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    try:
        resource_id, _ = event_place(text)
    except ValueError:
        return
    if _PAYMENT.fullmatch(resource_id):
        yield from _payment(sources, merchant_id, resource_id, "event of a payment")
    elif _ENDPOINT.fullmatch(resource_id):
        yield from _endpoint(sources, merchant_id, resource_id)


def _dispute(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    payment_id = payment_of(text)
    if sources.database.get(Table.PAYMENTS, dispute_key(merchant_id, payment_id, text)) is not None:
        yield Hit(what="dispute", name=text, path=f"/payments/{payment_id}", payment_id=payment_id)


def _break(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    try:
        case = CaseStore(sources.database).get(text)
    except NotFound:
        return
    if case.merchant_id == merchant_id:
        yield Hit(what="break", name=text, path=f"/breaks/{text}")


def _endpoint(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    if load_endpoint(sources.database, merchant_id, text) is not None:
        yield Hit(what="webhook endpoint", name=text, path=f"/webhooks/{text}")


def _delivery(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    endpoints = load_endpoints(sources.database, merchant_id)
    keys = [delivery_key(merchant_id, endpoint.endpoint_id, text) for endpoint in endpoints]
    for delivery in map(delivery_from, sources.database.get_many(Table.DELIVERIES, keys) if keys else ()):
        path = f"/webhooks/{delivery.endpoint_id}/deliveries/{text}"
        yield Hit(what=f"delivery of {delivery.event_id}", name=text, path=path)


def _key(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    now_ms = sources.clock.now_ms()
    views = inspect_keys(sources.store, None, merchant_id, sources.operations, [text], now_ms=now_ms)
    if views:
        yield Hit(what="idempotency key", name=text, path="/keys", query={"key": text})
    for view in views:
        resource = (view["resource"] or "").removeprefix("/payments/")
        if _PAYMENT.fullmatch(resource):
            what = f"payment of the key's {view['operation']}"
            yield Hit(what=what, name=resource, path=f"/payments/{resource}", payment_id=resource)


def _saved_method(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    method = find_method(sources.database, merchant_id, text)
    if method is not None:
        yield _of_customer(text, method.customer)


def _of_customer(name: str, customer: str) -> Hit:
    what = f"saved payment method of {customer}: its customer's payments"
    return Hit(what=what, name=name, path="/payments", query={"customer": customer})


def _at_gateways(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    book = KeptNoticeBook(sources.database)
    for gateway in sources.gateways:
        for method in methods_at_gateway(sources.database, gateway, PLATFORM, text):
            if method.merchant_id == merchant_id:
                yield _of_customer(text, method.customer)
        payment_id = operation_of(book.charge(gateway, text).gateway_reference) or ""
        if payment_id and find_payments(sources.database, merchant_id, [payment_id]):
            what = f"charge at {gateway}, by its events"
            yield Hit(what=what, name=text, path=f"/payments/{payment_id}", payment_id=payment_id)


def _gateway_event(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    places = [place_of(gateway, signer) for gateway in sources.gateways for signer in ("", merchant_id)]
    keys = [{"id": key_of(place, text)} for place in places]
    for kept in map(notice_of, sources.database.get_many(Table.NOTICES, keys) if keys else ()):
        named = kept.notice.payment_id or operation_of(kept.notice.gateway_reference) or ""
        # An event names whatever was stored with a charge: whose the payment is, is read here.
        if named and find_payments(sources.database, merchant_id, [named]):
            what = f"event of {kept.gateway}, {kept.state.value}"
            yield Hit(what=what, name=text, path=f"/payments/{named}", payment_id=named)


def _reference(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    page = keys_by_reference(sources.database, merchant_id, text, after="", until=LAST, limit=SHOWN_OF_A_LIST)
    yield from _listed(page, "reference", text)


def _customer(sources: Sources, merchant_id: str, text: str) -> Iterator[Hit]:
    page = keys_by_customer(sources.database, merchant_id, text, after="", until=LAST, limit=SHOWN_OF_A_LIST)
    yield from _listed(page, "customer", text)


def _listed(page: Page, name: str, text: str) -> Iterator[Hit]:
    if page.items:
        yield Hit(what=f"all payments of this {name}", name=text, path="/payments", query={name: text})
    for item in page.items:
        yield Hit(what=f"payment of this {name}", name=text, path=f"/payments/{item['pk']}", payment_id=item["pk"])


FINDERS: Final = (
    Finder(
        "payment id, gateway reference", "key of the outbox; a reference holds its payment's id", _PAYMENT, _payment
    ),
    Finder("operation id, its gateway reference", "index operations-by-gateway-reference", _OPERATION, _operation),
    Finder("reference of a correction", "index operations-by-gateway-reference", _CORRECTION, _operation),
    Finder("event id", "key of the outbox: it holds its payment's id", re.compile("evt_.+", re.ASCII), _event),
    Finder("dispute id", "key of the payments: it holds its payment's id", _DISPUTE, _dispute),
    Finder("break id", "key of the cases", _BREAK, _break),
    Finder("webhook endpoint id", "key of the endpoints", _ENDPOINT, _endpoint),
    Finder("delivery id", "key of the deliveries, under each of the merchant's endpoints", _DELIVERY, _delivery),
    Finder("idempotency key", "key of the claims, of each operation that takes one", _KEY, _key),
    Finder("saved payment method", "key of the payment methods, then its customer's payments", _METHOD, _saved_method),
    Finder("the merchant's reference", "index payments-by-reference; whole, in its own spelling", None, _reference),
    Finder("customer", "index payments-by-customer; whole, in its own spelling", None, _customer),
    Finder("event id of a gateway", "key of the gateways' events, 90 days", None, _gateway_event),
    Finder(
        "token of a saved payment method; charge at a gateway whose events tell of charges",
        "index operations-by-gateway-reference; keys of what gateways' events have told, 90 days",
        None,
        _at_gateways,
    ),
)
