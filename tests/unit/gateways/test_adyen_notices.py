"""What the reader of Adyen's notifications takes for signed, and what it reads from it.

Vectors are facts of the library's own tests: its test/UtilTest.py and test/mocks/util at 16.0.0,
https://github.com/Adyen/adyen-python-api-library/tree/16.0.0/test.
"""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import Adyen.util
import pytest
from Adyen.util import generate_notification_sig

from payonce.domain.errors import MisconfiguredError, NoticeRefused
from payonce.domain.gateway import Notice, NoticeOutcome, OperationKind
from payonce.gateways.adyen_notices import MAX_ITEMS, AdyenNoticeReader
from tests.contract.adyen.test_notifications import HMAC_KEY, VECTORS

NOW_MS = 1_800_000_000_000
OTHER_KEY = "AB" * 32
REFERENCE = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S-1"
PSP, ORIGINAL = "QFQTPCQ8HXSKGK82", "9913140798220028"
PAYMENT, CAPTURE, VOID, REFUND = OperationKind.PAYMENT, OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND


def item(event: str = "AUTHORISATION", *, key: str = HMAC_KEY, **members: Any) -> dict[str, Any]:
    """Return a signed item as in the examples of Webhooks-v1.json; ``members`` of None are left out."""
    plain = {
        "amount": {"currency": "EUR", "value": 1000},
        "eventCode": event,
        "eventDate": "2021-01-01T01:00:00+01:00",
        "merchantAccountCode": "ShopECOM",
        "merchantReference": REFERENCE,
        "paymentMethod": "visa",
        "pspReference": PSP,
        "reason": "",
        "success": "true",
        **members,
    }
    plain = {name: value for name, value in plain.items() if value is not None}
    return {**plain, "additionalData": {"hmacSignature": generate_notification_sig(plain, key).decode()}}


def body_of(*items: Any) -> bytes:
    wrapped = [{"NotificationRequestItem": each} for each in items]
    return json.dumps({"live": "false", "notificationItems": wrapped}).encode()


def read(*items: Any, keys: tuple[str, ...] = (HMAC_KEY,), **headers: str) -> list[Notice]:
    return list(AdyenNoticeReader(keys).read(body_of(*items), headers, now_ms=NOW_MS))


def refused(body: bytes, keys: tuple[str, ...] = (HMAC_KEY,), **headers: str) -> str:
    with pytest.raises(NoticeRefused) as caught:
        AdyenNoticeReader(keys).read(body, headers, now_ms=NOW_MS)
    return caught.value.detail


@pytest.mark.parametrize(("psp_reference", "account", "reference", "value", "key", "expected"), VECTORS)
def test_adyens_own_vectors_are_taken(
    psp_reference: str, account: str, reference: str, value: int, key: str, expected: str
) -> None:
    signed = {
        "pspReference": psp_reference,
        "merchantAccountCode": account,
        "merchantReference": reference,
        "amount": {"currency": "EUR", "value": value},
        "eventCode": "AUTHORISATION",
        "success": "true",
        "additionalData": {"hmacSignature": expected},
    }
    (notice,) = read(signed, keys=(key,))
    assert notice.notice_id == f"{psp_reference}.AUTHORISATION.true"
    assert notice.gateway_reference is None  # none of ours
    refused(body_of({**signed, "amount": {"currency": "EUR", "value": value + 1}}), (key,))


def test_an_authorisation_names_its_payment_and_tells_its_end() -> None:
    (notice,) = read(item())
    assert notice == Notice(
        notice_id=f"{PSP}.AUTHORISATION.true",
        type="AUTHORISATION",
        created_at_ms=1_609_459_200_000,
        gateway_reference=REFERENCE,
        gateway_charge_id=PSP,
        account="ShopECOM",
        outcome=NoticeOutcome(kind=PAYMENT, executed=True, gateway_operation_id=PSP, amount_minor=1000, currency="EUR"),
    )


