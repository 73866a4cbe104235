"""What is packed comes back as it was, whatever it is, and a realistic document is a fraction of its size."""

from __future__ import annotations

import hashlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.packing import _DICTIONARIES, NEWEST, PLAIN, pack, unpack

# SHA-256 of every dictionary there has been. What was stored with one can't be read with another.
KNOWN = {1: "94e889090c876b2cc5db3a93bfe38949c0ca42f6a1775a8f87287abbe063265c"}


@given(st.binary(max_size=2_000))
def test_any_bytes_come_back(data: bytes) -> None:
    packed = pack(data)
    assert unpack(packed) == data
    assert len(packed) <= len(data) + 1


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_document_comes_back(document: object) -> None:
    data = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert unpack(pack(data)) == data


def test_what_does_not_shrink_is_kept_as_it_is() -> None:
    """Fails when bytes without a pattern become more than one byte longer."""
    data = hashlib.sha256(b"no pattern").digest()
    assert pack(data) == bytes([PLAIN]) + data
    assert pack(b"") == bytes([PLAIN])


def test_no_dictionary_is_ever_changed() -> None:
    """Fails when a dictionary is edited: everything stored with it would be lost. Add one with the next number."""
    assert {number: hashlib.sha256(words).hexdigest() for number, words in _DICTIONARIES.items()} == KNOWN
    assert max(KNOWN) == NEWEST


def test_the_dictionary_earns_its_place() -> None:
    """Fails when the first document of a kind costs as much as without it."""
    data = json.dumps(
        {"id": "pay_1", "object": "payment", "status": "captured", "amount_minor": 5, "captured_minor": 5}
    ).encode()
    assert len(pack(data)) < len(zlib.compress(data, 9)) * 2 / 3


@pytest.mark.parametrize(
    "stored", [b"", bytes([99]) + b"x", bytes([NEWEST]), bytes([NEWEST]) + b"\xff\xff", pack(b"a" * 99)[:-1]]
)
def test_what_was_not_packed_is_refused(stored: bytes) -> None:
    """Fails when damaged bytes are taken for a shorter document."""
    with pytest.raises(ValueError, match="not packed here"):
        unpack(stored)


def test_more_than_was_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="not packed here"):
        unpack(pack(b"a" * 99) + b"more")
