"""Set-ups, their second steps and revocations as a claim plans them: all that a later owner needs to continue."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import OperationKind, PaymentMethodType
from payonce.domain.gateway_address import PLATFORM, address_of
from payonce.payments.operations import REFERENCES, AttemptedPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway_address import GatewayAddress

SETUP_STEP = "setup_step"  # the kind of the plan of a set-up's confirmation or cancellation


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSetup:
    """A merchant's request to set a payment method up. ``currency``: what it is to be charged in."""

    customer: str
    payment_method: str
    payment_method_type: PaymentMethodType
    currency: str
    return_url: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPlan(AttemptedPlan):
    """A set-up about to be submitted, as the claim stores it."""

    merchant_id: str
    setup_id: str
    gateway: str
    customer: str
    payment_method: str
    payment_method_type: PaymentMethodType
    currency: str
    created_at_ms: int
    return_url: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    account: str = PLATFORM

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``."""
        return self.setup_id

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        told = {**asdict(self), "payment_method_type": self.payment_method_type.value}
        return {"kind": OperationKind.SETUP.value, REFERENCES: self.references(), **told}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> SetupPlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name not in {"kind", REFERENCES}}
        return cls(**{**fields, "payment_method_type": PaymentMethodType(data["payment_method_type"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStepPlan(AttemptedPlan):
    """A set-up's second step about to be made at the gateway, as the claim stores it.

    It confirms the set-up with the payer's ``result``, or cancels it where ``cancels``.
    """

    merchant_id: str
    setup_id: str
    step_id: str
    created_at_ms: int
    cancels: bool = False
    result: str = ""

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``."""
        return self.step_id

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        return {"kind": SETUP_STEP, **asdict(self)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> SetupStepPlan:
        """Return the plan of a stored claim."""
        return cls(**{name: value for name, value in data.items() if name != "kind"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPlan(AttemptedPlan):
    """A revocation about to be submitted, as the claim stores it."""

    merchant_id: str
    method_id: str
    revocation_id: str
    gateway: str
    created_at_ms: int
    account: str = PLATFORM

    @property
    def address(self) -> GatewayAddress:
        """Where the method is revoked."""
        return address_of(self.gateway, self.merchant_id, self.account)

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``."""
        return self.revocation_id

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        return {"kind": OperationKind.REVOCATION.value, REFERENCES: self.references(), **asdict(self)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RevocationPlan:
        """Return the plan of a stored claim."""
        return cls(**{name: value for name, value in data.items() if name not in {"kind", REFERENCES}})
