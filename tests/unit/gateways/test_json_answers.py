"""A gateway's answer may be anything. Whatever it is, reading it never raises."""

from __future__ import annotations

import pytest

from payonce.gateways.json_answers import document_of

NESTED = b"[" * 200_000


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b'{"a": ', b"\xff", NESTED, b'{"a":' * 200_000])
def test_what_is_no_object_is_an_empty_one(body: bytes) -> None:
    """Fails (RecursionError, out of an adapter) when only malformed JSON is reckoned with."""
    assert document_of(body) == {}


def test_an_object_is_itself() -> None:
    assert document_of(b'{"a": {"b": 1}}') == {"a": {"b": 1}}
