"""Corrections of breaks: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.correction_routes import ROUTES
from payonce.entrypoints.http import handlers_of
from payonce.wiring.application import bootstrap

serve = handlers_of(ROUTES, bootstrap())

get_correction = serve("GET /breaks/{break_id}/correction")
propose_correction = serve("POST /breaks/{break_id}/correction/proposals")
approve_correction = serve("POST /breaks/{break_id}/correction/approvals")
reject_correction = serve("POST /breaks/{break_id}/correction/rejections")
