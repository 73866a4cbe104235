"""Our signatures against the reference library of Standard Webhooks and Svix's, both ways, and their known oddities."""

from __future__ import annotations

import binascii
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from payonce.webhooks.rejections import HeaderMalformed, SignatureMismatch, TimestampOutsideTolerance
from payonce.webhooks.signing import Ed25519SigningKey, HmacKey, webhook_headers
from payonce.webhooks.verify import Verifier

SECRET = HmacKey(bytes(range(32)))
OLD = HmacKey(bytes(range(24)))
PRIVATE = Ed25519SigningKey(bytes(range(32)))
BODY = b'{"type":"payment.captured","data":{"name":"\xc3\x84"}}'
LIBRARIES = [standardwebhooks.Webhook, svix.webhooks.Webhook]

IDS = st.from_regex(r"[!-\-/-~]{1,60}", fullmatch=True)
BODIES = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers())


@pytest.fixture(params=LIBRARIES, ids=["standardwebhooks", "svix"])
def theirs(request: pytest.FixtureRequest) -> Any:
    """A library that verifies and signs with our secret's text."""
    return request.param(SECRET.text())


def ours(*keys: HmacKey | Ed25519SigningKey, at: int | None = None) -> dict[str, str]:
    return webhook_headers("evt_1", int(time.time()) if at is None else at, BODY, keys or [SECRET])


def test_they_verify_what_we_sign(theirs: Any) -> None:
    """Fails when our signed content, secret text or header differs from the standard's."""
    theirs.verify(BODY, ours())
    theirs.verify(BODY.decode(), ours())
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        theirs.verify(BODY + b" ", ours())


def test_we_verify_what_they_sign(theirs: Any) -> None:
    now = int(time.time())
    signature = theirs.sign("evt_1", datetime.fromtimestamp(now, UTC), BODY.decode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert Verifier([SECRET.text()]).verify(headers, BODY).id == "evt_1"
    assert signature == ours(at=now)["webhook-signature"]


@pytest.mark.parametrize("keys", [(SECRET, OLD), (OLD, SECRET), (PRIVATE, SECRET), (SECRET, PRIVATE, OLD)])
def test_they_verify_during_rotation(theirs: Any, keys: tuple[HmacKey | Ed25519SigningKey, ...]) -> None:
    """Fails when the overlap's signatures are separated by anything but a space."""
    theirs.verify(BODY, ours(*keys))


@given(IDS, BODIES, st.binary(min_size=24, max_size=64), st.integers(0, 2**32))
def test_signatures_are_theirs_for_any_id_body_secret_and_time(
    message_id: str, body: dict[str, int], secret: bytes, at: int
) -> None:
    key, text = HmacKey(secret), repr(body)
    expected = standardwebhooks.Webhook(key.text()).sign(message_id, datetime.fromtimestamp(at, UTC), text)
    assert webhook_headers(message_id, at, text.encode(), [key])["webhook-signature"] == expected


# ---------------------------------------------------------------- what differs, pinned: if it changes, tell consumers


def test_they_take_a_fractional_timestamp_that_was_not_signed_and_we_do_not() -> None:
    headers = ours()
    headers["webhook-timestamp"] += ".5"
    standardwebhooks.Webhook(SECRET.text()).verify(BODY, headers)
    with pytest.raises(HeaderMalformed):
        Verifier([SECRET]).verify(headers, BODY)


def test_they_take_an_id_with_a_full_stop_and_we_do_not() -> None:
    """The same signature stands for another split: the body of the second was never sent."""
    now = int(time.time())
    body = f'{now}.{{"type":"x"}}'
    library = standardwebhooks.Webhook(SECRET.text())
    signature = library.sign("a", datetime.fromtimestamp(now, UTC), body)
    split = {"webhook-id": f"a.{now}", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert library.verify('{"type":"x"}', split) == {"type": "x"}
    with pytest.raises(HeaderMalformed):
        Verifier([SECRET]).verify(split, b'{"type":"x"}')


@pytest.mark.parametrize(
    ("signature", "error"),
    [("v1", ValueError), ("v1,a,b", ValueError), ("v1,A", binascii.Error)],
    ids=["no comma", "two commas", "not base64"],
)
def test_a_broken_signature_before_a_good_one_makes_them_raise_an_error_of_another_family(
    signature: str, error: type[Exception]
) -> None:
    """We pass over it: a proxy or a later version of the standard may put something there."""
    headers = ours()
    headers["webhook-signature"] = f"{signature} {headers['webhook-signature']}"
    with pytest.raises(error) as caught:
        standardwebhooks.Webhook(SECRET.text()).verify(BODY, headers)
    assert not isinstance(caught.value, standardwebhooks.WebhookVerificationError)
    assert Verifier([SECRET]).verify(headers, BODY)


def test_a_body_that_is_not_utf_8_makes_them_raise_an_error_of_another_family() -> None:
    with pytest.raises(UnicodeDecodeError):
        standardwebhooks.Webhook(SECRET.text()).verify(b"\xff", ours())
    with pytest.raises(SignatureMismatch):
        Verifier([SECRET]).verify(ours(), b"\xff")


def test_they_know_no_v1a_and_no_public_key() -> None:
    """A consumer with a key pair verifies with ours, or with a library of its language that knows v1a."""
    with pytest.raises(standardwebhooks.WebhookVerificationError, match="No matching signature"):
        standardwebhooks.Webhook(SECRET.text()).verify(BODY, ours(PRIVATE))


def test_they_sign_an_aware_local_time_as_if_it_were_utc() -> None:
    """So a sender that uses them with local times is refused, by us and by themselves."""
    now = datetime.fromtimestamp(int(time.time()), timezone(timedelta(hours=2)))
    signature = standardwebhooks.Webhook(SECRET.text()).sign("evt_1", now, BODY.decode())
    assert signature != ours(at=int(now.timestamp()))["webhook-signature"]
    assert signature == ours(at=int(now.timestamp()) + 7200)["webhook-signature"]


def test_they_take_a_secret_shorter_than_the_specification_allows() -> None:
    """We refuse it at start-up (see test_signing)."""
    assert standardwebhooks.Webhook("whsec_MDA=")


def test_the_tolerance_is_five_minutes_on_both_sides() -> None:
    for at in (int(time.time()) - 310, int(time.time()) + 310):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(SECRET.text()).verify(BODY, ours(at=at))
        with pytest.raises(TimestampOutsideTolerance):
            Verifier([SECRET]).verify(ours(at=at), BODY)
