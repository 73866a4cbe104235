"""Payments: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.http import handlers_of
from payonce.entrypoints.payment_routes import ROUTES
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

create_payment = serve("POST /payments")
list_payments = serve("GET /payments")
capture_payment = serve("POST /payments/{payment_id}/captures")
confirm_payment = serve("POST /payments/{payment_id}/confirmations")
cancel_payment = serve("POST /payments/{payment_id}/cancellations")
refund_payment = serve("POST /payments/{payment_id}/refunds")