@pytest.mark.parametrize(
    ("event", "success", "kind", "executed", "code", "undone"),
    [
        ("AUTHORISATION", "false", PAYMENT, False, "declined", False),
        ("OFFER_CLOSED", "true", PAYMENT, False, "payment_expired", False),
        ("CAPTURE", "true", CAPTURE, True, "", False),
        ("CAPTURE", "false", CAPTURE, False, "capture_failed", False),
        ("CAPTURE_FAILED", "true", CAPTURE, False, "capture_failed", True),
        ("CANCELLATION", "true", VOID, True, "", False),
        ("CANCELLATION", "false", VOID, False, "void_failed", False),
        ("REFUND", "true", REFUND, True, "", False),
        ("REFUND", "false", REFUND, False, "refund_failed", False),
        ("REFUND_FAILED", "true", REFUND, False, "refund_failed", True),
        ("REFUNDED_REVERSED", "true", REFUND, False, "refund_failed", True),
    ],
)
def test_an_event_tells_the_end_of_one_operation(
    event: str, success: str, kind: OperationKind, executed: bool, code: str, undone: bool
) -> None:
    """Of https://docs.adyen.com/development-resources/webhooks/webhook-types. Fails with another reading of one."""
    (notice,) = read(item(event, success=success, originalReference=ORIGINAL))
    assert notice.outcome == NoticeOutcome(
        kind=kind,
        executed=executed,
        gateway_operation_id=PSP,
        amount_minor=1000,
        currency="EUR",
        code=code,
        undone=undone,
        gateway_reference=REFERENCE if kind is REFUND else None,
    )
    assert notice.gateway_charge_id == ORIGINAL


@pytest.mark.parametrize(
    "event",
    ["TECHNICAL_CANCEL", "CANCEL_OR_REFUND", "EXPIRE", "CHARGEBACK", "NOTIFICATION_OF_CHARGEBACK", "REPORT_AVAILABLE"],
)
def test_other_events_are_hints(event: str) -> None:
    """A technical cancel carries the payment's own reference. Fails when it is taken for the payment's end."""
    (notice,) = read(item(event, originalReference=ORIGINAL))
    assert notice.outcome is None
    assert notice.gateway_reference == REFERENCE


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("Not enough balance", "insufficient_funds"),
        ("3D Not Authenticated", "authentication_required"),
        (7, "declined"),
    ],
)
def test_a_refusals_reason_is_a_word_and_no_outcome(reason: Any, code: str) -> None:
    """It is not signed. Fails when a reason changes what became of the payment."""
    signed = item(success="false")
    (notice,) = read({**signed, "reason": reason})
    assert notice.outcome is not None
    assert (notice.outcome.executed, notice.outcome.code) == (False, code)
    (notice,) = read({**item(), "reason": reason})
    assert notice.outcome is not None
    assert (notice.outcome.executed, notice.outcome.code) == (True, "")


def test_what_is_not_signed_changes_no_outcome() -> None:
    """Fails when ``additionalData`` or the date decide: whoever has seen a message could change them."""
    (plain,) = read(item())
    changed = item()
    changed["additionalData"] |= {"modification.action": "refund", "success": "false"}
    changed |= {"eventDate": "soon", "paymentMethod": "x", "operations": ["REFUND"], "live": "true"}
    (notice,) = read(changed)
    assert (notice.notice_id, notice.outcome, notice.gateway_reference) == (
        plain.notice_id,
        plain.outcome,
        plain.gateway_reference,
    )
    assert notice.created_at_ms == NOW_MS


@pytest.mark.parametrize(
    "change",
    [
        {"pspReference": "X" + PSP[1:]},
        {"originalReference": ORIGINAL},
        {"merchantAccountCode": "OtherECOM"},
        {"merchantReference": REFERENCE[:-1] + "2"},
        {"amount": {"currency": "EUR", "value": 1}},
        {"amount": {"currency": "USD", "value": 1000}},
        {"eventCode": "CAPTURE"},
        {"success": "false"},
    ],
)
def test_a_changed_field_is_refused(change: dict[str, Any]) -> None:
    assert "signature" in refused(body_of({**item(), **change}))


def without(name: str) -> dict[str, Any]:
    signed = item()
    del signed[name]
    return signed


