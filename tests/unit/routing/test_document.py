"""The control document is read strictly: what is not exactly right is no document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.control.document import MAX_LIFE_MS, Admission, ControlDocument, parse_document
from payonce.routing.control.routing_settings import Mode

GATEWAYS = frozenset({"alder", "birch"})
T0 = 1_000_000_000_000


def document(**changes: Any) -> ControlDocument:
    fields: dict[str, Any] = {
        "mode": Mode.ON,
        "epoch": 3,
        "issued_at_ms": T0,
        "expires_at_ms": T0 + 30_000,
        "reason": "alder is slow",
        "weights": {"card": {"alder": 0.2, "birch": 0.8}},
        "limits": {"alder": 4.0},
        "admission": Admission(1.0, 0.5, {"m_1": (0.25, 0.0)}),
    }
    return ControlDocument(**{**fields, **changes})


def stored(**changes: Any) -> bytes:
    return json.dumps({**json.loads(document().to_bytes()), **changes}).encode()


def test_written_and_read_it_is_the_same() -> None:
    assert parse_document(document().to_bytes(), GATEWAYS) == document()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"extra": 1},
        {"mode": "full"},
        {"epoch": -1},
        {"epoch": True},
        {"epoch": 1.5},
        {"expires_at_ms": T0},
        {"expires_at_ms": T0 + MAX_LIFE_MS + 1},
        {"reason": 7},
        {"reason": "x" * 3000},
        {"weights": {"card": {"alder": 0.2, "birch": 0.7}}},
        {"weights": {"card": {"alder": 1.2, "birch": -0.2}}},
        {"weights": {"card": {"alder": True, "birch": 0}}},
        {"weights": {"card": {"alder": 0.5, "cedar": 0.5}}},
        {"weights": {"card": {}}},
        {"weights": {"card": {"alder": float("nan"), "birch": 1.0}}},
        {"weights": {"card": {"alder": 10**400, "birch": 1.0}}},
        {"weights": []},
        {"limits": {"alder": -1}},
        {"limits": {"cedar": 1}},
        {"admission": {"authorization": 1, "batch": 1}},
        {"admission": {"authorization": 1.1, "batch": 1, "merchants": {}}},
        {"admission": {"authorization": 1, "batch": 1, "merchants": {"m": 0.5}}},
        {"admission": {"authorization": 1, "batch": 1, "merchants": {"m": [0.5, 2]}}},
    ],
    ids=str,
)
def test_one_thing_wrong_and_all_of_it_is_refused(changes: dict[str, Any]) -> None:
    parse_document(stored(), GATEWAYS)
    with pytest.raises(ValueError, match=r"."):
        parse_document(stored(**changes), GATEWAYS)


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b" " * 70_000 + b"{}"])
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_document(raw, GATEWAYS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(document().to_bytes()))), json_values)
def test_any_value_anywhere_is_read_or_refused_and_nothing_else(field: str, value: Any) -> None:
    try:
        read = parse_document(stored(**{field: value}), GATEWAYS)
    except ValueError:
        return
    assert all(abs(sum(weights.values()) - 1) < 1e-5 for weights in read.weights.values())


def test_it_is_fresh_from_a_little_before_its_issue_until_it_expires() -> None:
    assert document().is_fresh(T0 - 30_000), "the predictor's clock is 30 s ahead"
    assert document().is_fresh(T0 + 29_999)
    assert not document().is_fresh(T0 + 30_000)
    assert not document().is_fresh(T0 - 600_000)
