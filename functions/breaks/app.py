"""What reconciliation found: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.break_routes import ROUTES
from payonce.entrypoints.http import handlers_of
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

list_breaks = serve("GET /breaks")
get_break = serve("GET /breaks/{break_id}")
get_break_history = serve("GET /breaks/{break_id}/history")
comment_on_break = serve("POST /breaks/{break_id}/comments")
assign_break = serve("POST /breaks/{break_id}/assignments")
