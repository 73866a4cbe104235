"""Normalizes and compares the names of people: two spellings that look alike are the same person.

A name is folded with NFKC and to lower case, much as RFC 8265 folds user names. A name with invisible characters is
refused, and so is one that mixes Latin, Greek and Cyrillic letters (UTS #39, single script). A name written wholly in
another script's lookalikes, such as the three Cyrillic letters that look like "ace", is a different name.
"""

from __future__ import annotations

import unicodedata

from payonce.domain.errors import BodyMalformed

OPERATOR_PREFIX = "operator:"
API_KEY_PREFIX = "key_"  # an actor with an API key is named by the key's id
HOLDER_MARK = "/"  # separates an API key's id from its holder; no name contains it
MAX_NAME_CHARACTERS = 100
_PUNCTUATION = frozenset(" ._-+@'\u2019")
_CONFUSABLE_SCRIPTS = frozenset({"LATIN", "GREEK", "CYRILLIC"})
# Letters and marks without a glyph: Default_Ignorable_Code_Point beyond the categories Cc and Cf.
_INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180F, 0x3164, 0xFFA0, *range(0x180B, 0x180E)))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


def principal_name(text: str, what: str = "--operator") -> str:
    """Return the name as it is stored and compared. Raises ``BodyMalformed`` for an empty or ambiguous one."""
    if not text.strip():
        raise BodyMalformed(f"{what} is empty: name who you are.")
    unseen = sorted({f"U+{ord(character):04X}" for character in text.strip() if not is_visible(character)})
    if unseen:
        raise BodyMalformed(f"{what} has characters that can't be seen: {', '.join(unseen)}. Write it without them.")
    name = person_key(text)
    strange = sorted({character for character in name if not _may_be_in_a_name(character)})
    if strange:
        raise BodyMalformed(f"{what} has {', '.join(map(ascii, strange))}: letters, digits and ._-+@' are allowed.")
    scripts = sorted({script for character in name if (script := _script(character)) in _CONFUSABLE_SCRIPTS})
    if len(scripts) > 1:
        raise BodyMalformed(f"{what} mixes {' and '.join(scripts)} letters, which look alike. Use those of one script.")
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise BodyMalformed(f"{what} has 1 to {MAX_NAME_CHARACTERS} characters.")
    return name


def operator_of(text: str) -> str:
    """Return the principal that stands for an operator's name. Raises ``BodyMalformed``."""
    return OPERATOR_PREFIX + principal_name(text)


def person_key(principal: str) -> str:
    """Return the key for comparing principals: folded, blanks collapsed, invisible characters removed. Never raises."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", principal).casefold())
    return " ".join("".join(filter(_is_kept, folded)).split())


def key_of(key_id: str, holder: str) -> str:
    """Return the principal of an API key: its id and, where it is known, its holder."""
    return f"{key_id}{HOLDER_MARK}{holder}" if holder else key_id


def is_same_person(one: str, other: str) -> bool:
    """Return whether two principals are the same person, in any spelling.

    An operator of that name and every API key of that holder are one person, so that nobody proposes with a key and
    approves at the command or in the console.
    """
    return _whose(person_key(one)) == _whose(person_key(other))


def may_be_same_person(one: str, other: str) -> bool:
    """Return whether two principals are the same person, or can't be told apart.

    An API key without a holder can't be told from any other API key, nor from an operator: whoever has the key as well
    would be two persons.
    """
    keys = [person_key(principal) for principal in (one, other)]
    both_are_people = all(key.startswith((API_KEY_PREFIX, OPERATOR_PREFIX)) for key in keys)
    return is_same_person(one, other) or (both_are_people and any(map(_names_nobody, keys)))


def is_visible(character: str) -> bool:
    """Return whether a character is visible: not a control, format, surrogate, private-use or invisible one."""
    return unicodedata.category(character)[0] != "C" and character not in _INVISIBLE


def _is_kept(character: str) -> bool:
    return character.isspace() or is_visible(character)


def _names_nobody(key: str) -> bool:
    return key.startswith(API_KEY_PREFIX) and not key.partition(HOLDER_MARK)[2]


def _whose(key: str) -> str:
    """Return the holder of an API key, or the operator's name; any other principal is returned unchanged."""
    if key.startswith(OPERATOR_PREFIX):
        return HOLDER_MARK + key.removeprefix(OPERATOR_PREFIX)
    _, mark, holder = key.partition(HOLDER_MARK)
    return mark + holder if holder else key


def _may_be_in_a_name(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Mc", "Nd"} or character.isalpha() or character in _PUNCTUATION


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""
