"""The output of ``payonce routing``, for people and as JSON: routing as payments see it, the override, its history."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from payonce.cli.output import as_json
from payonce.cli.support import shown
from payonce.routing.control.choice import applies
from payonce.routing.control.document import EVERYTHING
from payonce.routing.control.override import overridden, readable
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.routing.control.document import Admission, ControlDocument
    from payonce.routing.control.in_force import Seen
    from payonce.routing.control.override import Override
    from payonce.routing.control.override_desk import Entry
    from payonce.routing.control.routing_settings import RoutingSettings

NAMED_MERCHANTS = 5  # more would fill the screen; the document has all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The deployment's settings as far as the operator's machine knows them; ``source`` says from where.

    ``mode`` is ``None`` if it is unknown; ``settings`` is ``None`` if neither a decision nor the environment has any.
    ``decides`` says that there are decisions, so that routing can't be off.
    """

    settings: RoutingSettings | None
    mode: Mode | None
    source: str
    decides: bool = False

    @property
    def weights(self) -> Mapping[str, float]:
        """Return the static weights, empty if unknown."""
        return self.settings.neutral if self.settings else {}

    def obeyed(self, now: Seen, now_ms: int) -> Override | None:
        """Return the override that payments obey: the one in force, and none in mode off."""
        return None if self.mode is Mode.OFF else now.override_at(now_ms)

    def mode_under(self, override: Override | None) -> Mode | None:
        """Return the mode under an override that payments obey; ``None`` if the configured one is unknown."""
        configured = self.mode or (self.settings.mode if self.settings else None)
        forced = override.mode if override is not None else None
        return configured and (forced or configured)


def show_document(known: Configured, now: Seen, now_ms: int) -> dict[str, Any]:
    """Return the document of ``routing show``: settings, the control document, the override, and the weights now."""
    override = known.obeyed(now, now_ms)
    return {
        "settings_from": known.source,
        "mode": known.mode_under(override),
        "configured_mode": known.mode,
        "document": now.document,
        "document_problem": now.document_problem or None,
        "document_fresh": now.document_at(now_ms) is not None,
        "override": now.override,
        "override_problem": now.override_problem or None,
        "override_in_force": now.override_at(now_ms) is not None,
        "static_weights": known.weights,
        "weights_of_any_method": overridden(known.weights, override, now_ms),
    }


def show_lines(known: Configured, now: Seen, now_ms: int) -> Iterator[str]:
    """Yield the lines of ``routing show``."""
    document, override = now.document_at(now_ms), known.obeyed(now, now_ms)
    decides = _decides(known, document, override)
    yield f"settings   {known.source}"
    yield f"mode       {_mode(known, override)}"
    yield f"document   {_document(now, now_ms)}"
    if now.document is not None:
        yield f"reason     {plain(now.document.reason)}"
    yield from _override_lines(now, now_ms)
    yield from _weight_lines(known, document, override, now_ms, decides=decides)
    only = "" if document is None or decides else " (the document's, not in force)"
    limits = document.limits if document else {}
    named = ", ".join(f"{gateway} {limit:g} in flight" for gateway, limit in sorted(limits.items()))
    yield f"limits     {named + only if named else 'none'}"
    admission = document.admission if document else EVERYTHING
    yield f"admission  {_admission(admission)}{only if admission != EVERYTHING else ''}"


def _decides(known: Configured, document: ControlDocument | None, override: Override | None) -> bool:
    """Return whether the document decides about some payments at least."""
    mode = known.mode_under(override)
    if known.settings is None or mode is None:
        return False
    return applies(document, "", replace(known.settings, mode=mode, canary_share=1.0))


def _mode(known: Configured, override: Override | None) -> str:
    if known.mode is Mode.OFF:
        return "off (configured): payments read neither document nor override"
    configured = known.mode.value if known.mode else "not known here"
    if override is not None and override.mode is not None:
        return f"{override.mode.value} (forced by the override; configured: {configured})"
    return configured if known.mode is None else f"{configured} (configured)"


def _document(now: Seen, now_ms: int) -> str:
    if now.document is None:
        problem = f"can't be read ({now.document_problem})" if now.document_problem else "none"
        return f"{problem}: payments use the static weights"
    document = now.document
    said = f"epoch {document.epoch}, mode {document.mode.value}, {duration(now_ms - document.issued_at_ms)} old"
    if now_ms >= document.expires_at_ms:
        ago = duration(now_ms - document.expires_at_ms)
        return f"{said}, EXPIRED {ago} ago: payments use the static weights"
    if not document.is_fresh(now_ms):
        return f"{said}, issued in the future: payments use the static weights"
    return f"{said}, expires in {duration(document.expires_at_ms - now_ms)}"


