"""Signatures of Standard Webhooks (specification 1.0.0): who signs proves that id, time and body are the sender's.

::

    signed content      <webhook-id>.<webhook-timestamp>.<body bytes>
    webhook-signature   v1,<base64 of HMAC-SHA256> v1a,<base64 of an ed25519 signature> ...

Needs the standard library alone; ``cryptography`` is imported when an ed25519 key is first used, so that a function
which signs with HMAC starts without it. Keys compare and hash like the values they are, and never show their secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.endpoint import KeyKind
from payonce.domain.errors import MisconfiguredError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEADER_ID = "webhook-id"
HEADER_TIMESTAMP = "webhook-timestamp"
HEADER_SIGNATURE = "webhook-signature"

HMAC_PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
MIN_HMAC_BYTES = 24  # the specification's bounds
MAX_HMAC_BYTES = 64
NEW_HMAC_BYTES = 32  # the length of SHA-256's output: a longer key adds no strength (RFC 2104, section 3)
ED25519_KEY_BYTES = 32  # RFC 8032, section 5.1.5
ED25519_PAIR_BYTES = 64  # private and public key together, as libsodium and its kin keep them
ED25519_SIGNATURE_BYTES = 64

MAX_ID_CHARACTERS = 256  # ours have 68; an id is a consumer's database key
# A full stop in the id would let one signature stand for two splits of id, timestamp and body.
_ID = re.compile(rf"[!-\-/-~]{{1,{MAX_ID_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A shared secret of 24 to 64 bytes, which both signs and verifies (``v1``). Raises ``MisconfiguredError``."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not MIN_HMAC_BYTES <= len(self.secret) <= MAX_HMAC_BYTES:
            raise MisconfiguredError(
                f"A webhook secret has from {MIN_HMAC_BYTES} to {MAX_HMAC_BYTES} bytes; this one has not."
            )

    @property
    def kind(self) -> KeyKind:
        """The identifier of its signatures."""
        return KeyKind.HMAC_SHA256

    def text(self) -> str:
        """Return ``whsec_...``. It is the secret: show it once, log it never."""
        return HMAC_PREFIX + _encode(self.secret)

    def sign(self, content: bytes) -> str:
        """Return ``v1,<base64>``."""
        return f"{self.kind},{_encode(hmac.digest(self.secret, content, hashlib.sha256))}"


@dataclass(frozen=True, slots=True)
class Ed25519SigningKey:
    """A private key (``v1a``), as the 32 bytes of RFC 8032. Raises ``MisconfiguredError`` for another length."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_length(self.seed, "private")

    @property
    def kind(self) -> KeyKind:
        """The identifier of its signatures."""
        return KeyKind.ED25519

    def text(self) -> str:
        """Return ``whsk_...``. It is the secret, and the sender's alone."""
        return PRIVATE_PREFIX + _encode(self.seed)

    def sign(self, content: bytes) -> str:
        """Return ``v1a,<base64>``. Raises ``MisconfiguredError`` when ``cryptography`` is missing."""
        private = ed25519().Ed25519PrivateKey.from_private_bytes(self.seed)
        return f"{self.kind},{_encode(private.sign(content))}"


@dataclass(frozen=True, slots=True)
class Ed25519PublicKey:
    """What a consumer verifies ``v1a`` with. Not a secret. Raises ``MisconfiguredError`` for another length."""

    raw: bytes

    def __post_init__(self) -> None:
        _check_length(self.raw, "public")

    @property
    def kind(self) -> KeyKind:
        """The identifier of the signatures it verifies."""
        return KeyKind.ED25519

    def text(self) -> str:
        """Return ``whpk_...``."""
        return PUBLIC_PREFIX + _encode(self.raw)


type SigningKey = HmacKey | Ed25519SigningKey
type VerifyingKey = HmacKey | Ed25519PublicKey


def new_hmac_secret(random_bytes: Callable[[int], bytes]) -> HmacKey:
    """Return a fresh shared secret from a source of unguessable bytes, such as ``os.urandom``."""
    return HmacKey(random_bytes(NEW_HMAC_BYTES))


def new_ed25519_key(random_bytes: Callable[[int], bytes]) -> Ed25519SigningKey:
    """Return a fresh private key from a source of unguessable bytes, such as ``os.urandom``."""
    return Ed25519SigningKey(random_bytes(ED25519_KEY_BYTES))


