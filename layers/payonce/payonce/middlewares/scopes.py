"""Whose key it is: the scope in a stored key, from what a program's ``scope`` function returned."""

from __future__ import annotations

import re

from payonce.domain.errors import Unauthenticated
from payonce.proxy.identity import hashed_scope

_PLAIN_SCOPE = re.compile(r"[A-Za-z0-9_.-]{1,128}")
# What str() makes of an identity that is not there: every anonymous caller would share one scope.
_NOBODY = frozenset({"", "None", "null", "undefined", "AnonymousUser"})


def scope_text(identity: object) -> str:
    """Return the scope of a key from what a program's ``scope`` function returned: a text or a number.

    Raises ``Unauthenticated`` for nobody (``None``, "" and what ``str`` makes of them): callers who are not known would
    share one scope, and get each other's answers.
    """
    text = str(identity)
    if identity is None or isinstance(identity, bool) or text in _NOBODY:
        raise Unauthenticated("The request carries no identity to keep its key under. Authenticate.")
    if not isinstance(identity, str | int):
        raise TypeError(f"scope returned a {type(identity).__name__}; return the caller's id, a str or an int.")
    return text if _PLAIN_SCOPE.fullmatch(text) else hashed_scope("scope", "", text)
