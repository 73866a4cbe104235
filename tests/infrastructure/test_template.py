"""What template.yaml must say, whatever else it says."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from typing import Any

import pytest

from payonce.console.routes import ACTIONS as CONSOLE_ACTIONS
from payonce.corrections.policy import POLICY_FILE
from payonce.entrypoints.console import ROOT as CONSOLE_ROOT
from payonce.entrypoints.gateway_events import MAX_NOTICE_BYTES
from payonce.entrypoints.gateway_events import ROUTES as OPEN_ROUTES
from payonce.entrypoints.http import UNSAFE_METHODS, KeyedRoute
from payonce.entrypoints.proxy import PREFIX
from payonce.entrypoints.routes import ROUTES
from payonce.idempotency.window import (
    DAY_SECONDS,
    DEFAULT_AUDIT_RETENTION_SECONDS,
    LEASE_MARGIN_MS,
    MAX_WINDOW_SECONDS,
    MIN_AUDIT_RETENTION_SECONDS,
)
from payonce.merchants.gateway_accounts import EVENTS_PURPOSE, KEY_PURPOSE
from payonce.overview.request_counts import COUNTED_MESSAGE
from payonce.payments.corrective_plan import case_key
from payonce.ports import Table
from payonce.proxy.patterns import SAFE_METHODS
from payonce.recovery.book import FEEDER_KEY
from payonce.recovery.feeder import FeederReport
from payonce.recovery.messages import CLAIMS_PER_MESSAGE
from payonce.routing.control.configured import MODE_VARIABLE, SETTINGS_VARIABLE
from payonce.routing.control.control_store import CONTROL_KEY
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.predictor_store import GUARDED
from payonce.routing.signals.from_claims import PLAN_KIND, REFUSED_MESSAGE
from payonce.stores.schema import SCHEMAS
from payonce.webhooks import dispatch
from payonce.webhooks.scheduler import SchedulerReport
from payonce.wiring.aws_clients import AWS_MAX_CONNECTIONS
from payonce.wiring.proxy_function import FUNCTION_SECONDS
from payonce.wiring.reconciliation import ENGINE_MEMORY_MB, FUNCTION_MEMORY_MB, RUN_TIMEOUT_SECONDS, SCRATCH_MB
from payonce.wiring.recovery import ASK_SECONDS, STOP_BEFORE_ANSWER_MS
from payonce.wiring.recovery import RUN_SECONDS as RECOVERY_SECONDS
from payonce.wiring.recovery import STOP_BEFORE_TIMEOUT_MS as STOP_FEEDING_MS
from payonce.wiring.routing import RUN_SECONDS, STOP_BEFORE_TIMEOUT_MS
from payonce.wiring.settings import POWERTOOLS_OFF_SWITCH
from tests.support.aws import REPOSITORY, load_template, table_properties

API_GATEWAY_TIMEOUT_SECONDS = 29
DEAD_LETTER_MEMBERS = ("TargetArn", "deadLetterTargetArn", "Destination")
TEMPLATE = load_template()
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}


def api_events() -> list[tuple[str, str, str]]:
    """Return (function, method, path) of every route that merchants call."""
    return [
        (name, event["Properties"]["Method"], event["Properties"]["Path"])
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["RestApiId"] == {"Ref": "Api"}
    ]


def statements(function: str) -> list[dict[str, Any]]:
    policies = [policy["If"][1] if "If" in policy else policy for policy in FUNCTIONS[function]["Policies"]]
    return [statement for policy in policies for statement in policy["Statement"]]


def test_the_template_has_the_routes_of_the_code() -> None:
    """Fails when a route is added on one side only."""
    deployed = {(method, path, FUNCTIONS[name].get("Handler")) for name, method, path in api_events()}
    assert deployed == {(route.method, route.path, f"app.{route.operation}") for route in ROUTES.values()}


@pytest.mark.parametrize(("name", "method", "path"), api_events())
def test_a_functions_handler_serves_the_route_of_its_event(name: str, method: str, path: str) -> None:
    """Fails when two handlers of a module are exchanged: the names alone would not show it."""
    source = (REPOSITORY / FUNCTIONS[name]["CodeUri"] / "app.py").read_text()
    operation = FUNCTIONS[name]["Handler"].removeprefix("app.")
    assert f'\n{operation} = serve("{method} {path}")\n' in source


@pytest.mark.parametrize(("method", "path"), [(method, path) for _, method, path in api_events()])
def test_what_is_unsafe_is_a_keyed_route(method: str, path: str) -> None:
    """That each refuses a request without a key is tried in tests/unit/entrypoints/test_keys_required.py."""
    route = next(route for route in ROUTES.values() if (route.method, route.path) == (method, path))
    assert isinstance(route, KeyedRoute) == (method in UNSAFE_METHODS)


@pytest.mark.parametrize("table", list(Table))
def test_keys_and_indexes_are_what_the_code_uses(table: Table) -> None:
    properties = table_properties(table)
    schema = SCHEMAS[table]
    assert tuple(key["AttributeName"] for key in properties["KeySchema"]) == schema.key
    indexes = {
        index["IndexName"]: tuple(key["AttributeName"] for key in index["KeySchema"])
        for index in properties.get("GlobalSecondaryIndexes", [])
    }
    assert indexes == dict(schema.indexes)
    types = {each["AttributeName"]: each["AttributeType"] for each in properties["AttributeDefinitions"]}
    assert types == {name: "N" if name in schema.numbers else "S" for name in types}


@pytest.mark.parametrize("table", list(Table))
def test_every_table_can_be_restored_and_is_kept(table: Table) -> None:
    resource = TEMPLATE["Resources"][f"{table.value.capitalize()}Table"]
    assert resource["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert resource["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert resource["DeletionPolicy"].startswith("Retain")
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_only_records_that_are_for_a_time_are_forgotten() -> None:
    forgotten = {
        Table.IDEMPOTENCY,
        Table.DELIVERIES,
        Table.AUDIT,
        Table.ROUTING,
        Table.NOTICES,
        Table.CONSOLE,
        Table.OVERVIEW,
    }
    for table in forgotten:
        assert table_properties(table)["TimeToLiveSpecification"] == {"AttributeName": "purge_at", "Enabled": True}
    for table in set(Table) - forgotten:
        assert "TimeToLiveSpecification" not in table_properties(table)


def test_the_outbox_streams_its_new_items() -> None:
    assert table_properties(Table.OUTBOX)["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_the_audit_trail_is_read_from_the_stream_of_the_claims() -> None:
    """Fails when an image is missing (no transition can be told), or batches are given up early or without a trace."""
    assert table_properties(Table.IDEMPOTENCY)["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (event,) = FUNCTIONS["AuditIdempotencyFunction"]["Events"].values()
    properties = event["Properties"]
    assert properties["Stream"] == {"GetAtt": "IdempotencyTable.StreamArn"}
    assert properties["StartingPosition"] == "TRIM_HORIZON"
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "MaximumRetryAttempts" not in properties  # time alone ends the tries
    assert 20 * 3600 <= properties["MaximumRecordAgeInSeconds"] < 24 * 3600
    assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {"GetAtt": "AuditFailures.Arn"}


def test_signals_are_read_at_once_and_dropped_rather_than_late() -> None:
    """Fails when batches wait, come again for long, or the stream gets a third reader: DynamoDB has two."""
    (event,) = FUNCTIONS["ObserveClaimsFunction"]["Events"].values()
    properties = event["Properties"]
    assert properties["StartingPosition"] == "LATEST"
    assert "MaximumBatchingWindowInSeconds" not in properties
    assert (properties["MaximumRetryAttempts"], properties["MaximumRecordAgeInSeconds"]) == (1, 60)
    # The log's messages come asynchronously: tried again after a minute, they would be counted as of then. Those that
    # meet no free environment are not "tried again": Lambda keeps them for six hours unless an age is set.
    asynchronous = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    assert FUNCTIONS["ObserveClaimsFunction"]["EventInvokeConfig"] == asynchronous
    assert properties["TumblingWindowInSeconds"] > 0  # else no event has its shard's name
    assert "FunctionResponseTypes" not in properties
    images = [json.loads(one["Pattern"])["dynamodb"] for one in properties["FilterCriteria"]["Filters"]]
    plan = {"plan": {"M": {"kind": {"S": [PLAN_KIND]}}}}
    assert images == [{"NewImage": plan}, {"OldImage": plan}]
    readers = [
        name
        for name, function in FUNCTIONS.items()
        for one in function.get("Events", {}).values()
        if one["Properties"].get("Stream") == {"GetAtt": "IdempotencyTable.StreamArn"}
    ]
    assert len(readers) <= 2


def test_nothing_is_observed_or_predicted_where_routing_is_off() -> None:
    """Fails when a stack that routes by static weights pays for signals."""
    assert TEMPLATE["Parameters"]["RoutingMode"]["Default"] == "off"
    assert TEMPLATE["Conditions"]["RoutingIsOn"] == {"Not": [{"Equals": [{"Ref": "RoutingMode"}, "off"]}]}
    assert set(TEMPLATE["Parameters"]["RoutingMode"]["AllowedValues"]) == {mode.value for mode in Mode}
    claims = FUNCTIONS["ObserveClaimsFunction"]["Events"]["Claims"]["Properties"]
    assert claims["Enabled"] == {"If": ["RoutingIsOn", True, False]}
    schedule = FUNCTIONS["PredictRoutesFunction"]["Events"]["EveryMinute"]["Properties"]
    assert schedule == {"Schedule": "rate(1 minute)", "State": {"If": ["RoutingIsOn", "ENABLED", "DISABLED"]}}
    for name in ("Refusals", "RefusalsPermission"):
        assert TEMPLATE["Resources"][name]["Condition"] == "RoutingIsOn"


def test_refusals_are_selected_by_what_is_logged_and_only_the_log_may_call() -> None:
    """Fails when the selected message is another one than the code looks for."""
    selection = TEMPLATE["Resources"]["Refusals"]["Properties"]
    assert selection["FilterPattern"] == f'{{ $.message = "{REFUSED_MESSAGE}" }}'
    assert selection["LogGroupName"] == {"Ref": "Logs"}
    permission = TEMPLATE["Resources"]["RefusalsPermission"]["Properties"]
    assert permission["Principal"] == "logs.amazonaws.com"
    assert permission["SourceArn"] == {"GetAtt": "Logs.Arn"}
    assert "SourceAccount" in permission


def test_a_run_of_the_predictor_meets_the_next_one_and_fits_its_function() -> None:
    """Fails when there is a gap between two runs, or a run is cut off before it gives up the lead."""
    function = FUNCTIONS["PredictRoutesFunction"]
    assert 60 < RUN_SECONDS < function["Timeout"] - STOP_BEFORE_TIMEOUT_MS / 1000
    assert function["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    assert function["DeadLetterQueue"]["TargetArn"] == {"GetAtt": "PredictionFailures.Arn"}


def leading_keys(function: str) -> dict[str, list[str]]:
    """Return the partitions of the routing table that a role may touch, by action."""
    found = {}
    for statement in statements(function):
        assert statement["Resource"] == {"GetAtt": "RoutingTable.Arn"}
        conditions = [keys for keys in statement["Condition"].values() if "dynamodb:LeadingKeys" in keys]
        assert list(statement["Condition"]) in (["ForAllValues:StringEquals"], ["ForAllValues:StringLike"])
        found[statement["Action"]] = conditions[0]["dynamodb:LeadingKeys"]
    return found


def test_who_observes_may_add_signals_and_nothing_else() -> None:
    assert leading_keys("ObserveClaimsFunction") == {"dynamodb:PutItem": ["SIGNALS"]}


def test_who_predicts_touches_no_override_and_changes_no_decision() -> None:
    """Fails when the predictor's role may touch a payment's tables, put an override in force, or rewrite a record."""
    assert leading_keys("PredictRoutesFunction") == {
        "dynamodb:Query": ["SIGNALS"],
        "dynamodb:GetItem": ["PREDICTOR", "CONTROL"],
        "dynamodb:UpdateItem": ["PREDICTOR", "CONTROL", "MINUTES"],
        "dynamodb:PutItem": ["PREDICTOR", "DECISION#*"],
    }
    (update,) = [s for s in statements("PredictRoutesFunction") if s["Action"] == "dynamodb:UpdateItem"]
    attributes = update["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert set(attributes) == {"pk", "sk", "document", "state", "told", "purge_at", *GUARDED}


def test_counts_are_added_in_batches_one_at_a_time_and_each_shard_has_a_name() -> None:
    """Fails when each payment would be a write, when two batches of a shard run at once, or a shard has no name."""
    function = FUNCTIONS["KeepOverviewFunction"]
    outbox = function["Events"]["Outbox"]["Properties"]
    assert outbox["Stream"] == {"GetAtt": "OutboxTable.StreamArn"}
    assert outbox["MaximumBatchingWindowInSeconds"] >= 10
    assert outbox["BatchSize"] >= 1000
    assert outbox["ParallelizationFactor"] == 1  # records of one shard in their order: ``upto`` rests on it
    assert outbox["TumblingWindowInSeconds"] > 0  # else no event has its shard's name
    readers = [
        name
        for name, other in FUNCTIONS.items()
        for one in other.get("Events", {}).values()
        if one["Properties"].get("Stream") == {"GetAtt": "OutboxTable.StreamArn"}
    ]
    assert len(readers) <= 2
    cases = function["Events"]["Cases"]["Properties"]
    assert json.loads(cases["FilterCriteria"]["Filters"][0]["Pattern"]) == {
        "dynamodb": {"Keys": {"sk": {"S": [case_key("brk")["sk"]]}}}
    }
    assert table_properties(Table.RECONCILIATION)["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (statement,) = statements("KeepOverviewFunction")
    assert statement["Resource"] == {"GetAtt": "OverviewTable.Arn"}


def test_counted_requests_are_selected_by_what_is_logged_and_only_the_log_may_call() -> None:
    """Fails when the selected message is another one than the code looks for, or a third subscription is made."""
    filters = [one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::Logs::SubscriptionFilter"]
    assert len(filters) <= 2  # of one log group
    selection = TEMPLATE["Resources"]["CountedRequests"]["Properties"]
    assert selection["FilterPattern"] == f'"{COUNTED_MESSAGE}"'
    permission = TEMPLATE["Resources"]["CountedRequestsPermission"]["Properties"]
    assert permission["Principal"] == "logs.amazonaws.com"
    assert permission["SourceArn"] == {"GetAtt": "Logs.Arn"}
    assert "SourceAccount" in permission


def test_the_audit_function_may_put_entries_and_nothing_else() -> None:
    assert statements("AuditIdempotencyFunction") == [
        {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": {"GetAtt": "AuditTable.Arn"}},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"GetAtt": "AuditFailures.Arn"}},
    ]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_role_can_change_or_delete_an_audit_entry(name: str) -> None:
    """Fails when a role may do more than add (the audit function) or query (the route, and runs): a trail that can be
    edited proves nothing. No function of the request path may even add: its time is the payer's.
    """
    allowed = {
        "AuditIdempotencyFunction": {"dynamodb:PutItem"},
        "GetIdempotencyKeyFunction": {"dynamodb:Query"},
        "ReconcileFunction": {"dynamodb:Query"},
        # What people do at the console, and are refused, is added by the function that serves them.
        **{name: {"dynamodb:PutItem"} for name in FUNCTIONS if name.startswith("Console")},
        # The story of a payment and of a key; and whether a form that is sent again has released its key already.
        "ConsolePagesFunction": {"dynamodb:PutItem", "dynamodb:Query"},
        "ConsoleKeyActionsFunction": {"dynamodb:PutItem", "dynamodb:Query"},
    }
    actions: set[str] = set()
    for statement in statements(name):
        if "AuditTable" in json.dumps(statement["Resource"]):
            named = statement["Action"]
            actions |= set(named if isinstance(named, list) else [named])
    assert actions == allowed.get(name, set())


def test_looking_at_a_key_needs_no_more_than_reading() -> None:
    assert [s["Action"] for s in statements("GetIdempotencyKeyFunction")] == [
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
    ]


BREAK_FUNCTIONS = {name for name, _, path in api_events() if path.startswith("/breaks")}
ONLY_BREAKS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["BREAK#*"]}}
MATCH_FUNCTIONS = {name for name, _, path in api_events() if "/matches" in path}
OF_MATCHES = {"MATCH#*", "MATCHES", "MATCHED#*"}


@pytest.mark.parametrize("name", sorted(BREAK_FUNCTIONS))
def test_a_merchants_routes_reach_breaks_and_nothing_else_of_reconciliation(name: str) -> None:
    """Fails when such a role may read the files' list or move the chain of manifests, change or delete a comment, or
    touch a ledger, a secret or the bucket.
    """
    for statement in statements(name):
        text = json.dumps(statement)
        if '"ReconciliationTable.Arn"' in text and statement["Condition"] != ONLY_BREAKS:
            assert name in MATCH_FUNCTIONS
            [[operator, keys]] = statement["Condition"].items()
            assert operator == "ForAllValues:StringLike"
            assert set(keys["dynamodb:LeadingKeys"]) <= OF_MATCHES
        for other in ("LedgerTable", "AuditTable", "MerchantsTable", "secretsmanager", "s3:", "kms:"):
            assert other not in text
        if "OutboxTable" in text:
            assert (name, statement["Action"]) == ("GetBreakFunction", "dynamodb:BatchGetItem")
            assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["pay_*"]}}
        if "DeleteItem" in text and "IdempotencyTable" not in text:
            assert name == "UnmatchBreaksFunction"
            assert statement["Condition"]["ForAllValues:StringLike"] == {"dynamodb:LeadingKeys": ["MATCHED#*"]}
    reads = {name for name, method, _ in api_events() if method == "GET"}
    if name in reads:
        assert not any(word in json.dumps(statements(name)) for word in ("PutItem", "UpdateItem", "DeleteItem"))


def test_what_a_match_wrote_is_never_deleted_and_only_changed_to_take_it_back() -> None:
    """Fails when making a match could change or delete another one, or take the row of another one."""
    changed = {
        (name, action, tuple(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]))
        for name in MATCH_FUNCTIONS
        for statement in statements(name)
        for action in ("dynamodb:UpdateItem", "dynamodb:DeleteItem")
        if "ReconciliationTable" in json.dumps(statement["Resource"]) and action in statement["Action"]
    }
    assert changed == {
        ("MatchBreaksFunction", "dynamodb:UpdateItem", ("BREAK#*",)),
        ("UnmatchBreaksFunction", "dynamodb:UpdateItem", ("BREAK#*",)),
        ("UnmatchBreaksFunction", "dynamodb:UpdateItem", ("MATCH#*",)),
        ("UnmatchBreaksFunction", "dynamodb:DeleteItem", ("MATCHED#*",)),
    }


def test_only_decisions_and_proposals_change_a_correction() -> None:
    changing = {
        name
        for name in BREAK_FUNCTIONS
        for statement in statements(name)
        if "PaymentsTable" in json.dumps(statement["Resource"]) and "UpdateItem" in json.dumps(statement["Action"])
    }
    assert changing == {"ProposeCorrectionFunction", "ApproveCorrectionFunction", "RejectCorrectionFunction"}


WORKFLOW = TEMPLATE["Resources"]["CorrectionsWorkflow"]["Properties"]


def test_the_workflow_may_call_its_one_function_and_nothing_else() -> None:
    """Fails when it may do more, or an approval could not wait: Express workflows have no task tokens."""
    assert WORKFLOW["Type"] == "STANDARD"
    assert WORKFLOW["Policies"] == [
        {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "lambda:InvokeFunction",
                    "Resource": {"GetAtt": "CorrectBreakFunction.Arn"},
                }
            ]
        }
    ]
    text = json.dumps(WORKFLOW["Definition"])
    tasks = [state for state in WORKFLOW["Definition"]["States"].values() if state["Type"] == "Task"]
    assert text.count('"FunctionName": {"GetAtt": "CorrectBreakFunction.Arn"}') == len(tasks)


def test_the_workflows_arn_that_functions_are_told_is_the_workflows() -> None:
    """Fails when one of the two is renamed: runs would start nothing, for ever."""
    told = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["PAYONCE_CORRECTIONS_ARN"]["Sub"]
    assert told.partition(":stateMachine:")[2] == WORKFLOW["Name"]["Sub"]


def test_who_starts_a_workflow_and_who_wakes_one() -> None:
    """Fails when a role may start or wake corrections that has nothing to do with them."""
    starting = {name for name in FUNCTIONS if "states:StartExecution" in json.dumps(FUNCTIONS[name].get("Policies"))}
    waking = {name for name in FUNCTIONS if "states:SendTaskSuccess" in json.dumps(FUNCTIONS[name].get("Policies"))}
    assert starting == {"ReconcileFunction"}
    deciding = {"ApproveCorrectionFunction", "RejectCorrectionFunction", "ConsoleCaseActionsFunction"}
    assert waking == {*deciding, "CorrectBreakFunction"}
    for name in waking:
        (statement,) = [s for s in statements(name) if s["Action"] == "states:SendTaskSuccess"]
        condition, _, otherwise = statement["Resource"]["If"]
        assert condition == "IsLocal"
        assert otherwise["Sub"].endswith("-corrections")


def test_a_correction_reads_its_policy_and_no_other_file() -> None:
    """Fails when the worker of corrections may read reports, or write anything to the bucket."""
    files = [s for s in statements("CorrectBreakFunction") if "s3:" in json.dumps(s["Action"])]
    assert [statement["Action"] for statement in files] == ["s3:GetObject", "s3:ListBucket"]
    assert files[0]["Resource"]["Sub"][0].endswith(f"/{POLICY_FILE}")
    for statement in statements("CorrectBreakFunction"):
        if '"ReconciliationTable.Arn"' in json.dumps(statement):
            assert statement["Condition"] == ONLY_BREAKS


def test_recovery_changes_cases_and_nothing_else_of_reconciliation() -> None:
    """Fails when it can't commit a correction that it carries on: the commit notes on the case what was given back."""
    changing = [s for s in statements("AskGatewaysFunction") if "ReconciliationTable" in json.dumps(s["Resource"])]
    assert [(s["Action"], s["Condition"]) for s in changing] == [("dynamodb:UpdateItem", ONLY_BREAKS)]


