"""The consumer's verifier takes what the sender signed, and refuses all else with one closed family of errors."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import MisconfiguredError
from payonce.webhooks import rejections, verify
from payonce.webhooks.rejections import (
    BodyMalformed,
    BodyTooLarge,
    HeaderMalformed,
    HeaderMissing,
    SignatureMismatch,
    TimestampOutsideTolerance,
    WebhookRejected,
)
from payonce.webhooks.signing import (
    Ed25519PublicKey,
    Ed25519SigningKey,
    HmacKey,
    public_key_of,
    webhook_headers,
)
from payonce.webhooks.verify import MAX_KEYS, MAX_SIGNATURES, Verifier
from tests.support.aws import REPOSITORY

NOW = 1_800_000_000
SECRET = HmacKey(bytes(range(32)))
OTHER = HmacKey(bytes(range(1, 33)))
PRIVATE = Ed25519SigningKey(bytes(range(32)))
BODY = b'{"type":"payment.captured","data":{"name":"\xc3\x84"}}'
BOTH = Verifier([SECRET, public_key_of(PRIVATE)], clock=lambda: NOW)


def signed(*keys: HmacKey | Ed25519SigningKey, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return webhook_headers("evt_1", at, body, keys or [SECRET])


@pytest.mark.parametrize("key", [SECRET, PRIVATE])
def test_what_the_sender_signed_is_verified(key: HmacKey | Ed25519SigningKey) -> None:
    webhook = BOTH.verify(signed(key), BODY)
    assert (webhook.id, webhook.timestamp, webhook.body) == ("evt_1", NOW, BODY)
    assert webhook.event == json.loads(BODY)
    assert "captured" not in repr(webhook)


def test_text_stands_for_its_utf_8() -> None:
    assert BOTH.verify(signed(), BODY.decode()).body == BODY
    assert BOTH.verify(signed(), bytearray(BODY)).body == BODY  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "shape",
    [
        lambda headers: {name.upper(): value for name, value in headers.items()},
        lambda headers: {name.title(): [value] for name, value in headers.items()},
        lambda headers: list(headers.items()),
        lambda headers: [(name.encode(), value.encode()) for name, value in headers.items()],
        lambda headers: {**headers, "other": 5, "Accept": None, 7: "x"},
        lambda headers: {**headers, "Webhook-Id": "evt_1"},
        lambda headers: {**headers, "webhook-signature": ["v2,new", f" {headers['webhook-signature']}\t"]},
    ],
    ids=["upper", "title, lists", "pairs", "asgi", "foreign values", "twice the same", "unknown version"],
)
def test_headers_are_taken_as_frameworks_give_them(shape: Any) -> None:
    """Fails when names are compared by case, or lists, bytes and strangers among the headers are not taken."""
    assert BOTH.verify(shape(signed()), BODY).id == "evt_1"


def test_during_rotation_either_key_verifies_and_afterwards_the_new_one_alone() -> None:
    """Fails when only the first signature, or only the first key, is tried."""
    overlap, after = signed(OTHER, SECRET), signed(OTHER)
    assert Verifier([SECRET], clock=lambda: NOW).verify(overlap, BODY)
    assert Verifier([OTHER], clock=lambda: NOW).verify(overlap, BODY)
    assert Verifier([SECRET.text(), OTHER.text()], clock=lambda: NOW).verify(after, BODY)
    with pytest.raises(SignatureMismatch):
        Verifier([SECRET], clock=lambda: NOW).verify(after, BODY)


def test_from_a_secret_to_a_key_pair() -> None:
    overlap = signed(PRIVATE, SECRET)
    assert Verifier([SECRET], clock=lambda: NOW).verify(overlap, BODY)
    assert Verifier([public_key_of(PRIVATE).text()], clock=lambda: NOW).verify(overlap, BODY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    for value in ("", " ", [], None):
        headers = {**signed(), name: value}
        if value is None:
            del headers[name]
        with pytest.raises(HeaderMissing, match=name):
            BOTH.verify(headers, BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "a.b"},
        {"webhook-id": "ä"},
        {"webhook-id": "a\nb"},
        {"webhook-id": "x" * 257},
        {"webhook-id": ["evt_1", "evt_2"]},
        {"Webhook-Id": "evt_2"},
        {"webhook-id": 5},
        {"webhook-timestamp": f"{NOW}.0"},
        {"webhook-timestamp": f"+{NOW}"},
        {"webhook-timestamp": f"0{NOW}"},
        {"webhook-timestamp": "1_800_000_000"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1" * 13},
        {"webhook-timestamp": "\u0661"},
        {"webhook-timestamp": NOW},
        {"webhook-signature": "v1," + "A" * 2048},
        {"webhook-signature": " ".join(["v1,A"] * (MAX_SIGNATURES + 1))},
        {"webhook-signature": {"v1": "x"}},
    ],
)
def test_a_malformed_header_is_refused(change: dict[str, Any]) -> None:
    """Fails when a header is taken that two parties could read in different ways."""
    with pytest.raises(HeaderMalformed):
        BOTH.verify({**signed(), **change}, BODY)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_at_the_edge_of_the_tolerance_a_webhook_is_taken(seconds: int) -> None:
    assert BOTH.verify(signed(at=NOW + seconds), BODY)


@pytest.mark.parametrize("seconds", [-301, 301, -NOW])
def test_outside_the_tolerance_it_is_refused_however_well_signed(seconds: int) -> None:
    """Fails when the timestamp is not compared with the clock, in both directions: a recorded webhook would do."""
    with pytest.raises(TimestampOutsideTolerance):
        BOTH.verify(signed(at=NOW + seconds), BODY)
    with pytest.raises(TimestampOutsideTolerance):
        Verifier([SECRET], clock=lambda: float("nan")).verify(signed(), BODY)


def test_the_tolerance_is_the_one_that_was_asked_for() -> None:
    verifier = Verifier([SECRET], 10, lambda: NOW)
    assert verifier.verify(signed(at=NOW - 10), BODY)
    with pytest.raises(TimestampOutsideTolerance, match="10 seconds"):
        verifier.verify(signed(at=NOW - 11), BODY)


@pytest.mark.parametrize("key", [SECRET, PRIVATE])
def test_any_change_breaks_the_signature(key: HmacKey | Ed25519SigningKey) -> None:
    """Fails when id, time or body is not part of what is signed."""
    headers = signed(key)
    for changed, body in (
        ({**headers, "webhook-id": "evt_2"}, BODY),
        ({**headers, "webhook-timestamp": str(NOW + 1)}, BODY),
        (headers, BODY + b" "),
        (headers, b""),
    ):
        with pytest.raises(SignatureMismatch):
            BOTH.verify(changed, body)


def test_every_changed_character_of_a_signature_breaks_it() -> None:
    headers = signed()
    good = headers["webhook-signature"]
    for position in range(3, len(good)):
        bad = good[:position] + ("A" if good[position] != "A" else "B") + good[position + 1 :]
        with pytest.raises(SignatureMismatch):
            BOTH.verify({**headers, "webhook-signature": bad}, BODY)


@pytest.mark.parametrize(
    "text", ["v1", "v1,", ",", "v1,,", "v1a,", "v1a,AAAA", "v1a,ä", "v1a,====", "v2,x", "V1,x", "v1,x,y"]
)
def test_a_broken_signature_hides_no_good_one_and_is_none_itself(text: str) -> None:
    """Fails when parsing one stops the others, or raises something else."""
    headers = signed(PRIVATE)
    if text.isascii():
        assert BOTH.verify({**headers, "webhook-signature": f"{text} {headers['webhook-signature']}"}, BODY)
    with pytest.raises(WebhookRejected):
        BOTH.verify({**headers, "webhook-signature": text}, BODY)


def test_a_signature_of_one_version_is_none_of_the_other() -> None:
    """Fails when the version is not looked at: a public key's bytes must never do for a secret."""
    public = public_key_of(PRIVATE)
    forged = signed(HmacKey(public.raw))
    with pytest.raises(SignatureMismatch):
        Verifier([public], clock=lambda: NOW).verify(forged, BODY)
    relabelled = signed(PRIVATE)["webhook-signature"].replace("v1a,", "v2,")
    with pytest.raises(SignatureMismatch):
        BOTH.verify({**signed(PRIVATE), "webhook-signature": relabelled}, BODY)
    swapped = forged["webhook-signature"].replace("v1,", "v1a,")
    with pytest.raises(SignatureMismatch):
        BOTH.verify({**forged, "webhook-signature": swapped}, BODY)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when == is used: its time tells how many characters of a guessed signature are right."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def record(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(verify.hmac, "compare_digest", record)
    headers = signed(SECRET)
    assert BOTH.verify(headers, BODY)
    assert compared == [(headers["webhook-signature"].encode(),) * 2]


