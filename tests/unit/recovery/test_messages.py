"""The messages of the recovery queue."""

from __future__ import annotations

import json

import pytest

from payonce.domain.errors import BodyMalformed
from payonce.recovery.messages import AskMessage, parse_ask

MESSAGE = AskMessage(
    lane="bank", claims=("m#op#1", "m#op#2"), silent=frozenset({"other"}), answering_since_ms={"bank": 17}
)


def test_a_message_comes_back_as_it_was() -> None:
    assert parse_ask(MESSAGE.to_text()) == MESSAGE


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(BodyMalformed):
        parse_ask(text)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("lane", 1),
        ("claims", [1]),
        ("claims", None),
        ("silent", [None]),
        ("answering_since_ms", {"bank": "17"}),
        ("answering_since_ms", {"bank": True}),
        ("answering_since_ms", [1]),
    ],
)
def test_a_member_of_another_type_is_refused(member: str, value: object) -> None:
    with pytest.raises(BodyMalformed):
        parse_ask(json.dumps({**json.loads(MESSAGE.to_text()), member: value}))
