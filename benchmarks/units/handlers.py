"""What Lambda does to call a function of the template: import its module, and give it a context."""

from __future__ import annotations

import importlib.util
import uuid
from typing import TYPE_CHECKING, Any

from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.units.template import Function


class Context:
    """What a function gets beside its event."""

    def __init__(self, remaining_ms: int) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.function_name = "benchmark"
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left."""
        return self.remaining_ms


def load(function: Function) -> Callable[[Any, Any], Any]:
    """Import a function's ``app.py`` under a name of its own and return its handler."""
    path = REPOSITORY / function.folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{function.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Callable[[Any, Any], Any] = getattr(module, function.handler)
    return handler
