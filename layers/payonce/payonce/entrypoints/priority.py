"""The ``Priority`` request header (RFC 9218): whether a payment may be deferred in favour of others.

The field is a structured-fields dictionary (RFC 8941), of which payonce reads only the urgency ``u``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.routing.control.admission import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_URGENCY = 3  # RFC 9218, section 4.1; 0 is the most urgent, 7 the least
MAX_URGENCY = 7
MAX_CHARACTERS = 1_000  # a longer field is ignored: it should hold one number

# RFC 8941, section 3. The pattern is unambiguous, so that matching never backtracks.
_KEY = r"[a-z*][a-z0-9_\-.*]*"
_ITEM = (
    r"(?:-?[0-9]{1,12}\.[0-9]{1,3}|-?[0-9]{1,15}"  # decimal, integer
    r'|"(?:[ !#-\[\]-~]|\\["\\])*"'  # string
    r"|[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*"  # token
    r"|:[A-Za-z0-9+/=]*:|\?[01])"  # bytes, boolean
)
_PARAMETERS = rf"(?:; *{_KEY}(?:={_ITEM})?)*"
_INNER_LIST = rf"\( *(?:{_ITEM}{_PARAMETERS}(?: +{_ITEM}{_PARAMETERS})*)? *\)"
_MEMBER = re.compile(rf"({_KEY})(?:=({_ITEM}|{_INNER_LIST}))?{_PARAMETERS}")
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def parse_priority(headers: Mapping[str, list[str]]) -> Priority:
    """Return the priority of a payment: batch for an urgency above 3, authorization otherwise.

    ``headers`` maps lower-case names to all their values. Never fails: as RFC 9218 requires, it ignores a malformed
    field, an urgency of another type or outside 0 to 7, and unknown parameters.
    """
    urgency = _members(", ".join(headers.get("priority", []))).get("u", "")
    if not re.fullmatch(r"-?[0-9]{1,15}", urgency) or not 0 <= int(urgency) <= MAX_URGENCY:
        return Priority.AUTHORIZATION
    return Priority.BATCH if int(urgency) > DEFAULT_URGENCY else Priority.AUTHORIZATION


def _members(field: str) -> dict[str, str]:
    """Return a dictionary's members with their values as text, the last of repeats; {} if it is malformed."""
    field = field.strip(" ")
    if len(field) > MAX_CHARACTERS:
        return {}
    members: dict[str, str] = {}
    at = 0
    while member := _MEMBER.match(field, at):
        members[member[1]] = member[2] or "?1"
        at = member.end()
        if at == len(field):
            return members
        comma = _COMMA.match(field, at)
        if comma is None:
            return {}
        at = comma.end()
    return {}
