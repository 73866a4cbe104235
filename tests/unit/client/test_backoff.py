"""How long the client waits: full jitter, and both forms of Retry-After."""

from __future__ import annotations

import itertools
import math
from email.utils import formatdate

import pytest

from payonce.client.backoff import MAX_RETRY_AFTER_SECONDS, Backoff, retry_after_seconds

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, 5.6.7


def test_waits_are_drawn_from_zero_to_a_cap_that_doubles() -> None:
    """Full jitter as AWS describes it; a floor, such as stripe-python's half of the cap, keeps clients in step."""
    backoff = Backoff(base_seconds=0.5, max_seconds=20)
    longest = [backoff.wait_seconds(failures, None, lambda: 1.0) for failures in range(1, 9)]
    assert longest == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert [backoff.wait_seconds(failures, None, lambda: 0.0) for failures in (1, 5)] == [0, 0]
    draws = itertools.cycle([0.25, 0.75])
    assert [backoff.wait_seconds(3, None, lambda: next(draws)) for _ in range(2)] == [0.5, 1.5]


def test_a_thousand_failures_do_not_overflow() -> None:
    assert Backoff().wait_seconds(1_000_000, None, lambda: 1.0) == 20


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7\t", 7.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),  # IMF-fixdate
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0),  # obsolete, and every recipient has to take it (RFC 9110, 5.6.7)
        ("Sun Nov  6 08:49:47 1994", 10.0),  # asctime, obsolete
        (
            "Sun, 06 Nov 1994 08:49:27 GMT",
            0.0,
        ),  # past: no negative wait (https://github.com/openai/openai-java/pull/878)
        # time.sleep overflows on what a server has sent in the wild (https://github.com/urllib3/urllib3/pull/3743).
        ("9999999999", MAX_RETRY_AFTER_SECONDS),
        ("Sun, 06 Nov 2094 08:49:27 GMT", MAX_RETRY_AFTER_SECONDS),
        ("-5", None),
        ("1.5", None),
        ("²", None),  # isdigit() is true (https://github.com/QVerisAI/qveris-agent-toolkit/pull/142)
        ("nan", None),
        ("inf", None),
        ("1, 2", None),
        ("", None),
        ("soon", None),
        ("Sun, 99 Nov 1994 08:49:47 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": text}, NOW) == seconds


def test_a_date_is_measured_by_the_servers_own_clock() -> None:
    """Fails (an hour's wait, or none) when only this machine's clock is asked."""
    server_now = NOW - 3000
    headers = {"retry-after": formatdate(server_now + 30, usegmt=True), "date": formatdate(server_now, usegmt=True)}
    assert retry_after_seconds(headers, NOW) == 30


def test_the_jitter_comes_on_top_of_what_the_server_asks() -> None:
    """Clients that were sent away together for 60 s do not return together."""
    assert Backoff(base_seconds=2).wait_seconds(1, 60, lambda: 0.5) == 61
    assert math.isclose(Backoff(base_seconds=2).wait_seconds(1, 0.0, lambda: 0.5), 1)
