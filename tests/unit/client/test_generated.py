"""Every operation of openapi.json is a method of both clients, and says on the wire what the schema says.

This reads openapi.json by itself and not with the generator, whose mistakes it would repeat.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import keyword
import re
import typing
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints

import httpx
import jsonschema
import pytest

from payonce.client import AsyncClient, Client
from payonce.client.api import models
from tests.support.aws import REPOSITORY
from tests.support.client import Stage, answer
from tools.client_calls import FOLDER, made

DOCUMENT = json.loads((REPOSITORY / "openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def whole(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the operation with its parameters and answers themselves, where it refers to shared ones."""

    def read(part: Any) -> Any:
        reference = part.get("$ref", "") if isinstance(part, dict) else ""
        if reference and not reference.startswith("#/components/schemas/"):
            _, _, kind, name = reference.split("/")
            return DOCUMENT["components"][kind][name]
        return part

    parameters = [read(parameter) for parameter in operation.get("parameters", [])]
    responses = {status: read(response) for status, response in operation["responses"].items()}
    return {**operation, "parameters": parameters, "responses": responses}


OPERATIONS = {
    operation["operationId"]: (method.upper(), path, whole(operation))
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if isinstance(operation, dict) and operation.get("security") != []
}
WRITE_OPTIONS = {"intent", "idempotency_key", "timeout_seconds", "not_card_numbers"}
OF_OPTIONS = {"X-Idempotency-Key", "Prefer", "Payonce-Not-Card-Numbers"}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema and schema["$ref"].startswith("#/components/schemas/"):
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def python_name(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name.lower().replace("-", "_")


def body_schema(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return resolved(content.get("application/json", {}).get("schema", {}))


def answer_schema(operation: dict[str, Any]) -> dict[str, Any]:
    [status, *_] = sorted(status for status in operation["responses"] if status.startswith("2"))
    schema: dict[str, Any] = operation["responses"][status]["content"]["application/json"]["schema"]
    return schema


def is_keyed(operation: dict[str, Any]) -> bool:
    return any(parameter["name"] == "X-Idempotency-Key" for parameter in operation.get("parameters", []))


def example(schema: dict[str, Any]) -> Any:
    """Return a value that the schema takes: for every keyword that openapi.json uses."""
    schema = resolved(schema)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema and "properties" not in schema:
            return example(next(part for part in schema[word] if part.get("type") != "null"))
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            return {name: example(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [example(schema["items"])] if schema.get("minItems") else []
        case "string":
            return _text(schema)
        case "integer":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
    return {}


def _text(schema: dict[str, Any]) -> str:
    texts = ("pm_visa", "A SHOP 1", "brk_" + "0" * 64, "x" * schema.get("minLength", 1))
    return next(text for text in texts if re.search(schema.get("pattern", ""), text))


def arguments_of(operation: dict[str, Any], path: str) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """Return positional arguments, named ones, and the query and body that have to arrive."""
    positional = [f"{name}_0" for name in re.findall(r"\{(\w+)\}", path)]
    body = {name: example(schema) for name, schema in body_schema(operation).get("properties", {}).items()}
    named = {python_name(name): value for name, value in body.items()}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" or (parameter["in"] == "header" and parameter["name"] not in OF_OPTIONS):
            value = 1 if parameter["schema"].get("type") == "integer" else "value"
            named[python_name(parameter["name"])] = value
    return positional, named, body


def test_what_is_committed_is_what_the_generator_makes() -> None:
    """Fails when a route was changed: run ``python tools/client_calls.py``."""
    for name, text in made(DOCUMENT).items():
        assert (REPOSITORY / FOLDER / name).read_text() == text, name


def test_there_is_something_to_check() -> None:
    assert len(OPERATIONS) >= 39
    assert "accept_gateway_events" not in OPERATIONS  # gateways call it, and sign it instead of having a key


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_operation_is_a_method_and_no_method_is_of_none(client: type) -> None:
    public = {name for name, _ in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in public if not name.startswith("each_")} - {"close", "aclose"} == set(OPERATIONS)


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("name", OPERATIONS)
def test_arguments_are_those_of_the_schema(name: str, client: type) -> None:
    """A new member of a body, a path or a query is a new argument, and what must be given has no default."""
    _, path, operation = OPERATIONS[name]
    schema = body_schema(operation)
    expected = dict.fromkeys(re.findall(r"\{(\w+)\}", path), True)
    expected |= {python_name(member): member in schema.get("required", ()) for member in schema.get("properties", {})}
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "path" and parameter["name"] not in OF_OPTIONS:
            expected[python_name(parameter["name"])] = parameter.get("required", False)
    signature = inspect.signature(getattr(client, name))
    found = {
        parameter.name: parameter.default is inspect.Parameter.empty
        for parameter in signature.parameters.values()
        if parameter.name not in {"self", "options"}
    }
    assert found == expected
    options = str(signature.parameters["options"].annotation)
    assert options == ("Unpack[WriteOptions]" if is_keyed(operation) else "Unpack[ReadOptions]")


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_wire_is_as_the_schema_says_sync_and_async(name: str) -> None:
    method, path, operation = OPERATIONS[name]
    positional, named, body = arguments_of(operation, path)
    document = example(answer_schema(operation))
    stage = Stage([answer(200, document)])
    told = getattr(stage.client(), name)(*positional, **named)

    async def ask() -> Any:
        async with stage.async_client() as client:
            return await getattr(client, name)(*positional, **named)

    later = asyncio.run(ask())
    if is_keyed(operation):
        told, later = told.data, later.data
    assert told == later == document
    for request in stage.sent:
        target = re.sub(r"\{(\w+)\}", r"\1_0", path)
        assert (request.method, request.url.path) == (method, f"/v1{target}")
        wanted = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        assert set(request.url.params) == wanted
        assert ("X-Idempotency-Key" in request.headers) is is_keyed(operation)
        if body:
            assert json.loads(request.content) == body
            jsonschema.validate(body, {**body_schema(operation), "components": DOCUMENT["components"]})
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "header" and parameter.get("required"):
                assert parameter["name"] in request.headers


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_what_must_be_given_is_sent_otherwise(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    positional, _, body = arguments_of(operation, path)
    required = {member: body[member] for member in body_schema(operation).get("required", ())}
    asked = {p["name"]: "x" for p in operation.get("parameters", []) if p["in"] == "query" and p.get("required")}
    stage = Stage([answer(200, example(answer_schema(operation)))])
    named = {python_name(member): value for member, value in {**required, **asked}.items()}
    getattr(stage.client(), name)(*positional, **named)
    [request] = stage.sent
    assert dict(request.url.params) == asked
    assert json.loads(request.content or b"{}") == required


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_result_has_the_schemas_type(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    expected = answer_schema(operation)["$ref"].rpartition("/")[2]
    for module, client in (("calls", "Calls"), ("async_calls", "AsyncCalls")):
        calls = getattr(importlib.import_module(f"payonce.client.api.{module}"), client)
        returned = str(inspect.signature(getattr(calls, name)).return_annotation)
        assert returned == (f"Answer[{expected}]" if is_keyed(operation) else expected)


@pytest.mark.parametrize("name", [n for n, s in SCHEMAS.items() if "properties" in s and not n.endswith("Body")])
def test_models_have_the_schemas_members_and_values(name: str) -> None:
    schema = SCHEMAS[name]
    hints = get_type_hints(getattr(models, name), include_extras=True)
    assert set(hints) == set(schema["properties"])
    required = {member for member, kind in hints.items() if get_origin(kind) is not NotRequired}
    assert required == set(schema.get("required", ()))
    for member, kind in hints.items():
        inner = get_args(kind)[0] if get_origin(kind) is NotRequired else kind
        _agrees(inner, schema["properties"][member], f"{name}.{member}")


UNIONS = [n for n, s in SCHEMAS.items() if {"anyOf", "oneOf"} & set(s) and "properties" not in s]


def test_one_of_several_documents_is_one_of_several_models() -> None:
    for name in UNIONS:
        parts = [part["$ref"].rpartition("/")[2] for part in SCHEMAS[name].get("oneOf", SCHEMAS[name].get("anyOf"))]
        assert get_args(getattr(models, name).__value__) == tuple(getattr(models, part) for part in parts)


def _agrees(kind: Any, schema: dict[str, Any], where: str) -> None:
    """Fails when a Python type and a schema differ."""
    if "$ref" in schema:
        target = resolved(schema)
        if {"properties", "anyOf", "oneOf"} & set(target):
            assert kind is getattr(models, schema["$ref"].rpartition("/")[2]), where
            return
        schema = target
    if "const" in schema or "enum" in schema:
        values = [schema["const"]] if "const" in schema else schema["enum"]
        assert kind is str if len(values) > 20 else list(get_args(kind)) == values, where
    elif ("anyOf" in schema or "oneOf" in schema) and "properties" not in schema:
        parts = schema.get("anyOf") or schema["oneOf"]
        assert len(get_args(kind)) == len(parts), where
        for part, each in zip(get_args(kind), parts, strict=True):
            _agrees(part, each, where)
    elif schema.get("type") == "array":
        assert get_origin(kind) is list, where
        _agrees(get_args(kind)[0], schema["items"], where)
    elif schema.get("type") == "object":
        assert get_origin(kind) is dict, where
    else:
        plain = {"string": str, "integer": int, "boolean": bool, "number": float, "null": type(None), None: Any}
        assert kind is plain[schema.get("type")], where


def test_a_literals_agreement_is_really_checked() -> None:
    with pytest.raises(AssertionError):
        _agrees(Literal["a"], {"enum": ["a", "b"]}, "")
    with pytest.raises(AssertionError):
        _agrees(str, {"type": "integer"}, "")


PAGED = [name for name in OPERATIONS if hasattr(Client, f"each_{name.removeprefix('list_')}")]


def test_every_list_with_a_next_page_has_an_iterator() -> None:
    paged = []
    for name, (_, _, operation) in OPERATIONS.items():
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        if names & {"cursor", "after"}:
            paged.append(name)
    assert paged == PAGED


@pytest.mark.parametrize("name", PAGED)
def test_iterators_read_page_after_page_when_needed(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    cursor, following = ("after", "next_after") if name == "list_events" else ("cursor", "next_cursor")
    positional, _, _ = arguments_of(operation, path)

    def page(items: list[int], after: str | None) -> httpx.Response:
        data = [{"id": item} for item in items]
        return answer(200, {"object": "list", "data": data, following: after, "has_more": after is not None})

    pages = [page([1, 2], "c1"), httpx.ReadTimeout("lost"), page([], "c2"), page([3], None)]
    stage = Stage(list(pages))
    asked = {p["name"]: "x" for p in operation.get("parameters", []) if p["in"] == "query" and p.get("required")}
    iterated = getattr(stage.client(), f"each_{name.removeprefix('list_')}")(*positional, limit=2, **asked)
    assert stage.sent == []
    assert [next(iterated)["id"], len(stage.sent)] == [1, 1]
    assert [item["id"] for item in iterated] == [2, 3]
    assert [request.url.params.get(cursor) for request in stage.sent] == [None, "c1", "c1", "c2"]
    assert {request.url.params["limit"] for request in stage.sent} == {"2"}

    later = Stage(list(pages))

    async def ask() -> list[Any]:
        async with later.async_client() as client:
            each = getattr(client, f"each_{name.removeprefix('list_')}")
            return [item["id"] async for item in each(*positional, limit=2, **asked)]

    assert asyncio.run(ask()) == [1, 2, 3]


def test_an_event_list_ends_where_there_is_no_more_although_it_names_where_to_go_on() -> None:
    """``next_after`` is where the next poll begins; following it would ask for ever."""
    stage = Stage([answer(200, {"object": "list", "data": [{"id": 1}], "next_after": "e1", "has_more": False})])
    assert [event["id"] for event in stage.client().each_events()] == [1]


def test_models_are_dicts_so_that_later_members_stay() -> None:
    assert typing.is_typeddict(models.Payment)
    stage = Stage([answer(200, {"object": "payment", "id": "pay_1", "of_tomorrow": [1]})])
    assert dict(stage.client().get_payment("pay_1"))["of_tomorrow"] == [1]
