"""The components of openapi.json: made from the views' types, all there, and none that nothing uses."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

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
    assert schema["properties"] == {
        "count": {"type": "integer"},
        "object": {"const": "kind"},
        "colour": {"enum": ["red", "blue"]},
        "no_colour": {"enum": ["red", "blue", None]},
        "held_by": {"enum": ["switch", "policy", None], "description": "Why not."},
        "only": {"enum": ["red", "blue"]},
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
