"""The wiring of the proxy function, and of its recovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import MisconfiguredError
from payonce.extras import needs
from payonce.proxy.config import CLAIM_HEADROOM_SECONDS, Ask
from payonce.proxy.config_load import parse
from payonce.proxy.config_process import Overflow
from payonce.wiring.aws_clients import client_config
from payonce.wiring.proxy import make_service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock
    from payonce.proxy.config import ProxyConfig
    from payonce.proxy.service import ProxyService
    from payonce.wiring.application import Application

CONFIG_VARIABLE = "PAYONCE_PROXY_CONFIG"  # holds the configuration as JSON
BUCKET_VARIABLE = "PAYONCE_PROXY_BUCKET"  # names the bucket for answers too large for a record
FUNCTION_SECONDS = 25  # the timeout in template.yaml, shorter than API Gateway's 29 s
MAX_FUNCTION_ANSWER_BYTES = 4 * 1024 * 1024  # Lambda's limit is 6 MB, and base64 makes a binary a third longer
PARAMETER_VARIABLE = "PAYONCE_PROXY_CONFIG_PARAMETER"  # alternatively names the SSM parameter with that JSON


@dataclass(frozen=True, slots=True)
class ProxyFunction:
    """The dependencies of the proxy function."""

    service: ProxyService
    clock: Clock


def is_configured(environment: Mapping[str, str]) -> bool:
    """Return whether this deployment has a proxy."""
    return bool(environment.get(CONFIG_VARIABLE) or environment.get(PARAMETER_VARIABLE))


def proxy_of(application: Application, environment: Mapping[str, str]) -> ProxyFunction:
    """Return the proxy over the application's own store. Raises ``MisconfiguredError``."""
    endpoint_url = application.settings.endpoint_url
    text, source = environment.get(CONFIG_VARIABLE, ""), CONFIG_VARIABLE
    if not text and environment.get(PARAMETER_VARIABLE):
        source = environment[PARAMETER_VARIABLE]
        text = _read_parameter(source, endpoint_url)
    if not text:
        raise MisconfiguredError(f"Neither {CONFIG_VARIABLE} nor {PARAMETER_VARIABLE} is set; see docs/proxy.md.")
    config = parse(text, environment, source=source)
    if config.store is not None:
        raise MisconfiguredError(f"{source}: store: the proxy's records are in the stack's own table; leave it out.")
    config = _fitting(config, source, environment.get(BUCKET_VARIABLE, ""))
    service = make_service(
        config,
        application.store,
        clock=application.clock,
        endpoint_url=endpoint_url,
        documentation_url=application.settings.documentation_url,
    )
    return ProxyFunction(service, application.clock)


def _fitting(config: ProxyConfig, source: str, bucket: str) -> ProxyConfig:
    """Return the configuration with the stack's bucket. Raises ``MisconfiguredError`` if a function can't serve it."""
    if config.overflow is not None and config.overflow.folder is not None:
        raise MisconfiguredError(f"{source}: overflow.folder: executions share no folder; name a bucket, or nothing.")
    for index, route in enumerate(config.routes):
        if route.scope.claim != "merchant_id":
            raise MisconfiguredError(
                f'{source}: routes.{index}.scope: must be {{"claim": "merchant_id"}}: with one that callers choose, '
                "one merchant could replay another's answer."
            )
        asking_seconds = route.unknown.timeout_seconds if isinstance(route.unknown, Ask) else 0
        if route.timeout_seconds + asking_seconds + CLAIM_HEADROOM_SECONDS > FUNCTION_SECONDS:
            raise MisconfiguredError(
                f"{source}: routes.{index}.timeout_seconds: with what is asked and recorded after it, a request must "
                f"be over in the {FUNCTION_SECONDS} s that the function runs."
            )
        if route.responses.max_bytes > MAX_FUNCTION_ANSWER_BYTES:
            raise MisconfiguredError(
                f"{source}: routes.{index}.responses.max_bytes: a function answers with at most "
                f"{MAX_FUNCTION_ANSWER_BYTES} bytes."
            )
    if bucket and config.overflow is None:
        return config.model_copy(update={"overflow": Overflow(bucket=bucket)})
    return config


def _read_parameter(name: str, endpoint_url: str | None) -> str:
    with needs("dynamodb"):
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client("ssm", config=client_config(), endpoint_url=endpoint_url)
    try:
        return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except (BotoCoreError, ClientError) as error:
        raise MisconfiguredError(f"The parameter {name} can't be read: {error}") from error
