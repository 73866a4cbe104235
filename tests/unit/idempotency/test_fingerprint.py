"""The fingerprint."""

from __future__ import annotations

import json
import struct
from hashlib import sha256

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


def test_a_stored_fingerprint_is_the_same_tomorrow() -> None:
    """Its definition, written out. Fails when another version of the code makes another one: every retry of what was
    executed before would be refused as another request.
    """
    digest = sha256()
    for part in (b"POST", b"/v1/payments/{id}", '{"id":"zoë","z":"1"}'.encode(), b'{"a":1}'):
        digest.update(struct.pack(">Q", len(part)) + part)
    assert fingerprint("Post", "/v1/payments/{id}", {"z": "1", "id": "zoë"}, b'{"a":1}') == digest.hexdigest()


def test_no_part_goes_on_in_the_next() -> None:
    assert fingerprint("POST", "/a", {}, b"b") != fingerprint("POST", "/", {}, b"ab")
    assert fingerprint("POST", "/a{}", {}, b"") != fingerprint("POST", "/a", {}, b"{}")


def test_half_a_surrogate_pair_has_a_fingerprint_too() -> None:
    """JSON may hold one (RFC 8259, 8.2). Fails when such a request ends in an error of ours."""
    assert canonical_json(json.loads(r'"\ud83d"')) != canonical_json(json.loads(r'"\ud83c"'))
