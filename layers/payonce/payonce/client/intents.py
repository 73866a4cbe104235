"""Idempotency keys of business operations: the same ``intent`` is always sent with the same key.

An intent is the caller's own stable name of one operation, such as ``order-17``: whoever repeats a call after a crash
knows it again, and the key with it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from payonce.client.errors import Misused

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_INTENT_CHARACTERS = 255
_KEY = re.compile(r"[!-~]{16,255}", re.ASCII)  # the API's rule: 16 to 255 visible ASCII characters


@dataclass(frozen=True, slots=True)
class IntentKey:
    """The key of an intent. ``may_be_executed``: an earlier call with it may have had an effect."""

    key: str
    may_be_executed: bool = False


class IntentKeys(Protocol):
    """Where keys of intents come from: a ``Journal``, or ``DerivedKeys``. Safe for threads and processes."""

    def begin(self, operation: str, intent: str, digest: str) -> IntentKey:
        """Return the key of the intent, durably kept before this returns. ``digest`` stands for the call's arguments.

        Raises ``IntentReused``, ``IntentTooOld`` and ``JournalUnusable``.
        """
        ...

    def conclude(self, operation: str, intent: str, key: str, resource: str | None) -> None:
        """Record that the operation has its final answer."""
        ...

    def without_effect(self, operation: str, intent: str, key: str) -> None:
        """Record that a call that was begun certainly had no effect."""
        ...


def random_key() -> str:
    """Return a key that no other call has."""
    return str(uuid.uuid4())


def checked_key(key: str) -> str:
    """Return the caller's own key. Raises ``Misused`` where the API would refuse it."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise Misused("An idempotency key is 16 to 255 visible ASCII characters.")
    return key


def checked_intent(intent: str) -> str:
    """Return the intent. Raises ``Misused`` where it is no text of 1 to 255 characters."""
    if not isinstance(intent, str) or not 1 <= len(intent) <= MAX_INTENT_CHARACTERS or not intent.isprintable():
        raise Misused(f"An intent is 1 to {MAX_INTENT_CHARACTERS} printable characters, such as an order's id.")
    return intent


class DerivedKeys:
    """Keys computed from the intent alone: for functions without a disk, and for several machines.

    ``namespace`` separates systems that share a payonce account: without it, order 17 of one shop could get the answer
    to order 17 of another. Other arguments with the same intent are found by the API (``KeyReused``), not before.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = checked_intent(namespace)

    def begin(self, operation: str, intent: str, digest: str) -> IntentKey:
        """See ``IntentKeys``. Raises nothing."""
        del digest
        parts = (self._namespace, operation, intent)
        named = "".join(f"{len(part)}:{part}" for part in parts)  # lengths: ("a", "bc") differs from ("ab", "c")
        # Nobody knows here what other processes have sent with it.
        return IntentKey(f"intent-{hashlib.sha256(named.encode()).hexdigest()}", may_be_executed=True)

    def conclude(self, operation: str, intent: str, key: str, resource: str | None) -> None:
        """See ``IntentKeys``: there is nothing to record."""

    def without_effect(self, operation: str, intent: str, key: str) -> None:
        """See ``IntentKeys``: there is nothing to record."""


type NewKey = Callable[[], str]
