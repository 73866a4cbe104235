"""The services of docs/examples, run by uvicorn with two workers and killed at random under load: no double execution.

``PAYONCE_KILL_SECONDS=120`` kills for as long as that (``make examples-killed``).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.middlewares.killing import EXAMPLES, LEAST_KILLS, Found, kill_under_load

if TYPE_CHECKING:
    from pathlib import Path

    from local.redis_servers import RedisServer

SECONDS = float(os.environ.get("PAYONCE_KILL_SECONDS", "2"))
PAIRS = 12
TARGETS = {"fastapi": "fastapi_service:app", "django": "django_service:application"}
# What takes the middleware out of each service: its line, and the reference that it makes.
MIDDLEWARE = {"fastapi": r"^app\.add_middleware.*\n", "django": r", MIDDLEWARE=\[[^]]*\]"}
REFERENCE = r"current_attempt\(\)\.reference", '__import__("uuid").uuid4().hex'


def mutated(name: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the service with these patterns replaced, and return its folder. Each pattern must be found."""
    source = (EXAMPLES / f"{name}_service.py").read_text()
    for pattern, replacement in changes:
        source, found = re.subn(pattern, replacement, source, flags=re.MULTILINE)
        assert found == 1, pattern
    (folder / f"{name}_service.py").write_text(source)
    return folder


def told(name: str, found: Found) -> None:
    """Print the figures of a run."""
    tries, executions = sum(found.outcomes.values()), sum(found.executions.values())
    print(  # noqa: T201
        f"{name}: {tries} requests, {found.kills} kills, {len(found.answers)} orders, {executions} executions, "
        f"{found.doubles} doubles, {dict(found.outcomes)}"
    )


@pytest.mark.parametrize("name", TARGETS)
def test_killed_under_load(name: str, redis_server: RedisServer) -> None:
    """Each order is charged once, and every client ends with its order's one answer."""
    url = f"{redis_server.url}/{1 + list(TARGETS).index(name)}"
    found = kill_under_load(TARGETS[name], EXAMPLES, url, seconds=SECONDS, pairs=PAIRS, seed=11)
    told(name, found)
    assert found.kills >= LEAST_KILLS
    assert found.cut > 0
    assert found.doubles == 0
    assert found.unanswered == 0
    assert set(found.executions) == set(found.answers)
    assert {order: bodies for order, bodies in found.answers.items() if len(bodies) != 1} == {}


@pytest.mark.parametrize("name", TARGETS)
def test_without_the_middleware(name: str, redis_server: RedisServer, tmp_path: Path) -> None:
    """The same run finds double executions in the same service without its middleware."""
    folder = mutated(name, tmp_path, (MIDDLEWARE[name], ""), REFERENCE)
    found = kill_under_load(TARGETS[name], folder, f"{redis_server.url}/3", seconds=0, pairs=4, seed=11, least_kills=1)
    told(f"{name} without its middleware", found)
    assert found.unanswered == 0
    assert found.doubles > 0
