"""Names of people: two spellings that look alike are one person, and what can't be seen is in no name.

The classes of lookalikes are those of UTS #39 (https://www.unicode.org/reports/tr39/) and RFC 8265, section 3.3
(https://www.rfc-editor.org/rfc/rfc8265#section-3.3).
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import BodyMalformed
from payonce.domain.principals import is_same_person, may_be_same_person, operator_of, person_key, principal_name

ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\x00", "\x1b", "\u3164", "\ufe0f")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ann", "ann"),
        ("  Ann ", "ann"),
        ("ANN", "ann"),
        ("\uff41\uff4e\uff4e", "ann"),  # full width
        ("\ufb01nn", "finn"),  # a ligature
        ("ann  lee", "ann lee"),
        ("ann\u00a0lee", "ann lee"),  # a blank that does not break
        ("Stra\u00dfe", "strasse"),
        ("\u212bsa", "\u00e5sa"),  # the sign of the angstrom
        ("Jose\u0301", "jos\u00e9"),
        ("ann@example.com", "ann@example.com"),
        ("\u0410\u043d\u043d\u0430", "\u0430\u043d\u043d\u0430"),  # Anna, in Cyrillic alone
    ],
)
def test_a_name_is_folded(written: str, name: str) -> None:
    assert principal_name(written) == name
    assert is_same_person(written, name)


@pytest.mark.parametrize("unseen", ZERO_WIDTH)
@pytest.mark.parametrize("place", ["{}ann", "an{}n", "ann{}"])
def test_what_can_not_be_seen_is_in_no_name(unseen: str, place: str) -> None:
    """Fails when a name is only trimmed: two people would look like one, and one could pass for two."""
    with pytest.raises(BodyMalformed, match="can't be seen"):
        principal_name(place.format(unseen))
    assert is_same_person(place.format(unseen), "ann")


@pytest.mark.parametrize("mixed", ["\u0430nn", "ann\u0430", "\u03bfle", "o\u043be"])
def test_letters_of_scripts_that_look_alike_are_not_mixed(mixed: str) -> None:
    """NFKC keeps Cyrillic and Latin "a" apart: a name is of one of the two."""
    with pytest.raises(BodyMalformed, match="look alike"):
        principal_name(mixed)


@pytest.mark.parametrize("name", ["", "  ", "\t", "a" * 101, "ann\u2603", "a/b", "a:b", "a#b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BodyMalformed):
        principal_name(name)


@pytest.mark.parametrize("name", ["Ann", "ann", " \uff41nn "])
def test_an_operator_and_a_key_of_that_holder_are_one_person(name: str) -> None:
    """Fails when only keys are compared with keys: one person would propose with a key and approve in the console."""
    assert is_same_person("key_1/ann", operator_of(name))
    assert is_same_person(operator_of(name), operator_of("ann"))
    assert not may_be_same_person("key_1/bob", operator_of(name))


def test_a_key_without_a_holder_may_be_an_operators() -> None:
    """Fails when it counts as somebody else. Programs are nobody's second person."""
    assert may_be_same_person("key_1", "operator:ann")
    assert may_be_same_person("operator:ann", "key_1")
    assert not may_be_same_person("operator:ann", "operator:bob")
    for program in ("reconciliation", "policy"):
        assert not may_be_same_person("key_1", program)
        assert not may_be_same_person("operator:ann", program)


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once_and_what_is_taken_can_be_seen(text: str) -> None:
    assert person_key(person_key(text)) == person_key(text)
    try:
        name = principal_name(text)
    except BodyMalformed:
        return
    assert name == principal_name(name)
    assert all(unicodedata.category(character)[0] != "C" for character in name)
