"""Set-ups, and the payment methods that they save: their states and the tables of their transitions.

A set-up asks the payer, once, for the agreement to be charged later. It moves no money::

    (new) ─┬──────────────┬────────────▶ succeeded (a payment method is saved), declined, failed
           ├─ in doubt ───┤
           ├─ processing ─┤
           └─ requires action ─▶ the payer agrees ─▶ processing, succeeded, declined
                               ├ the merchant cancels it, or somebody at the gateway ─▶ canceled
                               └ the payer does not act in time ─▶ expired

    payment method     active ─┬─ revoking ─┬─▶ revoked
                          ▲    └────────────┘     (at the gateway, without a request to this API)
                          └──────── the gateway refuses, or certainly was not asked
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import PaymentMethodType
from payonce.domain.gateway_address import PLATFORM, address_of
from payonce.domain.ids import ID_PATTERN
from payonce.domain.payment import TransitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway_address import GatewayAddress

SETUP_PREFIX = "setup"
METHOD_PREFIX = "method"
# What can be charged again by an agreement of the payer's. A voucher, a transfer and an instalment plan are paid once.
SAVABLE_TYPES = frozenset({PaymentMethodType.CARD, PaymentMethodType.WALLET, PaymentMethodType.BANK_DEBIT})
_METHOD_ID = re.compile(f"{METHOD_PREFIX}_{ID_PATTERN}", re.ASCII)


class SetupStatus(StrEnum):
    """The states of a set-up."""

    IN_DOUBT = "in_doubt"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


class SetupChange(StrEnum):
    """The changes of a set-up. Each change has exactly one event."""

    DOUBTED = "setup.in_doubt"
    ACTION_REQUIRED = "setup.requires_action"
    PROCESSED = "setup.processing"
    SUCCEEDED = "setup.succeeded"
    DECLINED = "setup.declined"
    FAILED = "setup.failed"
    CANCELED = "setup.canceled"
    EXPIRED = "setup.expired"


class MethodStatus(StrEnum):
    """The states of a saved payment method. ``REVOKING``: the gateway is being asked to end its mandate."""

    ACTIVE = "active"
    REVOKING = "revoking"
    REVOKED = "revoked"


class MethodChange(StrEnum):
    """The changes of a saved payment method that have an event, each exactly one."""

    SAVED = "payment_method.saved"
    REVOKED = "payment_method.revoked"
    REVOKED_ELSEWHERE = "payment_method.revoked_at_gateway"


_S, _C = SetupStatus, SetupChange
SETUP_WAITS = frozenset({_S.REQUIRES_ACTION, _S.PROCESSING})
NOTHING_SAVED = frozenset({_S.DECLINED, _S.FAILED, _S.CANCELED, _S.EXPIRED})  # as far as is known here
_DECIDED = {
    _C.ACTION_REQUIRED: _S.REQUIRES_ACTION,
    _C.PROCESSED: _S.PROCESSING,
    _C.SUCCEEDED: _S.SUCCEEDED,
    _C.DECLINED: _S.DECLINED,
}
SETUP_TRANSITIONS: Mapping[tuple[SetupStatus | None, SetupChange], SetupStatus] = MappingProxyType(
    {
        (None, _C.DOUBTED): _S.IN_DOUBT,
        **{
            (before, change): after
            for before in (None, _S.IN_DOUBT)
            for change, after in {**_DECIDED, _C.FAILED: _S.FAILED}.items()
        },
        **{
            (before, change): after
            for before in sorted(SETUP_WAITS)
            for change, after in {
                **_DECIDED,
                _C.CANCELED: _S.CANCELED,
                _C.EXPIRED: _S.EXPIRED,
                # The gateway has lost what it held, and people have released it: see ``payments.settlement``.
                _C.FAILED: _S.FAILED,
            }.items()
        },
    }
)


def next_setup_status(status: SetupStatus | None, change: SetupChange) -> SetupStatus:
    """Return the status after ``change``. Raises ``TransitionError`` when the table has no such row."""
    try:
        return SETUP_TRANSITIONS[status, change]
    except KeyError:
        raise TransitionError(f"{change} is not possible in state {status}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A set-up at one version. Times are epoch milliseconds.

    ``payment_method`` is the token that the merchant gave, ``saved_method_id`` the payment method that was saved,
    present once it has succeeded. ``currency`` is what the payment method is to be charged in.
    ``version``, ``attempts``, ``gateway_reference``, ``next_action`` and ``account`` are as a payment's.
    """

    setup_id: str
    merchant_id: str
    status: SetupStatus
    customer: str
    payment_method: str
    payment_method_type: PaymentMethodType
    currency: str
    gateway: str
    gateway_reference: str
    created_at_ms: int
    updated_at_ms: int
    version: int
    gateway_setup_id: str | None = None
    saved_method_id: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    decline_code: str | None = None
    attempts: int = 1
    next_action: Mapping[str, str | int] | None = None
    account: str = PLATFORM

    @property
    def address(self) -> GatewayAddress:
        """The account at the gateway where it is, and where it is asked about."""
        return address_of(self.gateway, self.merchant_id, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMethod:
    """A payment method that may be charged while the payer is absent, at one version. Times are epoch milliseconds.

    It belongs to one merchant, and lives at one gateway. ``made_by`` is the id of the set-up or payment that saved it,
    ``currency`` what that was in. ``token`` is the gateway's name of it, and ``mandate_id`` the gateway's id of the
    payer's mandate, ``None`` where the gateway keeps none. ``revocation_id`` is ours, of the revocation that is under
    way or has ended it. ``account`` is the merchant's account at the gateway, the platform's where it is empty.
    """

    method_id: str
    merchant_id: str
    status: MethodStatus
    customer: str
    payment_method_type: PaymentMethodType
    currency: str
    gateway: str
    token: str
    made_by: str
    created_at_ms: int
    updated_at_ms: int
    version: int = 1
    mandate_id: str | None = None
    revocation_id: str | None = None
    account: str = PLATFORM

    @property
    def address(self) -> GatewayAddress:
        """The account at the gateway where it is, and where it is asked about."""
        return address_of(self.gateway, self.merchant_id, self.account)

    def revoked(self, *, at_ms: int) -> SavedMethod:
        """Return the next version of the payment method, which can't be charged any more."""
        return replace(self, status=MethodStatus.REVOKED, updated_at_ms=at_ms, version=self.version + 1)


def method_id_of(made_by: str) -> str:
    """Return the id of the payment method that a set-up or payment saves: one at most, however often it is told."""
    return f"{METHOD_PREFIX}_{made_by.rpartition('_')[2]}"


def is_saved_method(payment_method: str) -> bool:
    """Return whether a payment's method is one that was saved, by its form: no gateway's token looks like that."""
    return _METHOD_ID.fullmatch(payment_method) is not None