def public_key_of(private: Ed25519SigningKey) -> Ed25519PublicKey:
    """Return the public key. Raises ``MisconfiguredError`` when ``cryptography`` is missing."""
    return Ed25519PublicKey(
        ed25519().Ed25519PrivateKey.from_private_bytes(private.seed).public_key().public_bytes_raw()
    )


def parse_signing_key(text: str) -> SigningKey:
    """Return the key that ``whsec_...`` or ``whsk_...`` stands for. Raises ``MisconfiguredError``, without the text."""
    if text.startswith(HMAC_PREFIX):
        return HmacKey(_decode(text, HMAC_PREFIX))
    if text.startswith(PRIVATE_PREFIX):
        raw = _decode(text, PRIVATE_PREFIX)
        private = Ed25519SigningKey(raw[:ED25519_KEY_BYTES] if len(raw) == ED25519_PAIR_BYTES else raw)
        # A pair whose halves differ would sign what the consumer's public key does not verify.
        if len(raw) == ED25519_PAIR_BYTES and public_key_of(private).raw != raw[ED25519_KEY_BYTES:]:
            raise MisconfiguredError("The halves of this whsk_ key pair do not belong together.")
        return private
    raise MisconfiguredError(f"A webhook signing key starts with {HMAC_PREFIX} or {PRIVATE_PREFIX}; this one does not.")


def parse_verifying_key(text: str) -> VerifyingKey:
    """Return the key that ``whsec_...`` or ``whpk_...`` stands for. Raises ``MisconfiguredError``, without the text."""
    if text.startswith(HMAC_PREFIX):
        return HmacKey(_decode(text, HMAC_PREFIX))
    if text.startswith(PUBLIC_PREFIX):
        return Ed25519PublicKey(_decode(text, PUBLIC_PREFIX))
    raise MisconfiguredError(
        f"A webhook verification key starts with {HMAC_PREFIX} or {PUBLIC_PREFIX}; this one does not."
    )


def is_message_id(text: str) -> bool:
    """Return whether ``text`` can be a webhook-id: 1-256 visible ASCII characters, and no full stop."""
    return _ID.fullmatch(text) is not None


def signed_content(message_id: str, timestamp_seconds: int, body: bytes) -> bytes:
    """Return what is signed. Raises ``ValueError`` for an id or a time that could be read in two ways."""
    if not is_message_id(message_id):
        raise ValueError("a webhook-id has 1-256 visible ASCII characters and no full stop")
    if type(timestamp_seconds) is not int or timestamp_seconds < 0:
        raise ValueError("timestamp_seconds must be whole seconds since the epoch")
    return f"{message_id}.{timestamp_seconds}.".encode() + body


def signature_header(message_id: str, timestamp_seconds: int, body: bytes, keys: Sequence[SigningKey]) -> str:
    """Return the value of webhook-signature: one signature for each key, in their order, separated by spaces.

    While a key is being replaced, old and new sign together, so that a consumer with either can verify::

        keys     [old]        [new, old]          [new]
        ─────────────────┬──────────────────┬──────────────▶
                      rotated         overlap is over
        consumer  old ........ changes over ........ new

    Raises ``ValueError`` without a key, ``MisconfiguredError`` when ``cryptography`` is needed and missing.
    """
    if not keys:
        raise ValueError("a webhook is never sent unsigned: give at least one key")
    content = signed_content(message_id, timestamp_seconds, body)
    return " ".join(key.sign(content) for key in keys)


def webhook_headers(message_id: str, timestamp_seconds: int, body: bytes, keys: Sequence[SigningKey]) -> dict[str, str]:
    """Return webhook-id, webhook-timestamp and webhook-signature. Raises as ``signature_header``."""
    return {
        HEADER_ID: message_id,
        HEADER_TIMESTAMP: str(timestamp_seconds),
        HEADER_SIGNATURE: signature_header(message_id, timestamp_seconds, body, keys),
    }


def ed25519() -> Any:
    """Return the module that has ed25519. Raises ``MisconfiguredError`` when ``cryptography`` is not installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519 as module
    except ImportError as error:
        raise MisconfiguredError(
            "ed25519 signatures (v1a) need the package cryptography. Install it, or use a whsec_ secret."
        ) from error
    return module


def _check_length(key: bytes, name: str) -> None:
    if len(key) != ED25519_KEY_BYTES:
        raise MisconfiguredError(f"A {name} ed25519 key has {ED25519_KEY_BYTES} bytes; this one has {len(key)}.")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decode(text: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        # The cause is dropped on purpose: a parser's message may quote the secret.
        raise MisconfiguredError(f"What follows {prefix} is not base64. Copy the key again, whole.") from None
