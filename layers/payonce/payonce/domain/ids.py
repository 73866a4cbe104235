"""Identifiers: time-ordered and unguessable for resources, content-derived for events and journal entries."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CROCKFORD_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_TIME_BITS = 48  # enough until the year 10889, as in a ULID
ID_RANDOM_BYTES = 10  # 80 bits: collisions do not occur in practice, and ids can't be guessed
ID_LENGTH = 26  # base32 characters for 128 bits
VERSION_PATTERN = "[1-9][0-9]{0,9}"  # of a resource: a sort key has room for ten digits
ID_PATTERN = f"[{CROCKFORD_ALPHABET}]{{{ID_LENGTH}}}"
EVENT_PREFIX = "evt"
JOURNAL_NAMESPACE = "payonce/journal/v1"
_REFERENCE = re.compile(r"([a-z]{1,8}_[A-Za-z0-9]{1,51})-[1-9][0-9]{0,2}", re.ASCII)  # see ``Instruction``


def encode_base32(value: int, length: int) -> str:
    """Return ``value`` as ``length`` characters of Crockford base32, most significant first."""
    return "".join([CROCKFORD_ALPHABET[(value >> shift) & 31] for shift in reversed(range(0, 5 * length, 5))])


def time_of_id(identity: str) -> int:
    """Return the creation time of ``<prefix>_<26 characters>`` in epoch milliseconds.

    Raises ``ValueError`` when the id does not have this form.
    """
    value = 0
    for character in identity.rpartition("_")[2]:
        value = value << 5 | CROCKFORD_ALPHABET.index(character)
    return value >> (8 * ID_RANDOM_BYTES)


class UlidSource:
    """Makes ids laid out as ULIDs (48 bits of milliseconds, 80 random bits) from an injected clock and randomness."""

    def __init__(self, now_ms: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        self._now_ms = now_ms
        self._random_bytes = random_bytes

    def new(self, prefix: str) -> str:
        """Return ``<prefix>_<26 characters>``."""
        random = int.from_bytes(self._random_bytes(ID_RANDOM_BYTES), "big")
        value = (self._now_ms() & ((1 << ID_TIME_BITS) - 1)) << (8 * ID_RANDOM_BYTES) | random
        return f"{prefix}_{encode_base32(value, ID_LENGTH)}"


def content_id(prefix: str, *parts: str) -> str:
    """Return ``<prefix>_<sha256 hex>`` of the length-prefixed parts.

    The lengths keep ("ab", "c") and ("a", "bc") apart, so that different parts never give the same id.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return f"{prefix}_{digest.hexdigest()}"


def event_id(resource_id: str, version: int) -> str:
    """Return the id of the event of this change of a resource. It is a function of the change alone.

    No two changes share it: a resource's id is unique across merchants, and ``version`` counts its changes.
    """
    return f"{EVENT_PREFIX}_{resource_id}_{version}"


def event_place(identity: str) -> tuple[str, int]:
    """Return the resource id and the version in an event's id. Raises ``ValueError`` when it is no event's id."""
    prefix, _, rest = identity.partition("_")
    resource_id, _, version = rest.rpartition("_")
    if prefix != EVENT_PREFIX or not resource_id or not re.fullmatch(VERSION_PATTERN, version):
        raise ValueError(f"{identity} is no id of an event")
    return resource_id, int(version)


def journal_entry_id(merchant_id: str, payment_id: str, version: int) -> str:
    """Return the id of this state change's journal entry. It is a function of the change alone."""
    return content_id("je", JOURNAL_NAMESPACE, merchant_id, payment_id, str(version))


def gateway_reference(operation_id: str, attempt: int) -> str:
    """Return the reference under which the gateway knows attempt number ``attempt`` of our operation.

    It is derived from our ids alone: a client's key is not unique across merchants, and we may not disclose it.
    """
    return f"{operation_id}-{attempt}"


def operation_of(reference: str | None) -> str | None:
    """Return the id of the operation in a ``gateway_reference``; ``None`` for a text that is no reference of ours.

    A gateway hands back whatever was stored with a charge, by whomever: the text may be of any form and length.
    """
    found = _REFERENCE.fullmatch(reference or "")
    return found[1] if found else None
