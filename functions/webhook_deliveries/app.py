"""Deliveries of webhooks, replays and events: each name is the handler of one function (see template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.delivery_routes import ROUTES
from payonce.entrypoints.http import handlers_of
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

list_webhook_deliveries = serve("GET /webhook_endpoints/{endpoint_id}/deliveries")
get_webhook_delivery = serve("GET /webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}")
redeliver_webhook = serve("POST /webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliveries")
replay_webhooks = serve("POST /webhook_endpoints/{endpoint_id}/replays")
get_webhook_replay = serve("GET /webhook_endpoints/{endpoint_id}/replays/{replay_id}")
list_events = serve("GET /events")
get_event = serve("GET /events/{event_id}")
