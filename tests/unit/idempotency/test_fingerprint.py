"""The fingerprint."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from payonce.idempotency.fingerprint import canonical_json, fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_spelling_does_not_matter(value: dict[str, object]) -> None:
    """Fails when the raw body is hashed: a client that rebuilds its JSON on a retry would get 422."""
    shuffled = json.loads(json.dumps(dict(reversed(list(value.items()))), indent=3))
    assert canonical_json(shuffled) == canonical_json(value)


@given(JSON, JSON)
def test_different_values_differ(first: object, second: object) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (canonical_json(first) == canonical_json(second)) == same


def test_every_part_counts() -> None:
    parts = [
        fingerprint("POST", "/a", {"id": "1"}, b"{}"),
        fingerprint("PUT", "/a", {"id": "1"}, b"{}"),
        fingerprint("POST", "/b", {"id": "1"}, b"{}"),
        fingerprint("POST", "/a", {"id": "2"}, b"{}"),
        fingerprint("POST", "/a", {"id": "1"}, b"{ }"),
    ]
    assert len(set(parts)) == len(parts)
    assert fingerprint("post", "/a", {"id": "1"}, b"{}") == parts[0]
