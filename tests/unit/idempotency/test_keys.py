"""The header contract."""

from __future__ import annotations

import pytest

from payonce.domain.errors import BodyMalformed, KeyMalformed, KeyMissing, MisconfiguredError
from payonce.idempotency.keys import parse_key, parse_wait_seconds, record_id
from payonce.idempotency.window import (
    DEFAULT_AUDIT_RETENTION_SECONDS,
    MIN_AUDIT_RETENTION_SECONDS,
    IdempotencySettings,
)

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-idempotency-key": [KEY]},
        {"idempotency-key": [KEY]},
        {"idempotency-key": [f'"{KEY}"']},
        {"x-idempotency-key": [f'  "{KEY}" ']},
        {"x-idempotency-key": [KEY], "idempotency-key": [f'"{KEY}"']},
        {"x-idempotency-key": [KEY, KEY]},
    ],
)
def test_every_spelling_of_a_key_is_the_same_key(headers: dict[str, list[str]]) -> None:
    """Fails when quotes or the second header name are not taken."""
    assert parse_key(headers) == KEY


def test_what_is_escaped_in_a_quoted_key_is_the_character_itself() -> None:
    """Fails when one client's quoted key is another key than the same one sent bare: a retry would charge again."""
    bare = '0123456789"abc\\def'
    quoted = '"0123456789\\"abc\\\\def"'
    assert parse_key({"idempotency-key": [quoted]}) == parse_key({"idempotency-key": [bare]}) == bare


def test_an_empty_header_beside_a_key_is_another_key() -> None:
    """Fails when the client is told that it sent none."""
    with pytest.raises(KeyMalformed, match="different keys"):
        parse_key({"x-idempotency-key": [KEY], "idempotency-key": [""]})


def test_the_limits_of_a_key_belong_to_it() -> None:
    """Visible ASCII of 16 to 255 characters. Fails when a client's generator of the longest keys is refused."""
    for key in ("!" + "~" * 15, "x" * 255):
        assert parse_key({"x-idempotency-key": [key]}) == key


def test_a_refusal_says_how_to_send_a_key() -> None:
    """Fails when it names another header than the route takes, or other limits."""
    with pytest.raises(KeyMissing, match=r"Send X-Idempotency-Key with 16 to 255 visible ASCII characters"):
        parse_key({})
    with pytest.raises(KeyMalformed, match=r"X-Idempotency-Key and Idempotency-Key \(or"):
        parse_key({"x-idempotency-key": [KEY, KEY + "0"]})
    for value in ("short", '"' + KEY):
        with pytest.raises(KeyMalformed, match="Send Request-Id with 16"):
            parse_key({"request-id": [value]}, names=("request-id",))
    with pytest.raises(KeyMissing, match="Send Request-Id with"):
        parse_key({"x-idempotency-key": [KEY]}, names=("request-id",))


@pytest.mark.parametrize("headers", [{}, {"x-idempotency-key": [""]}, {"x-idempotency-key": ['""']}])
def test_a_missing_key_is_refused(headers: dict[str, list[str]]) -> None:
    with pytest.raises(KeyMissing):
        parse_key(headers)


@pytest.mark.parametrize(
    "value", ["short", "x" * 15, "x" * 256, "x" * 16 + " x", "x" * 16 + "\n", "ключ-идемпотентности", "x" * 16 + "\x7f"]
)
def test_a_malformed_key_is_refused(value: str) -> None:
    with pytest.raises(KeyMalformed):
        parse_key({"x-idempotency-key": [value]})


def test_headers_that_disagree_are_refused() -> None:
    """Fails when the first header simply wins."""
    with pytest.raises(KeyMalformed, match="different keys"):
        parse_key({"x-idempotency-key": [KEY], "idempotency-key": [KEY + "0"]})


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ([], 5),
        (["wait=0"], 0),
        (["respond-async, wait=10"], 10),
        (["wait=99"], 20),
        (['Wait = "7"'], 7),
        (["a", "wait=3"], 3),
    ],
)
def test_prefer_wait(prefer: list[str], seconds: int) -> None:
    assert parse_wait_seconds({"prefer": prefer} if prefer else {}) == seconds


def test_a_routes_own_limits_of_waiting() -> None:
    assert parse_wait_seconds({}, default_seconds=3, max_seconds=9) == 3
    assert parse_wait_seconds({"prefer": ["wait=999999999"]}, default_seconds=3, max_seconds=9) == 9


