"""An application in memory, and rules that are parsed once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_queue import MemoryQueue
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.parsed_rules import rules_parsed_once
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _rules_parsed_once() -> Iterator[None]:
    with rules_parsed_once():
        yield


@pytest.fixture
def application() -> Application:
    """The wired application on adapters in memory and a scripted gateway."""
    clock = ManualClock()
    return Application(
        load_settings({}),
        clock=clock,
        database=MemoryDatabase(),
        gateways={"bank": ScriptedGateway(clock)},
        cipher=MemoryCipher(clock, os.urandom),
        delivery_queue=MemoryQueue(),
        workflows=MemoryWorkflows(),
        files=MemoryFiles(),
    )
