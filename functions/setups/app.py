"""Set-ups and revocations: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.http import handlers_of
from payonce.entrypoints.setup_routes import ROUTES
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

create_setup = serve("POST /setups")
confirm_setup = serve("POST /setups/{setup_id}/confirmations")
cancel_setup = serve("POST /setups/{setup_id}/cancellations")
revoke_payment_method = serve("POST /payment_methods/{payment_method_id}/revocations")
