"""Operations as they are planned in a claim: everything a later owner needs to go on without the client."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CaptureMethod, OperationKind, PaymentMethodType
from payonce.routing.admission import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """What a merchant asks for when it creates a payment. ``priority``: authorization, or batch when it can wait."""

    money: Money
    payment_method: str
    capture_method: CaptureMethod
    payment_method_type: PaymentMethodType = PaymentMethodType.CARD
    priority: Priority = Priority.AUTHORIZATION
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPlan:
    """A payment about to be submitted, as the claim stores it.

    Claims from before ``payment_method_type`` and ``priority`` are of card payments with authorization's priority.
    """

    merchant_id: str
    payment_id: str
    gateway: str
    gateway_reference: str
    amount_minor: int
    currency: str
    payment_method: str
    capture_method: CaptureMethod
    created_at_ms: int
    payment_method_type: PaymentMethodType = PaymentMethodType.CARD
    priority: Priority = Priority.AUTHORIZATION
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """Return the storable form."""
        return {
            "kind": OperationKind.PAYMENT.value,
            **asdict(self),
            "capture_method": self.capture_method.value,
            "payment_method_type": self.payment_method_type.value,
            "priority": self.priority.value,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PaymentPlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name != "kind"}
        return cls(
            **{
                **fields,
                "capture_method": CaptureMethod(data["capture_method"]),
                "payment_method_type": PaymentMethodType(data.get("payment_method_type", PaymentMethodType.CARD)),
                "priority": Priority(data.get("priority", Priority.AUTHORIZATION)),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPlan:
    """A capture, void or refund about to be submitted, as the claim stores it."""

    kind: OperationKind
    merchant_id: str
    payment_id: str
    operation_id: str
    gateway_reference: str
    amount_minor: int
    created_at_ms: int

    def to_data(self) -> dict[str, Any]:
        """Return the storable form."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> FollowUpPlan:
        """Return the plan of a stored claim."""
        return cls(**{**data, "kind": OperationKind(data["kind"])})
