"""Writes openapi.json from the routes, or checks with ``--check`` that the committed file equals it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from payonce.entrypoints.openapi import build_openapi

FILE = Path(__file__).resolve().parents[1] / "openapi.json"


def main() -> int:
    """Write the file and return 0, or with ``--check`` return 1 when the committed file differs."""
    text = json.dumps(build_openapi(), indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv:
        if not FILE.exists() or FILE.read_text() != text:
            print("openapi.json is not what the routes say; run: make openapi", file=sys.stderr)
            return 1
        return 0
    FILE.write_text(text)
    print(f"wrote {FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