@pytest.mark.parametrize("value", ["wait=", "wait=-1", "wait=1.5", "wait=soon", "wait=1000000000"])
def test_a_malformed_wait_is_refused(value: str) -> None:
    with pytest.raises(BodyMalformed):
        parse_wait_seconds({"prefer": [value]})


def test_the_record_id_holds_neither_key_nor_deployment() -> None:
    """Fails when a function name gets into it (a rename would forget every charge) or the key is stored in clear."""
    assert record_id("m", "create_payment", KEY).startswith("m#create_payment#")
    assert KEY not in record_id("m", "create_payment", KEY)
    # A known vector: another release has to find the record.
    assert record_id("m", "o", KEY) == "m#o#9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"
    assert len({record_id(m, o, k) for m in ("a", "b") for o in ("x", "y") for k in (KEY, KEY + "0")}) == 8


@pytest.mark.parametrize("seconds", [0, 3600, 86_399, 259_201])
def test_a_window_outside_24_to_72_hours_stops_the_start(seconds: int) -> None:
    with pytest.raises(MisconfiguredError, match="24 h"):
        IdempotencySettings(window_seconds=seconds)


def test_the_settings_that_nobody_has_set() -> None:
    """The promise of the README: a day, and thirty more in which a late retry is refused."""
    assert IdempotencySettings() == IdempotencySettings(window_seconds=86_400, guard_seconds=30 * 86_400)
    widest = IdempotencySettings(window_seconds=3 * 86_400, guard_seconds=3 * 86_400)
    assert (widest.window_seconds, widest.guard_seconds) == (259_200, 259_200)
    # Longer than any key is kept, and at least a quarter.
    assert DEFAULT_AUDIT_RETENTION_SECONDS > MIN_AUDIT_RETENTION_SECONDS == 90 * 86_400
    assert DEFAULT_AUDIT_RETENTION_SECONDS == 400 * 86_400


def test_a_guard_shorter_than_the_window_stops_the_start() -> None:
    with pytest.raises(MisconfiguredError, match="guard"):
        IdempotencySettings(window_seconds=86_400, guard_seconds=86_399)


@pytest.mark.parametrize(
    "parameters",
    [";v=1", "; v=1", ";v", ';a="x;y\\"z";b=?1', ";t=:aGk=:;d=@1764356096;n=-1.5;tok=a/b", " ;v=1", ';d=%"f%c3%bc"'],
)
def test_parameters_of_a_quoted_key_say_nothing_of_it(parameters: str) -> None:
    """Fails when `"k";v=1` is another key than `"k"`, so that the retry through a proxy which adds it executes again.

    RFC 9651, 3.1.2 and draft-ietf-httpapi-idempotency-key-header, section 2.1: an Item whose value is a String. The
    last parameter is a Display String (RFC 9651, 3.3.8).
    """
    assert parse_key({"idempotency-key": [f'"{KEY}"{parameters}']}) == KEY


@pytest.mark.parametrize("value", [f'"{KEY}', f'"{KEY}"x', f'"{KEY}", "{KEY}"', f'"{KEY}\\x"', f'"{KEY}";=1', '"' * 20])
def test_a_quoted_key_that_is_no_string_is_refused(value: str) -> None:
    """Fails when a broken quotation becomes part of the key: its repaired retry would be another key."""
    with pytest.raises(KeyMalformed):
        parse_key({"idempotency-key": [value]})


def test_a_bare_key_may_hold_what_separates_parameters() -> None:
    assert parse_key({"idempotency-key": [f"{KEY};v=1"]}) == f"{KEY};v=1"


@pytest.mark.parametrize("joined", [f"{KEY},{KEY}", f"{KEY}, {KEY}", f"{KEY} ,\t{KEY},{KEY}"])
def test_a_header_sent_twice_and_joined_is_sent_once(joined: str) -> None:
    """Fails when one key is another one after a proxy joined two equal lines with a comma, so that a retry executes.

    API Gateway joins so (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
    format 2.0), Node does (https://github.com/grimurrash/test-task2/issues/73: two payments for one key).
    """
    assert parse_key({"idempotency-key": [joined]}) == KEY == parse_key({"idempotency-key": [KEY, KEY]})


@pytest.mark.parametrize("key", [f"{KEY},{KEY}0", f"{KEY},", f",{KEY}", f"{KEY},,{KEY}"])
def test_a_bare_key_may_hold_a_comma(key: str) -> None:
    assert parse_key({"idempotency-key": [key]}) == key
