"""All routes of the API. template.yaml and openapi.json are tested against this table.

A function imports only its own family's table: further imports would slow every cold start.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.entrypoints import (
    break_routes,
    correction_routes,
    delivery_routes,
    dispute_routes,
    endpoint_routes,
    match_routes,
    payment_read_routes,
    payment_routes,
    setup_reads_routes,
    setup_routes,
)
from payonce.entrypoints.http import KeyedRoute, by_operation
from payonce.entrypoints.key_routes import key_routes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.http import Route

ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        **payment_routes.ROUTES,
        **payment_read_routes.ROUTES,
        **dispute_routes.ROUTES,
        **setup_routes.ROUTES,
        **setup_reads_routes.ROUTES,
        **endpoint_routes.ROUTES,
        **delivery_routes.ROUTES,
        **break_routes.ROUTES,
        **correction_routes.ROUTES,
        **match_routes.ROUTES,
        **by_operation(*key_routes(lambda: KEYED_OPERATIONS)),
    }
)
KEYED_OPERATIONS: tuple[str, ...] = tuple(route.operation for route in ROUTES.values() if isinstance(route, KeyedRoute))
