"""The contract of the cipher port, on KMS (moto) and in memory."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from payonce.aws.envelope import EnvelopeCipher
from payonce.domain.errors import SecretNotOpened, StoreUnavailable
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.sealing import (
    DATA_KEY_LIFETIME_SECONDS,
    MAGIC,
    MAX_CACHED_DATA_KEYS,
    MAX_PLAINTEXT_BYTES,
    MAX_SECRETS_PER_DATA_KEY,
    MAX_WRAPPED_BYTES,
    NONCE_BYTES,
)
from tests.support.kms import StrictKms
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Cipher

CONTEXT = {"merchant_id": "mer_1", "endpoint_id": "we_1"}
SECRET = b"whsec_a secret that nobody may read"
SLOW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
CONTEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)


class World:
    """A cipher, its clock, and its key service."""

    def __init__(self, kms: StrictKms | None) -> None:
        self.clock = ManualClock()
        self.kms = kms
        self.memory = MemoryCipher(self.clock, os.urandom)
        self.cipher: Cipher = self.memory if kms is None else self.fresh()

    def fresh(self) -> Cipher:
        """Another process's cipher on the same key, with nothing in memory."""
        if self.kms is None:
            fresh = MemoryCipher(self.clock, os.urandom)
            fresh.data_keys = fresh._data_keys = self.memory.data_keys
            return fresh
        client: Any = self.kms
        return EnvelopeCipher(client, self.kms.key_id, self.clock, os.urandom)

    def calls(self) -> int:
        """How often the key service was asked."""
        return self.memory.data_keys.calls if self.kms is None else self.kms.calls.total()

    def disable_key(self, how: str) -> None:
        """As an operator does who fears that secrets are read."""
        if self.kms is None:
            self.memory.data_keys.disabled = True
        elif how == "disabled":
            self.kms.client.disable_key(KeyId=self.kms.key_id)
        else:
            self.kms.client.schedule_key_deletion(KeyId=self.kms.key_id, PendingWindowInDays=7)


@contextlib.contextmanager
def kms_world() -> Iterator[World]:
    with mock_aws():
        yield World(StrictKms())


@pytest.fixture(params=["memory", "kms"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Every adapter of the port."""
    if request.param == "memory":
        yield World(None)
    else:
        with kms_world() as world:
            yield world


@SLOW
@given(plaintext=st.binary(max_size=300), context=CONTEXTS)
def test_what_was_sealed_comes_back(world: World, plaintext: bytes, context: dict[str, str]) -> None:
    sealed = world.cipher.seal(plaintext, context)
    assert world.cipher.open(sealed, dict(reversed(context.items()))) == plaintext
    assert world.fresh().open(sealed, context) == plaintext


@SLOW
@given(context=CONTEXTS, other=CONTEXTS)
def test_another_context_is_refused(world: World, context: dict[str, str], other: dict[str, str]) -> None:
    """Fails when the context is no part of the additional data, or is joined without lengths."""
    sealed = world.cipher.seal(SECRET, context)
    if context == other:
        assert world.cipher.open(sealed, other) == SECRET
    else:
        with pytest.raises(SecretNotOpened):
            world.cipher.open(sealed, other)


@pytest.mark.parametrize(
    "other",
    [
        {**CONTEXT, "endpoint_id": "we_2"},
        {**CONTEXT, "merchant_id": "mer_2"},
        {"merchant_id": "mer_1"},
        {**CONTEXT, "more": ""},
        {"merchant_id": "mer_1", "endpoint_idw": "e_1"},
        {"merchant_id": "mer_1endpoint_id", "endpoint_id": "we_1"},
        {},
    ],
)
def test_neighbouring_contexts_are_refused(world: World, other: dict[str, str]) -> None:
    """Fails when one endpoint's secret opens for another endpoint or another merchant, also from a warm memory."""
    sealed = world.cipher.seal(SECRET, CONTEXT)
    for cipher in (world.fresh(), world.cipher):
        assert cipher.open(sealed, CONTEXT) == SECRET
        with pytest.raises(SecretNotOpened):
            cipher.open(sealed, other)


@SLOW
@given(data=st.data())
def test_a_bit_flipped_anywhere_is_refused(world: World, data: st.DataObject) -> None:
    """Fails when any part of the format is not authenticated."""
    sealed = bytearray(world.cipher.seal(SECRET, CONTEXT))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SecretNotOpened):
        world.cipher.open(bytes(sealed), CONTEXT)


def test_a_byte_changed_anywhere_is_refused(world: World) -> None:
    sealed = world.cipher.seal(SECRET, CONTEXT)
    for position in range(len(sealed)):
        changed = sealed[:position] + bytes([sealed[position] ^ 0xFF]) + sealed[position + 1 :]
        with pytest.raises(SecretNotOpened):
            world.cipher.open(changed, CONTEXT)


def test_what_was_cut_short_or_lengthened_is_refused(world: World) -> None:
    sealed = world.cipher.seal(SECRET, CONTEXT)
    for length in range(len(sealed)):
        with pytest.raises(SecretNotOpened):
            world.cipher.open(sealed[:length], CONTEXT)
    with pytest.raises(SecretNotOpened):
        world.cipher.open(sealed + b"\0", CONTEXT)


@SLOW
@given(garbage=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: MAGIC + b"\x00\x20" + tail))
def test_what_never_was_sealed_is_refused(world: World, garbage: bytes) -> None:
    with pytest.raises(SecretNotOpened):
        world.cipher.open(garbage, CONTEXT)


