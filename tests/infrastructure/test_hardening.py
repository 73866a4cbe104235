"""What template.yaml does against attacks and mistakes, beside the roles: held where one of these could be left out."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

from payonce.entrypoints.api_requests import MAX_BODY_BYTES
from payonce.entrypoints.console import ROOT
from payonce.entrypoints.gateway_events import PATH
from payonce.entrypoints.proxy import PREFIX
from payonce.ports import Table
from tests.support.aws import REPOSITORY, load_template, table_properties
from tests.support.roles import KEYS_CONDITION, PURPOSE_CONDITION, Grant, function_names, grants, listed, resource_name

TEMPLATE = load_template()
RESOURCES = TEMPLATE["Resources"]
BUCKETS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::S3::Bucket"]
APIS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Api"]
# Of an AWS WAF body the first 16 KB are looked at, unless more is paid for:
# https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-setting-body-inspection-limit.html
INSPECTED_BYTES = 16 * 1024
UPLOADS = f"{ROOT}/files"


@pytest.mark.parametrize("table", list(Table))
def test_in_production_no_table_is_deleted_by_mistake(table: Table) -> None:
    """Elsewhere a stack has to be thrown away, and one whose creation failed is rolled back."""
    assert table_properties(table)["DeletionProtectionEnabled"] == {"If": ["IsProduction", True, False]}
    assert TEMPLATE["Conditions"]["IsProduction"] == {"Equals": [{"Ref": "Environment"}, "production"]}


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_private_owned_encrypted_and_behind_tls(name: str) -> None:
    """Fails when a bucket has no policy that refuses requests in the clear. The local cloud has no TLS."""
    bucket = RESOURCES[name]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["LifecycleConfiguration"]["Rules"]
    (policy,) = [
        resource
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::S3::BucketPolicy" and resource["Properties"]["Bucket"] == {"Ref": name}
    ]
    assert policy["Condition"] in {"HasTls", "HasTlsAndProxy"}
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [{"GetAtt": f"{name}.Arn"}, {"Sub": f"${{{name}.Arn}}/*"}]


def test_reports_can_be_restored() -> None:
    assert RESOURCES["ReconciliationBucket"]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


@pytest.mark.parametrize("name", [name for name, each in RESOURCES.items() if each["Type"] == "AWS::SQS::Queue"])
def test_a_queue_is_encrypted(name: str) -> None:
    """Checkov does not look at SQS's own encryption, and so can't tell."""
    assert RESOURCES[name]["Properties"]["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("name", [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Logs::LogGroup"])
def test_every_log_ends(name: str) -> None:
    assert RESOURCES[name]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("api", APIS)
def test_an_access_log_says_who_and_what_and_no_secret(api: str) -> None:
    """Fails when it has a header (the API key), a path (an idempotency key may be part of it), a query or a body."""
    condition, setting, nothing = RESOURCES[api]["Properties"]["AccessLogSetting"]["If"]
    assert (condition, nothing) == ("HasAccessLogs", {"Ref": "AWS::NoValue"})
    assert setting["DestinationArn"] == {"GetAtt": "AccessLog.Arn"}
    line = json.loads(setting["Format"])
    assert {name: value for name, value in line.items() if not value.startswith("$context.")} == {}
    assert set(line.values()) == {
        f"$context.{name}"
        for name in (
            "requestId",
            "requestTimeEpoch",
            "httpMethod",
            "resourcePath",
            "status",
            "responseLatency",
            "authorizer.principalId",
            "authorizer.merchant_id",
            "identity.sourceIp",
            "waf.status",
            "error.responseType",
        )
    }


def test_access_logs_wait_for_an_account_that_takes_them() -> None:
    """An account without a role for API Gateway's logs refuses the stage, and so a first deployment would fail:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    assert TEMPLATE["Parameters"]["AccessLogs"]["Default"] == "off"
    assert RESOURCES["AccessLog"]["Condition"] == "HasAccessLogs"


def firewall_rules() -> dict[str, Any]:
    return {rule["Name"]: rule for rule in RESOURCES["Firewall"]["Properties"]["Rules"]}


