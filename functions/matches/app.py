"""Matches by hand: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.http import handlers_of
from payonce.entrypoints.match_routes import ROUTES
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

list_break_matches = serve("GET /breaks/{break_id}/matches")
match_breaks = serve("POST /breaks/{break_id}/matches")
unmatch_breaks = serve("POST /breaks/{break_id}/matches/{match_id}/reversals")
