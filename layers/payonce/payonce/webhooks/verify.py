"""For consumers: verifies that a webhook comes from the sender, complete and recent.

Needs no AWS and, for shared secrets, nothing but the standard library::

    verifier = Verifier([os.environ["WEBHOOK_SECRET"]])
    webhook = verifier.verify(request.headers, request.body)    # raises WebhookRejected, and nothing else

The body must be the received bytes: after parsing and serializing it again, the signature does not match.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import MisconfiguredError
from payonce.extras import needs
from payonce.webhooks.rejections import (
    BodyMalformed,
    BodyTooLarge,
    HeaderMalformed,
    HeaderMissing,
    SignatureMismatch,
    TimestampOutsideTolerance,
)
from payonce.webhooks.signing import (
    ED25519_SIGNATURE_BYTES,
    HEADER_ID,
    HEADER_SIGNATURE,
    HEADER_TIMESTAMP,
    HmacKey,
    VerifyingKey,
    ed25519,
    is_message_id,
    parse_verifying_key,
    signed_content,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_TOLERANCE_SECONDS = 300  # the default of the specification's libraries
MAX_TOLERANCE_SECONDS = 3600  # every attempt has a new timestamp, so a longer tolerance only helps replay attacks
DEFAULT_MAX_BODY_BYTES = 256 * 1024  # the maximum size of an SQS message, in which our events travel
# Bounds the computation per unauthenticated request: each Ed25519 check hashes the whole body.
MAX_KEYS = 8
MAX_SIGNATURES = 8
MAX_SIGNATURE_HEADER_CHARACTERS = 2048
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)  # enough until the year 33658


@dataclass(frozen=True, slots=True)
class VerifiedWebhook:
    """A verified webhook: its ``id`` (the same for every redelivery), the time it was sent, in seconds since the epoch,
    the body as received, and the event in it.
    """

    id: str
    timestamp: int
    body: bytes = field(repr=False)
    event: dict[str, Any] = field(repr=False)


class Verifier:
    """Verifies webhooks against ``keys``: at most eight ``whsec_...`` and ``whpk_...`` texts or parsed keys.

    Pass both the old and the new key during a rotation. ``clock`` returns seconds since the epoch. Raises
    ``MisconfiguredError`` when there is no key, for a malformed key, for a tolerance outside 1-3600 seconds, and for an
    Ed25519 key when the package ``cryptography`` is missing.
    """

    def __init__(
        self,
        keys: Sequence[str | VerifyingKey],
        tolerance_seconds: int = DEFAULT_TOLERANCE_SECONDS,
        clock: Callable[[], float] = time.time,
        *,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> None:
        if isinstance(keys, str) or not 1 <= len(keys) <= MAX_KEYS:
            raise MisconfiguredError(f"A verifier takes a list of 1 to {MAX_KEYS} keys.")
        if not 1 <= tolerance_seconds <= MAX_TOLERANCE_SECONDS:
            raise MisconfiguredError(f"tolerance_seconds must be from 1 to {MAX_TOLERANCE_SECONDS}.")
        parsed = [parse_verifying_key(key) if isinstance(key, str) else key for key in keys]
        self._hmac_keys = [key for key in parsed if isinstance(key, HmacKey)]
        self._public_keys = [_loaded(key.raw) for key in parsed if not isinstance(key, HmacKey)]
        self._tolerance_seconds = tolerance_seconds
        self._clock = clock
        self._max_body_bytes = max_body_bytes

    def verify(self, headers: Mapping[Any, Any] | Iterable[Any], body: bytes | str) -> VerifiedWebhook:
        """Return the webhook. Raises only ``WebhookRejected``, whatever ``headers`` and ``body`` are.

        ``headers``: a mapping or (name, value) pairs, with names in any case; names and values may be text or bytes,
        values also lists of them. ``body``: the received bytes; a text is encoded as UTF-8.
        """
        found = _our_headers(headers)
        message_id = _single(found, HEADER_ID)
        if not is_message_id(message_id):
            raise HeaderMalformed("webhook-id is not 1-256 visible ASCII characters without a full stop.")
        timestamp = _single(found, HEADER_TIMESTAMP)
        if not _TIMESTAMP.fullmatch(timestamp) or (timestamp[0] == "0" and timestamp != "0"):
            raise HeaderMalformed("webhook-timestamp is not whole seconds since the epoch.")
        signatures = _signatures(found)
        if not abs(self._clock() - int(timestamp)) <= self._tolerance_seconds:
            raise TimestampOutsideTolerance(
                f"webhook-timestamp is more than {self._tolerance_seconds} seconds away from this clock. "
                "Check that the clock is right; a recorded webhook played again is refused like this."
            )
        raw = self._body(body)
        content = signed_content(message_id, int(timestamp), raw)
        if not (self._any_hmac(signatures, content) or self._any_ed25519(signatures, content)):
            raise SignatureMismatch(
                "No signature is by any of the keys. Check that the keys are the endpoint's, and that the body is the "
                "bytes that came, not parsed and written again."
            )
        return VerifiedWebhook(id=message_id, timestamp=int(timestamp), body=raw, event=_event(raw))

    def _body(self, body: object) -> bytes:
        if isinstance(body, str):
            try:
                body = body.encode()
            except UnicodeEncodeError:
                raise BodyMalformed("The body is text that no bytes stand for. Give the bytes that came.") from None
        if not isinstance(body, bytes | bytearray):
            raise BodyMalformed("The body is neither bytes nor text. Give the bytes that came, not what was parsed.")
        if len(body) > self._max_body_bytes:
            raise BodyTooLarge(f"The body is over {self._max_body_bytes} bytes.")
        return bytes(body)

    def _any_hmac(self, signatures: list[str], content: bytes) -> bool:
        expected = [key.sign(content).encode() for key in self._hmac_keys]
        # compare_digest takes constant time: otherwise an attacker could guess a signature byte by byte.
        return any(hmac.compare_digest(good, given.encode()) for good in expected for given in signatures)

    def _any_ed25519(self, signatures: list[str], content: bytes) -> bool:
        raw = [decoded for given in signatures if (decoded := _ed25519_signature(given)) is not None]
        return any(_is_by(key, signature, content) for key in self._public_keys for signature in raw)


def _loaded(raw: bytes) -> Any:
    try:
        return ed25519().Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise MisconfiguredError("This whpk_ key is not an ed25519 public key.") from error


def _is_by(key: Any, signature: bytes, content: bytes) -> bool:
    with needs("ed25519"):
        from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _our_headers(headers: object) -> dict[str, list[str]]:
    if isinstance(headers, Mapping):
        headers = headers.items()
    if not isinstance(headers, Iterable):
        raise HeaderMissing("There are no headers: give a mapping, or (name, value) pairs.")
    found: dict[str, list[str]] = {}
    for pair in headers:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise HeaderMalformed("The headers are neither a mapping nor (name, value) pairs.")
        name = (_text(pair[0]) or "").lower()
        if name in (HEADER_ID, HEADER_TIMESTAMP, HEADER_SIGNATURE):
            found.setdefault(name, []).extend(_values(name, pair[1]))
    return found


def _values(name: str, value: object) -> list[str]:
    values = [_text(each) for each in (value if isinstance(value, tuple | list) else [value])]
    if any(each is None or not each.isascii() for each in values):
        raise HeaderMalformed(f"{name} is not ASCII text.")
    return [each.strip(" \t") for each in values if each]


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("latin-1")  # never fails; a later check refuses non-ASCII
    return value if isinstance(value, str) else None


def _single(found: Mapping[str, list[str]], name: str) -> str:
    values = set(found.get(name, ())) - {""}
    if not values:
        raise HeaderMissing(f"{name} is missing.")
    if len(values) > 1:
        raise HeaderMalformed(f"{name} is there twice, with different values.")
    return values.pop()


def _signatures(found: Mapping[str, list[str]]) -> list[str]:
    text = " ".join(found.get(HEADER_SIGNATURE, ()))
    if len(text) > MAX_SIGNATURE_HEADER_CHARACTERS:
        raise HeaderMalformed(f"webhook-signature is over {MAX_SIGNATURE_HEADER_CHARACTERS} characters.")
    signatures = text.split()
    if not signatures:
        raise HeaderMissing("webhook-signature is missing.")
    if len(signatures) > MAX_SIGNATURES:
        raise HeaderMalformed(f"webhook-signature holds more than {MAX_SIGNATURES} signatures.")
    return signatures  # a signature of an unknown version matches no key; a sender may add one


def _ed25519_signature(given: str) -> bytes | None:
    version, _, encoded = given.partition(",")
    if version != "v1a":
        return None
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return raw if len(raw) == ED25519_SIGNATURE_BYTES else None


def _event(raw: bytes) -> dict[str, Any]:
    try:
        event = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise BodyMalformed("The webhook is the sender's, but its body is not a JSON object.")
    return event


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
