"""The API in memory behind HTTP, and npm's packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import node
from tests.support.api_in_memory import Api, in_memory, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TYPESCRIPT, TOOLS = node.PACKAGES


@pytest.fixture
def api() -> Api:
    """An API with a merchant, of the test's own."""
    return in_memory()


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    """Its base URL, while it is served."""
    with serving(api) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def tools() -> Path:
    """The commands that look at openapi.json, and run the collection."""
    return node.install(TOOLS)


@pytest.fixture(scope="session")
def typescript() -> Path:
    """The TypeScript client's folder, built."""
    node.install(TYPESCRIPT)
    with node.one_at_a_time(TYPESCRIPT):
        node.run([*node.npm(), "run", "--silent", "build"], TYPESCRIPT)
    return TYPESCRIPT
