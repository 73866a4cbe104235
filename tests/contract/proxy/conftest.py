"""The order service, and what stands in front of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.upstreams.running import running_counter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def counter() -> Iterator[str]:
    """The order service in Python, one for each module."""
    with running_counter() as url:
        yield url
