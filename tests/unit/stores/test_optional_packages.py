"""Redis is for deployments that ask for it: the Lambda layer has no such package, and no function may need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAYONCE = Path(__file__).resolve().parents[3] / "layers" / "payonce" / "payonce"
OPTIONAL = {"hiredis", "redis", "pottery"}
NEED_REDIS = {"redlock"} | {
    f"redis_{name}" for name in ("audit", "calls", "checks", "idempotency", "pipeline", "transitions")
}


def test_only_the_redis_stores_import_redis() -> None:
    """Fails when a module on a function's path imports it at the top: no function would start."""
    modules = sorted(
        ".".join(path.relative_to(PAYONCE.parent).with_suffix("").parts)
        for path in PAYONCE.rglob("*.py")
        if path.name != "__init__.py" and not (path.parent.name == "stores" and path.stem in NEED_REDIS)
    )
    assert len(modules) > 100
    code = f"""
import importlib, sys
for name in {OPTIONAL!r}:
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_lambda_layer_does_not_list_them() -> None:
    lock = (PAYONCE.parents[1] / "dependencies" / "requirements.txt").read_text()
    names = {line.split("==")[0].strip() for line in lock.splitlines() if "==" in line}
    assert "pydantic" in names
    assert not names & OPTIONAL
