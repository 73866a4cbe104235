"""One payment and balances: each name is the handler of one function (``Handler: app.<name>`` in template.yaml).

A module of its own, because what imports it pays for all that it imports, and a read needs little.
"""

from __future__ import annotations

from payonce.entrypoints.http import handlers_of
from payonce.entrypoints.payment_read_routes import ROUTES
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

get_payment = serve("GET /payments/{payment_id}")
get_payment_history = serve("GET /payments/{payment_id}/history")
get_balances = serve("GET /balances")
