"""Reads of set-ups and saved methods: each name is the handler of one function (``Handler: app.<name>``)."""

from __future__ import annotations

from payonce.entrypoints.http import handlers_of
from payonce.entrypoints.setup_reads_routes import ROUTES
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

list_setups = serve("GET /setups")
get_setup = serve("GET /setups/{setup_id}")
list_payment_methods = serve("GET /payment_methods")
get_payment_method = serve("GET /payment_methods/{payment_method_id}")