def test_the_firewall_stands_before_both_apis_where_it_is_asked_for() -> None:
    assert TEMPLATE["Parameters"]["FirewallRequestsPerMinute"]["Default"] == ""
    associated = {}
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::WAFv2::WebACLAssociation":
            assert resource["Properties"]["WebACLArn"] == {"GetAtt": "Firewall.Arn"}
            (api,) = re.findall(
                r"/restapis/\$\{(\w+)\}/stages/\$\{\1\.Stage\}", resource["Properties"]["ResourceArn"]["Sub"]
            )
            associated[api] = (name, resource["Condition"])
    assert associated == {
        "Api": ("ApiFirewall", "HasFirewall"),
        "ProxyApi": ("ProxyApiFirewall", "HasFirewallAndProxy"),
        "GatewayEventsApi": ("GatewayEventsApiFirewall", "HasFirewall"),
        "ConsoleApi": ("ConsoleApiFirewall", "HasFirewall"),
    }
    assert RESOURCES["Firewall"]["Condition"] == "HasFirewall"
    for api in APIS:
        assert RESOURCES[api]["Properties"]["GatewayResponses"]["WAF_FILTERED"]["StatusCode"] == 403


def test_what_api_gateway_answers_before_the_console_is_a_page() -> None:
    """Fails when a person is shown a document for programs, or a page that may be kept or framed."""
    for answer in RESOURCES["ConsoleApi"]["Properties"]["GatewayResponses"].values():
        headers = answer["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'text/html; charset=utf-8'"
        assert (headers["Cache-Control"], headers["X-Frame-Options"]) == ("'no-store'", "'DENY'")
        (page,) = answer["ResponseTemplates"].values()
        assert page.startswith("<!doctype html>")
        assert "$" not in page  # nothing of the request


def test_the_firewall_limits_an_address_and_a_body() -> None:
    """Fails when the size is not the one that WAF looks at: what is beyond it would pass unseen."""
    rate = firewall_rules()["requests-per-address"]
    assert rate["Action"] == {"Block": {}}
    assert rate["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "EvaluationWindowSec": 60,
        "Limit": {"Ref": "FirewallRequestsPerMinute"},
    }
    size = firewall_rules()["body-size"]
    assert size["Action"] == {"Block": {}}
    too_large, not_the_proxys = size["Statement"]["AndStatement"]["Statements"]
    assert too_large["SizeConstraintStatement"]["Size"] == INSPECTED_BYTES <= MAX_BODY_BYTES
    assert too_large["SizeConstraintStatement"]["ComparisonOperator"] == "GT"
    assert too_large["SizeConstraintStatement"]["FieldToMatch"] == {"Body": {"OversizeHandling": "MATCH"}}
    matches = [
        each["ByteMatchStatement"] for each in not_the_proxys["NotStatement"]["Statement"]["OrStatement"]["Statements"]
    ]
    # Of a path within the API nobody chooses the beginning.
    assert {match["PositionalConstraint"] for match in matches} == {"STARTS_WITH"}
    events = PATH.removesuffix("{gateway}")
    assert [match["SearchString"] for match in matches] == [
        {"Sub": f"/${{Environment}}{PREFIX}/"},
        f"{PREFIX}/",
        {"Sub": f"/${{Environment}}{events}"},
        events,
        {"Sub": f"/${{Environment}}{UPLOADS}"},
        UPLOADS,
    ]


def test_awss_common_rules_refuse_no_payment_for_its_text() -> None:
    """Fails when a rule about bodies refuses: a payment's reference may be a link, and its retry could never pass."""
    rule = firewall_rules()["common-rules"]
    group = rule["Statement"]["ManagedRuleGroupStatement"]
    assert (group["VendorName"], group["Name"]) == ("AWS", "AWSManagedRulesCommonRuleSet")
    assert rule["OverrideAction"] == {"None": {}}
    counted = {each["Name"] for each in group["RuleActionOverrides"] if each["ActionToUse"] == {"Count": {}}}
    assert counted == {
        "NoUserAgent_HEADER",
        "SizeRestrictions_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "CrossSiteScripting_BODY",
    }


def test_nothing_takes_the_executions_that_payments_need() -> None:
    """Fails when the default reserves any: of a new account's concurrency Lambda keeps 100 unreserved, and it may have
    fewer in all: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html,
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    assert TEMPLATE["Parameters"]["ReservedExecutions"]["Default"] == ""
    reserved = {
        name: resource["Properties"]["ReservedConcurrentExecutions"]
        for name, resource in RESOURCES.items()
        if "ReservedConcurrentExecutions" in resource.get("Properties", {})
    }
    wanted = {"If": ["HasReservedExecutions", {"Ref": "ReservedExecutions"}, {"Ref": "AWS::NoValue"}]}
    # The predictor's two: one leads, one stands by. Payments that wait for slow gateways hold all others.
    predictor = {"If": ["HasReservedExecutions", 2, {"Ref": "AWS::NoValue"}]}
    assert reserved == {
        "AuthorizeFunction": wanted,
        "CreatePaymentFunction": wanted,
        "PredictRoutesFunction": predictor,
    }
    for name, resource in RESOURCES.items():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if event["Type"] == "SQS":
                limit = event["Properties"]["ScalingConfig"]["MaximumConcurrency"]["FindInMap"]
                counts = [
                    TEMPLATE["Mappings"]["Environments"][each][limit[2]] for each in ("local", "sandbox", "production")
                ]
                assert 2 <= min(counts) <= max(counts) <= 50, name  # 2 is the least that Lambda takes


def boundary() -> set[Grant]:
    """Return what the boundary allows, without AWS's own keys and what Lambda does itself."""
    found = set()
    for statement in RESOURCES["FunctionsBoundary"]["Properties"]["PolicyDocument"]["Statement"]:
        assert statement["Effect"] == "Allow"
        if "Condition" in statement:
            assert list(statement["Condition"]) == ["StringEquals"]
            assert list(statement["Condition"]["StringEquals"]) == ["kms:ViaService"]
            continue
        for resource in listed(statement["Resource"]):
            inner = resource["If"][1] if "If" in resource and resource["If"][0] == "HasProxy" else resource
            found |= {Grant(action, resource_name(inner)) for action in listed(statement["Action"])}
    return found


def streams() -> set[str]:
    """Return the tables whose streams a function reads."""
    return {
        event["Properties"]["Stream"]["GetAtt"].removesuffix(".StreamArn")
        for name in function_names().values()
        for event in RESOURCES[name]["Properties"].get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    }


# Lambda reads streams and queues and writes logs with the function's role:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
LAMBDAS_OWN = {
    *(
        Grant(f"dynamodb:{action}", f"{table}/stream/*")
        for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
        for table in sorted(streams())
    ),
    *(
        Grant(f"sqs:{action}", queue)
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        for queue in ("DeliveryQueue", "EventInbox", "RecoveryQueue", "GatewayEventQueue")
    ),
    Grant("logs:CreateLogStream", "Logs"),
    Grant("logs:PutLogEvents", "Logs"),
}


def dead_letters() -> set[str]:
    """Return the queues to which Lambda sends with a function's role, by SAM's or by the function's own policy."""
    queues = set()
    for name in function_names().values():
        properties = RESOURCES[name]["Properties"]
        queues |= {properties["DeadLetterQueue"]["TargetArn"]["GetAtt"]} if "DeadLetterQueue" in properties else set()
    return {queue.removesuffix(".Arn") for queue in queues}


def whole(resource: str) -> str:
    """Return the boundary's word for a resource: the indexes of all tables, all of the bucket."""
    return "Tables/index/*" if "/index/" in resource else re.sub("^(ReconciliationBucket)/.*", r"\1/*", resource)


def resolved(value: Any, stack: str) -> Any:
    """Return a part of a policy about as long as AWS has it, rather too long: each resource counts as a table."""
    if isinstance(value, list):
        return [each for each in (resolved(each, stack) for each in value) if each is not None]
    if not isinstance(value, dict):
        return value
    if "GetAtt" in value:
        name = value["GetAtt"].partition(".")[0]
        return f"arn:aws:dynamodb:ap-southeast-1:123456789012:table/{stack}-{name}-ABCDEFGHIJKLM"
    if "Sub" in value or "Ref" in value:
        text = value.get("Sub", value.get("Ref"))
        text = text[0] if isinstance(text, list) else text
        if text == "AWS::NoValue":
            return None
        known = {"Partition": "aws", "Region": "ap-southeast-1", "AccountId": "123456789012", "StackName": stack}
        for name, meant in known.items():
            text = text.replace(f"${{AWS::{name}}}", meant)
        return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: resolved({"GetAtt": found[1]}, stack), text)
    if "If" in value:
        return resolved(value["If"][1 if value["If"][0] == "HasProxy" else 2], stack)
    return {name: resolved(each, stack) for name, each in value.items()}


