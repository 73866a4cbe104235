"""Disputes: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.dispute_routes import ROUTES
from payonce.entrypoints.http import handlers_of
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

list_disputes = serve("GET /disputes")
get_dispute = serve("GET /disputes/{dispute_id}")
list_payment_disputes = serve("GET /payments/{payment_id}/disputes")
