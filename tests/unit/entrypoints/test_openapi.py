"""What openapi.json says of problems, roles and headers, against the code and against what handlers really answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from payonce.domain.problems import PROBLEMS, TYPE_PREFIX, documentation_link
from payonce.entrypoints.http import KeyedRoute
from payonce.entrypoints.openapi import build_openapi
from payonce.entrypoints.payment_routes import STATUS_HEADER
from payonce.entrypoints.problem_schemas import MEMBERS, schema_name
from payonce.entrypoints.routes import ROUTES
from tests.support.aws import REPOSITORY
from tests.support.events import PAYMENT, call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.wiring.application import Application

DOCUMENT = json.loads(json.dumps(build_openapi()))
COMMITTED = json.loads((REPOSITORY / "openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations(document: Any = DOCUMENT) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        for operation in methods.values():
            yield operation["operationId"], operation


def response_of(operation: dict[str, Any], status: int) -> dict[str, Any]:
    response: dict[str, Any] = operation["responses"][str(status)]
    name = response.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["responses"][name] if name else response


def closed(schema: Any) -> Any:
    """Return the schema without its permission of further members: what is answered must all be declared."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: False if name == "additionalProperties" and value is True else closed(value)
        for name, value in schema.items()
    }


CLOSED = {name: closed(schema) for name, schema in SCHEMAS.items()}


def check(operation_id: str, answer: dict[str, Any]) -> None:
    """Fail unless the document foresees the answer: status, content type, headers, and every member of the body."""
    operation = dict(operations())[operation_id]
    response = response_of(operation, answer["statusCode"])
    schema = response["content"][answer["headers"]["Content-Type"]]["schema"]
    jsonschema_rs.validate({**schema, "components": {"schemas": CLOSED}}, json.loads(answer["body"]))
    told = {"Cache-Control", "Content-Type", "Idempotency-Replayed", "Location", "Idempotency-Expires"}
    assert set(answer["headers"]) - told <= set(response.get("headers", {})), answer["headers"]


def test_every_problem_type_has_a_schema_with_all_its_members() -> None:
    """Fails when a type's extension is not declared: a client would not know `code` or `available_minor`."""
    reachable = {name for name in SCHEMAS if name.endswith("Problem")}
    for kind in PROBLEMS.values():
        name = schema_name(kind.slug)
        if name not in reachable:
            continue  # of the proxy or of operators
        schema = SCHEMAS[name]
        assert schema["properties"]["type"]["const"] == TYPE_PREFIX + kind.slug
        assert schema["properties"]["retryable"]["const"] is kind.retryable
        assert schema["description"].endswith(documentation_link("docs/problems.md", kind))
        assert schema["required"][:5] == ["type", "title", "status", "detail", "retryable"]
    assert len(reachable) > 25
    assert set(MEMBERS) <= {kind.slug for kind in PROBLEMS.values()} | {"declined", "not-executed"}


def test_a_route_names_its_scope_its_tag_and_who_refuses() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for operation_id, operation in operations():
        assert set(operation["tags"]) <= tags
        if operation_id in ROUTES:
            assert operation["security"] == [{"apiKey": [ROUTES[operation_id].scope]}]
            assert {"401", "403", "404", "429", "500", "502", "503", "504"} <= set(operation["responses"])
    assert len({operation["operationId"] for _, operation in operations()}) == len(list(operations()))


def test_headers_are_said_of_the_routes_that_send_them() -> None:
    """Where a replay says how its payment stands now, a key says until when, and a doubt when to ask again."""
    for operation_id, route in ROUTES.items():
        for status in route.answers:
            headers = set(response_of(dict(operations())[operation_id], status).get("headers", {}))
            keyed = isinstance(route, KeyedRoute)
            assert ({"Idempotency-Replayed", "Idempotency-Expires", "Location"} <= headers) is keyed
            stands = isinstance(route, KeyedRoute) and route.now is not None
            assert (STATUS_HEADER.title() in headers) is stands, operation_id
            assert ("Retry-After" in headers) is (status == 202)


