"""Operations as a claim plans them: everything that a later owner needs to continue without the client."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from payonce.domain.gateway import CaptureMethod, OperationKind, Payer, PaymentMethodType
from payonce.domain.gateway_address import PLATFORM, address_of
from payonce.domain.ids import gateway_reference
from payonce.routing.control.admission import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.money import Money


# Stored only for operators, who look them up at the gateway; the plan determines them.
REFERENCES = "gateway_references"
CONFIRMATION = "confirmation"  # the kind of a confirmation's plan


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """A merchant's request to create a payment. ``priority`` is authorization, or batch when the payment can wait.

    ``return_url`` is where a payer who had to act elsewhere is sent back to. ``token`` is the gateway's name of a
    saved payment method, whose id ``payment_method`` then is, and ``account`` where it was saved.
    """

    money: Money
    payment_method: str
    capture_method: CaptureMethod
    payment_method_type: PaymentMethodType = PaymentMethodType.CARD
    priority: Priority = Priority.AUTHORIZATION
    payer: Payer = Payer.PRESENT
    return_url: str | None = None
    customer: str | None = None
    saves_method: bool = False
    description: str | None = None
    statement_descriptor: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptedPlan:
    """The common part of every plan for a gateway: its attempts, each under its own reference.

    ``submission`` is the number of the present attempt, from 1. It is stored before anything is sent under its
    reference, so that whoever takes the claim over knows every reference under which the operation can have been
    executed. ``spent``: the gateway answered with a failure that it may have stored under the key, so this reference is
    never sent again.
    """

    submission: int = 1
    spent: bool = False

    @property
    def identity(self) -> str:
        """Our id of the operation, from which its references are derived."""
        raise NotImplementedError

    @property
    def gateway_reference(self) -> str:
        """The reference of the present attempt."""
        return self.references()[-1]

    def references(self) -> list[str]:
        """Return the references of all attempts, the present one last."""
        return [gateway_reference(self.identity, number) for number in range(1, self.submission + 1)]

    def exhausted(self) -> Self:
        """Return the plan with its present reference marked as never to be sent again."""
        return replace(self, spent=True)

    def renewed(self) -> Self:
        """Return the plan with one more attempt, which has not been sent."""
        return replace(self, submission=self.submission + 1, spent=False)

    def to_data(self) -> dict[str, Any]:
        """Return the storable form."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPlan(AttemptedPlan):
    """A payment about to be submitted, as the claim stores it.

    ``passed_over``: gateways that certainly took nothing of it before, in order. ``account``: the account at the
    gateway that it is sent to, the platform's where it is empty; decided before the claim, it survives every takeover.
    ``token``: see ``NewPayment``.
    A claim stores what is not as usual: one without ``payment_method_type`` and ``priority`` is a card payment with
    authorization's priority.
    """

    merchant_id: str
    payment_id: str
    gateway: str
    amount_minor: int
    currency: str
    payment_method: str
    capture_method: CaptureMethod
    created_at_ms: int
    payment_method_type: PaymentMethodType = PaymentMethodType.CARD
    priority: Priority = Priority.AUTHORIZATION
    payer: Payer = Payer.PRESENT
    return_url: str | None = None
    customer: str | None = None
    saves_method: bool = False
    description: str | None = None
    statement_descriptor: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()
    account: str = PLATFORM
    token: str | None = None

    @property
    def address(self) -> GatewayAddress:
        """Where the payment is sent, and where every later owner of the claim asks about it."""
        return address_of(self.gateway, self.merchant_id, self.account)

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``."""
        return self.payment_id

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        named = {
            "capture_method": self.capture_method.value,
            "payment_method_type": self.payment_method_type.value,
            "priority": self.priority.value,
            "payer": self.payer.value,
            "passed_over": list(self.passed_over),
        }
        told = {**asdict(self), **named}
        # A claim of more than 1 KB costs twice as much, so what is as usual is not stored.
        unusual = {name: value for name, value in told.items() if value != _USUAL.get(name, told)}
        return {"kind": OperationKind.PAYMENT.value, REFERENCES: self.references(), **unusual}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PaymentPlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name not in {"kind", REFERENCES}}
        return cls(
            **{
                **fields,
                "capture_method": CaptureMethod(data["capture_method"]),
                "payment_method_type": PaymentMethodType(data.get("payment_method_type", PaymentMethodType.CARD)),
                "priority": Priority(data.get("priority", Priority.AUTHORIZATION)),
                "payer": Payer(data.get("payer", Payer.PRESENT)),
                "passed_over": tuple(data.get("passed_over", ())),
            }
        )


_USUAL: Mapping[str, Any] = MappingProxyType(
    {
        "submission": 1,
        "spent": False,
        "payment_method_type": PaymentMethodType.CARD.value,
        "priority": Priority.AUTHORIZATION.value,
        "payer": Payer.PRESENT.value,
        "return_url": None,
        "customer": None,
        "saves_method": False,
        "description": None,
        "statement_descriptor": None,
        "reference": None,
        "passed_over": [],
        "account": PLATFORM,
        "token": None,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPlan(AttemptedPlan):
    """A capture, void or refund about to be submitted, as the claim stores it.

    ``awaits_payer``: a void of a payment that waits for its payer, on which no amount can be reserved.
    ``captured_minor``: what is captured already of a payment of which a void releases the rest.
    """

    kind: OperationKind
    merchant_id: str
    payment_id: str
    operation_id: str
    amount_minor: int
    created_at_ms: int
    awaits_payer: bool = False
    captured_minor: int = 0

    @property
    def reserved_minor(self) -> int:
        """What the claim has reserved on the payment."""
        return 0 if self.awaits_payer else self.amount_minor

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``."""
        return self.operation_id

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        return {**asdict(self), "kind": self.kind.value, REFERENCES: self.references()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> FollowUpPlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name != REFERENCES}
        return cls(**{**fields, "kind": OperationKind(data["kind"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationPlan(AttemptedPlan):
    """A payer's result about to be handed to the gateway, as the claim stores it."""

    merchant_id: str
    payment_id: str
    confirmation_id: str
    result: str
    created_at_ms: int

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``."""
        return self.confirmation_id

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        return {"kind": CONFIRMATION, **asdict(self)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ConfirmationPlan:
        """Return the plan of a stored claim."""
        return cls(**{name: value for name, value in data.items() if name != "kind"})
