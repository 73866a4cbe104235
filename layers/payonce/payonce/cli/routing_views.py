"""The output of ``payonce routing``: routing as payments see it now, the override, and its history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.cli.support import shown
from payonce.routing.control.choice import applies
from payonce.routing.control.document import EVERYTHING
from payonce.routing.control.override import mode_of, overridden, parse_override
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.routing.control.document import Admission
    from payonce.routing.control.override import Override
    from payonce.routing.control.override_desk import Entry
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.control.seen import Seen

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


def show_lines(known: Configured, now: Seen, now_ms: int) -> Iterator[str]:
    """Yield the lines of ``routing show``."""
    yield f"settings   {known.source}"
    yield f"mode       {_mode(known, now, now_ms)}"
    yield f"document   {_document(now, now_ms)}"
    if now.document is not None:
        yield f"reason     {plain(now.document.reason)}"
    yield from _override_lines(now, now_ms)
    yield from _weight_lines(known, now, now_ms)
    document = now.document if _fresh(now, now_ms) else None
    only = "" if document is None or _decides(known, now, now_ms) else " (the document's, not in force)"
    limits = document.limits if document else {}
    named = ", ".join(f"{gateway} {limit:g} in flight" for gateway, limit in sorted(limits.items()))
    yield f"limits     {named + only if named else 'none'}"
    admission = document.admission if document else EVERYTHING
    yield f"admission  {_admission(admission)}{only if admission != EVERYTHING else ''}"


def _fresh(now: Seen, now_ms: int) -> bool:
    return now.document is not None and now.document.is_fresh(now_ms)


def _decides(known: Configured, now: Seen, now_ms: int) -> bool:
    """Return whether the document decides about some payments at least."""
    if known.settings is None or known.mode is Mode.OFF or not _fresh(now, now_ms):
        return False
    mode = mode_of(known.mode or known.settings.mode, now.override, now_ms)
    return applies(now.document, "", replace(known.settings, mode=mode, canary_share=1.0))


def _mode(known: Configured, now: Seen, now_ms: int) -> str:
    configured = known.mode.value if known.mode else "not known here"
    forced = now.override.mode_at(now_ms) if now.override is not None and now.override.is_in_force(now_ms) else None
    if known.mode is Mode.OFF:
        return "off (configured): payments read neither document nor override"
    if forced is not None:
        return f"{forced.value} (forced by the override; configured: {configured})"
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
    override = now.override
    if now.override_problem:
        yield f"override   can't be read ({now.override_problem}): payments ignore it. next: routing release"
    elif override is None or override.is_release():
        yield "override   none"
    elif now_ms < override.expires_at_ms and not override.is_in_force(now_ms):
        yield f"override   none in force; one is issued in the future, {shown(override.issued_at_ms)}: {says(override)}"
        yield "           payments ignore it until then. next: routing release"
    elif not override.is_in_force(now_ms):
        yield f"override   none in force; the last one ended {shown(override.expires_at_ms)}"
    else:
        yield f"override   {says(override.left_at(now_ms))}"
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


def _weight_lines(known: Configured, now: Seen, now_ms: int) -> Iterator[str]:
    if known.settings is None:
        yield "weights    not known here: set PAYONCE_GATEWAYS and PAYONCE_ROUTING as the stack has them"
        return
    reads = known.mode is not Mode.OFF
    override = now.override if reads else None
    document = now.document if reads and _fresh(now, now_ms) else None
    static = {"static": known.weights, "any": overridden(known.weights, override, now_ms)}
    decided = {m: overridden(w, override, now_ms) for m, w in sorted(document.weights.items())} if document else {}
    if document is not None and _decides(known, now, now_ms):
        mode = mode_of(known.mode or known.settings.mode, override, now_ms)
        if Mode.CANARY in {mode, document.mode}:
            yield f"weights    of {known.settings.canary_share:.0%} of payments (canary); 'any': of all others"
            yield from _table({**static, **decided})
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
    if raw is None:
        return "none"
    try:
        override = parse_override(raw, None)
    except ValueError:
        return "unreadable"
    life = "" if override.is_release() else f" for {duration(override.expires_at_ms - override.issued_at_ms)}"
    return f"{says(override)}{life}"


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
