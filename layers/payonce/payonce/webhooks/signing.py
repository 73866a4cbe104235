"""Signatures of Standard Webhooks (specification 1.0.0), which prove that id, time and body come from the sender.

::

    signed content      <webhook-id>.<webhook-timestamp>.<body bytes>
    webhook-signature   v1,<base64 of HMAC-SHA256> v1a,<base64 of an ed25519 signature> ...

Only the standard library is needed. ``cryptography`` is imported when an Ed25519 key is first used, so that a function
which signs with HMAC starts without it. Keys compare and hash by value, and their repr never shows the secret.
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
from payonce.domain.errors import MisconfiguredError, PackageMissing
from payonce.extras import needs

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
NEW_HMAC_BYTES = 32  # the length of SHA-256's output: a longer key is no stronger (RFC 2104, section 3)
ED25519_KEY_BYTES = 32  # RFC 8032, section 5.1.5
ED25519_PAIR_BYTES = 64  # private and public key together, the format of libsodium and similar libraries
ED25519_SIGNATURE_BYTES = 64

MAX_ID_CHARACTERS = 256  # ours have 68; consumers use the id as a database key
# A full stop in the id would make a signature valid for two different splits into id, timestamp and body.
_ID = re.compile(rf"[!-\-/-~]{{1,{MAX_ID_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A shared secret of 24 to 64 bytes, which signs and verifies (``v1``). Raises ``MisconfiguredError`` otherwise."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not MIN_HMAC_BYTES <= len(self.secret) <= MAX_HMAC_BYTES:
            raise MisconfiguredError(
                f"A webhook secret has from {MIN_HMAC_BYTES} to {MAX_HMAC_BYTES} bytes; this one has not."
            )

    @property
    def kind(self) -> KeyKind:
        """The kind of its signatures."""
        return KeyKind.HMAC_SHA256

    def text(self) -> str:
        """Return ``whsec_...``. This is the secret: show it once, and never log it."""
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
        """The kind of its signatures."""
        return KeyKind.ED25519

    def text(self) -> str:
        """Return ``whsk_...``. This is the secret, which only the sender may have."""
        return PRIVATE_PREFIX + _encode(self.seed)

    def sign(self, content: bytes) -> str:
        """Return ``v1a,<base64>``. Raises ``MisconfiguredError`` when ``cryptography`` is missing."""
        private = ed25519().Ed25519PrivateKey.from_private_bytes(self.seed)
        return f"{self.kind},{_encode(private.sign(content))}"


@dataclass(frozen=True, slots=True)
class Ed25519PublicKey:
    """The public key with which a consumer verifies ``v1a``. Raises ``MisconfiguredError`` for a wrong length."""

    raw: bytes

    def __post_init__(self) -> None:
        _check_length(self.raw, "public")

    @property
    def kind(self) -> KeyKind:
        """The kind of the signatures that it verifies."""
        return KeyKind.ED25519

    def text(self) -> str:
        """Return ``whpk_...``."""
        return PUBLIC_PREFIX + _encode(self.raw)


type SigningKey = HmacKey | Ed25519SigningKey
type VerifyingKey = HmacKey | Ed25519PublicKey


def new_hmac_secret(random_bytes: Callable[[int], bytes]) -> HmacKey:
    """Return a fresh shared secret. ``random_bytes`` returns unpredictable bytes, like ``os.urandom``."""
    return HmacKey(random_bytes(NEW_HMAC_BYTES))


def new_ed25519_key(random_bytes: Callable[[int], bytes]) -> Ed25519SigningKey:
    """Return a fresh private key. ``random_bytes`` returns unpredictable bytes, like ``os.urandom``."""
    return Ed25519SigningKey(random_bytes(ED25519_KEY_BYTES))


def public_key_of(private: Ed25519SigningKey) -> Ed25519PublicKey:
    """Return the public key. Raises ``MisconfiguredError`` when ``cryptography`` is missing."""
    return Ed25519PublicKey(
        ed25519().Ed25519PrivateKey.from_private_bytes(private.seed).public_key().public_bytes_raw()
    )


def parse_signing_key(text: str) -> SigningKey:
    """Parse ``whsec_...`` or ``whsk_...``. Raises ``MisconfiguredError``, which never quotes the text."""
    if text.startswith(HMAC_PREFIX):
        return HmacKey(_decode(text, HMAC_PREFIX))
    if text.startswith(PRIVATE_PREFIX):
        raw = _decode(text, PRIVATE_PREFIX)
        private = Ed25519SigningKey(raw[:ED25519_KEY_BYTES] if len(raw) == ED25519_PAIR_BYTES else raw)
        # A pair whose halves do not match would sign what the consumer's public key can't verify.
        if len(raw) == ED25519_PAIR_BYTES and public_key_of(private).raw != raw[ED25519_KEY_BYTES:]:
            raise MisconfiguredError("The halves of this whsk_ key pair do not belong together.")
        return private
    raise MisconfiguredError(f"A webhook signing key starts with {HMAC_PREFIX} or {PRIVATE_PREFIX}; this one does not.")


def parse_verifying_key(text: str) -> VerifyingKey:
    """Parse ``whsec_...`` or ``whpk_...``. Raises ``MisconfiguredError``, which never quotes the text."""
    if text.startswith(HMAC_PREFIX):
        return HmacKey(_decode(text, HMAC_PREFIX))
    if text.startswith(PUBLIC_PREFIX):
        return Ed25519PublicKey(_decode(text, PUBLIC_PREFIX))
    raise MisconfiguredError(
        f"A webhook verification key starts with {HMAC_PREFIX} or {PUBLIC_PREFIX}; this one does not."
    )


def is_message_id(text: str) -> bool:
    """Return whether ``text`` is a valid webhook-id: 1-256 visible ASCII characters without a full stop."""
    return _ID.fullmatch(text) is not None


def signed_content(message_id: str, timestamp_seconds: int, body: bytes) -> bytes:
    """Return the bytes to sign. Raises ``ValueError`` for an id or time that would make them ambiguous."""
    if not is_message_id(message_id):
        raise ValueError("a webhook-id has 1-256 visible ASCII characters and no full stop")
    if type(timestamp_seconds) is not int or timestamp_seconds < 0:
        raise ValueError("timestamp_seconds must be whole seconds since the epoch")
    return f"{message_id}.{timestamp_seconds}.".encode() + body


def signature_header(message_id: str, timestamp_seconds: int, body: bytes, keys: Sequence[SigningKey]) -> str:
    """Return the value of webhook-signature: one signature per key, in order, separated by spaces.

    During a rotation the old and the new key both sign, so that a consumer with either key can verify::

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
    """Return webhook-id, webhook-timestamp and webhook-signature. Raises the errors of ``signature_header``."""
    return {
        HEADER_ID: message_id,
        HEADER_TIMESTAMP: str(timestamp_seconds),
        HEADER_SIGNATURE: signature_header(message_id, timestamp_seconds, body, keys),
    }


def ed25519() -> Any:
    """Return the Ed25519 module. Raises ``MisconfiguredError`` when ``cryptography`` is not installed."""
    try:
        with needs("ed25519"):
            from cryptography.hazmat.primitives.asymmetric import ed25519 as module
    except PackageMissing as missing:
        raise MisconfiguredError(
            f"ed25519 signatures (v1a) can not be used: {missing.detail}. Or use a whsec_ secret."
        ) from None
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