def test_a_run_only_reads_the_claims_that_it_explains_by() -> None:
    claims = [s for s in statements("ReconcileFunction") if "IdempotencyTable" in json.dumps(s["Resource"])]
    allowed = set()
    for statement in claims:
        named = statement["Action"]
        allowed |= set(named if isinstance(named, list) else [named])
    assert allowed == {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}


def test_the_trail_is_kept_for_as_long_as_the_parameter_says() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["PAYONCE_AUDIT_RETENTION_DAYS"] == {"Ref": "AuditRetentionDays"}
    parameter = TEMPLATE["Parameters"]["AuditRetentionDays"]
    assert parameter["MinValue"] * 86_400 == MIN_AUDIT_RETENTION_SECONDS
    assert parameter["Default"] * 86_400 == DEFAULT_AUDIT_RETENTION_SECONDS


def test_the_trail_is_alarmed_long_before_the_stream_forgets() -> None:
    alarm = TEMPLATE["Resources"]["AuditBehindAlarm"]["Properties"]
    assert (alarm["MetricName"], alarm["Namespace"]) == ("IteratorAge", "AWS/Lambda")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "AuditIdempotencyFunction"}}]
    assert alarm["Threshold"] <= 3_600_000
    failures = TEMPLATE["Resources"]["AuditFailuresAlarm"]["Properties"]
    assert failures["Dimensions"] == [{"Name": "QueueName", "Value": {"GetAtt": "AuditFailures.QueueName"}}]


