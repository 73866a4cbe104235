"""Signature Version 4 of a JSON request to an AWS service.

"Create a signed AWS API request" in the IAM user guide:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, and the session's token of temporary credentials."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs POST requests to the root path of one service in one region."""

    def __init__(self, service: str, region: str, credentials: Callable[[], Credentials]) -> None:
        self._service = service
        self._region = region
        self._credentials = credentials
        # The key for a day's requests takes four HMACs, so the last one is kept with the secret and day it is made of.
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def sign(self, headers: Mapping[str, str], body: bytes, at_seconds: float) -> dict[str, str]:
        """Return ``headers`` with those of the signature.

        ``headers`` has lower-case names, the ``host`` among them, and all of them are signed. ``at_seconds`` is the
        epoch time at which the request is sent: AWS refuses a signature that is more than five minutes old.
        """
        credentials = self._credentials()
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_seconds))
        day = at[:8]
        signed = {**headers, "x-amz-date": at}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        listed = ";".join(names)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical = f"POST\n/\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = f"{ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._day_key(credentials.secret_key, day), text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _day_key(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._key
        if (known_secret, known_day) != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret, day, key)
        return key