@pytest.mark.parametrize("length", [0, MAX_WRAPPED_BYTES + 1])
def test_a_data_key_that_can_not_be_one_costs_no_call(world: World, length: int) -> None:
    """Fails when KMS is asked about whatever stands there."""
    with pytest.raises(SecretNotOpened):
        world.cipher.open(MAGIC + length.to_bytes(2, "big") + bytes(length + 100), CONTEXT)
    assert world.calls() == 0


def test_the_format_is_the_documented_one(world: World) -> None:
    """Fails when what is sealed today, and read in years, changes without a new version."""
    sealed = world.cipher.seal(SECRET, CONTEXT)
    length = int.from_bytes(sealed[3:5], "big")
    header, wrapped, rest = sealed[: 5 + length], sealed[5 : 5 + length], sealed[5 + length :]
    key = world.cipher._data_keys.unwrap(wrapped, {"application": "payonce", "merchant_id": "mer_1"})  # type: ignore[attr-defined]
    parts = [header, b"endpoint_id", b"we_1", b"merchant_id", b"mer_1"]
    additional = b"payonce/sealed/v1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert sealed[:3] == b"po\x01"
    assert AESGCM(key).decrypt(rest[:12], rest[12:], additional) == SECRET


def test_two_secrets_parts_do_not_fit_together(world: World) -> None:
    """Fails when the header is not authenticated with the secret it leads to."""
    one = world.cipher.seal(SECRET, CONTEXT)
    world.clock.ms += DATA_KEY_LIFETIME_SECONDS * 1000
    other = world.cipher.seal(SECRET, CONTEXT)
    assert one[:60] != other[:60]
    cut = len(one) - len(SECRET) - 16 - NONCE_BYTES
    with pytest.raises(SecretNotOpened):
        world.cipher.open(one[:cut] + other[cut:], CONTEXT)


@SLOW
@given(plaintext=st.binary(min_size=8, max_size=100))
def test_no_plaintext_shows_and_nothing_is_sealed_the_same_twice(world: World, plaintext: bytes) -> None:
    """Fails when a secret is stored as it is, or a nonce is used again."""
    one, other = (world.cipher.seal(plaintext, CONTEXT) for _ in range(2))
    assert plaintext not in one
    assert one[-len(plaintext) - 16 :] != other[-len(plaintext) - 16 :]


@pytest.mark.parametrize("how", ["disabled", "deletion scheduled"])
def test_a_disabled_key_opens_nothing_once_the_data_keys_lifetime_is_over(world: World, how: str) -> None:
    """Fails when a data key stays in memory for longer: disabling the key would not stop anybody."""
    sealed = world.cipher.seal(SECRET, CONTEXT)
    assert world.cipher.open(sealed, CONTEXT) == SECRET
    world.disable_key(how)
    with pytest.raises(SecretNotOpened):
        world.fresh().open(sealed, CONTEXT)
    with pytest.raises(StoreUnavailable):
        world.fresh().seal(SECRET, CONTEXT)
    world.clock.ms += DATA_KEY_LIFETIME_SECONDS * 1000 - 1
    assert world.cipher.open(sealed, CONTEXT) == SECRET
    world.clock.ms += 1
    with pytest.raises(SecretNotOpened):
        world.cipher.open(sealed, CONTEXT)
    with pytest.raises(StoreUnavailable):
        world.cipher.seal(SECRET, CONTEXT)