MALFORMED: dict[str, bytes] = {
    "no JSON": b"{",
    "no object": b"[]",
    "nothing": b"",
    "no items": body_of(),
    "an item that is none": body_of("x"),
    "not signed": body_of({**item(), "additionalData": {}}),
    "no additionalData": body_of(without("additionalData")),
    "an empty signature": body_of({**item(), "additionalData": {"hmacSignature": ""}}),
    "a signature that is no text": body_of({**item(), "additionalData": {"hmacSignature": 1}}),
    "a signature beyond ASCII": body_of({**item(), "additionalData": {"hmacSignature": "é"}}),
    "no amount": body_of(without("amount")),
    "an amount that is no number": body_of({**item(), "amount": {"currency": "EUR", "value": "1000"}}),
    "an amount that is true": body_of({**item(), "amount": {"currency": "EUR", "value": True}}),
    "success as a boolean": body_of({**item(), "success": True}),
    "no event": body_of(without("eventCode")),
    "a reference that is a list": body_of({**item(), "merchantReference": [REFERENCE]}),
    "a lone surrogate": body_of({**item(), "merchantReference": "\ud800"}),
    "too many": body_of(*[item()] * (MAX_ITEMS + 1)),
    "deep": b'{"notificationItems":' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", list(MALFORMED))
def test_a_malformed_message_is_refused_and_nothing_else_happens(name: str) -> None:
    """The library raises KeyError, TypeError or nothing at all for some of them. Fails when one is no refusal."""
    assert refused(MALFORMED[name])


def test_no_two_items_have_the_same_signed_text() -> None:
    """The fields are joined by colons, without escaping. Fails when one may move into its neighbour.

    The signature of a payment whose reference a stranger has chosen would then be that of a payment of ours.
    """
    honest = item(merchantReference=f"a:ShopECOM:{REFERENCE}", merchantAccountCode="ShopECOM", originalReference="")
    forged = {
        **honest,
        "originalReference": "ShopECOM",
        "merchantAccountCode": "a:ShopECOM",
        "merchantReference": REFERENCE,
    }
    forged["originalReference"], forged["merchantAccountCode"] = "", "ShopECOM:a:ShopECOM"
    assert generate_notification_sig(honest, HMAC_KEY) == generate_notification_sig(forged, HMAC_KEY)
    assert read(honest)[0].gateway_reference is None
    assert refused(body_of(forged))


def test_a_batch_is_taken_as_a_whole_or_not_at_all() -> None:
    """Fails when the library's look at the first item alone is trusted."""
    second = item("CAPTURE", originalReference=ORIGINAL)
    assert [notice.type for notice in read(item(), second)] == ["AUTHORISATION", "CAPTURE"]
    forged = copy.deepcopy(second)
    forged["amount"]["value"] = 999_999
    assert "signature" in refused(body_of(item(), forged))
    assert "signature" in refused(body_of(item(), item("CAPTURE", key=OTHER_KEY)))


def test_both_keys_are_taken_while_one_is_replaced() -> None:
    for key in (HMAC_KEY, OTHER_KEY):
        assert read(item(key=key), keys=(HMAC_KEY, OTHER_KEY))
    assert refused(body_of(item(key=OTHER_KEY)))


def test_every_key_is_tried_and_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the first that fits ends the comparison, or when texts are compared by ``==``."""
    compared: list[tuple[object, object]] = []
    real = Adyen.util.hmac.compare_digest

    def counting(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return bool(real(one, other))

    monkeypatch.setattr(Adyen.util.hmac, "compare_digest", counting)
    read(item(), keys=(HMAC_KEY, OTHER_KEY))
    assert len(compared) == 2


def test_basic_authentication_is_asked_for_where_it_is_configured() -> None:
    keys = (HMAC_KEY, "basic:adyen:secret", "basic:adyen:former")

    def header(pair: str) -> str:
        return "Basic " + base64.b64encode(pair.encode()).decode()

    for pair in ("adyen:secret", "adyen:former"):
        assert read(item(), keys=keys, authorization=header(pair))
    for wrong in ("", "Basic", "Basic !", header("adyen:secre"), header(""), "Bearer " + header("adyen:secret")[6:]):
        assert "password" in refused(body_of(item()), keys, authorization=wrong)


@pytest.mark.parametrize("secrets", [[], ["basic:adyen:secret"], ["nonsense"], [HMAC_KEY, "AB"], ["whsec_x"]])
def test_without_an_hmac_key_nothing_is_read(secrets: list[str]) -> None:
    """Fails when a webhook without a key is open to everybody."""
    with pytest.raises(MisconfiguredError):
        AdyenNoticeReader(secrets)
    assert HMAC_KEY not in repr(AdyenNoticeReader([HMAC_KEY]))


def test_events_are_told_apart_and_their_copies_are_not() -> None:
    """A refusal may be followed by a success of the same payment. Fails when that is taken for a copy."""
    first = read(item(success="false"))[0]
    assert (
        read(item(success="false", reason="later", eventDate="2022-01-01T01:00:00+01:00"))[0].notice_id
        == first.notice_id
    )
    assert read(item())[0].notice_id != first.notice_id
    assert read(item(success="false", pspReference=ORIGINAL))[0].notice_id != first.notice_id
    report = read(item("REPORT_AVAILABLE", pspReference="bericht über alles.csv"))[0]
    assert report.notice_id.startswith("sha256.")
    assert report.gateway_charge_id is None