def test_what_only_some_routes_answer_is_said_of_those_alone() -> None:
    """Fails when a route's own refusals, or a decline, are said of every route, or of none."""

    def kinds(operation_id: str, status: int) -> set[str]:
        schema = response_of(dict(operations())[operation_id], status)["content"]["application/problem+json"]["schema"]
        return {each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])}

    in_flight = {"KeyInProgressProblem", "KeyExpiredProblem"}
    assert kinds("create_payment", 409) == {*in_flight, "SetupStateProblem"}
    assert kinds("refund_payment", 409) == {*in_flight, "PaymentStateProblem", "AmountExceedsAvailableProblem"}
    assert kinds("approve_correction", 403) == {"ForbiddenProblem", "SelfApprovalProblem"}
    assert kinds("create_payment", 503) == {"StoreUnavailableProblem", "GatewayUnavailableProblem"}
    assert kinds("get_payment", 503) == {"StoreUnavailableProblem"}
    with_402 = {operation_id for operation_id, operation in operations() if "402" in operation["responses"]}
    assert with_402 == {name for name, route in ROUTES.items() if {201, 202} <= set(route.answers)}
    with_409 = {operation_id for operation_id, operation in operations() if "409" in operation["responses"]}
    assert with_409 == {name for name, route in ROUTES.items() if isinstance(route, KeyedRoute)}


def test_the_examples_are_what_their_schemas_say() -> None:
    """They are what handlers have answered. Fails when one of them has a member that is not declared."""
    seen = 0
    for operation_id, operation in operations(COMMITTED):
        for status, response in operation["responses"].items():
            for content_type, content in response.get("content", {}).items():
                for example in content.get("examples", {}).values():
                    seen += 1
                    body = json.dumps(example["value"])
                    check(
                        operation_id,
                        {"statusCode": int(status), "headers": {"Content-Type": content_type}, "body": body},
                    )
    for name, schema in COMMITTED["components"]["schemas"].items():
        for example in schema.get("examples", []):
            seen += 1
            jsonschema_rs.validate({**CLOSED[name], "components": {"schemas": CLOSED}}, example)
    assert seen > 50


@pytest.mark.parametrize("word", ["ok", "decline", "lost", "never"])
def test_what_is_answered_is_foreseen(application: Application, word: str) -> None:
    """Payments, their replays and what is refused of them, however the gateway answers."""
    application.gateway("bank").script = [word]  # type: ignore[attr-defined]
    application.gateway("bank").lookup_fails = word == "lost"  # type: ignore[attr-defined]
    first = call(application, "create_payment")
    check("create_payment", first)
    check("create_payment", call(application, "create_payment"))
    check("create_payment", call(application, "create_payment", {**PAYMENT, "amount_minor": 1}))
    check("create_payment", call(application, "create_payment", {**PAYMENT, "amount": 1}))
    check("create_payment", call(application, "create_payment", key=None))
    check("create_payment", call(application, "create_payment", scopes=""))
    document = json.loads(first["body"])
    path = {"payment_id": document.get("payment", document).get("id", "pay_" + "0" * 26)}
    for operation_id in ("capture_payment", "cancel_payment", "refund_payment"):
        for number, body in enumerate(({}, {"amount_minor": 10**9})):
            key = f"{operation_id}-{number}".ljust(16, "-")
            body = {} if operation_id == "cancel_payment" else body
            check(operation_id, call(application, operation_id, body, key=key, path=path))
    check("get_payment", call(application, "get_payment", None, path=path))
    check("get_payment_history", call(application, "get_payment_history", None, path=path))
    check("list_payments", call(application, "list_payments", None, query={"limit": "1"}))
    check("list_payments", call(application, "list_payments", None, query={"cursor": "nonsense"}))
    check("get_balances", call(application, "get_balances", None))


def test_examples_are_no_part_of_what_is_built_without_them() -> None:
    assert "examples" not in json.dumps(build_openapi()["paths"])
