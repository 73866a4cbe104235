"""An application in memory."""

from __future__ import annotations

import pytest

from payonce.bootstrap import Application
from payonce.settings import load_settings
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock, ScriptedGateway


@pytest.fixture
def application() -> Application:
    """The wired application on a database in memory and a scripted gateway."""
    clock = ManualClock()
    return Application(
        load_settings({}), clock=clock, database=MemoryDatabase(), gateways={"bank": ScriptedGateway(clock)}
    )
