"""Idempotency keys: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.http import handlers_of
from payonce.entrypoints.routes import ROUTES
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

get_idempotency_key = serve("GET /idempotency-keys/{idempotency_key}")
