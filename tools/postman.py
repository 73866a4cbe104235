"""Makes a Postman collection from the OpenAPI document: format 2.1, which Bruno and Insomnia import too.

https://schema.postman.com/json/collection/v2.1.0/draft-07/docs/index.html
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
NAMESPACE = uuid.UUID("6d6f6e65-7921-4f6e-8365-706179616765")
KEY_VARIABLE = "idempotencyKey"
KEY_HEADER = "X-Idempotency-Key"
# Each request gets a key of its own, and none is left for the next one, which would be refused or, worse, be a replay.
# With the variable set, sending again is a retry.
KEY_SCRIPT = (
    f"if (pm.request.headers.has('{KEY_HEADER}')) {{",
    f"  const key = pm.variables.get('{KEY_VARIABLE}') || require('uuid').v4();",
    f"  pm.request.headers.upsert({{ key: '{KEY_HEADER}', value: key }});",
    "}",
)
VARIABLES = {
    "baseUrl": ("", "The stack's output `ApiUrl`, or the address that `make up` prints"),
    "apiKey": ("", "`po_...`, of `payonce merchants create`"),
    KEY_VARIABLE: ("", "Empty: each request gets a key of its own. Set: sending again is a retry"),
}
QUERY_VALUES = {"customer": "cus_4711"}  # of what a request can't do without


def postman_collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the collection: a folder for each tag, and a request for each operation of merchants."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("security", document["security"]):
                folders.setdefault(operation["tags"][0], []).append(_request(document, path, method, operation))
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    return {
        "info": {
            "_postman_id": str(uuid.uuid5(NAMESPACE, document["info"]["title"])),
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{apiKey}}", "type": "string"}]},
        "event": [{"listen": "prerequest", "script": {"type": "text/javascript", "exec": [*KEY_SCRIPT]}}],
        "variable": [{"key": key, "value": value, "description": text} for key, (value, text) in VARIABLES.items()],
        "item": [{"name": tag, "description": described[tag], "item": requests} for tag, requests in folders.items()],
    }


def _request(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [*_parameters(document, operation)]
    parts = path.strip("/").split("/")
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation["description"],
        "header": [_header(each) for each in parameters if each["in"] == "header"],
        "url": {
            "raw": "{{baseUrl}}/" + "/".join(map(_as_variable, parts)),
            "host": ["{{baseUrl}}"],
            "path": [*map(_as_variable, parts)],
            "query": [_query(each) for each in parameters if each["in"] == "query"],
            "variable": [
                {"key": each["name"], "value": each.get("example", "")} for each in parameters if each["in"] == "path"
            ],
        },
    }
    if "requestBody" in operation:
        (content,) = operation["requestBody"]["content"].values()
        examples = [*content.get("examples", {}).values()] or [{"value": {}}]
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {
            "mode": "raw",
            "raw": json.dumps(examples[0]["value"], indent=2, ensure_ascii=False),
            "options": {"raw": {"language": "json"}},
        }
    return {"name": operation["summary"], "request": request, "response": []}


def _parameters(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for parameter in operation["parameters"]:
        name = parameter.get("$ref", "").rpartition("/")[2]
        yield document["components"]["parameters"][name] if name else parameter


def _as_variable(part: str) -> str:
    return f":{part[1:-1]}" if part.startswith("{") else part


def _header(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": parameter["name"],
        "value": f"{{{{{KEY_VARIABLE}}}}}" if parameter["name"] == KEY_HEADER else "",
        "description": parameter["description"],
        **({} if parameter["required"] else {"disabled": True}),
    }


def _query(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": parameter["name"],
        "value": str(parameter["schema"].get("default", QUERY_VALUES.get(parameter["name"], ""))),
        "description": parameter["schema"].get("description", ""),
        **({} if parameter["required"] else {"disabled": True}),
    }
