"""Writes openapi.json and what is made from it, or checks with ``--check`` that all of it is what is committed.

The types of the TypeScript client come from openapi-typescript: ``tools/typescript_types.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from payonce.entrypoints.event_catalogue import page
from payonce.entrypoints.openapi import build_openapi
from tools.openapi_examples import examples
from tools.postman import postman_collection
from tools.typescript_operations import typescript_operations

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Write the files and return 0, or with ``--check`` return 1 when a committed one differs."""
    document = build_openapi(examples())
    made = {
        "openapi.json": _as_text(document),
        "docs/events.md": page(),
        "clients/typescript/src/operations.ts": typescript_operations(document),
        "clients/postman/payonce.postman_collection.json": _as_text(postman_collection(document)),
    }
    stale = [name for name, text in made.items() if _text(REPOSITORY / name) != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"{name} is not what the code says; run: make openapi", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (REPOSITORY / name).parent.mkdir(parents=True, exist_ok=True)
        (REPOSITORY / name).write_text(made[name])
        print(f"wrote {name}")
    return 0


def _as_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
