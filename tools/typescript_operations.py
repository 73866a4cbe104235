"""Writes the table of operations that the TypeScript client needs beside its types, from the OpenAPI document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD = """// Generated from openapi.json by `make openapi`.

export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** Whether it takes an idempotency key. */
  readonly keyed: boolean;
  /** Which `object` an answer to it has; empty where answers name none. */
  readonly objects: readonly string[];
}

export const OPERATIONS = {
"""
TAIL = "} as const satisfies Record<string, Operation>;\n"


def typescript_operations(document: Mapping[str, Any]) -> str:
    """Return the module. Operations without a security requirement are not for merchants, and left out."""
    rows = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not operation.get("security", document["security"]):
                continue
            row = {
                "name": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "keyed": {"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"],
                "objects": sorted(set(_objects(document, operation))),
            }
            rows.append(f"  {row['name']}: {json.dumps(row)},\n")
    return HEAD + "".join(rows) + TAIL


def _objects(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            (content,) = response["content"].values()
            name = content["schema"]["$ref"].rpartition("/")[2]
            told = document["components"]["schemas"][name].get("properties", {}).get("object", {})
            yield from told.get("enum", [told["const"]] if "const" in told else [])
