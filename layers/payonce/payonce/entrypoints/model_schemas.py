"""The schemas of openapi.json that pydantic makes: of request bodies and queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.entrypoints.http import KeyedRoute, ReadRoute
from payonce.entrypoints.view_schemas import SCHEMAS
from payonce.extras import needs

with needs("functions"):
    from pydantic import TypeAdapter
    from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.entrypoints.http import Route


def model_schemas(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the schemas of all bodies and of what bodies and queries refer to."""
    routes = [*routes]
    models: dict[Any, None] = {}
    for route in routes:
        if isinstance(route, KeyedRoute):
            models[route.body_model, "validation"] = None
    _, definitions = models_json_schema([*models], ref_template=SCHEMAS + "{model}")
    found = dict(definitions.get("$defs", {}))
    for route in routes:
        if isinstance(route, ReadRoute):
            found |= _query_schema(route).get("$defs", {})
    return {name: _without_titles(schema) for name, schema in found.items()}


def _without_titles(schema: Any) -> Any:
    """Return the schema without pydantic's titles, which repeat the names. A member may be called ``title``."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value if name in {"default", "enum", "const"} else _without_titles(value)
        for name, value in schema.items()
        if name != "title" or not isinstance(value, str)
    }


def _query_schema(route: ReadRoute) -> dict[str, Any]:
    model = route.query_model
    return TypeAdapter(model).json_schema(ref_template=SCHEMAS + "{model}") if model else {}


def query_parameters(route: ReadRoute) -> list[dict[str, Any]]:
    """Return the parameters of the query, which its model describes."""
    schema = _query_schema(route)
    parameters = []
    for name, field in schema.get("properties", {}).items():
        # A query parameter is omitted, never null.
        plain = next((part for part in field.get("anyOf", []) if part.get("type") != "null"), field)
        required = name in schema.get("required", ())
        parameters.append({"name": name, "in": "query", "required": required, "schema": _without_titles(plain)})
    return parameters
