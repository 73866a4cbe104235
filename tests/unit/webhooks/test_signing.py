"""Signatures and keys of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import MisconfiguredError
from payonce.webhooks.signing import (
    Ed25519PublicKey,
    Ed25519SigningKey,
    HmacKey,
    new_ed25519_key,
    new_hmac_secret,
    parse_signing_key,
    parse_verifying_key,
    public_key_of,
    signature_header,
    signed_content,
    webhook_headers,
)
from tests.unit.webhooks.rfc8032 import VECTORS, Vector

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = HmacKey(bytes(range(32)))
PRIVATE = Ed25519SigningKey(bytes(range(32)))
BODY = b'{"type":"payment.captured","data":{"name":"\xc3\x84"}}'


def test_v1_is_hmac_sha256_over_id_time_and_body_in_base64() -> None:
    """Fails when anything else is signed, or another digest or encoding is used."""
    expected = hmac.new(bytes(range(32)), b"evt_1.1800000000." + BODY, hashlib.sha256).digest()
    assert webhook_headers("evt_1", 1_800_000_000, BODY, [SECRET]) == {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1800000000",
        "webhook-signature": "v1," + base64.b64encode(expected).decode(),
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_v1a_is_ed25519_of_rfc_8032(vector: Vector) -> None:
    """Fails when another algorithm, a prehash or a context is used."""
    key = Ed25519SigningKey(vector.private)
    assert public_key_of(key).raw == vector.public
    assert key.sign(vector.message) == "v1a," + base64.b64encode(vector.signature).decode()


def test_the_message_of_test_1024_is_the_rfcs_length() -> None:
    assert len(VECTORS[3].message) == 1023


def test_each_key_adds_a_signature_in_order() -> None:
    """Fails when rotation's overlap does not sign with both keys."""
    old = HmacKey(bytes(24))
    both = signature_header("evt_1", 5, BODY, [SECRET, old, PRIVATE]).split(" ")
    assert both == [signature_header("evt_1", 5, BODY, [key]) for key in (SECRET, old, PRIVATE)]
    assert [signature.split(",")[0] for signature in both] == ["v1", "v1", "v1a"]


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "ä", "a\n", "x" * 257])
def test_an_id_that_could_be_read_in_two_ways_is_not_signed(message_id: str) -> None:
    """Fails when a full stop is allowed: ("a.1", 2, "x") and ("a", 1, "2.x") would have one signature."""
    with pytest.raises(ValueError, match="webhook-id"):
        signed_content(message_id, 5, BODY)


@pytest.mark.parametrize("timestamp", [-1, 1.5, True, "5"])
def test_a_time_that_is_not_whole_seconds_is_not_signed(timestamp: int) -> None:
    with pytest.raises(ValueError, match="timestamp_seconds"):
        signed_content("evt_1", timestamp, BODY)


@given(
    st.tuples(st.from_regex(r"[a-z_0-9]{1,8}", fullmatch=True), st.integers(0, 10**12), st.binary(max_size=20)),
    st.tuples(st.from_regex(r"[a-z_0-9]{1,8}", fullmatch=True), st.integers(0, 10**12), st.binary(max_size=20)),
)
def test_different_webhooks_are_signed_differently(one: tuple[str, int, bytes], other: tuple[str, int, bytes]) -> None:
    assert (signed_content(*one) == signed_content(*other)) == (one == other)


def test_nothing_is_sent_unsigned() -> None:
    """Fails when an endpoint whose keys are all over gets an empty header."""
    with pytest.raises(ValueError, match="unsigned"):
        webhook_headers("evt_1", 5, BODY, [])


@pytest.mark.parametrize("make", [new_hmac_secret, new_ed25519_key])
def test_a_new_key_is_its_random_bytes_and_comes_back_from_its_text(
    make: Callable[[Callable[[int], bytes]], HmacKey | Ed25519SigningKey],
) -> None:
    asked = []

    def source(count: int) -> bytes:
        asked.append(count)
        return random.Random(7).randbytes(count)

    key = make(source)
    assert asked == [32]
    assert parse_signing_key(key.text()) == key
    assert base64.b64decode(key.text().split("_")[1]) == random.Random(7).randbytes(32)


def test_texts_have_the_prefixes_of_the_specification() -> None:
    public = public_key_of(PRIVATE)
    assert (SECRET.text()[:6], PRIVATE.text()[:5], public.text()[:5]) == ("whsec_", "whsk_", "whpk_")
    assert parse_verifying_key(public.text()) == public
    assert parse_verifying_key(SECRET.text()) == SECRET


def test_a_key_pair_of_64_bytes_is_taken_when_its_halves_belong_together() -> None:
    """Fails when the public half is not compared: the consumer's key would verify nothing."""
    public = public_key_of(PRIVATE).raw
    pair = "whsk_" + base64.b64encode(PRIVATE.seed + public).decode()
    assert parse_signing_key(pair) == PRIVATE
    with pytest.raises(MisconfiguredError, match="belong together"):
        parse_signing_key("whsk_" + base64.b64encode(PRIVATE.seed + bytes(32)).decode())


@pytest.mark.parametrize("length", [0, 23, 65])
def test_a_secret_outside_the_specifications_bounds_is_refused(length: int) -> None:
    with pytest.raises(MisconfiguredError, match="24 to 64 bytes"):
        HmacKey(bytes(length))


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_at_the_bounds_is_taken(length: int) -> None:
    assert HmacKey(bytes(length)).sign(b"x").startswith("v1,")


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_???", "whsec_c2VjcmV0", "whsk_c2VjcmV0", "whpk_c2VjcmV0", "whsec_ü", "c2VjcmV0LXRoaXM="],
)
def test_a_malformed_key_is_refused_and_never_quoted(text: str) -> None:
    """Fails when a parser's message, or its cause, carries the text on."""
    for parse in (parse_signing_key, parse_verifying_key):
        with pytest.raises(MisconfiguredError) as caught:
            parse(text)
        secret = text.partition("_")[2] or text
        assert not secret or secret not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_private_key_is_no_verification_key_and_a_public_one_signs_nothing() -> None:
    """Fails when a consumer is led to configure the sender's private key."""
    with pytest.raises(MisconfiguredError):
        parse_verifying_key(PRIVATE.text())
    with pytest.raises(MisconfiguredError):
        parse_signing_key(public_key_of(PRIVATE).text())


def test_no_key_shows_its_secret() -> None:
    """Fails when a field loses repr=False."""
    assert repr(SECRET) == "HmacKey()"
    assert repr(PRIVATE) == "Ed25519SigningKey()"
    assert f"{[SECRET, PRIVATE]}" == "[HmacKey(), Ed25519SigningKey()]"
    with pytest.raises(AttributeError):
        SECRET.secret = b""  # type: ignore[misc]


@pytest.mark.parametrize("length", [31, 33, 64])
def test_an_ed25519_key_has_32_bytes(length: int) -> None:
    with pytest.raises(MisconfiguredError, match="32 bytes"):
        Ed25519SigningKey(bytes(length))
    with pytest.raises(MisconfiguredError, match="32 bytes"):
        Ed25519PublicKey(bytes(length))