def test_the_overview_is_alarmed_before_anything_is_left_out_of_its_counts() -> None:
    """Fails when the alarm watches another function, or comes after the first of the streams has given records up."""
    alarm = TEMPLATE["Resources"]["OverviewBehindAlarm"]["Properties"]
    assert (alarm["MetricName"], alarm["Namespace"]) == ("IteratorAge", "AWS/Lambda")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "KeepOverviewFunction"}}]
    events = FUNCTIONS["KeepOverviewFunction"]["Events"].values()
    given_up_seconds = min(event["Properties"]["MaximumRecordAgeInSeconds"] for event in events)
    heard_after_ms = alarm["Threshold"] + alarm["Period"] * alarm["EvaluationPeriods"] * 1000
    assert heard_after_ms <= given_up_seconds * 1000 / 2  # half of the time is left to whoever is called


def test_the_sweeper_is_alarmed_when_it_can_not_keep_up() -> None:
    """Fails when the alarm reads another member of the log than the run's report has, or hears of it in an hour."""
    pattern = TEMPLATE["Resources"]["SweepBehind"]["Properties"]
    (metric,) = pattern["MetricTransformations"]
    alarm = TEMPLATE["Resources"]["SweepBehindAlarm"]["Properties"]
    assert alarm["MetricName"] == metric["MetricName"]
    assert metric["MetricValue"].removeprefix("$.") in {field.name for field in dataclasses.fields(SchedulerReport)}
    assert '"scheduler run"' in pattern["FilterPattern"]
    assert alarm["Threshold"] + alarm["Period"] * alarm["EvaluationPeriods"] * 1000 <= 3_600_000


