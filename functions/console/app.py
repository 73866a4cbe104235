"""The console: each name is the handler of one function (``Handler: app.<name>`` in template.yaml)."""

from __future__ import annotations

from payonce.entrypoints.console import handlers_of
from payonce.wiring.application import bootstrap

serve = handlers_of(bootstrap())

pages = serve("pages")
session_actions = serve("session_actions")
key_actions = serve("key_actions")
webhook_actions = serve("webhook_actions")
routing_actions = serve("routing_actions")
case_actions = serve("case_actions")
file_actions = serve("file_actions")
