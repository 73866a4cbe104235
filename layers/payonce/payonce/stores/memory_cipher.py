"""The cipher port with a key in memory, for tests and local runs: the same format as with KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import SecretNotOpened, StoreUnavailable
from payonce.extras import needs
from payonce.stores.sealing import DATA_KEY_BYTES, NONCE_BYTES, DataKeys, EnvelopeSealing, aes_gcm, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Clock


class LocalDataKeys(DataKeys):
    """Data keys wrapped by a local key. ``disabled`` refuses as a disabled KMS key does; ``calls`` counts."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._key = random(DATA_KEY_BYTES)
        self.disabled = False
        self.calls = 0

    def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """See ``DataKeys``."""
        self.calls += 1
        if self.disabled:
            raise StoreUnavailable("The key is disabled. Nothing was stored.")
        plaintext, nonce = self._random(DATA_KEY_BYTES), self._random(NONCE_BYTES)
        return plaintext, nonce + aes_gcm(self._key).encrypt(nonce, plaintext, canonical(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """See ``DataKeys``."""
        with needs("functions"):
            from cryptography.exceptions import InvalidTag

        self.calls += 1
        if self.disabled:
            raise SecretNotOpened("The key is disabled.")
        nonce, ciphertext = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            plaintext: bytes = aes_gcm(self._key).decrypt(nonce, ciphertext, canonical(context))
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise SecretNotOpened("The data key belongs to another context, or was changed.") from None
        return plaintext


class MemoryCipher(EnvelopeSealing):
    """The cipher port (``payonce.ports.Cipher``). What it has sealed is lost with the process."""

    def __init__(self, clock: Clock, random: Callable[[int], bytes]) -> None:
        self.data_keys = LocalDataKeys(random)
        super().__init__(self.data_keys, clock, random)
