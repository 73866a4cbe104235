"""What localstripe is taught of set-ups and mandates.

The objects have the members of Stripe's specification (https://github.com/stripe/openapi). What a set-up does is on
https://docs.stripe.com/payments/setupintents/lifecycle.
"""

from __future__ import annotations

import time
from typing import Any

from localstripe import resources
from localstripe.errors import UserError

from local.localstripe_saving import attach, checked_method, methods_of_customer, teach_methods, teach_payments

_TYPES = frozenset({"card", "sepa_debit"})
_ENDED = frozenset({"succeeded", "canceled"})


class Mandate(resources.StripeObject):  # type: ignore[misc]  # localstripe has no types
    """Stripe's ``mandate``: https://docs.stripe.com/api/mandates/object."""

    object = "mandate"
    _id_prefix = "mandate_"

    def __init__(self, method: Any, acceptance: dict[str, Any]) -> None:
        super().__init__()
        self.payment_method, self.status, self.type = method.id, "active", "multi_use"
        self.multi_use: dict[str, Any] = {}
        self.single_use = self.on_behalf_of = None
        self.customer_acceptance = {"accepted_at": int(time.time()), **acceptance}
        reference = {"reference": method.sepa_debit["mandate_reference"], "url": method.sepa_debit["mandate_url"]}
        self.payment_method_details = {"type": "sepa_debit", "sepa_debit": reference}


def _unexpected(setup: Any) -> Exception:
    said = {"code": "setup_intent_unexpected_state"}
    return UserError(400, f"It is {setup.status}.", said)  # type: ignore[no-any-return]


