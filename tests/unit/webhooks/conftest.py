"""The application's adapters, as the types that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from payonce.wiring.application import Application


@pytest.fixture
def database(application: Application) -> MemoryDatabase:
    """The application's database."""
    assert isinstance(application.database, MemoryDatabase)
    return application.database


@pytest.fixture
def clock(application: Application) -> ManualClock:
    """The application's clock."""
    assert isinstance(application.clock, ManualClock)
    return application.clock


@pytest.fixture
def queue(application: Application) -> MemoryQueue:
    """The application's delivery queue."""
    assert isinstance(application.delivery_queue, MemoryQueue)
    return application.delivery_queue
