"""What Adyen's notifications tell of disputes: Adyen has no API that says how one stands.

All events of a dispute carry its PSP reference, and the payment's as ``originalReference``; both are signed, as are the
event, its success and the amount. What an event says of the money is Adyen's description of the event. The dispute's
status after a ``CHARGEBACK``, the reason and the end of the defence period stand in what is not signed: they choose
between words, and never move money.
https://docs.adyen.com/risk-management/disputes-api/dispute-notifications,
https://docs.adyen.com/api-explorer/Webhooks/1/post/CHARGEBACK_REVERSED
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import DisputeNotice, DisputeStatus
from payonce.gateways.adyen_money import amount_from_adyen
from payonce.gateways.notice_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REASON_CHARACTERS = 200
_S = DisputeStatus
# Of each event: its stage, the status, and whether the amount is taken by then (None: it says nothing of the money).
_EVENTS: Mapping[str, tuple[int, DisputeStatus, bool | None]] = MappingProxyType(
    {
        "REQUEST_FOR_INFORMATION": (0, _S.EVIDENCE_DUE, None),
        "NOTIFICATION_OF_CHARGEBACK": (1, _S.EVIDENCE_DUE, None),
        "DISPUTE_OPENED_WITH_CHARGEBACK": (1, _S.EVIDENCE_DUE, None),
        "CHARGEBACK": (2, _S.EVIDENCE_DUE, True),
        "CHARGEBACK_REVERSED": (3, _S.UNDER_REVIEW, False),  # "This stage is not final."
        "SECOND_CHARGEBACK": (4, _S.LOST, True),
        "DISPUTE_DEFENSE_PERIOD_ENDED": (5, _S.LOST, None),
        "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": (5, _S.WON, False),
        "PREARBITRATION_LOST": (5, _S.LOST, None),
        "PREARBITRATION_WON": (5, _S.WON, False),
    }
)
_AFTER_CHARGEBACK: Mapping[str, DisputeStatus] = MappingProxyType(
    {"Pending": _S.UNDER_REVIEW, "Responded": _S.UNDER_REVIEW, "Accepted": _S.LOST, "Expired": _S.LOST, "Lost": _S.LOST}
)


def dispute_told(item: Mapping[str, Any]) -> DisputeNotice | None:
    """Return what a verified item tells of a dispute, ``None`` if nothing."""
    known = _EVENTS.get(item["eventCode"])
    amount, additional = item["amount"], item["additionalData"]
    amount_minor = amount_from_adyen(amount["value"], amount["currency"])
    dispute_id = name_of(item["pspReference"])
    if known is None or item["success"] != "true" or amount_minor is None or dispute_id is None:
        return None
    stage, status, taken = known
    if item["eventCode"] == "CHARGEBACK":
        status = _AFTER_CHARGEBACK.get(str(additional.get("disputeStatus", "")), status)
    return DisputeNotice(
        gateway_dispute_id=dispute_id,
        stage=stage,
        status=status,
        taken=taken,
        amount_minor=amount_minor,
        currency=amount["currency"],
        reason=str(item.get("reason") or "")[:MAX_REASON_CHARACTERS],
        evidence_due_at_ms=_epoch_ms(additional.get("defensePeriodEndsAt")) if status is _S.EVIDENCE_DUE else None,
    )


def _epoch_ms(value: Any) -> int | None:
    try:
        at = datetime.fromisoformat(value)
        return int(at.timestamp() * 1000) if at.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
