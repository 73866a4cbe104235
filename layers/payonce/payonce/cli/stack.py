"""``--stack NAME``: takes the commands' settings from the outputs and parameters of a deployed stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.cli import local_stack
from payonce.domain.errors import MisconfiguredError
from payonce.extras import needs
from payonce.ports import Table
from payonce.routing.control.configured import MODE_VARIABLE, SETTINGS_VARIABLE
from payonce.wiring.settings import DOCUMENTATION_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE_PLAN_VARIABLE = "PAYONCE_USAGE_PLAN_ID"
API_VARIABLE = "PAYONCE_API_URL"
_OF_OUTPUT = {
    **{f"{table.value.capitalize()}TableName": f"PAYONCE_{table.name}_TABLE" for table in Table},
    "MerchantUsagePlanId": USAGE_PLAN_VARIABLE,
    "SecretsKeyArn": "PAYONCE_SECRETS_KEY_ARN",
    "DeliveryQueueUrl": "PAYONCE_DELIVERY_QUEUE_URL",
    "RecoveryQueueUrl": "PAYONCE_RECOVERY_QUEUE_URL",
    "GatewayEventQueueUrl": "PAYONCE_GATEWAY_EVENT_QUEUE_URL",
    "CorrectionsArn": "PAYONCE_CORRECTIONS_ARN",
    "GatewaySecretArn": "PAYONCE_GATEWAY_SECRET_ARN",
    "ApiUrl": API_VARIABLE,
    "DeliveryFailuresUrl": "PAYONCE_DELIVERY_FAILURES_URL",
    "EventInboxUrl": "PAYONCE_EVENT_INBOX_URL",
    "EventInboxFailuresUrl": "PAYONCE_EVENT_INBOX_FAILURES_URL",
    "GatewayEventFailuresUrl": "PAYONCE_GATEWAY_EVENT_FAILURES_URL",
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


# The outputs that every deployment has; the rest depends on parameters.
EXPECTED_OUTPUTS = frozenset(_OF_OUTPUT) - {"MerchantUsagePlanId"} | {"ApiId", "StageName"}
# Such a stack serves: a rollback of an update leaves the version before.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
SERVING = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "IMPORT_COMPLETE",
    }
)


def way_to(name: str, environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables that lead the SDK to the stack: those of the local cloud for its name, else none.

    A variable ``AWS_ENDPOINT_URL`` says where it is, so that then nothing is changed.
    """
    if name != local_stack.STACK or environment.get("AWS_ENDPOINT_URL"):
        return {}
    return local_stack.variables(environment)


def describe(name: str, client: Any = None) -> dict[str, Any]:
    """Return CloudFormation's description of the stack. Raises ``MisconfiguredError`` if it can't be read."""
    with needs("dynamodb"):
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

    try:
        cloudformation = client or boto3.client("cloudformation")
        return dict(cloudformation.describe_stacks(StackName=name)["Stacks"][0])
    except ClientError as error:
        raise MisconfiguredError(f"The stack {name} can't be read: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise MisconfiguredError(
            f"The stack {name} can't be read: {str(error).rstrip('.')}. Set the credentials and the region of its "
            "account, such as AWS_PROFILE and AWS_REGION."
        ) from error


def environment_of_stack(name: str, environment: Mapping[str, str], client: Any = None) -> dict[str, str]:
    """Return ``environment`` with the variables of the stack's functions added; variables already set stay.

    It makes one DescribeStacks call to CloudFormation, which the caller's credentials must allow. Raises
    ``MisconfiguredError`` if there is no such stack, it can't be read, or its first deployment has not come to an end.
    """
    described = describe(name, client)
    if described["StackStatus"] not in SERVING and not described.get("Outputs"):
        raise MisconfiguredError(
            f"The stack {name} is half deployed ({described['StackStatus']}): it has no outputs to find its tables by. "
            f"`payonce doctor --stack {name}` says what is missing."
        )
    return {**found_in(described, environment), **environment}


def found_in(described: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a stack's description gives."""
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    found = {_OF_OUTPUT[name]: value for name, value in outputs.items() if name in _OF_OUTPUT}
    found |= {
        _OF_PARAMETER[parameter["ParameterKey"]]: parameter["ParameterValue"]
        for parameter in described.get("Parameters", [])
        if parameter["ParameterKey"] in _OF_PARAMETER
    }
    endpoint = environment.get("AWS_ENDPOINT_URL")
    if endpoint and {"ApiId", "StageName"} <= outputs.keys():
        # A local cloud serves its APIs below its own address; the output names AWS's.
        found[API_VARIABLE] = f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/{outputs['StageName']}"
    return found