@pytest.mark.parametrize("name", sorted({name for name, _, _ in api_events()}))
def test_a_function_stops_before_api_gateway_gives_up(name: str) -> None:
    """Fails when a function may go on after its caller was told that it failed."""
    timeout = FUNCTIONS[name].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    assert timeout < API_GATEWAY_TIMEOUT_SECONDS
    assert LEASE_MARGIN_MS > 0


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_role_has_a_wildcard(name: str) -> None:
    for statement in statements(name):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert all("*" not in action for action in actions)
        assert all(resource != "*" for resource in resources)
        assert all(action != "dynamodb:Scan" for action in actions)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_journal_entries_and_events_are_only_ever_added(name: str) -> None:
    """Fails when a role may change or delete an entry: "never edited" is then only a habit."""
    for statement in statements(name):
        text = json.dumps(statement)
        if "OutboxTable" in text:
            assert not any(word in text for word in ("DeleteItem", "BatchWriteItem", "UpdateItem"))
        if "LedgerTable" in text and "UpdateItem" in text:
            assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["BALANCE#*"]}}
        if "LedgerTable" in text:
            assert "DeleteItem" not in text


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_of_routing_a_payment_reads_the_one_item_and_no_other_request_anything(name: str) -> None:
    """Fails when a payment or set-up may write there, or read what decisions are made from; or a capture may read."""
    reach = [statement for statement in statements(name) if "RoutingTable" in json.dumps(statement["Resource"])]
    if name in {"CreatePaymentFunction", "CreateSetupFunction"}:
        (statement,) = reach
        assert statement["Action"] == "dynamodb:GetItem"
        assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [CONTROL_KEY["pk"]]}}
    elif any(function == name for function, _, _ in api_events()):
        assert reach == []


