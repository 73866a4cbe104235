"""Reads the gateways' credentials from Secrets Manager. They are kept in memory only and never logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from payonce.domain.errors import GatewayUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_secrets(get_secret_value: Callable[[str], Mapping[str, Any]], secret_id: str) -> Mapping[str, str]:
    """Return the credentials by name. Raises ``GatewayUnavailable`` when they can't be read or parsed."""
    try:
        text = get_secret_value(secret_id)["SecretString"]
        secrets: dict[str, str] = dict(json.loads(text))
    except (BotoCoreError, ClientError, ValueError, TypeError, KeyError):
        # The cause is dropped on purpose: a parser's message would quote the secret.
        raise GatewayUnavailable("The gateway's credentials could not be read. Nothing was executed.") from None
    return secrets