def test_a_body_over_the_limit_is_refused_before_it_is_hashed() -> None:
    verifier = Verifier([SECRET], clock=lambda: NOW, max_body_bytes=len(BODY))
    assert verifier.verify(signed(), BODY)
    with pytest.raises(BodyTooLarge):
        verifier.verify(signed(), BODY + b" ")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"5",
        b"",
        b"{",
        b"\xff",
        b'{"a":NaN}',
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 40_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:6]),
)
def test_what_is_signed_and_still_no_json_object_is_refused(body: bytes) -> None:
    """Fails when the parser's own errors (RecursionError, too many digits) come through."""
    with pytest.raises(BodyMalformed):
        BOTH.verify(signed(body=body), body)


@pytest.mark.parametrize("body", [None, 5, {"type": "x"}, "\ud800"])
def test_a_parsed_body_is_refused_with_the_reason(body: Any) -> None:
    with pytest.raises(BodyMalformed, match="bytes"):
        BOTH.verify(signed(), body)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(["webhook-id", "Webhook-Timestamp", b"webhook-signature", "WEBHOOK-SIGNATURE", "x"])
VALUES = (
    ANYTHING
    | st.sampled_from([*signed().values(), *signed(PRIVATE).values()])
    | st.from_regex(r"v1a?,[A-Za-z0-9+/=]*( v1a?,[A-Za-z0-9+/=]*){0,9}", fullmatch=True)
    | st.text(alphabet="0123456789.-+e_", max_size=14)
)


