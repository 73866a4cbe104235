"""The components of openapi.json: made from the views' types, all there, and none that nothing uses."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from payonce.entrypoints import view_schemas
from payonce.entrypoints.openapi import build_openapi


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(TypedDict):
    count: int


class EveryKindView(Inner):
    object: Literal["kind"]
    colour: Colour
    no_colour: Colour | None
    held_by: Annotated[Literal["switch", "policy"] | None, "Why not."]
    only: Literal[Colour.RED, Colour.BLUE]
    names: dict[str, str | int | None]
    anything: Any
    parts: list[Inner]
    inner: Inner | None
    left_out: NotRequired[Annotated[bool, "Mostly not there."]]


def test_a_type_says_its_schema() -> None:
    """As JSON Schema 2020-12 has it, the dialect of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0#schema-object)."""
    schema = json.loads(json.dumps(view_schemas.object_schema(EveryKindView)))
    inner = {"$ref": "#/components/schemas/Inner"}
    colour = {"$ref": "#/components/schemas/Colour"}
    assert schema["properties"] == {
        "count": {"type": "integer"},
        "object": {"type": "string", "const": "kind"},
        "colour": colour,
        "no_colour": {"anyOf": [colour, {"type": "null"}]},
        "held_by": {
            "anyOf": [{"type": "string", "enum": ["switch", "policy"]}, {"type": "null"}],
            "description": "Why not.",
        },
        "only": {"type": "string", "enum": ["red", "blue"]},
        "names": {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        },
        "anything": {},
        "parts": {"type": "array", "items": inner},
        "inner": {"anyOf": [inner, {"type": "null"}]},
        "left_out": {"type": "boolean", "description": "Mostly not there."},
    }
    assert schema["required"] == [name for name in schema["properties"] if name != "left_out"]
    assert schema["additionalProperties"] is False


def test_every_schema_that_is_named_is_there_and_every_one_that_is_there_is_named() -> None:
    """OpenAPI 3.1: a reference resolves (https://spec.openapis.org/oas/v3.1.0#reference-object)."""
    document = build_openapi()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])


def test_every_list_says_what_is_in_it() -> None:
    """A page of a list is made from its entries' view: fails when a route answers a list of anything."""
    document = build_openapi()
    schemas = document["components"]["schemas"]
    assert "List" not in schemas
    lists = {name: schema for name, schema in schemas.items() if name.endswith("List")}
    assert len(lists) >= 10
    for name, schema in lists.items():
        assert set(schema["properties"]["data"]["items"]) == {"$ref"}, name
    assert schemas["PaymentList"]["properties"]["data"]["items"] == {"$ref": "#/components/schemas/Payment"}


def test_a_list_of_what_has_no_view_is_refused() -> None:
    with pytest.raises(KeyError):
        view_schemas.view_schemas(["NothingList"])
