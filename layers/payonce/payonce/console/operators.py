"""Operators of the console and their keys: a command adds and disables them, and signing in looks a key up.

Only a key's SHA-256 is stored. A key is 32 random bytes, so there is nothing to guess that a slow hash would protect
(see ``payonce.merchants.api_keys``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, NotFound, Unauthenticated, WriteConflict
from payonce.domain.principals import OPERATOR_PREFIX, principal_name
from payonce.paging import every_item
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Clock, Database, Item, Key, Write

KEY_PREFIX = "poc_"
KEY_RANDOM_BYTES = 32
OPERATORS_PARTITION = "OPERATORS"
MERCHANT_FORM = re.compile(r"mer_[0-9A-HJKMNP-TV-Z]{26}")
_KEY_FORM = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{43}}")
_NOBODY = "-"  # no operator's name, which has a letter or a digit
_PAGE_SIZE = 100
_REFUSED = "This is no key of an operator, or no longer. Keys look like poc_ and 43 characters."


class Role(StrEnum):
    """What an operator may do. Each role may do what the roles before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"

    def includes(self, other: Role) -> bool:
        """Return whether who has this role may do what ``other`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person who uses the console. ``merchant_id`` is the one merchant that is shown, or ``None`` for all.

    ``key_hash`` is the SHA-256 (hex) of the key in use. Times are epoch milliseconds.
    """

    name: str
    role: Role
    merchant_id: str | None
    key_hash: str
    created_at_ms: int
    disabled_at_ms: int | None = None

    @property
    def principal(self) -> str:
        """The principal of what the operator does, as the command's ``--operator`` names it."""
        return OPERATOR_PREFIX + self.name


def hash_key(key: str) -> str:
    """Return the SHA-256 (hex) under which a key is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def operator_key(name: str) -> Key:
    """Return the key of an operator's item. All operators are one partition, which lists them without a scan."""
    return {"pk": OPERATORS_PARTITION, "sk": name}


def operator_from(item: Item) -> Operator:
    """Return the operator that is stored as ``item``."""
    return Operator(
        name=item["sk"],
        role=Role(item["role"]),
        merchant_id=item["merchant_id"],
        key_hash=item["key_hash"],
        created_at_ms=item["created_at_ms"],
        disabled_at_ms=item.get("disabled_at_ms"),
    )


def random_text(random_bytes: Callable[[int], bytes]) -> str:
    """Return 32 random bytes as 43 characters that a URL, a cookie and a header can hold."""
    return base64.urlsafe_b64encode(random_bytes(KEY_RANDOM_BYTES)).decode().rstrip("=")


class Operators:
    """Adds, lists, disables and authenticates operators."""

    def __init__(self, *, database: Database, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    def add(self, name: str, role: Role, merchant_id: str | None = None, *, audited: Sequence[Write] = ()) -> str:
        """Store an operator and return the key, which can't be shown again. ``audited`` is written with it.

        An operator who was disabled gets a new key, and the role and merchant that are named now; the old key and all
        sessions stay ended. Raises ``BodyMalformed`` for an unclear name, for one that is in use, and for what is no
        merchant's id, and ``NotFound`` when there is no such merchant.
        """
        name = principal_name(name, "The operator's name")
        if not any(map(str.isalnum, name)):
            raise BodyMalformed("The operator's name has no letter and no digit.")
        self._require_merchant(merchant_id)
        key = KEY_PREFIX + random_text(self._random_bytes)
        now_ms = self._clock.now_ms()
        known = self.find(name)
        if known is not None and known.disabled_at_ms is None:
            raise BodyMalformed(f"There is an operator {name} already. Disable it first to give out a new key.")
        members = {
            "role": role.value,
            "merchant_id": merchant_id,
            "key_hash": hash_key(key),
            "created_at_ms": now_ms,
        }
        written: Write = Insert(Table.CONSOLE, {**operator_key(name), **members})
        if known is not None:
            written = Adjust(
                table=Table.CONSOLE,
                key=operator_key(name),
                require={"disabled_at_ms": known.disabled_at_ms},
                set=members,
                remove=("disabled_at_ms",),
            )
        named: Write = Insert(Table.CONSOLE, {"pk": f"KEY#{hash_key(key)}", "sk": "KEY", "name": name})
        try:
            self._database.write([written, named, *audited])
        except WriteConflict:
            raise BodyMalformed(f"Somebody else added {name} at the same time. Look with: operators list.") from None
        return key

    def find(self, name: str) -> Operator | None:
        """Return the operator, disabled or not, or ``None``."""
        item = self._database.get(Table.CONSOLE, operator_key(name))
        return operator_from(item) if item else None

    def list(self) -> list[Operator]:
        """Return all operators by name, those who are disabled too."""
        items = every_item(
            lambda start: self._database.query(
                Table.CONSOLE, partition=("pk", OPERATORS_PARTITION), limit=_PAGE_SIZE, start=start
            )
        )
        return [operator_from(item) for item in items]

    def disable(self, name: str, *, audited: Sequence[Write] = ()) -> Operator:
        """End the operator's key and, with the next request, each session. Idempotent. Raises ``NotFound``."""
        known = self.find(principal_name(name, "The operator's name"))
        if known is None:
            raise NotFound(f"There is no operator {name}. List them with: operators list.")
        if known.disabled_at_ms is None:
            ended = Adjust(
                table=Table.CONSOLE, key=operator_key(known.name), set={"disabled_at_ms": self._clock.now_ms()}
            )
            self._database.write([ended, *audited])
        return known

    def authenticate(self, key: str) -> Operator:
        """Return the operator whose key this is. Raises ``Unauthenticated``, without the reason.

        The hashes are compared in constant time, and a key that nobody has costs the same reads as one that is known.
        """
        if not _KEY_FORM.fullmatch(key):
            raise Unauthenticated(_REFUSED)
        hashed = hash_key(key)
        item = self._database.get(Table.CONSOLE, {"pk": f"KEY#{hashed}", "sk": "KEY"})
        found = self.find(item["name"] if item else _NOBODY)
        if found is None or not hmac.compare_digest(found.key_hash, hashed) or found.disabled_at_ms is not None:
            raise Unauthenticated(_REFUSED)
        return found

    def _require_merchant(self, merchant_id: str | None) -> None:
        if merchant_id is None:
            return
        if not MERCHANT_FORM.fullmatch(merchant_id):
            raise BodyMalformed("A merchant's id looks like mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA.")
        if self._database.get(Table.MERCHANTS, {"pk": f"MERCHANT#{merchant_id}", "sk": "MERCHANT"}) is None:
            raise NotFound(f"There is no merchant {merchant_id}.")