def _override_lines(now: Seen, now_ms: int) -> Iterator[str]:
    override, in_force = now.override, now.override_at(now_ms)
    if now.override_problem:
        yield f"override   can't be read ({now.override_problem}): payments ignore it. next: routing release"
    elif override is None or override.is_release():
        yield "override   none"
    elif now_ms < override.expires_at_ms and in_force is None:
        yield f"override   none in force; one is issued in the future, {shown(override.issued_at_ms)}: {says(override)}"
        yield "           payments ignore it until then. next: routing release"
    elif in_force is None:
        yield f"override   none in force; the last one ended {shown(override.expires_at_ms)}"
    else:
        yield f"override   {says(in_force)}"
        yield f"           {until(override, now_ms)}, version {override.version}"
        yield f"           by {override.operator}: {override.reason}"


def says(override: Override) -> str:
    """Return a line that says what an override does, with the end of each part that ends before the others."""
    parts = [f"mode {override.mode.value}{_earlier(override.mode_ends_at_ms)}"] if override.mode else []
    parts += [
        f"{plain(gateway)} at {share:.0%} of its weight{_earlier(override.ends_at_ms.get(gateway))}"
        for gateway, share in sorted(override.shares.items())
    ]
    return ", ".join(parts) or "released"


def _earlier(end_ms: int | None) -> str:
    return "" if end_ms is None else f" until {shown(end_ms)}"


def until(override: Override, now_ms: int) -> str:
    """Return how long an override is still in force, as text."""
    return f"until {shown(override.expires_at_ms)}, in {duration(override.expires_at_ms - now_ms)}"


def _weight_lines(
    known: Configured, document: ControlDocument | None, override: Override | None, now_ms: int, *, decides: bool
) -> Iterator[str]:
    if known.settings is None:
        yield "weights    not known here: set PAYONCE_GATEWAYS and PAYONCE_ROUTING as the stack has them"
        return
    by_method = document.weights if document is not None and known.mode is not Mode.OFF else {}
    static = {"static": known.weights, "any": overridden(known.weights, override, now_ms)}
    decided = {method: overridden(weights, override, now_ms) for method, weights in sorted(by_method.items())}
    if document is not None and decides:
        if Mode.CANARY in {known.mode_under(override), document.mode}:
            yield f"weights    of {known.settings.canary_share:.0%} of payments (canary); 'any': of all others"
        else:
            yield "weights    in force per method; 'any': of methods that nothing is known of"
        yield from _table({**static, **decided})
        return
    yield "weights    in force for any method"
    yield from _table(static)
    if decided:
        yield "           what the document would make of them"
        yield from _table(decided)


def _table(columns: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    gateways = sorted({gateway for weights in columns.values() for gateway in weights})
    width = max(len(gateway) for gateway in gateways)
    wide = {name: max(len(name), 6) for name in columns}
    yield f"  {'':<{width}}  " + "  ".join(f"{name:>{wide[name]}}" for name in columns)
    for gateway in gateways:
        cells = [f"{weights.get(gateway, 0.0):>{wide[name]}.1%}" for name, weights in columns.items()]
        yield f"  {gateway:<{width}}  " + "  ".join(cells)


def _admission(admission: Admission) -> str:
    if admission == EVERYTHING:
        return "everything is taken"
    named = sorted(admission.merchants.items(), key=lambda item: item[1])
    listed = ", ".join(f"{plain(name)} {shares[0]:.0%}/{shares[1]:.0%}" for name, shares in named[:NAMED_MERCHANTS])
    more = f" and {len(named) - NAMED_MERCHANTS} more" if len(named) > NAMED_MERCHANTS else ""
    return f"{admission.authorization:.0%} of authorizations, {admission.batch:.0%} of batch payments" + (
        f"; of these merchants less: {listed}{more}" if named else ""
    )


def entry_line(entry: Entry) -> str:
    """Return the line of an override's change in the history; a malformed override is shown as unreadable."""
    return (
        f"{entry.version:>4}  {shown(entry.at_ms)}  {plain(entry.operator)}: {_said(entry.after)} "
        f"(before: {_said(entry.before)})  {plain(entry.reason)}"
    )


def _said(raw: bytes | None) -> str:
    override = readable(raw, None)
    if override is None:
        return "none" if raw is None else "unreadable"
    life = "" if override.is_release() else f" for {duration(override.expires_at_ms - override.issued_at_ms)}"
    return f"{says(override)}{life}"


def entry_document(entry: Entry) -> dict[str, Any]:
    """Return the document of an override's change; what can't be read is ``null``."""
    before, after = readable(entry.before, None), readable(entry.after, None)
    return {**as_json(entry), "before": before, "after": after, "weights": json.loads(entry.weights or b"null")}


def plain(text: str) -> str:
    """Return the stored text, escaped if it holds control characters for the terminal."""
    return text if text.isprintable() else ascii(text)


def duration(span_ms: int) -> str:
    """Return a duration in s, min or h, for people."""
    seconds = round(max(0, span_ms) / 1000)
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
