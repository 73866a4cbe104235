"""The table of pages and actions: what it names is there, and is loaded when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from payonce.console.routes import ACTIONS, PAGES

PLACES = sorted(
    {page.view.__name__ for page in PAGES} | {act.act.__name__ for acts in ACTIONS.values() for act in acts}
)


@pytest.mark.parametrize("place", PLACES)
def test_what_a_route_names_is_there(place: str) -> None:
    """Fails when a page or an action would be found to be missing by who opens it."""
    module, _, name = place.partition(":")
    assert callable(getattr(import_module(f"payonce.console.{module}"), name))


def test_the_table_loads_no_page() -> None:
    """Fails when each function of the console pays for the modules of all pages in every cold start."""
    code = "import sys, payonce.entrypoints.console; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    rooms = ("payonce.console.views.", "payonce.console.actions.", "payonce.reconciliation", "payonce.gateways")
    assert [name for name in loaded if name.startswith(rooms)] == []
