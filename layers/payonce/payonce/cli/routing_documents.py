"""The documents of ``payonce routing ... --json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.cli.output import as_json
from payonce.routing.control.override import mode_of, overridden, parse_override
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from payonce.cli.routing_views import Configured
    from payonce.routing.control.override_desk import Entry
    from payonce.routing.control.seen import Seen


def show_document(known: Configured, now: Seen, now_ms: int) -> dict[str, Any]:
    """Return the document of ``routing show``: settings, the control document, the override, and the weights now."""
    reads = known.mode is not Mode.OFF
    override = now.override if reads else None
    fresh = now.document is not None and now.document.is_fresh(now_ms)
    configured = known.mode or (known.settings.mode if known.settings else None)
    mode = mode_of(configured, override, now_ms) if configured else None
    return {
        "settings_from": known.source,
        "mode": mode.value if mode else None,
        "configured_mode": known.mode.value if known.mode else None,
        "document": as_json(now.document),
        "document_problem": now.document_problem or None,
        "document_fresh": fresh,
        "override": as_json(now.override),
        "override_problem": now.override_problem or None,
        "override_in_force": now.override is not None and now.override.is_in_force(now_ms),
        "static_weights": dict(known.weights),
        "weights_of_any_method": overridden(known.weights, override, now_ms) if known.weights else {},
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """Return the document of an override's change; what can't be read is ``null``."""
    before, after = _override(entry.before), _override(entry.after)
    return {**as_json(entry), "before": before, "after": after, "weights": json.loads(entry.weights or b"null")}


def _override(raw: bytes | None) -> Any:
    if raw is None:
        return None
    try:
        return as_json(parse_override(raw, None))
    except ValueError:
        return None
