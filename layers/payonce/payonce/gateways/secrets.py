"""Reads the gateways' credentials from Secrets Manager. They are kept in memory only and never logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from payonce.domain.errors import GatewayUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS_TIMEOUT_SECONDS = 3  # once per process, before any claim; longer would use up the request's budget


def read_secrets(secret_id: str, *, endpoint_url: str | None) -> Mapping[str, str]:
    """Return the credentials by name. Raises ``GatewayUnavailable`` when they can't be read or parsed."""
    config = Config(connect_timeout=SECRETS_TIMEOUT_SECONDS, read_timeout=SECRETS_TIMEOUT_SECONDS)
    client = boto3.client("secretsmanager", endpoint_url=endpoint_url, config=config)
    try:
        text = client.get_secret_value(SecretId=secret_id)["SecretString"]
        secrets: dict[str, str] = dict(json.loads(text))
    except (BotoCoreError, ClientError, ValueError, TypeError, KeyError):
        # The cause is dropped on purpose: a parser's message would quote the secret.
        raise GatewayUnavailable("The gateway's credentials could not be read. Nothing was executed.") from None
    return secrets