class SetupIntent(resources.StripeObject):  # type: ignore[misc]  # localstripe has no types
    """Stripe's ``setup_intent``: https://docs.stripe.com/api/setup_intents/object."""

    object = "setup_intent"
    _id_prefix = "seti_"

    def __init__(
        self,
        customer: str | None = None,
        usage: str = "off_session",
        payment_method: str | None = None,
        payment_method_types: list[str] | None = None,
        metadata: dict[str, str] | None = None,
        description: str | None = None,
        mandate_data: dict[str, Any] | None = None,
        return_url: str | None = None,
        use_stripe_sdk: str = "false",
        automatic_payment_methods: Any = None,
    ) -> None:
        del automatic_payment_methods
        if usage not in {"off_session", "on_session"} or not set(payment_method_types or ()) <= _TYPES:
            raise UserError(400, "Bad request")
        if customer is not None:
            resources.Customer._api_retrieve(customer)
        if payment_method is not None:
            checked_method(payment_method, customer)
        super().__init__()
        self.customer, self.usage, self.payment_method = customer, usage, payment_method
        self.payment_method_types, self.metadata = payment_method_types or ["card"], metadata or {}
        self.description, self.client_secret = description, f"{self.id}_secret_{resources.random_id(16)}"
        self.status = "requires_confirmation" if payment_method else "requires_payment_method"
        self.next_action: dict[str, Any] | None = None
        self.last_setup_error: dict[str, str] | None = None
        self.mandate = self.cancellation_reason = None
        self.latest_attempt = self.single_use_mandate = None
        self._mandate_data, self._return_url = mandate_data, return_url
        self._sdk = use_stripe_sdk == "true"

    @classmethod
    def _api_create(cls, confirm: str = "false", **data: Any) -> Any:
        setup = super()._api_create(**data)
        if confirm == "true":
            setup._confirm()
        return setup

    @classmethod
    def _api_list_all(
        cls, url: str, customer: str | None = None, payment_method: str | None = None, **data: Any
    ) -> Any:
        created = {name: int(value) for name, value in (data.pop("created", None) or {}).items()}
        page = super()._api_list_all(url, **data)
        page._list = [
            row
            for row in reversed(page._list)
            if customer in {None, row.customer} and payment_method in {None, row.payment_method}
            if created.get("gte", 0) <= row.created <= created.get("lte", row.created)
        ]
        return page

    @classmethod
    def _api_confirm(
        cls,
        id: str,
        payment_method: str | None = None,
        mandate_data: dict[str, Any] | None = None,
        return_url: str | None = None,
        use_stripe_sdk: str | None = None,
    ) -> Any:
        """POST …/confirm."""
        setup = cls._api_retrieve(id)
        if payment_method is not None:
            checked_method(payment_method, setup.customer)
            setup.payment_method, setup.status = payment_method, "requires_confirmation"
        setup._mandate_data = mandate_data or setup._mandate_data
        setup._return_url = return_url or setup._return_url
        setup._sdk = setup._sdk if use_stripe_sdk is None else use_stripe_sdk == "true"
        setup._confirm()
        return setup

    @classmethod
    def _api_cancel(cls, id: str, cancellation_reason: str | None = None) -> Any:
        """POST …/cancel."""
        setup = cls._api_retrieve(id)
        if setup.status in _ENDED:
            raise _unexpected(setup)
        setup.cancellation_reason = cancellation_reason
        setup._become("canceled")
        return setup

    @classmethod
    def _api_authenticate(cls, id: str, success: str = "false", client_secret: str = "") -> Any:
        """Let the payer answer; it is an operator's request, and not Stripe's."""
        setup = cls._api_retrieve(id)
        if setup.status != "requires_action" or client_secret != setup.client_secret:
            raise UserError(400, "Bad request")
        if success == "true":
            setup._succeed()
        else:
            setup._fail("setup_intent_authentication_failure", "The payer did not authenticate.")
        return setup

    def _confirm(self) -> None:
        if self.status != "requires_confirmation" or self.payment_method is None:
            raise _unexpected(self)
        method = checked_method(self.payment_method, self.customer)
        if method.type not in self.payment_method_types:
            self.payment_method, self.status = None, "requires_payment_method"
            raise UserError(400, "It is another method.", {"code": "setup_intent_invalid_parameter"})
        if method.type == "sepa_debit" and not self._mandate_data:
            raise UserError(400, "It is missing.", {"code": "parameter_missing", "param": "mandate_data"})
        if method._attaching_is_declined():
            self._fail("card_declined", "Your card was declined.")
            raise UserError(402, "Your card was declined.", {"code": "card_declined", "setup_intent": self._export()})
        if not method._requires_authentication():
            self._succeed()
            return
        target = {"url": f"https://hooks.stripe.example/set_up/{self.id}", "return_url": self._return_url}
        redirect = {"type": "redirect_to_url", "redirect_to_url": target}
        sdk = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": ""}}
        self._become("requires_action", redirect if self._return_url and not self._sdk else sdk)

    def _succeed(self) -> None:
        method = resources.PaymentMethod._api_retrieve(self.payment_method)
        method._set_up = True
        attach(method, self.customer)
        if method.type == "sepa_debit" and self._mandate_data:
            self.mandate = Mandate(method, self._mandate_data["customer_acceptance"]).id
        self._become("succeeded")

    def _fail(self, code: str, message: str) -> None:
        self.last_setup_error = {"code": code, "message": message, "type": "card_error"}
        self.payment_method = None
        self._become("requires_payment_method")

    def _become(self, status: str, next_action: dict[str, Any] | None = None) -> None:
        self.status, self.next_action = status, next_action
        told = {"requires_payment_method": "setup_failed"}.get(status, status)
        resources.schedule_webhook(resources.Event(f"setup_intent.{told}", self))


def teach_saving() -> None:
    """Patch localstripe to save methods as Stripe does: by a set-up or with a payment."""
    teach_methods()
    teach_payments()
    resources.SetupIntent = SetupIntent
    resources.extra_apis[:] = [row for row in resources.extra_apis if not row[1].startswith("/v1/setup_intents/")]
    resources.extra_apis += [
        ("POST", "/v1/setup_intents/{id}/confirm", SetupIntent._api_confirm),
        ("POST", "/v1/setup_intents/{id}/cancel", SetupIntent._api_cancel),
        ("POST", "/v1/setup_intents/{id}/_authenticate", SetupIntent._api_authenticate),
        ("GET", "/v1/mandates/{id}", Mandate._api_retrieve),
        ("GET", "/v1/customers/{id}/payment_methods", methods_of_customer),
    ]