def test_routing_is_off_until_somebody_switches_it_on() -> None:
    """The words are the code's. Fails when a deployment that says nothing begins to act on forecasts."""
    parameters = TEMPLATE["Parameters"]
    assert parameters["RoutingMode"]["AllowedValues"] == [mode.value for mode in Mode]
    assert (parameters["RoutingMode"]["Default"], parameters["Routing"]["Default"]) == (Mode.OFF.value, "")
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables[MODE_VARIABLE] == {"Ref": "RoutingMode"}
    assert variables[SETTINGS_VARIABLE] == {"Ref": "Routing"}


def test_throttling_comes_before_the_functions_and_every_route_is_authorized() -> None:
    api = TEMPLATE["Resources"]["Api"]["Properties"]
    assert api["MethodSettings"][0]["ThrottlingRateLimit"]
    assert api["Auth"]["DefaultAuthorizer"] == "ApiKeyAuthorizer"
    for function in FUNCTIONS.values():
        for event in function.get("Events", {}).values():
            assert event.get("Properties", {}).get("Auth", {}).get("Authorizer") != "NONE"


def test_of_the_open_api_one_function_has_the_routes_and_their_bodies_come_as_bytes() -> None:
    """Fails when another function gets a route without an authorizer, or when a body is made a text on its way."""
    open_routes = [
        (name, event["Properties"]["Method"], event["Properties"]["Path"])
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["RestApiId"] == {"Ref": "GatewayEventsApi"}
    ]
    assert open_routes == [("AcceptGatewayEventsFunction", route.method, route.path) for route in OPEN_ROUTES]
    api = TEMPLATE["Resources"]["GatewayEventsApi"]["Properties"]
    assert api["BinaryMediaTypes"] == ["*~1*"]
    assert api["MethodSettings"][0]["ThrottlingRateLimit"]
    assert FUNCTIONS["AcceptGatewayEventsFunction"]["Timeout"] < API_GATEWAY_TIMEOUT_SECONDS


def test_the_open_route_may_keep_and_queue_an_event_and_nothing_else() -> None:
    """Fails when what anybody on the internet may call could read another table than that of the sealed credentials,
    open an API key there, or touch another table or queue.
    """
    reach = {
        (action, json.dumps(statement["Resource"]))
        for statement in statements("AcceptGatewayEventsFunction")
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    }
    assert {action for action, _ in reach} == {
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "sqs:SendMessage",
        "sqs:SendMessageBatch",
        "secretsmanager:GetSecretValue",
        "dynamodb:GetItem",
        "kms:Decrypt",
    }
    (opens,) = [each for each in statements("AcceptGatewayEventsFunction") if each["Action"] == "kms:Decrypt"]
    assert opens["Condition"] == {"StringEquals": {"kms:EncryptionContext:purpose": EVENTS_PURPOSE}}
    (reads,) = [each for each in statements("AcceptGatewayEventsFunction") if each["Action"] == "dynamodb:GetItem"]
    assert reads["Resource"] == {"GetAtt": "CredentialsTable.Arn"}
    (updates,) = [each for each in statements("AcceptGatewayEventsFunction") if "dynamodb:UpdateItem" in each["Action"]]
    assert updates["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["told#*", "charge_told#*"]}}
    assert {resource for action, resource in reach if not action.startswith("secretsmanager")} == {
        '{"GetAtt": "NoticesTable.Arn"}',
        '{"GetAtt": "GatewayEventQueue.Arn"}',
        '{"GetAtt": "CredentialsTable.Arn"}',
        '{"GetAtt": "SecretsKey.Arn"}',
    }


CONSOLE_FUNCTIONS = sorted(name for name in FUNCTIONS if name.startswith("Console"))


def console_paths(name: str) -> list[tuple[str, str]]:
    return [
        (event["Properties"]["Method"], event["Properties"]["Path"]) for event in FUNCTIONS[name]["Events"].values()
    ]


def test_the_consoles_api_leads_to_the_consoles_functions_and_bodies_come_as_bytes() -> None:
    """Fails when another function is reached without a session, or an uploaded file is made a text on its way."""
    behind = {
        name
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["RestApiId"] == {"Ref": "ConsoleApi"}
    }
    assert sorted(behind) == CONSOLE_FUNCTIONS
    api = TEMPLATE["Resources"]["ConsoleApi"]["Properties"]
    assert api["BinaryMediaTypes"] == ["*~1*"]
    assert api["MethodSettings"][0]["ThrottlingRateLimit"]


def test_the_actions_of_a_function_lie_below_its_paths_and_what_has_actions_can_be_read() -> None:
    """Fails when an action is registered for a function that API Gateway does not send it to."""
    functions = {FUNCTIONS[name]["Handler"].removeprefix("app."): name for name in CONSOLE_FUNCTIONS}
    assert set(functions) == {"pages", "session_actions", *CONSOLE_ACTIONS}
    read = {path for _, path in console_paths("ConsolePagesFunction")}
    for family, actions in CONSOLE_ACTIONS.items():
        paths = console_paths(functions[family])
        assert {method for method, _ in paths} == {"POST"}
        assert {path for _, path in paths} <= read
        for action in actions:
            patterns = [f"{path.removesuffix('{proxy+}')}*" for _, path in paths]
            assert any(fnmatch(CONSOLE_ROOT + action.path, pattern) for pattern in patterns), action.path


@pytest.mark.parametrize("name", CONSOLE_FUNCTIONS)
def test_no_function_of_the_console_can_make_an_operator_or_change_what_people_did(name: str) -> None:
    """Fails when who gets hold of a function could sign in for good, raise a role, or clear the list of acts."""
    for statement in statements(name):
        if statement["Resource"] == {"GetAtt": "ConsoleTable.Arn"}:
            named = statement["Action"]
            keys = set(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
            if set(named if isinstance(named, list) else [named]) & {"dynamodb:UpdateItem", "dynamodb:DeleteItem"}:
                assert keys <= {"SESSION#*", "GUESSES#*"}
            elif named == "dynamodb:PutItem":
                assert keys <= {"ACTS#*", "SESSION#*", "GUESSES#*"}
                assert name == "ConsoleSessionFunction" or keys == {"ACTS#*"}


def test_an_event_that_is_taken_fits_into_its_item_and_passes_the_firewall() -> None:
    """Fails when an accepted event could not be stored: an item has 400 KB at most."""
    assert MAX_NOTICE_BYTES <= 300 * 1024


def test_the_off_switch_of_powertools_is_nowhere() -> None:
    assert POWERTOOLS_OFF_SWITCH not in (REPOSITORY / "template.yaml").read_text()


@pytest.mark.parametrize("name", [name for name, f in FUNCTIONS.items() if "Queue" in f.get("Events", {})])
def test_a_message_stays_unseen_for_longer_than_it_is_worked_on(name: str) -> None:
    """Fails when the visibility timeout is shorter than the work: two senders would then have one message.

    Six times the function's timeout is what AWS asks for, so that a throttled batch can be tried again.
    """
    event = FUNCTIONS[name]["Events"]["Queue"]["Properties"]
    queue = TEMPLATE["Resources"][event["Queue"]["GetAtt"].split(".")[0]]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * FUNCTIONS[name]["Timeout"]
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_an_attempt_and_its_record_fit_into_the_dispatchers_time() -> None:
    timeout_ms = FUNCTIONS["DispatchDeliveriesFunction"]["Timeout"] * 1000
    assert timeout_ms > dispatch.ATTEMPT_TIMEOUT_MS + dispatch.RECORD_RESERVE_MS
    assert timeout_ms > dispatch.ATTEMPT_TIMEOUT_MS + dispatch.LEASE_MARGIN_MS


def test_every_queue_holds_failures_or_has_a_dead_letter_queue() -> None:
    queues = {name: r for name, r in TEMPLATE["Resources"].items() if r["Type"] == "AWS::SQS::Queue"}
    text = json.dumps(TEMPLATE["Resources"])
    for name, queue in queues.items():
        is_dead_letter_queue = any(f'"{member}": {{"GetAtt": "{name}.Arn"}}' in text for member in DEAD_LETTER_MEMBERS)
        assert is_dead_letter_queue or "RedrivePolicy" in queue["Properties"]


def test_a_message_is_seen_once_while_it_is_worked_on_and_put_aside_when_it_poisons() -> None:
    queue = TEMPLATE["Resources"]["DeliveryQueue"]["Properties"]
    assert queue["VisibilityTimeout"] == 360
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"GetAtt": "DeliveryFailures.Arn"},
        "maxReceiveCount": 5,
    }


