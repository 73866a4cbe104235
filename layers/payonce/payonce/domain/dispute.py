"""A dispute: the payer's bank asks for a captured payment's money, and somebody decides whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import DisputeStatus
from payonce.domain.ids import content_id
from payonce.domain.payment import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import DisputeState

DISPUTE_NAMESPACE = "payonce/dispute/v1"
DISPUTE_PREFIX = "dp_"
PAYMENT_PREFIX = "pay_"
ID_HEX_DIGITS = 16  # 64 bits tell a payment's few disputes apart
# The change by which a dispute gets to a status.
CHANGES: Mapping[DisputeStatus, Change] = MappingProxyType(
    {
        DisputeStatus.OPENED: Change.DISPUTE_OPENED,
        DisputeStatus.EVIDENCE_DUE: Change.DISPUTE_EVIDENCE_DUE,
        DisputeStatus.UNDER_REVIEW: Change.DISPUTE_UNDER_REVIEW,
        DisputeStatus.WON: Change.DISPUTE_WON,
        DisputeStatus.LOST: Change.DISPUTE_LOST,
    }
)
DECIDED = frozenset({DisputeStatus.WON, DisputeStatus.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute of a payment, as it was last read from the gateway and booked.

    ``opened_at_ms`` (epoch milliseconds) is when payonce learned of it, ``updated_at_ms`` when it last changed.
    """

    dispute_id: str
    merchant_id: str
    payment_id: str
    state: DisputeState
    opened_at_ms: int
    updated_at_ms: int

    def withdrawn_in(self, currency: str) -> int:
        """Return what is withdrawn, in minor units of the payment's ``currency``; 0 where it is in another one."""
        return self.state.withdrawn_minor if self.state.currency == currency else 0


def dispute_id_of(payment_id: str, gateway_dispute_id: str) -> str:
    """Return our id of a gateway's dispute: a function of the two alone. It holds its payment's id, see ``payment_of``.

    A gateway that gives one id to two payments' disputes does not make them one.
    """
    digits = content_id("dp", DISPUTE_NAMESPACE, payment_id, gateway_dispute_id).removeprefix("dp_")[:ID_HEX_DIGITS]
    return f"{DISPUTE_PREFIX}{payment_id.removeprefix(PAYMENT_PREFIX)}_{digits}"


def payment_of(dispute_id: str) -> str:
    """Return the id of the payment that a dispute's id holds."""
    return PAYMENT_PREFIX + dispute_id.removeprefix(DISPUTE_PREFIX).rpartition("_")[0]