def test_the_boundary_is_short_enough_to_be_deployed() -> None:
    """Fails when a managed policy has more than 6,144 characters without white space, in a stack with a long name:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    policy = resolved(RESOURCES["FunctionsBoundary"]["Properties"]["PolicyDocument"], "payonce-production")
    assert len(json.dumps(policy, separators=(",", ":"))) <= 6_144


def test_every_function_is_within_the_boundary_and_the_boundary_is_no_wider() -> None:
    """SAM attaches AWS's managed policies for logs, streams and queues, which name every resource of the account. Fails
    when a function has no boundary, when the boundary refuses what a role allows, or allows what none does.
    """
    assert TEMPLATE["Globals"]["Function"]["PermissionsBoundary"] == {"Ref": "FunctionsBoundary"}
    assert not [name for name in function_names().values() if "PermissionsBoundary" in RESOURCES[name]["Properties"]]
    needed = {
        Grant(grant.action, whole(grant.resource)) for name in function_names().values() for grant in grants(name)
    }
    to_queues = {Grant("sqs:SendMessage", queue) for queue in dead_letters()}
    allowed = boundary()
    assert needed | to_queues | LAMBDAS_OWN <= allowed
    tables = {grant.resource.partition("/")[0] for grant in needed if grant.action.startswith("dynamodb:")}
    queues = {grant.resource for grant in needed | to_queues if grant.action.startswith("sqs:")}
    for grant in allowed - needed - to_queues - LAMBDAS_OWN:
        assert grant.resource.partition("/")[0] in tables | queues, grant


def test_a_condition_of_a_role_is_no_operator_that_passes_without_its_key() -> None:
    """ForAllValues holds for a request that names no key at all, so that it limits only actions that always name one:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    """
    always = {
        f"dynamodb:{action}" for action in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
    }
    for name in function_names().values():
        # KMS's are by StringEquals, which holds for no request without its key.
        limited = {grant.action for grant in grants(name) if grant.keys and not grant.action.startswith("kms:")}
        assert limited <= always
    assert all(
        "StringEquals" in statement["Condition"]
        for statement in every_statement(RESOURCES)
        if PURPOSE_CONDITION in json.dumps(statement.get("Condition", {}))
    )
    assert KEYS_CONDITION == "dynamodb:LeadingKeys"


def every_statement(node: Any) -> list[dict[str, Any]]:
    """Return the statements of every policy in the template."""
    if isinstance(node, list):
        return [each for part in node for each in every_statement(part)]
    if not isinstance(node, dict):
        return []
    own = [node] if "Effect" in node and "Action" in node else []
    return own + [each for part in node.values() for each in every_statement(part)]


def test_wildcards_are_where_aws_or_the_local_cloud_leaves_no_other_way() -> None:
    """Of every policy, the workflow's, the cluster's and the key's included. A key's policy names its own key by "*":
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
    """
    wide = [
        (statement.get("Sid", ""), statement["Effect"], action, resource)
        for statement in every_statement(RESOURCES)
        for action in listed(statement["Action"])
        for resource in listed(statement.get("Resource", "none"))
        if "*" in action or resource == "*"
    ]
    assert {(sid, effect, action) for sid, effect, action, _ in wide} == {
        ("AccountDecides", "Allow", "kms:*"),
        ("TlsOnly", "Deny", "s3:*"),
    }


def test_production_is_deployed_as_such() -> None:
    """Fails when a deployment forgets its environment: deletion protection is production's alone."""
    text = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    for name in ("local", "sandbox", "production"):
        assert f"Environment={name}" in text[name]["deploy"]["parameters"]["parameter_overrides"].split()
