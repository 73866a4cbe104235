"""Writes openapi.json and docs/events.md from the code, or checks with ``--check`` that they are what is committed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from payonce.entrypoints.event_catalogue import page
from payonce.entrypoints.openapi import build_openapi

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Write the files and return 0, or with ``--check`` return 1 when a committed one differs."""
    made = {
        "openapi.json": json.dumps(build_openapi(), indent=2, ensure_ascii=False) + "\n",
        "docs/events.md": page(),
    }
    stale = [name for name, text in made.items() if _text(REPOSITORY / name) != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"{name} is not what the code says; run: make openapi", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (REPOSITORY / name).write_text(made[name])
        print(f"wrote {name}")
    return 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
