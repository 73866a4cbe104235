"""What localstripe is taught of saved methods: what attaches, detaches and charges them.

Sources: https://docs.stripe.com/api/payment_methods, https://docs.stripe.com/payments/save-during-payment and, of the
test cards, https://docs.stripe.com/testing. That a detached method's mandate is inactive is a guess.
"""

from __future__ import annotations

from typing import Any

from localstripe import resources
from localstripe.errors import UserError

SPARED_CARD = "4000002500003155"  # asks for authentication until it was set up, then only while its payer is present
NOT_AGAIN = "The provided PaymentMethod was detached from a Customer. It may not be used again."
NOT_ATTACHED = "The payment method you provided is not attached to a customer so detachment is impossible."
OTHER_CUSTOMER = "The payment method belongs to another customer."


def checked_method(identity: str, customer: str | None) -> Any:
    """Return a method that may be used for this customer. Raises ``UserError`` for a detached or foreign one."""
    method = resources.PaymentMethod._api_retrieve(identity)
    if getattr(method, "_detached", False):
        raise UserError(400, NOT_AGAIN)
    if method.customer is not None and method.customer != customer:
        raise UserError(400, OTHER_CUSTOMER)
    return method


def attach(method: Any, customer: str | None) -> None:
    """Attach a method to its customer, once; without a customer nobody has it."""
    if customer is not None and method.customer is None:
        resources.Customer._api_retrieve(customer)
        method.customer = customer
        resources.schedule_webhook(resources.Event("payment_method.attached", method))


def teach_methods() -> None:
    """Patch methods: a detached one is used no more, and a card that was set up asks an absent payer for nothing."""
    attach_any = resources.PaymentMethod._api_attach.__func__
    asks = resources.PaymentMethod._requires_authentication

    def api_attach(cls: Any, /, id: str, customer: str | None = None, **data: Any) -> Any:
        checked_method(id, customer)
        method = attach_any(cls, id, customer=customer, **data)
        resources.schedule_webhook(resources.Event("payment_method.attached", method))
        return method

    def api_detach(cls: Any, /, id: str) -> Any:
        method = cls._api_retrieve(id)
        if method.customer is None:
            raise UserError(400, NOT_ATTACHED)
        method.customer, method._detached = None, True
        for mandate in list(resources.store.values()):
            if mandate.object == "mandate" and mandate.payment_method == id and mandate.status != "inactive":
                mandate.status = "inactive"
                resources.schedule_webhook(resources.Event("mandate.updated", mandate))
        resources.schedule_webhook(resources.Event("payment_method.detached", method))
        return method

    def requires_authentication(method: Any) -> bool:
        spared = getattr(method, "_set_up", False) and getattr(method, "_payer_absent", False)
        return bool(asks(method)) and not (spared and method._card_number == SPARED_CARD)

    def api_list_all(cls: Any, /, url: str, customer: str | None = None, type: str | None = None, **data: Any) -> Any:
        page = super(resources.PaymentMethod, cls)._api_list_all(url, **data)
        if customer is not None:
            resources.Customer._api_retrieve(customer)  # to answer 404 for one that is not there
        page._list = [row for row in page._list if row.customer == customer and type in {None, row.type}][::-1]
        return page

    method_class = resources.PaymentMethod
    method_class._requires_authentication = requires_authentication
    method_class._api_attach, method_class._api_detach = classmethod(api_attach), classmethod(api_detach)
    method_class._api_list_all = classmethod(api_list_all)
    taught = {"attach": method_class._api_attach, "detach": method_class._api_detach}
    resources.extra_apis[:] = [
        (verb, path, taught.get(path.rpartition("/")[2], call) if "/payment_methods/" in path else call)
        for verb, path, call in resources.extra_apis
    ]


def methods_of_customer(id: str, type: str | None = None, **data: Any) -> Any:
    """GET /v1/customers/{id}/payment_methods."""
    url = f"/v1/customers/{id}/payment_methods"
    return resources.PaymentMethod._api_list_all(url, customer=id, type=type, **data)


def teach_payments() -> None:
    """Patch payments: a customer's method is charged for that customer alone, and ``setup_future_usage`` saves it."""
    create, charge = resources.PaymentIntent._api_create, resources.PaymentIntent._create_charge
    succeed = resources.PaymentIntent._on_success

    def api_create(
        _cls: Any,
        /,
        setup_future_usage: str | None = None,
        description: str | None = None,
        statement_descriptor: str | None = None,
        statement_descriptor_suffix: str | None = None,
        **data: Any,
    ) -> Any:
        method, customer = data.get("payment_method"), data.get("customer")
        if method and not method.startswith("pm_card_"):
            checked_method(method, customer)._payer_absent = data.get("off_session") == "true"
        resources.PaymentIntent._asked_usage = setup_future_usage
        intent = create(**data)
        intent.description, intent.statement_descriptor = description, statement_descriptor
        intent.statement_descriptor_suffix = statement_descriptor_suffix
        return intent

    initialize = resources.PaymentIntent.__init__

    def init(intent: Any, **data: Any) -> None:
        initialize(intent, **data)
        intent.setup_future_usage, resources.PaymentIntent._asked_usage = resources.PaymentIntent._asked_usage, None

    def save(intent: Any) -> None:
        if intent.setup_future_usage:
            method = resources.PaymentMethod._api_retrieve(intent.payment_method)
            method._set_up = True
            attach(method, intent.customer)

    def create_charge(intent: Any, **named: Any) -> None:
        charge(intent, **named)
        if intent.latest_charge.status == "succeeded":
            save(intent)

    def on_success(intent: Any) -> None:
        save(intent)
        succeed(intent)

    resources.PaymentIntent._asked_usage = None
    resources.PaymentIntent.__init__ = init
    resources.PaymentIntent._create_charge, resources.PaymentIntent._on_success = create_charge, on_success
    resources.PaymentIntent._api_create = classmethod(api_create)
