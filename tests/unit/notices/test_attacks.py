"""What anybody on the internet may try at ``POST /gateway_events/{gateway}``: refused, and nothing stored or queued.

Written from what the vendors say that a receiver has to do:
https://docs.stripe.com/webhooks/signature (the time is signed, schemes other than v1 are ignored, 300 s, constant time)
https://docs.stripe.com/webhooks#verify-manually
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-webhook-authenticity
"""

from __future__ import annotations

import base64
import copy
import hmac
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from stripe import WebhookSignature

from payonce.entrypoints.gateway_events import MAX_NOTICE_BYTES, accept_event
from payonce.ports import Table
from tests.support.notices import (
    BANK_SECRET,
    OLD_STRIPE_SECRET,
    STRIPE_SECRET,
    US_SECRET,
    bank_event,
    bank_headers,
    notice_application,
    post,
    posted,
    stripe_event,
    stripe_headers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.wiring.notices import NoticeApplication

MARK = "the-payer-MARKED"  # stands in every body, and may stand in no log and in no answer
NOW_MS = 1_800_000_000_000
OTHER_BANK_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


@pytest.fixture
def application() -> NoticeApplication:
    return notice_application()


def stored(application: NoticeApplication) -> dict[Any, Any]:
    tables: dict[Any, Any] = copy.deepcopy(application.database._tables)  # type: ignore[attr-defined]
    return tables


def refuse(
    application: NoticeApplication,
    body: bytes,
    headers: Mapping[str, str],
    gateway: str = "stripe",
    *,
    status: int = 400,
    slug: str = "gateway-event-refused",
) -> None:
    """Post an event that has to be refused, and look into the books."""
    before = stored(application)
    answer = accept_event(application, posted(body, headers, gateway))
    assert (answer["statusCode"], json.loads(answer["body"]).get("type")) == (status, f"urn:payonce:problem:{slug}")
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert MARK not in answer["body"]
    assert stored(application) == before
    assert application.notice_queue.messages == []  # type: ignore[attr-defined]


def flipped(data: bytes, bit: int) -> bytes:
    """Return ``data`` with one bit changed."""
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


BODY = stripe_event(note=MARK)
BANK_BODY = bank_event(reference="pay_1-1", note=MARK)


def test_what_is_tried_below_is_taken_when_nobody_has_changed_it(application: NoticeApplication) -> None:
    """Keeps the tests below from passing because everything is refused."""
    assert post(application, BODY, stripe_headers(BODY, NOW_MS)) == 200
    assert post(application, BANK_BODY, bank_headers(BANK_BODY, NOW_MS), "bank") == 200
    assert len(stored(application)[Table.NOTICES]) == 2


def test_no_bit_of_a_body_can_be_changed(application: NoticeApplication) -> None:
    headers, bank = stripe_headers(BODY, NOW_MS), bank_headers(BANK_BODY, NOW_MS)
    for bit in range(0, 8 * len(BODY), 7):
        refuse(application, flipped(BODY, bit), headers)
    for bit in range(0, 8 * len(BANK_BODY), 7):
        refuse(application, flipped(BANK_BODY, bit), bank, "bank")


@pytest.mark.parametrize("change", [b" ", b"\n", b"\0", b"{}"])
def test_nothing_can_be_put_before_or_behind(application: NoticeApplication, change: bytes) -> None:
    for body in (change + BODY, BODY + change, BODY[:-1], BODY[1:], b""):
        refuse(application, body, stripe_headers(BODY, NOW_MS))


def test_no_digit_of_a_signature_can_be_changed(application: NoticeApplication) -> None:
    header = stripe_headers(BODY, NOW_MS)["Stripe-Signature"]
    for place in range(header.index("v1=") + 3, len(header)):
        digit = "0" if header[place] != "0" else "1"
        refuse(application, BODY, {"Stripe-Signature": header[:place] + digit + header[place + 1 :]})
    given = bank_headers(BANK_BODY, NOW_MS)
    raw = base64.b64decode(given["webhook-signature"].removeprefix("v1,"))
    for bit in range(8 * len(raw)):
        forged = "v1," + base64.b64encode(flipped(raw, bit)).decode()
        refuse(application, BANK_BODY, {**given, "webhook-signature": forged}, "bank")


def test_a_body_that_was_parsed_and_written_again_is_another_one(application: NoticeApplication) -> None:
    """Fails when the signature is checked over what was parsed: the attacker could choose the bytes that are kept."""
    again = json.dumps(json.loads(BODY)).encode()
    assert json.loads(again) == json.loads(BODY)
    assert again != BODY
    refuse(application, again, stripe_headers(BODY, NOW_MS))
    again = json.dumps(json.loads(BANK_BODY), indent=1).encode()
    refuse(application, again, bank_headers(BANK_BODY, NOW_MS), "bank")


@pytest.mark.parametrize("seconds", [301, 3_600, 86_400, -301, -86_400])
def test_a_genuine_event_of_another_time_is_refused(application: NoticeApplication, seconds: int) -> None:
    """Stale, or played again: its signature is genuine. Fails when the time is not compared, or not on both sides."""
    at_ms = NOW_MS - 1_000 * seconds
    refuse(application, BODY, stripe_headers(BODY, at_ms))
    refuse(application, BANK_BODY, bank_headers(BANK_BODY, at_ms), "bank")


@pytest.mark.parametrize("seconds", [0, 299, 300, -300])
def test_within_the_tolerance_it_is_taken(application: NoticeApplication, seconds: int) -> None:
    at_ms = NOW_MS - 1_000 * seconds
    assert post(application, BODY, stripe_headers(BODY, at_ms)) == 200
    assert post(application, BANK_BODY, bank_headers(BANK_BODY, at_ms), "bank") == 200


def test_an_old_event_can_not_be_made_a_new_one(application: NoticeApplication) -> None:
    """The time is signed. Fails when another one than the signed one is compared: Stripe's library takes the first."""
    old, new = (stripe_headers(BODY, at_ms)["Stripe-Signature"] for at_ms in (NOW_MS - 3_600_000, NOW_MS))
    old_time, signature = old.split(",")
    new_time = new.split(",")[0]
    for header in (
        f"{new_time},{signature}",
        f"{old_time},{new_time},{signature}",
        f"{new_time},{old_time},{signature}",
        f"{old_time},{signature},{new_time}",
        f"{old_time}, {new_time},{signature}",
        f"{old_time},T={new_time[2:]},{signature}",
        f"{old_time};{new_time},{signature}",
    ):
        refuse(application, BODY, {"Stripe-Signature": header})
    given = bank_headers(BANK_BODY, NOW_MS - 3_600_000)
    refuse(application, BANK_BODY, {**given, "webhook-timestamp": str(NOW_MS // 1000)}, "bank")


def test_another_accounts_or_another_gateways_secret_opens_nothing(application: NoticeApplication) -> None:
    """Fails when the secrets of all gateways are tried, or the path does not choose."""
    refuse(application, BODY, stripe_headers(BODY, NOW_MS, US_SECRET))
    refuse(application, BODY, stripe_headers(BODY, NOW_MS), "stripe_us")
    refuse(application, BODY, stripe_headers(BODY, NOW_MS, BANK_SECRET))
    refuse(application, BODY, stripe_headers(BODY, NOW_MS), "bank")
    refuse(application, BANK_BODY, bank_headers(BANK_BODY, NOW_MS))
    refuse(application, BANK_BODY, bank_headers(BANK_BODY, NOW_MS, secret=OTHER_BANK_SECRET), "bank")


def test_both_secrets_of_a_rotation_are_taken(application: NoticeApplication) -> None:
    """Stripe signs with both while a secret is rolled (https://docs.stripe.com/webhooks#roll-endpoint-secrets)."""
    for number, secrets in enumerate([(OLD_STRIPE_SECRET,), ("whsec_next", STRIPE_SECRET), (STRIPE_SECRET, "whsec_x")]):
        body = stripe_event(event_id=f"evt_{number}")
        assert post(application, body, stripe_headers(body, NOW_MS, *secrets)) == 200


@pytest.mark.parametrize("scheme", ["v0", "v2", "V1", " v1", "v1 ", ""])
def test_another_scheme_is_no_signature(application: NoticeApplication, scheme: str) -> None:
    """Against downgrades. Stripe sends v0 for test events, and asks to ignore it."""
    time, signature = stripe_headers(BODY, NOW_MS)["Stripe-Signature"].split(",v1=")
    refuse(application, BODY, {"Stripe-Signature": f"{time},{scheme}={signature}"})


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "t=",
        "t",
        "t,v1=,v0=",
        "t,,",
        ",,",
        "v1=00",
        "t=1800000000",
        "t=1800000000,v1=",
        "t=1800000000,v1",
        "t=1800000000,v1=ö",
        "t=１８０００００００００,v1=00",
        "t=-1800000000,v1=00",
        "t=1e9,v1=00",
        "t=" + "9" * 5_000 + ",v1=00",
        "t=1800000000," + ",".join(["v1=" + "0" * 64] * 1_000),
        "\x00",
    ],
)
def test_a_header_of_another_form_is_no_proof(application: NoticeApplication, header: str) -> None:
    """Those of Stripe's own suite for .NET among them. Fails (500) for a text that can't be compared."""
    refuse(application, BODY, {"Stripe-Signature": header})


def test_without_headers_nothing_is_taken(application: NoticeApplication) -> None:
    refuse(application, BODY, {})
    refuse(application, BANK_BODY, {}, "bank")
    given = bank_headers(BANK_BODY, NOW_MS)
    for name in given:
        refuse(application, BANK_BODY, {other: value for other, value in given.items() if other != name}, "bank")


def test_another_event_can_not_take_a_signed_id(application: NoticeApplication) -> None:
    """The id is signed with the body, and is the event's."""
    given = bank_headers(BANK_BODY, NOW_MS)
    refuse(application, BANK_BODY, {**given, "webhook-id": "evt_2"}, "bank")
    refuse(application, BANK_BODY, bank_headers(BANK_BODY, NOW_MS, event_id="evt_2"), "bank")


@pytest.mark.parametrize("size", [MAX_NOTICE_BYTES + 1, 4 * MAX_NOTICE_BYTES])
def test_an_oversized_event_is_refused_although_it_is_signed(application: NoticeApplication, size: int) -> None:
    body = stripe_event(note="x" * size)
    refuse(application, body, stripe_headers(body, NOW_MS))
    body = bank_event(note="x" * size)
    refuse(application, body, bank_headers(body, NOW_MS), "bank")


def test_the_largest_event_is_taken(application: NoticeApplication) -> None:
    body = stripe_event()
    body += b" " * (MAX_NOTICE_BYTES - len(body))
    assert post(application, body, stripe_headers(body, NOW_MS)) == 200


MALFORMED = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b"{",
    b"\xff\xfe",
    b"[" * 200_000,
    b'{"id": "evt_1", "object": "event", "type": "x", "created": 1}',
    b'{"id": "evt_1", "object": "event", "type": "x", "created": 1, "data": {"object": []}}',
    b'{"id": 1, "object": "event", "type": "x", "created": 1, "data": {"object": {}}}',
    b'{"id": "", "object": "event", "type": "x", "created": 1, "data": {"object": {}}}',
    b'{"id": "evt_1", "object": "event", "type": "x", "created": true, "data": {"object": {}}}',
    b'{"id": "evt_1", "object": "event", "type": "x", "created": 1' + b"0" * 5_000 + b', "data": {"object": {}}}',
    b'{"id": "' + b"e" * 300 + b'", "object": "event", "type": "x", "created": 1, "data": {"object": {}}}',
    # Control characters would be an operator's terminal's.
    b'{"id": "evt\\u001b[2J", "object": "event", "type": "x", "created": 1, "data": {"object": {}}}',
    b'{"id": "evt_1", "object": "event", "type": "a b", "created": 1, "data": {"object": {}}}',
    # A thin event names its object, and does not hold it: https://docs.stripe.com/event-destinations#thin-events
    b'{"id": "evt_1", "object": "v2.core.event", "type": "v1.x", "created": "2026-01-01T00:00:00Z"}',
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_signed_and_no_event_is_refused(application: NoticeApplication, body: bytes) -> None:
    """Fails (500, or kept) for a body that a mistake at the gateway, or an endpoint set up wrongly, makes."""
    at_seconds = NOW_MS // 1000
    digest = hmac.digest(STRIPE_SECRET.encode(), f"{at_seconds}.".encode() + body, "sha256").hex()
    refuse(application, body, {"Stripe-Signature": f"t={at_seconds},v1={digest}"})
    refuse(application, body, bank_headers(body, NOW_MS), "bank")


def test_base64_that_is_none_is_refused(application: NoticeApplication) -> None:
    event = {**posted(BODY, stripe_headers(BODY, NOW_MS)), "body": "%%%"}
    assert accept_event(application, event)["statusCode"] == 400
    assert stored(application)[Table.NOTICES] == {}


@pytest.mark.parametrize("gateway", ["", "nobody", "Stripe", "stripe ", "stripe/..", "stripe#", "../bank", "x" * 5_000])
def test_a_gateway_that_is_not_configured_is_not_there(application: NoticeApplication, gateway: str) -> None:
    refuse(application, BODY, stripe_headers(BODY, NOW_MS), gateway, status=404, slug="not-found")


def test_signatures_are_compared_in_constant_time_and_all_of_them(
    application: NoticeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a signature is compared with ``==``, or when the first secret's failure can be told by the time."""
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def comparing(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr("hmac.compare_digest", comparing)
    forged = "0" * 64
    refuse(application, BODY, {"Stripe-Signature": f"t={NOW_MS // 1000},v1={forged}"})
    genuine = [
        WebhookSignature.generate_signature_header(BODY.decode(), secret, NOW_MS // 1000).split("v1=")[1]
        for secret in (STRIPE_SECRET, OLD_STRIPE_SECRET)
    ]
    assert compared == [(digest, forged) for digest in genuine]
    compared.clear()
    given = bank_headers(BANK_BODY, NOW_MS)
    refuse(application, BANK_BODY, {**given, "webhook-signature": "v1,AAAA"}, "bank")
    assert compared == [(given["webhook-signature"].encode(), b"v1,AAAA")]


def test_nothing_of_an_event_or_a_secret_is_logged(
    application: NoticeApplication, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when an error of the library, which quotes the body, goes to the log."""
    caplog.set_level(logging.DEBUG)
    headers = stripe_headers(BODY, NOW_MS)
    assert post(application, BODY, headers) == 200
    assert post(application, BODY, {"Stripe-Signature": "t=1800000000,v1=" + "1" * 64}) == 400
    assert post(application, BODY + b" ", headers) == 400
    assert post(application, b'{"' + MARK.encode(), stripe_headers(b'{"' + MARK.encode(), NOW_MS)) == 400
    application.__dict__["acceptance"] = None
    body = stripe_event(event_id="evt_2", note=MARK)
    assert post(application, body, stripe_headers(body, NOW_MS)) == 500
    said = capsys.readouterr()
    text = "\n".join([said.out, said.err, caplog.text, *(str(record.__dict__) for record in caplog.records)])
    assert "gateway event refused" in text
    for secret in (MARK, STRIPE_SECRET, OLD_STRIPE_SECRET, headers["Stripe-Signature"]):
        assert secret not in text
