"""``payonce --stack NAME``: takes the commands' settings from the outputs and parameters of a deployed stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import MisconfiguredError
from payonce.extras import needs
from payonce.ports import Table
from payonce.routing.control.configured import MODE_VARIABLE, SETTINGS_VARIABLE
from payonce.wiring.settings import DOCUMENTATION_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE_PLAN_VARIABLE = "PAYONCE_USAGE_PLAN_ID"
_OF_OUTPUT = {
    **{f"{table.value.capitalize()}TableName": f"PAYONCE_{table.name}_TABLE" for table in Table},
    "MerchantUsagePlanId": USAGE_PLAN_VARIABLE,
    "SecretsKeyArn": "PAYONCE_SECRETS_KEY_ARN",
    "DeliveryQueueUrl": "PAYONCE_DELIVERY_QUEUE_URL",
    "RecoveryQueueUrl": "PAYONCE_RECOVERY_QUEUE_URL",
    "GatewayEventQueueUrl": "PAYONCE_GATEWAY_EVENT_QUEUE_URL",
    "CorrectionsArn": "PAYONCE_CORRECTIONS_ARN",
    "GatewaySecretArn": "PAYONCE_GATEWAY_SECRET_ARN",
}
_OF_PARAMETER = {
    "Environment": "PAYONCE_ENVIRONMENT",
    "Gateways": "PAYONCE_GATEWAYS",
    "DefaultGateway": "PAYONCE_DEFAULT_GATEWAY",
    "IdempotencyWindowSeconds": "PAYONCE_WINDOW_SECONDS",
    "IdempotencyGuardSeconds": "PAYONCE_GUARD_SECONDS",
    "AuditRetentionDays": "PAYONCE_AUDIT_RETENTION_DAYS",
    "DocumentationUrl": DOCUMENTATION_VARIABLE,
    "RoutingMode": MODE_VARIABLE,
    "Routing": SETTINGS_VARIABLE,
}


def environment_of_stack(name: str, environment: Mapping[str, str], client: Any = None) -> dict[str, str]:
    """Return ``environment`` with the variables of the stack's functions added; variables already set stay.

    It makes one DescribeStacks call to CloudFormation, which the caller's credentials must allow. Raises
    ``MisconfiguredError`` if there is no such stack or it can't be read.
    """
    with needs("dynamodb"):
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

    try:
        cloudformation = client or boto3.client("cloudformation")
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        raise MisconfiguredError(f"The stack {name} can't be read: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise MisconfiguredError(
            f"The stack {name} can't be read: {str(error).rstrip('.')}. Set the credentials and the region of its "
            "account, such as AWS_PROFILE and AWS_REGION."
        ) from error
    found = {
        _OF_OUTPUT[output["OutputKey"]]: output["OutputValue"]
        for output in described.get("Outputs", [])
        if output["OutputKey"] in _OF_OUTPUT
    }
    found |= {
        _OF_PARAMETER[parameter["ParameterKey"]]: parameter["ParameterValue"]
        for parameter in described.get("Parameters", [])
        if parameter["ParameterKey"] in _OF_PARAMETER
    }
    return {**found, **environment}