def test_the_secrets_key_rotates_is_kept_and_serves_few() -> None:
    """Fails when a role may use the key that has nothing to seal or open."""
    key = TEMPLATE["Resources"]["SecretsKey"]
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["DeletionPolicy"].startswith("Retain")
    limited = {"StringEquals": {"kms:EncryptionContext:purpose": KEY_PURPOSE}}
    opening = {
        name
        for name in FUNCTIONS
        for each in statements(name)
        if each["Action"] == "kms:Decrypt" and each.get("Condition") == limited
    }
    # Whoever asks a gateway opens the keys of merchants' accounts, and nothing else.
    assert opening == {
        name
        for name in FUNCTIONS
        if "GatewaySecret" in json.dumps(statements(name)) or "-gateways-" in json.dumps(statements(name))
    } - {"AcceptGatewayEventsFunction"}
    users = {
        name
        for name in FUNCTIONS
        if any("SecretsKey" in json.dumps(each) and "Condition" not in each for each in statements(name))
    }
    assert {"CreateWebhookEndpointFunction", "RotateWebhookSecretFunction"} <= users
    unsafe_routes = {name for name, method, _ in api_events() if method in UNSAFE_METHODS}
    reads = {name for name, _, _ in api_events()} - unsafe_routes
    assert not users & reads
    assert users & unsafe_routes == {"CreateWebhookEndpointFunction", "RotateWebhookSecretFunction"}


def test_a_run_has_the_limits_that_the_code_names() -> None:
    """Fails when the function gets less memory than its engine is told of, or another end than the runbook says."""
    reconcile = FUNCTIONS["ReconcileFunction"]
    named = (RUN_TIMEOUT_SECONDS, FUNCTION_MEMORY_MB, SCRATCH_MB)
    assert (reconcile["Timeout"], reconcile["MemorySize"], reconcile["EphemeralStorage"]["Size"]) == named
    assert ENGINE_MEMORY_MB <= FUNCTION_MEMORY_MB // 2


