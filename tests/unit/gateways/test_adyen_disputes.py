"""What Adyen's dispute events mean, one by one, and that only what is signed moves money.

https://docs.adyen.com/risk-management/disputes-api/dispute-notifications and the description of each event in
https://docs.adyen.com/api-explorer/Webhooks/1/overview.
"""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.gateway import DisputeStatus, Notice
from tests.unit.gateways.test_adyen_notices import ORIGINAL, PSP, item, read

S = DisputeStatus
TABLE = [
    ("REQUEST_FOR_INFORMATION", 0, S.EVIDENCE_DUE, None),
    ("NOTIFICATION_OF_CHARGEBACK", 1, S.EVIDENCE_DUE, None),
    ("DISPUTE_OPENED_WITH_CHARGEBACK", 1, S.EVIDENCE_DUE, None),
    ("CHARGEBACK", 2, S.EVIDENCE_DUE, True),
    ("CHARGEBACK_REVERSED", 3, S.UNDER_REVIEW, False),
    ("SECOND_CHARGEBACK", 4, S.LOST, True),
    ("DISPUTE_DEFENSE_PERIOD_ENDED", 5, S.LOST, None),
    ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", 5, S.WON, False),
    ("PREARBITRATION_LOST", 5, S.LOST, None),
    ("PREARBITRATION_WON", 5, S.WON, False),
]


def told(event: str, additional: dict[str, Any] | None = None, **members: Any) -> Notice:
    signed = item(event, **{"originalReference": ORIGINAL, **members})
    signed["additionalData"] |= additional or {}
    [notice] = read(signed)
    return notice


@pytest.mark.parametrize(("event", "stage", "status", "taken"), TABLE, ids=[row[0] for row in TABLE])
def test_each_event_of_a_dispute(event: str, stage: int, status: DisputeStatus, taken: bool | None) -> None:
    notice = told(event)
    assert notice.dispute is not None
    assert (notice.dispute.stage, notice.dispute.status, notice.dispute.taken) == (stage, status, taken)
    assert (notice.dispute.gateway_dispute_id, notice.gateway_charge_id) == (PSP, ORIGINAL)
    assert (notice.dispute.amount_minor, notice.dispute.currency, notice.outcome) == (1000, "EUR", None)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Undefended", S.EVIDENCE_DUE),
        ("Pending", S.UNDER_REVIEW),
        ("Accepted", S.LOST),
        ("Lost", S.LOST),
        (7, S.EVIDENCE_DUE),
    ],
)
def test_what_is_not_signed_chooses_a_word_and_moves_no_money(said: object, status: DisputeStatus) -> None:
    """``additionalData`` is not covered by the signature. Fails when it decides whether the money is taken."""
    notice = told("CHARGEBACK", {"disputeStatus": said})
    assert notice.dispute is not None
    assert (notice.dispute.status, notice.dispute.taken) == (status, True)
    back = told("CHARGEBACK_REVERSED", {"disputeStatus": "Lost"})
    assert back.dispute is not None
    assert (back.dispute.status, back.dispute.taken) == (S.UNDER_REVIEW, False)


@pytest.mark.parametrize(
    ("ends_at", "due_at_ms"),
    [("2021-01-01T01:00:00+01:00", 1_609_459_200_000), ("2021-01-01T01:00:00", None), ("soon", None), (None, None)],
)
def test_until_when_evidence_is_taken(ends_at: object, due_at_ms: int | None) -> None:
    notice = told("NOTIFICATION_OF_CHARGEBACK", {"defensePeriodEndsAt": ends_at})
    assert notice.dispute is not None
    assert notice.dispute.evidence_due_at_ms == due_at_ms
    decided = told("SECOND_CHARGEBACK", {"defensePeriodEndsAt": "2021-01-01T01:00:00+01:00"})
    assert decided.dispute is not None
    assert decided.dispute.evidence_due_at_ms is None


@pytest.mark.parametrize(
    "members",
    [{"success": "false"}, {"amount": {"currency": "XXX", "value": 1000}}, {"eventCode": "NOTIFICATION_OF_FRAUD"}],
)
def test_what_tells_nothing_of_a_dispute(members: dict[str, Any]) -> None:
    """Fails when an event that has failed, or an amount that can't be counted, moves money."""
    assert told(members.pop("eventCode", "CHARGEBACK"), **members).dispute is None
