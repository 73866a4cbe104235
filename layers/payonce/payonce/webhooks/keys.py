"""New signing keys: generated, sealed for their place, and shown to the merchant once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NotRequired, TypedDict

from payonce.domain.endpoint import EndpointKey, KeyKind
from payonce.webhooks.signing import new_ed25519_key, new_hmac_secret, public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Cipher


def key_context(merchant_id: str, endpoint_id: str, key_id: str) -> dict[str, str]:
    """Return the context for which an endpoint's key is sealed: it opens for no other."""
    return {"merchant_id": merchant_id, "endpoint_id": endpoint_id, "key_id": key_id}


class ShownKey(TypedDict):
    """What a merchant verifies with, shown once: one of the two, by the kind of the key."""

    secret: NotRequired[Annotated[str, "whsec_...: what v1 signatures are verified with. Keep it now."]]
    public_key: NotRequired[Annotated[str, "whpk_...: what v1a signatures are verified with."]]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new sealed key, and the response members that show the merchant's part of it."""

    kind: KeyKind
    sealed: bytes
    public_key: str | None
    secret: str | None = field(repr=False)

    def stored(self, key_id: str, *, created_at_ms: int) -> EndpointKey:
        """Return the key in the form in which the endpoint stores it."""
        return EndpointKey(
            key_id=key_id,
            kind=self.kind,
            sealed=self.sealed,
            created_at_ms=created_at_ms,
            public_key=self.public_key,
        )

    def shown(self) -> ShownKey:
        """Return the key with which the merchant verifies: the shared secret (v1) or the public key (v1a)."""
        return {"secret": self.secret or ""} if self.public_key is None else {"public_key": self.public_key}


class KeyMaker:
    """Generates signing keys. ``random_bytes`` returns unpredictable bytes."""

    def __init__(self, cipher: Cipher, random_bytes: Callable[[int], bytes]) -> None:
        self.cipher = cipher
        self._random_bytes = random_bytes

    def new(self, kind: KeyKind, context: dict[str, str]) -> NewKey:
        """Return a new key, sealed in its text form (``whsec_...`` or ``whsk_...``). Raises ``StoreUnavailable``."""
        if kind is KeyKind.ED25519:
            private = new_ed25519_key(self._random_bytes)
            sealed = self.cipher.seal(private.text().encode(), context)
            return NewKey(kind, sealed, public_key_of(private).text(), None)
        secret = new_hmac_secret(self._random_bytes).text()
        return NewKey(kind, self.cipher.seal(secret.encode(), context), None, secret)
