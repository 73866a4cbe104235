"""Merchants and API keys: a command creates them, and the authorizer looks them up. Only a key's hash is stored.

A key is 32 random bytes, so a plain SHA-256 is enough: there is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, NotFound, Unauthenticated
from payonce.domain.principals import is_visible, principal_name
from payonce.merchants.directory import entry_of_key, entry_of_merchant, hash_of_key
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Clock, Database, IdSource, Item, Key

SCOPES = (
    "payments:read",
    "payments:write",
    "refunds:write",
    "balances:read",
    "events:read",
    "webhooks:read",
    "webhooks:write",
    "idempotency:read",
    "breaks:read",
    "breaks:write",
    "breaks:approve",
    "proxy:use",
)
KEY_PREFIX = "po_"
KEY_RANDOM_BYTES = 32
_KEY_FORM = re.compile(r"po_[A-Za-z0-9_-]{43}")
_GATEWAY_NAME = re.compile(r"[a-z0-9_-]{0,40}")
MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller: its merchant, the key's scopes, and the gateway the merchant is routed to ("" for the default).

    ``holder`` is the person who holds the key, or "" when nobody was named: the key then may be anybody's of the
    merchant's, and decides about no other key's proposal.
    ``usage_key`` is the merchant's key in the usage plan, or "" when the merchant has none.
    """

    merchant_id: str
    key_id: str
    scopes: tuple[str, ...]
    gateway: str
    holder: str = ""
    usage_key: str = ""


def hash_api_key(api_key: str) -> str:
    """Return the SHA-256 (hex) under which a key is stored."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def _merchant_key(merchant_id: str) -> Key:
    return {"pk": f"MERCHANT#{merchant_id}", "sk": "MERCHANT"}


class Merchants:
    """Creates merchants and keys, and authenticates keys."""

    def __init__(
        self, *, database: Database, clock: Clock, ids: IdSource, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._random_bytes = random_bytes

    def create_merchant(self, name: str, *, gateway: str = "") -> str:
        """Store a merchant and return its id. Raises ``BodyMalformed`` for an unusable name or gateway."""
        if not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS or not all(map(is_visible, name)):
            raise BodyMalformed(f"A merchant's name has 1 to {MAX_NAME_CHARACTERS} characters, all of which show.")
        if not _GATEWAY_NAME.fullmatch(gateway):
            raise BodyMalformed("A gateway's name has up to 40 characters of a-z, 0-9, _ and -.")
        merchant_id = self._ids.new("mer")
        self._database.write(
            [
                Insert(
                    Table.MERCHANTS,
                    {
                        **_merchant_key(merchant_id),
                        "name": name,
                        "gateway": gateway,
                        "created_at_ms": self._clock.now_ms(),
                    },
                ),
                Insert(Table.MERCHANTS, entry_of_merchant(merchant_id)),
            ]
        )
        return merchant_id

    def usage_key(self, merchant_id: str) -> str:
        """Return the merchant's key in the usage plan, or "" when it has none. Raises ``NotFound``."""
        return str(self._merchant(merchant_id).get("usage_key", ""))

    def set_usage_key(self, merchant_id: str, usage_key: str) -> None:
        """Store the merchant's key in the usage plan, which must contain it. API keys created from now on carry it."""
        self._database.write(
            [Adjust(table=Table.MERCHANTS, key=_merchant_key(merchant_id), set={"usage_key": usage_key})]
        )

    def _merchant(self, merchant_id: str) -> Item:
        merchant = self._database.get(Table.MERCHANTS, _merchant_key(merchant_id))
        if merchant is None:
            raise NotFound(f"There is no merchant {merchant_id}.")
        return merchant

    def create_api_key(self, merchant_id: str, scopes: Sequence[str] = SCOPES, *, holder: str = "") -> tuple[str, str]:
        """Store a new key of the merchant and return (key id, key). The key can't be shown again.

        ``holder`` is the person who holds the key. Where two people must decide, one holder's keys count as one person,
        and a key without a holder as nobody else than whoever proposed with another key.
        Raises ``NotFound`` when there is no such merchant, and ``BodyMalformed`` for an unknown scope or unclear name.
        """
        held_by = {"holder": principal_name(holder, "The holder's name")} if holder else {}
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise BodyMalformed(f"Unknown scopes {unknown}; known are {', '.join(SCOPES)}.")
        merchant = self._merchant(merchant_id)
        random = base64.urlsafe_b64encode(self._random_bytes(KEY_RANDOM_BYTES)).decode().rstrip("=")
        api_key = KEY_PREFIX + random
        key_id = self._ids.new("key")
        # The key's item carries everything that the authorizer needs, so that authentication costs one read.
        self._database.write(
            [
                Insert(
                    Table.MERCHANTS,
                    {
                        "pk": f"KEY#{hash_api_key(api_key)}",
                        "sk": "KEY",
                        "key_id": key_id,
                        "merchant_id": merchant_id,
                        "scopes": list(scopes),
                        "gateway": merchant["gateway"],
                        "enabled": True,
                        **held_by,
                        **({"usage_key": merchant["usage_key"]} if "usage_key" in merchant else {}),
                        "created_at_ms": self._clock.now_ms(),
                    },
                ),
                Insert(Table.MERCHANTS, entry_of_key(merchant_id, key_id, hash_api_key(api_key))),
            ]
        )
        return key_id, api_key

    def revoke_api_key(self, api_key_hash: str) -> None:
        """Disable the key with this hash. Raises ``WriteConflict`` when it does not exist."""
        self._database.write(
            [
                Adjust(
                    table=Table.MERCHANTS,
                    key={"pk": f"KEY#{api_key_hash}", "sk": "KEY"},
                    set={"enabled": False, "revoked_at_ms": self._clock.now_ms()},
                )
            ]
        )

    def revoke_key_of(self, merchant_id: str, key_id: str) -> None:
        """Disable the merchant's key with this id, for whom the key itself is not at hand. Raises ``NotFound``."""
        self.revoke_api_key(hash_of_key(self._database, merchant_id, key_id))

    def authenticate(self, authorization: str) -> Principal:
        """Return the principal of ``Authorization: Bearer po_...``. Raises ``Unauthenticated``, without the reason."""
        scheme, _, api_key = authorization.partition(" ")
        api_key = api_key.strip()
        if scheme.lower() != "bearer" or not _KEY_FORM.fullmatch(api_key):
            raise Unauthenticated("Send Authorization: Bearer <API key>.")
        item = self._database.get(Table.MERCHANTS, {"pk": f"KEY#{hash_api_key(api_key)}", "sk": "KEY"})
        if item is None or not item["enabled"]:
            raise Unauthenticated("Send Authorization: Bearer <API key>.")
        return Principal(
            merchant_id=item["merchant_id"],
            key_id=item["key_id"],
            scopes=tuple(item["scopes"]),
            gateway=item["gateway"],
            holder=str(item.get("holder", "")),
            usage_key=str(item.get("usage_key", "")),
        )
