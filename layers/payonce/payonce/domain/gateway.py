"""What a gateway is asked and what it can answer. "Declined", "never sent" and "unknown" are different types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.domain.money import Money


class OperationKind(StrEnum):
    """The four operations that move or free money at a gateway."""

    PAYMENT = "payment"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class CaptureMethod(StrEnum):
    """Whether a payment is captured at once or by a later capture."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class PaymentMethodType(StrEnum):
    """How the payer pays, in classes of rails that tend to fail together: a gateway can be well for cards alone."""

    CARD = "card"
    WALLET = "wallet"
    BANK_DEBIT = "bank_debit"
    BANK_TRANSFER = "bank_transfer"
    PAY_LATER = "pay_later"
    VOUCHER = "voucher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One operation for a gateway. The same instruction is used to submit it and, later, to ask about it.

    ``gateway_reference`` is derived from our own ids and the attempt, at most 64 characters of ``[A-Za-z0-9_-]``; it is
    sent as the gateway's idempotency key and stored at the gateway so that it can be looked up.
    ``first_submitted_at_ms`` (epoch milliseconds) is no later than the first time it was or may have been sent.
    ``gateway_charge_id`` is the gateway's id of the charge; present for captures, voids and refunds.
    """

    kind: OperationKind
    gateway_reference: str
    merchant_id: str
    payment_id: str
    money: Money
    capture_method: CaptureMethod
    payment_method: str
    first_submitted_at_ms: int
    gateway_charge_id: str | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The gateway has executed the instruction. Ids are the gateway's own."""

    gateway_charge_id: str
    gateway_operation_id: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The gateway or the issuer refused, finally. ``code`` is payonce's word, see the adapters' DECLINE_CODES."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NeverSent:
    """The instruction certainly has not been and will not be executed because of this submission."""

    reason: str
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The gateway may or may not have executed the instruction."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The gateway knows no operation with the reference now. Whether that is final, its capabilities say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeState:
    """A charge as the gateway holds it now. Amounts are integer minor units of ``currency`` (ISO 4217, upper case).

    ``captured_minor`` is 0 while it is only authorized, and for ever once it is ``voided``.
    """

    captured_minor: int
    refunded_minor: int
    voided: bool
    currency: str


type SubmitOutcome = Succeeded | Declined | NeverSent | Unknown
type LookupOutcome = Succeeded | Declined | NotFound | Unknown
type ChargeOutcome = ChargeState | NotFound | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCapabilities:
    """What a gateway promises, declared by its adapter.

    ``key_retention_seconds``: for how long a repeated idempotency key is answered with the first result; 0 when keys
    are ignored. Recovery never relies on a key past it.
    ``lookup_authoritative_after_seconds``: how long after the last moment at which the instruction can have been sent a
    "not found" is final; ``None`` when it never is (or when the gateway has no lookup).
    ``multiple_captures``: whether an authorization may be captured in several parts; when false a partial capture frees
    the remainder.
    """

    key_retention_seconds: int
    lookup_by_reference: bool
    lookup_authoritative_after_seconds: float | None
    multiple_captures: bool
    operations: frozenset[OperationKind]
