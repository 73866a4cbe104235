"""The Priority header, read as RFC 9218 and RFC 8941 have it: what is wrong is ignored, never refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.entrypoints.priority import parse_priority
from payonce.routing.control.admission import Priority


def priority(*values: str) -> Priority:
    return parse_priority({"priority": list(values)})


@pytest.mark.parametrize(
    "value", ["u=4", "u=7", "i, u=5", "u=1, u=6", "u=5;x=1", 'a="u=1", u=7, b', "  u=4  ", "u=4\t,\ti"]
)
def test_an_urgency_above_three_can_wait(value: str) -> None:
    """Fails when the urgency is not read, is read from inside a string, or the first of repeats counts."""
    assert priority(value) is Priority.BATCH


@pytest.mark.parametrize("value", ["u=0", "u=3", "u=6, u=1", "i", "", 'a="u=7"', "x=(u=7)", "x=(u 7);u=7"])
def test_any_other_is_an_authorization(value: str) -> None:
    """Three is the default. Fails when a number somewhere in the field is taken for the urgency."""
    assert priority(value) is Priority.AUTHORIZATION


@pytest.mark.parametrize("value", ["u=8", "u=-1", "u=5.0", 'u="5"', "u=?1", "u", "u=:NQ==:", "u=(5)", "u=five"])
def test_an_urgency_of_another_type_or_out_of_range_is_ignored(value: str) -> None:
    """RFC 9218, section 4. Fails when it is an error, or counts as the nearest urgency."""
    assert priority(value) is Priority.AUTHORIZATION


@pytest.mark.parametrize("value", ["u=5,", "u=5 i", "U=5", "u = 5", "u=5, =", 'u=5, a="', "u=5, (", ",u=5", "u=5, é"])
def test_a_field_that_can_not_be_read_is_ignored_as_a_whole(value: str) -> None:
    """RFC 8941, section 4.2. Fails when the part of it that can be read counts."""
    assert priority(value) is Priority.AUTHORIZATION


def test_lines_are_one_field() -> None:
    assert priority("i", "u=6") is Priority.BATCH
    assert priority("u=6", "u=2") is Priority.AUTHORIZATION
    assert parse_priority({}) is Priority.AUTHORIZATION


@given(st.text() | st.text(alphabet='u=5,;()" \\?:i'))
def test_no_field_is_an_error(value: str) -> None:
    assert priority(value) in {Priority.AUTHORIZATION, Priority.BATCH}


@pytest.mark.timeout(200)  # read in two ways, it would take years
@pytest.mark.parametrize(
    "value", ["u" * 500, "u=" + "(" * 400, "a;" * 300, "u=(" + " " * 900, 'u="' + "\\\\" * 400, ";a=1" * 200]
)
def test_no_field_takes_long(value: str) -> None:
    """Fails (by the limit) when a part of the grammar can be read in two ways: the time doubles with each character."""
    assert priority(value) is Priority.AUTHORIZATION
