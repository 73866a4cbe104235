"""Powertools' idempotency utility without its DynamoDB layer, which loads boto3: 0.15 s of every cold start.

``FencedPersistence`` takes that layer's place here. The package imports it all the same, so it gets a stand-in while it
is loaded. Afterwards the stand-in is gone: whoever asks the package for the layer, in a function that uses the stock
utility beside ours, gets the real one, loaded then.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from payonce.extras import needs

PACKAGE = "aws_lambda_powertools.utilities.idempotency"
LAYER_MODULE = f"{PACKAGE}.persistence.dynamodb"
LAYER = "DynamoDBPersistenceLayer"


def load_without_the_layer() -> None:
    """Import the package, unless it or its layer is loaded already."""
    if PACKAGE in sys.modules or LAYER_MODULE in sys.modules:
        return
    stand_in = ModuleType(LAYER_MODULE)
    setattr(stand_in, LAYER, object)
    sys.modules[LAYER_MODULE] = stand_in
    try:
        with needs("functions"):
            package = importlib.import_module(PACKAGE)
    finally:
        del sys.modules[LAYER_MODULE]
    delattr(package, LAYER)
    setattr(package, "__getattr__", _load)  # noqa: B010 - a module's, which mypy takes for a method


def _load(name: str) -> Any:
    if name != LAYER:
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
    return getattr(importlib.import_module(LAYER_MODULE), LAYER)


load_without_the_layer()


with needs("functions"):
    from aws_lambda_powertools.utilities.idempotency import (
        BasePersistenceLayer,
        IdempotencyConfig,
        idempotent_function,
    )
    from aws_lambda_powertools.utilities.idempotency.exceptions import (
        IdempotencyAlreadyInProgressError,
        IdempotencyItemAlreadyExistsError,
        IdempotencyItemNotFoundError,
        IdempotencyPersistenceLayerError,
    )
    from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import (
        STATUS_CONSTANTS,
        DataRecord,
    )

__all__ = [
    "STATUS_CONSTANTS",
    "BasePersistenceLayer",
    "DataRecord",
    "IdempotencyAlreadyInProgressError",
    "IdempotencyConfig",
    "IdempotencyItemAlreadyExistsError",
    "IdempotencyItemNotFoundError",
    "IdempotencyPersistenceLayerError",
    "idempotent_function",
]
