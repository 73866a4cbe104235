"""Envelope encryption of small secrets: the format, and the data keys in memory.

::

    sealed   "po" | version 1 | length of wrapped (2 bytes) | wrapped data key | nonce (12 bytes) | ciphertext and tag
             └──────────────────────── header ────────────────────────────────┘
    AES-256-GCM (NIST SP 800-38D), additional data: header and context, each part preceded by its length

A sealed text contains all that is needed to open it, except the context and the permission to unwrap. A data key serves
one merchant, a bounded number of secrets and a bounded time; each call of ``DataKeys`` costs money.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from payonce.domain.errors import SecretNotOpened
from payonce.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Clock

MAGIC = b"po\x01"
LENGTH_BYTES = 2
NONCE_BYTES = 12  # 96 bits, the size for which GCM is designed
TAG_BYTES = 16
DATA_KEY_BYTES = 32
MAX_WRAPPED_BYTES = 1024  # KMS's have about 200 bytes; a longer one is not worth a call
MAX_PLAINTEXT_BYTES = 64 * 1024  # it is stored in a DynamoDB item of at most 400 KB
AAD_DOMAIN = b"payonce/sealed/v1"  # separates this use of a key from any other

# The part of the context for which data keys are made, which CloudTrail shows, and by which a role can be limited:
# ``purpose`` names what is no webhook endpoint's. Only our format binds the rest, so that a merchant's endpoints share
# a data key, while merchants never do.
APPLICATION = ("application", "payonce")
AUDITED_NAMES = ("merchant_id", "purpose")

# How long a plaintext key stays in memory, and so how long a disabled KMS key still opens. One call per merchant in
# five minutes is cheap: $0.03 per 10,000.
DATA_KEY_LIFETIME_SECONDS = 300
MAX_SECRETS_PER_DATA_KEY = 1000  # what one leaked data key exposes; far below GCM's 2^32 random nonces per key
# In each direction: the merchants that one execution environment serves at a time; about 100 KB.
MAX_CACHED_DATA_KEYS = 256

type Context = Mapping[str, str]


class DataKeys(Protocol):
    """Makes and unwraps data keys. ``context`` is bound: a key wrapped for one unwraps for no other."""

    def generate(self, context: Context) -> tuple[bytes, bytes]:
        """Return a fresh key of 32 bytes, plain and wrapped. Raises ``StoreUnavailable``."""
        ...

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """Return the key. Raises ``SecretNotOpened`` if it is lost for good, ``StoreUnavailable`` if it may return."""
        ...


@dataclass(slots=True)
class _DataKey:
    plaintext: bytes = field(repr=False)
    wrapped: bytes
    expires_at_ms: int
    uses_left: int = MAX_SECRETS_PER_DATA_KEY


class _DataKeyCache[K]:
    """A cache of at most ``MAX_CACHED_DATA_KEYS`` data keys, each for its lifetime. Evicts the least recently used."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: OrderedDict[K, _DataKey] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, name: K) -> _DataKey | None:
        """Return the key, unless its uses or its lifetime are exhausted."""
        self._drop_expired()
        key = self._keys.get(name)
        if key is None or key.uses_left <= 0:
            return None
        self._keys.move_to_end(name)
        return key

    def add(self, name: K, plaintext: bytes, wrapped: bytes) -> _DataKey:
        """Keep a key for its lifetime."""
        key = _DataKey(plaintext, wrapped, self._clock.now_ms() + DATA_KEY_LIFETIME_SECONDS * 1000)
        self._keys[name] = key
        self._keys.move_to_end(name)
        while len(self._keys) > MAX_CACHED_DATA_KEYS:
            self._keys.popitem(last=False)
        return key

    def _drop_expired(self) -> None:
        now_ms = self._clock.now_ms()
        for name in [name for name, key in self._keys.items() if key.expires_at_ms <= now_ms]:
            del self._keys[name]


class EnvelopeSealing:
    """The port ``Cipher`` over ``data_keys``: seals and opens with data keys. Thread-safe."""

    def __init__(self, data_keys: DataKeys, clock: Clock, random: Callable[[int], bytes]) -> None:
        self._data_keys = data_keys
        self._random = random
        self._sealing: _DataKeyCache[bytes] = _DataKeyCache(clock)
        self._opening: _DataKeyCache[tuple[bytes, bytes]] = _DataKeyCache(clock)
        self._lock = threading.Lock()  # also held during a call for a key: threads that need the same one wait

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        """See ``Cipher``. Raises ``ValueError`` for more than 64 KB: this is for secrets."""
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise ValueError(f"a secret has at most {MAX_PLAINTEXT_BYTES} bytes")
        audited = _audited(context)
        with self._lock:
            name = canonical(audited)
            key = self._sealing.get(name) or self._sealing.add(name, *self._data_keys.generate(audited))
            key.uses_left -= 1
        header = MAGIC + len(key.wrapped).to_bytes(LENGTH_BYTES, "big") + key.wrapped
        nonce = self._random(NONCE_BYTES)
        ciphertext: bytes = aes_gcm(key.plaintext).encrypt(nonce, plaintext, _additional_data(header, context))
        return header + nonce + ciphertext

    def open(self, sealed: bytes, context: Context) -> bytes:
        """See ``Cipher``. Also raises ``StoreUnavailable`` when the key service does not answer."""
        header, wrapped, nonce, ciphertext = _split(sealed)
        audited = _audited(context)
        with self._lock:
            name = (wrapped, canonical(audited))
            key = self._opening.get(name)
            if key is None:
                key = self._opening.add(name, self._data_keys.unwrap(wrapped, audited), wrapped)
        return _decrypt(key.plaintext, nonce, ciphertext, _additional_data(header, context))


def _audited(context: Context) -> dict[str, str]:
    return {**{name: context[name] for name in AUDITED_NAMES if name in context}, APPLICATION[0]: APPLICATION[1]}


def _split(sealed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return header, wrapped key, nonce, and ciphertext with its tag."""
    start = len(MAGIC) + LENGTH_BYTES
    length = int.from_bytes(sealed[len(MAGIC) : start], "big")
    end = start + length
    whole = len(sealed) >= end + NONCE_BYTES + TAG_BYTES and 1 <= length <= MAX_WRAPPED_BYTES
    if not sealed.startswith(MAGIC) or not whole:
        raise SecretNotOpened("This is not a sealed secret of a version that is known, or it was cut short.")
    nonce_end = end + NONCE_BYTES
    return sealed[:end], sealed[start:end], sealed[end:nonce_end], sealed[nonce_end:]


def canonical(context: Context) -> bytes:
    """Return the canonical bytes of the context: sorted by name, every part preceded by its length."""
    parts = [part.encode() for name in sorted(context) for part in (name, context[name])]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _additional_data(header: bytes, context: Context) -> bytes:
    return AAD_DOMAIN + len(header).to_bytes(4, "big") + header + canonical(context)


def _decrypt(key: bytes, nonce: bytes, ciphertext: bytes, additional_data: bytes) -> bytes:
    with needs("functions"):
        from cryptography.exceptions import InvalidTag

    try:
        plaintext: bytes = aes_gcm(key).decrypt(nonce, ciphertext, additional_data)
    except InvalidTag:
        raise SecretNotOpened("The secret belongs to another context, or was changed.") from None
    return plaintext


def aes_gcm(key: bytes) -> Any:
    with needs("functions"):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
