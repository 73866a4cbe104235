"""Signs deliveries: opens an endpoint's sealed keys and makes the headers of Standard Webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import MisconfiguredError, SecretNotOpened
from payonce.webhooks.keys import key_context
from payonce.webhooks.signing import parse_signing_key, webhook_headers

if TYPE_CHECKING:
    from payonce.domain.endpoint import Endpoint
    from payonce.ports import Cipher, Clock


class Signer:
    """Makes the headers of a delivery."""

    def __init__(self, *, cipher: Cipher, clock: Clock) -> None:
        self._cipher = cipher
        self._clock = clock

    def headers(self, endpoint: Endpoint, event_id: str, body: bytes) -> dict[str, str]:
        """Return the headers for these bytes. The id is equal in every attempt, the time is now; each key signs.

        Raises ``SecretNotOpened`` when no key can be used, ``StoreUnavailable`` when the key service does not answer.
        """
        now_ms = self._clock.now_ms()
        keys = []
        for key in endpoint.active_keys(now_ms):
            context = key_context(endpoint.merchant_id, endpoint.endpoint_id, key.key_id)
            try:
                keys.append(parse_signing_key(self._cipher.open(key.sealed, context).decode("ascii")))
            except (MisconfiguredError, UnicodeDecodeError) as error:
                raise SecretNotOpened("A stored signing key is not a signing key.") from error
        if not keys:
            raise SecretNotOpened("The endpoint has no signing key. Rotate its secret.")
        return {
            "content-type": "application/json",
            **webhook_headers(event_id, now_ms // 1000, body, keys),
        }
