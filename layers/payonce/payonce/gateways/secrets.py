"""Reads the gateways' credentials from Secrets Manager. They are kept in memory only and never logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.extras import needs

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_secrets(get_secret_value: Callable[[str], Mapping[str, Any]], secret_id: str) -> Mapping[str, Any]:
    """Return the credentials by name. Raises ``GatewayUnavailable`` when they can't be read or parsed."""
    try:
        text = get_secret_value(secret_id)["SecretString"]
        secrets: dict[str, Any] = dict(json.loads(text))
    except (BotoCoreError, ClientError, ValueError, TypeError, KeyError):
        # The cause is dropped on purpose: a parser's message would quote the secret.
        raise GatewayUnavailable("The gateway's credentials could not be read. Nothing was executed.") from None
    return secrets


def events_secrets(secrets: Mapping[str, Any], gateway: str) -> list[str]:
    """Return the secrets with which the gateway signs its events: the member ``<gateway>_events_secret``.

    Its value is a text, or a list of texts while a secret is being rotated. Raises ``MisconfiguredError`` when there is
    none, or when it has another form.
    """
    name = f"{gateway}_events_secret"
    value = secrets.get(name)
    given = value if isinstance(value, list) else [value]
    found = [each for each in given if isinstance(each, str) and each.strip()]
    if not found or found != given:
        raise MisconfiguredError(f"The gateways' secret lacks {name}: a text, or a list of texts during a rotation.")
    return found
