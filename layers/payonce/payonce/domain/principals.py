"""Names of people, as they enter and as they are compared: two spellings that look alike are one person.

A name is folded by NFKC and to lower case, much as RFC 8265 folds user names; what can't be seen is refused. So are
letters of Latin, Greek and Cyrillic in one name (UTS #39, single script). A name that is written wholly in another
script's lookalikes, such as the three Cyrillic letters that look like "ace", is another name.
"""

from __future__ import annotations

import unicodedata

from payonce.domain.errors import BodyMalformed

OPERATOR_PREFIX = "operator:"
HOLDER_MARK = "/"  # between an API key's id and its holder; no name has one
MAX_NAME_CHARACTERS = 100
_PUNCTUATION = frozenset(" ._-+@'\u2019")
_CONFUSABLE_SCRIPTS = frozenset({"LATIN", "GREEK", "CYRILLIC"})
# Letters and marks that are drawn as nothing: Default_Ignorable_Code_Point beyond the categories Cc and Cf.
_INVISIBLE = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180F, 0x3164, 0xFFA0, *range(0x180B, 0x180E)))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


def principal_name(text: str, what: str = "--operator") -> str:
    """Return the name as it is stored and compared. Raises ``BodyMalformed`` for an empty or an unclear one."""
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
    """Return the principal of an operator's name. Raises ``BodyMalformed``."""
    return OPERATOR_PREFIX + principal_name(text)


def person_key(principal: str) -> str:
    """Return what principals are compared by: folded, blanks as one, and without what can't be seen. Total."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", principal).casefold())
    return " ".join("".join(filter(_is_kept, folded)).split())


def key_of(key_id: str, holder: str) -> str:
    """Return the principal of an API key: its id, and whose it is where that was said."""
    return f"{key_id}{HOLDER_MARK}{holder}" if holder else key_id


def is_same_person(one: str, other: str) -> bool:
    """Return whether two principals are one, however they are written, and whichever keys of one holder they are."""
    return _whose(person_key(one)) == _whose(person_key(other))


def is_visible(character: str) -> bool:
    """Return whether a character shows: no control, format, surrogate or private one, and no invisible letter."""
    return unicodedata.category(character)[0] != "C" and character not in _INVISIBLE


def _is_kept(character: str) -> bool:
    return character.isspace() or is_visible(character)


def _whose(key: str) -> str:
    """Return the holder of an API key, and any other principal as it is."""
    _, mark, holder = key.partition(HOLDER_MARK)
    return mark + holder if holder else key


def _may_be_in_a_name(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Mc", "Nd"} or character.isalpha() or character in _PUNCTUATION


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""