def test_a_data_key_serves_one_merchant_for_a_bounded_time_and_number_of_secrets(world: World) -> None:
    """Fails when every secret costs a call, or a data key is used for more than it should be."""
    for number in range(MAX_SECRETS_PER_DATA_KEY):
        world.cipher.seal(SECRET, {**CONTEXT, "endpoint_id": f"we_{number}"})
    assert world.calls() == 1
    world.cipher.seal(SECRET, CONTEXT)
    assert world.calls() == 2
    world.cipher.seal(SECRET, {**CONTEXT, "merchant_id": "mer_2"})
    assert world.calls() == 3
    world.clock.ms += DATA_KEY_LIFETIME_SECONDS * 1000 - 1
    world.cipher.seal(SECRET, CONTEXT)
    assert world.calls() == 3
    world.clock.ms += 1
    world.cipher.seal(SECRET, CONTEXT)
    assert world.calls() == 4


def test_opening_again_costs_no_call_until_the_lifetime_is_over(world: World) -> None:
    sealed = world.cipher.seal(SECRET, CONTEXT)
    fresh = world.fresh()
    before = world.calls()
    for _ in range(3):
        fresh.open(sealed, CONTEXT)
    assert world.calls() == before + 1
    world.clock.ms += DATA_KEY_LIFETIME_SECONDS * 1000
    fresh.open(sealed, CONTEXT)
    assert world.calls() == before + 2


def test_the_data_keys_in_memory_are_bounded(world: World) -> None:
    """Fails when the cache grows with the merchants: the longest unused key has to go."""
    merchants = [{"merchant_id": f"mer_{number}"} for number in range(MAX_CACHED_DATA_KEYS + 1)]
    sealed = [world.cipher.seal(SECRET, context) for context in merchants]
    for text, context in zip(sealed, merchants, strict=True):
        world.cipher.open(text, context)
    before = world.calls()
    world.cipher.seal(SECRET, merchants[-1])
    world.cipher.open(sealed[-1], merchants[-1])
    assert world.calls() == before
    world.cipher.seal(SECRET, merchants[0])
    world.cipher.open(sealed[0], merchants[0])
    assert world.calls() == before + 2
    for cache in (world.cipher._sealing, world.cipher._opening):  # type: ignore[attr-defined]
        assert len(cache) == MAX_CACHED_DATA_KEYS


def test_no_repr_and_no_error_shows_a_secret(world: World) -> None:
    """Fails when a cached data key loses repr=False, or an error quotes what it was given."""
    sealed = world.cipher.seal(SECRET, CONTEXT)
    world.cipher.open(sealed, CONTEXT)
    caches: list[Any] = [world.cipher._sealing, world.cipher._opening]  # type: ignore[attr-defined]
    for key in (key for cache in caches for key in cache._keys.values()):
        assert repr(key.plaintext) not in f"{key!r} {world.cipher!r} {vars(caches[0])!r} {vars(caches[1])!r}"
    with pytest.raises(SecretNotOpened) as caught:
        world.cipher.open(sealed, {})
    assert "whsec_" not in repr(caught.value) + str(caught.value)


def test_a_secret_has_a_bounded_size(world: World) -> None:
    whole = bytes(MAX_PLAINTEXT_BYTES)
    assert world.cipher.open(world.cipher.seal(whole, CONTEXT), CONTEXT) == whole
    with pytest.raises(ValueError, match="at most"):
        world.cipher.seal(whole + b"x", CONTEXT)


def test_kms_sees_whose_secret_it_is_and_nothing_else() -> None:
    """Fails when CloudTrail can't tell merchants apart, or an endpoint's id costs a data key of its own."""
    with kms_world() as world:
        assert world.kms is not None
        sealed = world.cipher.seal(SECRET, CONTEXT)
        world.cipher.open(sealed, CONTEXT)
        assert world.kms.calls == {"GenerateDataKey": 1, "Decrypt": 1}
        assert world.kms.contexts == [{"application": "payonce", "merchant_id": "mer_1"}] * 2


def test_a_data_key_wrapped_by_another_kms_key_is_refused() -> None:
    """Fails when KMS may choose the key: whoever can write our table could bring secrets under a key of theirs."""
    with kms_world() as world:
        assert world.kms is not None
        client: Any = world.kms.client
        theirs = client.create_key()["KeyMetadata"]["KeyId"]
        sealed = EnvelopeCipher(client, theirs, world.clock, os.urandom).seal(SECRET, CONTEXT)
        assert EnvelopeCipher(client, theirs, world.clock, os.urandom).open(sealed, CONTEXT) == SECRET
        with pytest.raises(SecretNotOpened):
            world.cipher.open(sealed, CONTEXT)
