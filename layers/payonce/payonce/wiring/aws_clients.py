"""Which client talks to a service of AWS: ours where a payer waits and all is as usual, the SDK's elsewhere.

Loading boto3 and making one client takes more processor time than everything else of a cold start
(docs/adr/0035-own-client-on-the-hot-path.md). Ours reads a few variables, and knows which others it would have to know:
where one of those is set, the SDK's client is used.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.config import Config
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from payonce.network.aws_json import JsonService
    from payonce.network.aws_signature import Credentials, Signer
    from payonce.network.kept_connections import Connections
    from payonce.stores.dynamodb_client import HttpDynamoDB

# DynamoDB, KMS and SQS normally answer in milliseconds. Three tries of at most two seconds fit into a request's budget.
AWS_CONNECT_TIMEOUT_SECONDS = 1
AWS_READ_TIMEOUT_SECONDS = 2
AWS_MAX_ATTEMPTS = 3
AWS_MAX_CONNECTIONS = 10

CONTAINER_VARIABLES = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
# Settings of the SDK that ours does not follow: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
UNUSUAL_VARIABLES = (
    "AWS_CONFIG_FILE",
    "AWS_DATA_PATH",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "https_proxy",
    "http_proxy",
)
# Regions whose services are at <service>.<region>.amazonaws.com: the partitions aws and aws-us-gov.
USUAL_REGION = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:gov-)?[a-z]+-[0-9]+")


def client_config(max_connections: int = AWS_MAX_CONNECTIONS) -> Config:
    """Return the configuration of every client of the SDK: timeouts, retries and connections."""
    with needs("dynamodb"):
        from botocore.config import Config

    return Config(
        connect_timeout=AWS_CONNECT_TIMEOUT_SECONDS,
        read_timeout=AWS_READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": AWS_MAX_ATTEMPTS},
        max_pool_connections=max_connections,
    )


def dynamodb_config(max_connections: int = AWS_MAX_CONNECTIONS) -> Config:
    """Return the configuration of the SDK's DynamoDB clients: requests are not compared with the service's model.

    What may be stored is checked once, in ``stores.limits``, and the contract suites run without the SDK's check.
    """
    with needs("dynamodb"):
        from botocore.config import Config

    return client_config(max_connections).merge(Config(parameter_validation=False))


def dynamodb_client(
    endpoint_url: str | None,
    *,
    max_connections: int = AWS_MAX_CONNECTIONS,
    environment: Mapping[str, str] | None = None,
) -> HttpDynamoDB | DynamoDBClient:
    """Return a client for DynamoDB, at ``endpoint_url`` or at the region's endpoint."""
    parts = _parts("dynamodb", endpoint_url, max_connections, os.environ if environment is None else environment)
    if parts is None:
        with needs("dynamodb"):
            import boto3

        return boto3.client("dynamodb", config=dynamodb_config(max_connections), endpoint_url=endpoint_url)
    from payonce.stores.dynamodb_client import HttpDynamoDB

    return HttpDynamoDB(*parts, max_attempts=AWS_MAX_ATTEMPTS)


def secret_reader(
    endpoint_url: str | None, environment: Mapping[str, str] | None = None
) -> Callable[[str], Mapping[str, Any]]:
    """Return a function from a secret's id to Secrets Manager's answer. It raises the SDK's exceptions."""
    parts = _parts("secretsmanager", endpoint_url, 1, os.environ if environment is None else environment)
    if parts is None:
        with needs("dynamodb"):
            import boto3

        client = boto3.client("secretsmanager", config=client_config(), endpoint_url=endpoint_url)
        return lambda secret_id: client.get_secret_value(SecretId=secret_id)
    from payonce.network.aws_json import JsonService

    service: JsonService = JsonService(*parts, target="secretsmanager", version="1.1", max_attempts=AWS_MAX_ATTEMPTS)
    return lambda secret_id: service.call("GetSecretValue", {"SecretId": secret_id})


def _parts(
    service: str, endpoint_url: str | None, max_connections: int, environment: Mapping[str, str]
) -> tuple[Connections, Signer] | None:
    """Return what a client of ours is made of, or ``None`` where something is set that it does not follow."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    credentials = _credentials(environment)
    unusual = any(environment.get(name) for name in UNUSUAL_VARIABLES)
    if credentials is None or unusual or not USUAL_REGION.fullmatch(region):
        return None
    from payonce.network.aws_signature import Signer
    from payonce.network.kept_connections import Connections

    connections = Connections(
        endpoint_url or environment.get("AWS_ENDPOINT_URL") or f"https://{service}.{region}.amazonaws.com",
        connect_seconds=AWS_CONNECT_TIMEOUT_SECONDS,
        read_seconds=AWS_READ_TIMEOUT_SECONDS,
        most_idle=max_connections,
        ca_file=environment.get("AWS_CA_BUNDLE") or _ca_file(),
    )
    return connections, Signer(service, region, credentials)


def _credentials(environment: Mapping[str, str]) -> Callable[[], Credentials] | None:
    """Return how to get the credentials, or ``None`` where the SDK has to look for them.

    A function has those of its role in its environment, for as long as its process lives. One that was restored from
    a snapshot, and a container, ask an address for theirs; the SDK knows how, and when they expire.
    """
    from payonce.network.aws_signature import Credentials

    access_key, secret_key = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        found = Credentials(access_key, secret_key, environment.get("AWS_SESSION_TOKEN"))
        return lambda: found
    if not any(environment.get(name) for name in CONTAINER_VARIABLES):
        return None
    with needs("dynamodb"):
        from botocore.credentials import ContainerProvider

    provider = ContainerProvider(environ=dict(environment))
    loaded: list[Any] = []

    def of_the_container() -> Credentials:
        if not loaded:
            loaded.append(provider.load())
        frozen = loaded[0].get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    return of_the_container


def _ca_file() -> str | None:
    """Return the SDK's certificate authorities, which it trusts for AWS on every system."""
    with needs("dynamodb"):
        import botocore

    found = Path(botocore.__file__).with_name("cacert.pem")
    return str(found) if found.is_file() else None