def test_every_alarm_has_its_runbook() -> None:
    for resource in TEMPLATE["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            runbook = resource["Properties"]["AlarmDescription"].split()[-1]
            assert (REPOSITORY / runbook).is_file(), runbook


def test_every_alarm_can_notify_somebody() -> None:
    alarms = [r["Properties"] for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms
    assert all("HasAlarmTopic" in json.dumps(alarm["AlarmActions"]) for alarm in alarms)


def test_a_silent_predictor_alarms_where_there_should_be_one() -> None:
    """Fails when silence is no alarm, or is one in every stack that has routing off."""
    alarm = TEMPLATE["Resources"]["RoutingPredictorSilentAlarm"]
    properties = alarm["Properties"]
    assert (properties["TreatMissingData"], properties["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    assert properties["Period"] * properties["EvaluationPeriods"] == 300
    assert alarm["Condition"] == "RoutingIsOn"
    assert TEMPLATE["Conditions"]["RoutingIsOn"] == {"Not": [{"Equals": [{"Ref": "RoutingMode"}, "off"]}]}
    failing = TEMPLATE["Resources"]["RoutingPredictorFailingAlarm"]["Properties"]
    assert failing["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "PredictRoutesFunction"}}]


def test_signals_that_can_not_be_stored_alarm() -> None:
    """Fails when a reader that fails is nobody's business: without signals the predictor finds none that are late."""
    failing = TEMPLATE["Resources"]["RoutingSignalsFailingAlarm"]["Properties"]
    assert (failing["Namespace"], failing["MetricName"]) == ("AWS/Lambda", "Errors")
    assert failing["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "ObserveClaimsFunction"}}]
    assert failing["Threshold"] == 1


@pytest.mark.parametrize(
    ("alarm", "message"),
    [
        ("RoutingSignalsLateAlarm", "routing signals are late"),
        ("RoutingPredictorSilentAlarm", "routing run"),
        ("RoutingStepsFailingAlarm", "routing step failed"),
        ("GatewayDemotedAlarm", "gateway demoted"),
        ("PaymentsShedAlarm", "payments are shed"),
        ("RoutingStateRestartedAlarm", "routing state restarted"),
        ("RouteUnusualAlarm", "route is unusual"),
    ],
)
def test_what_routing_tells_is_an_alarm(alarm: str, message: str) -> None:
    """Fails when the alarm watches another metric than the one that counts its message."""
    metric = TEMPLATE["Resources"][alarm]["Properties"]["MetricName"]
    counted = TEMPLATE["Resources"][metric]["Properties"]
    assert counted["FilterPattern"] == f'{{ $.message = "{message}" }}'
    assert counted["MetricTransformations"][0]["MetricName"] == metric


SHOWN_ALONE = {
    "ClaimsConcluded",  # a rate that people look at; it is 0 in an outage, and right to be
    "GatewayEventsUnknown",  # those of other systems that use the same account at a gateway
}


def test_what_metrics_count_is_what_the_code_logs() -> None:
    """Fails when a log message is reworded and its alarm goes blind."""
    sources = "".join(
        file.read_text()
        for folder in ("layers/payonce/payonce", "functions")
        for file in (REPOSITORY / folder).rglob("*.py")
    )
    filters = [r["Properties"] for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::Logs::MetricFilter"]
    alarms = [r["Properties"] for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    watched = {alarm["MetricName"] for alarm in alarms}
    for metric_filter in filters:
        message = re.fullmatch(r'{ \$\.message = ("[^"]+") }', metric_filter["FilterPattern"])
        assert message is not None
        assert message.group(1) in sources
        assert metric_filter["MetricTransformations"][0]["MetricName"] in watched | SHOWN_ALONE
    assert len(filters) >= 4


def test_all_functions_log_to_the_group_that_is_counted_and_forgotten() -> None:
    assert TEMPLATE["Globals"]["Function"]["LoggingConfig"] == {"LogGroup": {"Ref": "Logs"}}
    assert all("LoggingConfig" not in function for function in FUNCTIONS.values())
    assert TEMPLATE["Resources"]["Logs"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_recovery_runs_every_minute_and_meets_its_next_run() -> None:
    """Fails when nobody feeds between two runs, or a run is cut off before it gives up the lead."""
    function = FUNCTIONS["RecoverPaymentsFunction"]
    assert function["Events"]["EveryMinute"]["Properties"]["Schedule"] == "rate(1 minute)"
    assert 60 < RECOVERY_SECONDS <= function["Timeout"] - STOP_FEEDING_MS / 1000
    assert function["EventInvokeConfig"]["MaximumRetryAttempts"] == 0


def test_both_functions_of_recovery_alarm_when_they_fail() -> None:
    """Fails when askers that can't start are found out only by the age of the doubts, 45 minutes later."""
    alarms = [TEMPLATE["Resources"][name]["Properties"] for name in ("RecoveryFailingAlarm", "AskersFailingAlarm")]
    assert {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms} == {("AWS/Lambda", "Errors")}
    watched = [alarm["Dimensions"][0]["Value"]["Ref"] for alarm in alarms]
    assert watched == ["RecoverPaymentsFunction", "AskGatewaysFunction"]


def test_the_feeder_reads_the_index_and_changes_no_claim() -> None:
    """It only says when. Fails when its role may touch a payment, a claim or a gateway's secret."""
    reach = json.dumps(statements("RecoverPaymentsFunction"))
    for other in ("PaymentsTable", "LedgerTable", "OutboxTable", 'IdempotencyTable.Arn"}', "secretsmanager"):
        assert other not in reach
    keys = {
        action: statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]
        for statement in statements("RecoverPaymentsFunction")
        if statement["Resource"] == {"GetAtt": "RoutingTable.Arn"}
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert keys == {
        "dynamodb:GetItem": [FEEDER_KEY["pk"], CONTROL_KEY["pk"]],
        "dynamodb:BatchGetItem": [FEEDER_KEY["pk"]],
        "dynamodb:PutItem": [FEEDER_KEY["pk"]],
        "dynamodb:UpdateItem": [FEEDER_KEY["pk"]],
    }


def test_an_asker_has_time_for_its_claims_and_no_message_waits_for_another() -> None:
    """Fails when a claim's lease could outlast the execution, or ten claims of a slow gateway hold up ten others."""
    function = FUNCTIONS["AskGatewaysFunction"]
    assert function["Timeout"] * 1000 >= ASK_SECONDS * 1000 + STOP_BEFORE_ANSWER_MS
    event = function["Events"]["Queue"]["Properties"]
    assert event["BatchSize"] == 1
    most = {"FindInMap": ["Environments", {"Ref": "Environment"}, "MaxAskers"]}
    assert event["ScalingConfig"] == {"MaximumConcurrency": most}
    assert CLAIMS_PER_MESSAGE <= AWS_MAX_CONNECTIONS


def test_the_index_of_open_claims_says_what_the_feeder_needs() -> None:
    (index,) = table_properties(Table.IDEMPOTENCY)["GlobalSecondaryIndexes"]
    assert index["Projection"] == {
        "ProjectionType": "INCLUDE",
        "NonKeyAttributes": ["lane", "created_at_ms", "claim_id"],
    }


@pytest.mark.parametrize(
    ("metric", "member"),
    [
        ("ClaimsInDoubt", "in_doubt"),
        ("OldestDoubt", "oldest_seconds"),
        ("DrainTime", "drain_seconds"),
        ("ClaimsConcluded", "concluded"),
    ],
)
def test_what_recovery_says_of_a_run_is_measured(metric: str, member: str) -> None:
    """Fails when a count is renamed, and its metric is empty from then on."""
    counted = TEMPLATE["Resources"][metric]["Properties"]
    assert counted["FilterPattern"] == '{ $.message = "recovery run" }'
    assert counted["MetricTransformations"][0]["MetricValue"] == f"$.{member}"
    assert member in {field.name for field in dataclasses.fields(FeederReport)}


def test_layers_are_built_for_the_processor_that_is_deployed() -> None:
    """Fails when a build without further words makes wheels for another processor than a deployment without them, or a
    layer's build passes over what is asked of it.
    """
    architecture = TEMPLATE["Parameters"]["Architecture"]
    machines = {"arm64": "aarch64", "x86_64": "x86_64"}
    assert set(architecture["AllowedValues"]) == set(machines)
    for layer in ("dependencies", "reconciliation"):
        for asked in ("", *machines):
            command = ["make", "-n", "-C", str(REPOSITORY / "layers" / layer), f"build-{layer.capitalize()}Layer"]
            environment = {"PATH": os.environ["PATH"], **({"PAYONCE_ARCHITECTURE": asked} if asked else {})}
            printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            wheels = set(re.findall(r"--platform manylinux\w*?_(aarch64|x86_64)\b", printed))
            assert wheels == {machines[asked or architecture["Default"]]}


def test_the_runtime_is_the_python_that_is_tested() -> None:
    assert TEMPLATE["Globals"]["Function"]["Runtime"] == "python{}.{}".format(*sys.version_info[:2])


def test_the_proxy_is_there_only_where_it_is_configured() -> None:
    """Fails when a stack without upstreams has an open proxy, or one with them lacks a method."""
    function = FUNCTIONS["IdempotencyProxyFunction"]
    for name in ("ProxyApi", "ProxyAnswers", "IdempotencyProxyFunction"):
        assert TEMPLATE["Resources"][name]["Condition"] == "HasProxy"
    assert TEMPLATE["Parameters"]["ProxyConfig"]["Default"] == ""
    events = [event["Properties"] for event in function["Events"].values()]
    assert {event["Method"] for event in events} == UNSAFE_METHODS | set(SAFE_METHODS)
    assert {event["Path"] for event in events} == {f"{PREFIX}/{{proxy+}}"}
    assert all(event["RestApiId"] == {"Ref": "ProxyApi"} for event in events)
    api = TEMPLATE["Resources"]["ProxyApi"]["Properties"]
    assert api["Auth"]["DefaultAuthorizer"] == "ApiKeyAuthorizer"
    assert api["MethodSettings"][0]["ThrottlingRateLimit"]
    assert api["BinaryMediaTypes"] == ["*~1*"]
    assert function.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"]) == FUNCTION_SECONDS
    recovery = FUNCTIONS["AskGatewaysFunction"]["Environment"]["Variables"]
    bucket = {"PAYONCE_PROXY_BUCKET": {"If": ["HasProxy", {"Ref": "ProxyAnswers"}, ""]}}
    assert recovery == {**function["Environment"]["Variables"], **bucket}


def test_the_proxy_may_touch_records_and_answers_alone() -> None:
    text = json.dumps(statements("IdempotencyProxyFunction"))
    for other in ("PaymentsTable", "LedgerTable", "OutboxTable", "MerchantsTable", "secretsmanager", "kms:"):
        assert other not in text


def test_the_cluster_is_there_only_where_it_is_asked_for() -> None:
    """Fails when a stack has an EMR application by default, or a cluster without a limit or that never stops."""
    assert TEMPLATE["Parameters"]["ReconciliationCluster"]["Default"] == "off"
    clusters = {n: r for n, r in TEMPLATE["Resources"].items() if "EMR" in r["Type"] or "JobRole" in n}
    assert {r["Condition"] for r in clusters.values()} == {"HasReconciliationCluster"}
    assert TEMPLATE["Conditions"]["HasReconciliationCluster"] == {"Equals": [{"Ref": "ReconciliationCluster"}, "on"]}
    application = TEMPLATE["Resources"]["ReconciliationApplication"]["Properties"]
    assert application["AutoStopConfiguration"]["Enabled"] is True
    assert set(application["MaximumCapacity"]) == {"Cpu", "Memory", "Disk"}


def test_a_job_touches_its_own_folders_alone() -> None:
    """Fails when the job's role reaches the reports, the manifests or another bucket, or may change what it runs."""
    role = TEMPLATE["Resources"]["ReconciliationJobRole"]["Properties"]
    trusted = role["AssumeRolePolicyDocument"]["Statement"]
    assert [one["Principal"] for one in trusted] == [{"Service": "emr-serverless.amazonaws.com"}]
    assert {"StringEquals", "ArnLike"} <= trusted[0]["Condition"].keys()
    [policy] = role["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert all(action.startswith("s3:") and "*" not in action for action in actions)
        paths = [resource["Sub"][0].partition("${Bucket}")[2] for resource in resources]
        if actions == ["s3:ListBucket"]:
            assert (paths, statement["Condition"]) == ([""], {"StringLike": {"s3:prefix": ["cluster/*"]}})
            continue
        assert all(re.fullmatch(r"/cluster/(code|in|work|out)/\*", path) for path in paths)
        if actions != ["s3:GetObject"]:
            assert paths == ["/cluster/work/*", "/cluster/out/*"]


def test_large_answers_are_private_and_outlive_every_replay() -> None:
    bucket = TEMPLATE["Resources"]["ProxyAnswers"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    days = bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
    assert days * DAY_SECONDS > MAX_WINDOW_SECONDS


@pytest.mark.parametrize("api", ["Api", "ProxyApi"])
def test_a_merchant_has_a_share_of_the_requests(api: str) -> None:
    """Fails when an API is not in the plan, takes the key from a client, or counts nobody.

    SAM decides whether methods need a key before conditions are, by the parameter's text, of which an empty one is no:
    a condition there would be taken for yes.
    """
    properties = TEMPLATE["Resources"][api]["Properties"]
    assert properties["ApiKeySourceType"] == "AUTHORIZER"
    assert properties["Auth"]["ApiKeyRequired"] == {"Ref": "MerchantRequestsPerSecond"}
    plan = TEMPLATE["Resources"]["MerchantUsagePlan"]
    stages = [stage["If"][1] if "If" in stage else stage for stage in plan["Properties"]["ApiStages"]]
    assert {"ApiId": {"Ref": api}, "Stage": {"Ref": f"{api}.Stage"}} in stages
    assert "Condition" not in plan, "its keys would be lost while it is switched off"
    rates = {"If": ["HasMerchantThrottle", {"Ref": "MerchantRequestsPerSecond"}, {"Ref": "RequestsPerSecond"}]}
    assert plan["Properties"]["Throttle"] == {"RateLimit": rates, "BurstLimit": rates}


def test_one_merchant_can_not_use_up_the_stage() -> None:
    """Fails when a deployment has no share. The local cloud's has none: it takes a usage key from a header alone, and
    its transformation knows a parameter's default and no other value.
    """
    parameters = TEMPLATE["Parameters"]
    share = parameters["MerchantRequestsPerSecond"]
    assert share["Default"] == ""
    deployed = {
        name: dict(pair.split("=") for pair in section["deploy"]["parameters"]["parameter_overrides"].split())
        for name, section in tomllib.loads((REPOSITORY / "samconfig.toml").read_text()).items()
        if name != "version"
    }
    assert deployed.keys() == {"default", "local", "sandbox", "production"}
    for name, overrides in deployed.items():
        stated = int(overrides.get("MerchantRequestsPerSecond", "0"))
        assert (0 < stated <= parameters["RequestsPerSecond"]["Default"] / 5) == (name != "local")
    allowed = re.compile(share["AllowedPattern"])
    assert [bool(allowed.fullmatch(text)) for text in ("", "1", "99999", "0", "-1", "1.5")] == [True] * 3 + [False] * 3


def test_the_authorizer_names_a_key_that_is_in_the_plan() -> None:
    """Fails when merchants without a key of their own would be refused (a key that is in no plan, or no key)."""
    resources = TEMPLATE["Resources"]
    key, member = resources["SharedUsageKey"]["Properties"], resources["SharedUsagePlanKey"]["Properties"]
    told = FUNCTIONS["AuthorizeFunction"]["Environment"]["Variables"]["PAYONCE_SHARED_USAGE_KEY"]
    assert (key["Value"], key["Enabled"]) == (told, True)
    assert member["KeyId"] == {"Ref": "SharedUsageKey"}
    assert member["UsagePlanId"] == {"Ref": "MerchantUsagePlan"}
    assert TEMPLATE["Outputs"]["MerchantUsagePlanId"]["Value"] == {"Ref": "MerchantUsagePlan"}
