"""Operations as they are planned in a claim: everything a later owner needs to go on without the client."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CaptureMethod, OperationKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """What a merchant asks for when it creates a payment."""

    money: Money
    payment_method: str
    capture_method: CaptureMethod
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPlan:
    """A payment about to be submitted, as the claim stores it."""

    merchant_id: str
    payment_id: str
    gateway: str
    gateway_reference: str
    amount_minor: int
    currency: str
    payment_method: str
    capture_method: CaptureMethod
    created_at_ms: int
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """Return the storable form."""
        return {"kind": OperationKind.PAYMENT.value, **asdict(self), "capture_method": self.capture_method.value}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PaymentPlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name != "kind"}
        return cls(**{**fields, "capture_method": CaptureMethod(data["capture_method"])})


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