@given(
    headers=ANYTHING
    | st.dictionaries(NAMES | st.text() | st.binary(), VALUES)
    | st.lists(st.tuples(NAMES, VALUES) | st.tuples(ANYTHING, ANYTHING) | ANYTHING)
    | st.just(signed()),
    body=ANYTHING | st.just(BODY) | st.binary(max_size=50),
)
def test_nothing_but_a_rejection_ever_escapes(headers: Any, body: Any) -> None:
    """Fails when any header or body raises something else, or passes without being what was signed."""
    try:
        webhook = BOTH.verify(headers, body)
    except WebhookRejected as rejected:
        assert rejected.detail
    else:
        assert webhook.body == BODY


@given(st.data())
def test_of_a_good_webhook_with_one_header_replaced_only_the_good_passes(data: st.DataObject) -> None:
    headers = dict(signed(*data.draw(st.sampled_from([(SECRET,), (PRIVATE,), (SECRET, PRIVATE)]))))
    name = data.draw(st.sampled_from(sorted(headers)))
    changed = {**headers, name: data.draw(VALUES)}
    try:
        webhook = BOTH.verify(changed, BODY)
    except WebhookRejected:
        pass
    else:
        assert (webhook.id, webhook.timestamp) == ("evt_1", NOW)


def test_no_rejection_shows_a_secret_or_the_body() -> None:
    """Fails when a detail quotes what was expected."""
    good = signed()["webhook-signature"][3:]
    for headers, body in (
        ({**signed(), "webhook-id": "a.b"}, BODY),
        (signed(OTHER), BODY),
        (signed(at=5), BODY),
        (signed(body=b"[]"), b"[]"),
    ):
        with pytest.raises(WebhookRejected) as caught:
            BOTH.verify(headers, body)
        text = f"{caught.value} {caught.value.__cause__!r} {BOTH!r}"
        for secret in (base64.b64encode(SECRET.secret).decode(), good, "captured"):
            assert secret not in text


def test_the_family_of_rejections_is_closed_and_none_ends_the_endpoint() -> None:
    """Fails when a rejection is answered with 410, which makes the sender give the endpoint up."""
    family = WebhookRejected.__subclasses__()
    assert {cls.__name__ for cls in family} == {
        "HeaderMissing",
        "HeaderMalformed",
        "BodyTooLarge",
        "TimestampOutsideTolerance",
        "SignatureMismatch",
        "BodyMalformed",
        "Duplicate",
        "InProgress",
    }
    for cls in family:
        assert cls.__name__ in (rejections.__doc__ or "")
        assert cls.status != 410


@pytest.mark.parametrize(
    "arguments",
    [
        ([],),
        (SECRET.text(),),
        ([SECRET] * (MAX_KEYS + 1),),
        (["whsec_short"],),
        ([PRIVATE.text()],),
        ([SECRET], 0),
        ([SECRET], 3601),
    ],
)
def test_a_wrong_configuration_is_refused_at_start_up(arguments: Any) -> None:
    with pytest.raises(MisconfiguredError):
        Verifier(*arguments)


def test_a_key_that_is_no_public_key_fails_at_start_up_and_not_at_the_first_webhook() -> None:
    assert Verifier([Ed25519PublicKey(public_key_of(PRIVATE).raw)])
    with pytest.raises(MisconfiguredError):
        Verifier(["whpk_" + base64.b64encode(bytes(31)).decode()])


BLOCKED = ("boto3", "botocore", "pydantic", "aws_lambda_powertools", "stripe", "cryptography", "requests")
WITHOUT = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None
from payonce.domain.errors import MisconfiguredError
from payonce.webhooks import dedupe, dedupe_sqlite, signing, verify
key = signing.HmacKey(bytes(32))
headers = signing.webhook_headers("evt_1", 5, b"{{}}", [key])
print(verify.Verifier([key.text()], clock=lambda: 5).verify(headers, b"{{}}").id)
try:
    verify.Verifier(["whpk_" + "A" * 43 + "="])
except MisconfiguredError as error:
    print(error)
"""


def test_a_consumer_needs_nothing_but_the_standard_library() -> None:
    """Fails when the helper imports AWS, pydantic or, for a shared secret, cryptography."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={"PYTHONPATH": str(REPOSITORY / "layers/payonce")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "evt_1"
    assert "cryptography is not installed" in second
    assert "pip install 'payonce[ed25519]'" in second


LAZY = """
import sys
from payonce.webhooks import signing
signing.HmacKey(bytes(32)).sign(b"")
print(sorted(name for name in ("cryptography", "boto3", "botocore") if name in sys.modules))
"""


def test_signing_with_hmac_does_not_import_cryptography() -> None:
    """Fails when a cold start pays for ed25519 that is not used."""
    done = subprocess.run(
        [sys.executable, "-c", LAZY],
        env={"PYTHONPATH": str(REPOSITORY / "layers/payonce")},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.strip() == "[]"
