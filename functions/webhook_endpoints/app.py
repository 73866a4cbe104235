"""Webhook endpoints: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.endpoint_routes import ROUTES
from payonce.entrypoints.http import handlers_of
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

create_webhook_endpoint = serve("POST /webhook_endpoints")
list_webhook_endpoints = serve("GET /webhook_endpoints")
get_webhook_endpoint = serve("GET /webhook_endpoints/{endpoint_id}")
update_webhook_endpoint = serve("PATCH /webhook_endpoints/{endpoint_id}")
delete_webhook_endpoint = serve("DELETE /webhook_endpoints/{endpoint_id}")
rotate_webhook_secret = serve("POST /webhook_endpoints/{endpoint_id}/secret_rotations")
test_webhook_endpoint = serve("POST /webhook_endpoints/{endpoint_id}/test_events")
