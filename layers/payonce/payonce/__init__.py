"""payonce: payments that can't be charged twice, and idempotent operations for programs of your own.

The names below are public. Each is imported when it is asked for, so that a function or a program loads what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.idempotency.operation import current_attempt, idempotent_operation
    from payonce.wiring.library import dynamodb_store, memory_store, redis_store

__version__ = "0.1.0"
__all__ = ["current_attempt", "dynamodb_store", "idempotent_operation", "memory_store", "redis_store"]

_HOMES = {
    "current_attempt": "payonce.idempotency.operation",
    "idempotent_operation": "payonce.idempotency.operation",
    "dynamodb_store": "payonce.wiring.library",
    "memory_store": "payonce.wiring.library",
    "redis_store": "payonce.wiring.library",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
