"""Sets and releases overrides for operators: the override and its audit trail entry are written in one transaction.

::

    pk CONTROL     sk CONTROL       override, override_version           (control_store)
    pk OVERRIDES   sk 0000000004    operator, reason, at_ms, before, after, weights: append-only, never purged

Of two concurrent operators one gets a conflict::

    ann   reads version 3 ─ writes entry 4: done
    bob   reads version 3 ······················ writes entry 4, which exists: conflict, nothing is written
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed, OverrideConflict, OverrideRefused, WriteConflict
from payonce.domain.principals import principal_name
from payonce.paging import every_item
from payonce.ports import Insert, Table
from payonce.routing.control.control_store import ControlStore, override_write
from payonce.routing.control.document import canonical
from payonce.routing.control.in_force import seen
from payonce.routing.control.override import USUAL_LIFE_MS, Override, mode_of, overridden, readable
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.ports import Clock, Database, Write
    from payonce.routing.control.control_store import Control

TRAIL = "OVERRIDES"
VERSION_DIGITS = 10
PAGE_SIZE = 50
KEPT = ("at_ms", "operator", "reason", "before", "after", "weights")  # the attributes of an entry beside its key
DECIDING = frozenset({Mode.CANARY, Mode.ON})  # modes in which the document decides about payments
LOOK_AGAIN = "Look at what is in force now (payonce routing show), and decide again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change in the audit trail.

    ``before`` and ``after`` are the stored bytes; ``before`` may not parse. ``weights`` are the static weights at that
    time, as JSON.
    """

    version: int
    at_ms: int
    operator: str
    reason: str
    before: bytes | None
    after: bytes
    weights: bytes


def last_version(stored_version: int, newest: Entry | None) -> int:
    """Return the version of the last change: of the control item or, if that was lost, of the trail's newest entry."""
    return max(stored_version, newest.version if newest else 0)


class OverrideDesk:
    """Changes the override. ``weights`` are the static weights: they name the gateways that can be overridden."""

    def __init__(self, database: Database, clock: Clock, weights: Mapping[str, float]) -> None:
        self._database = database
        self._clock = clock
        self._weights = weights
        self._gateways = frozenset(weights)

    def set(
        self,
        *,
        operator: str,
        reason: str,
        mode: Mode | None = None,
        shares: Mapping[str, float] | None = None,
        life_ms: int = USUAL_LIFE_MS,
        seen_version: int | None = None,
        beside: Sequence[Write] = (),
    ) -> Override:
        """Merge ``mode`` and ``shares``, valid for ``life_ms``, into the override in force; return the result.

        What was in force and is not named now keeps its own end. ``beside`` are further writes for the same
        transaction. ``seen_version`` is that of the last change that the operator has seen, ``None`` for any. Nothing
        was changed when it raises ``OverrideRefused`` (no operator, reason or end; an unknown gateway; no gateway left)
        or ``OverrideConflict`` (another operator was faster, or has made a change that was not seen).
        """
        (control, version), now_ms = self._read(seen_version), self._clock.now_ms()
        # The request path ignores a malformed override, so it is no base for a new one either.
        before = seen(control, self._gateways).override_at(now_ms)
        end_ms, named = now_ms + life_ms, shares or {}
        self._refuse_unknown(named)
        merged = {**(before.shares if before is not None else {}), **named}
        ends = {name: end_ms if name in named or before is None else before.end_of(name) for name in merged}
        mode_end_ms = end_ms
        if mode is None and before is not None and before.mode is not None:
            mode, mode_end_ms = before.mode, before.mode_end_ms
        last_ms = max([*ends.values(), *([] if ends and mode is None else [mode_end_ms])])
        after = _made(
            version=version,
            mode=mode,
            shares=merged,
            operator=operator,
            reason=reason,
            issued_at_ms=now_ms,
            expires_at_ms=last_ms,
            ends_at_ms={gateway: end for gateway, end in ends.items() if end != last_ms},
            mode_ends_at_ms=None if mode is None or mode_end_ms == last_ms else mode_end_ms,
        )
        if after.is_release():
            raise OverrideRefused("That would override nothing: name a mode, or a gateway and its share.")
        self._refuse_without_route(control, after, now_ms)
        self._write(control, after, beside)
        return after

    def release(
        self, *, operator: str, reason: str, seen_version: int | None = None, beside: Sequence[Write] = ()
    ) -> Override:
        """End the override, so that configuration and document decide again. Return the release.

        Raises ``OverrideRefused`` without an operator, a reason or an override to end, and ``OverrideConflict``; see
        ``set`` for ``seen_version``.
        """
        (control, version), now_ms = self._read(seen_version), self._clock.now_ms()
        if self._is_over(control, now_ms):
            raise OverrideRefused("There is no override in force, so there is nothing to release.")
        end_ms = now_ms + USUAL_LIFE_MS  # a release has an end, too
        after = _made(version=version, operator=operator, reason=reason, issued_at_ms=now_ms, expires_at_ms=end_ms)
        self._write(control, after, beside)
        return after

    def history(self) -> Iterator[Entry]:
        """Yield all changes, newest first. Raises ``StoreUnavailable``."""
        for item in every_item(
            lambda start: self._database.query(
                Table.ROUTING, partition=("pk", TRAIL), descending=True, limit=PAGE_SIZE, start=start
            )
        ):
            yield Entry(version=int(item["sk"]), **{name: item[name] for name in KEPT})

    def _is_over(self, control: Control, now_ms: int) -> bool:
        # A malformed override, or one from the future, can be released: an operator who sees it wants it gone.
        stored = readable(control.override, None)
        if stored is None:
            return control.override is None
        return stored.is_release() or stored.expires_at_ms <= now_ms

    def _refuse_unknown(self, shares: Mapping[str, float]) -> None:
        unknown = sorted(set(shares) - self._gateways)
        if unknown:
            known = ", ".join(sorted(self._gateways))
            raise OverrideRefused(f"Routing knows no gateway {', '.join(unknown)}. It routes to: {known}.")

    def _read(self, seen_version: int | None) -> tuple[Control, int]:
        """Return the stored item and the version number of the change that follows it.

        Raises ``OverrideConflict`` if the last change is not the one that was seen.
        """
        # The trail matters only if the control item was lost, because its version would then restart at 1. It is read
        # first: read second, it could hold an entry whose override we have not seen, and we would overwrite that one.
        newest = next(self.history(), None)
        control = ControlStore(self._database).read()
        last = last_version(control.override_version, newest)
        if seen_version not in (None, last):
            who = newest.operator if newest else "Another operator"
            raise OverrideConflict(f"{who} has changed the override meanwhile: nothing was changed. {LOOK_AGAIN}")
        return control, last + 1

    def _refuse_without_route(self, control: Control, after: Override, now_ms: int) -> None:
        # ``overridden`` returns its argument itself when every weight would become 0: the override would do nothing.
        if after.shares and overridden(self._weights, after, now_ms) is self._weights:
            raise OverrideRefused("No gateway would be left that has a static weight. Leave one of them a share.")
        document = seen(control, self._gateways).document_at(now_ms)
        if document is None or mode_of(document.mode, after, now_ms) not in DECIDING:
            return
        for method, weights in document.weights.items():
            if after.shares and overridden(weights, after, now_ms) is weights:
                raise OverrideRefused(
                    f"No gateway would be left for {method}: the control document gives a weight to no other. Leave it "
                    "a share, or force the static weights (payonce routing mode off)."
                )

    def _write(self, control: Control, after: Override, beside: Sequence[Write]) -> None:
        entry = {
            "pk": TRAIL,
            "sk": f"{after.version:0{VERSION_DIGITS}d}",
            "operator": after.operator,
            "reason": after.reason,
            "at_ms": after.issued_at_ms,
            "before": control.override,
            "after": after.to_bytes(),
            "weights": canonical(dict(self._weights)),
        }
        try:
            self._database.write(
                [Insert(Table.ROUTING, entry), override_write(after.to_bytes(), after.version), *beside]
            )
        except WriteConflict as conflict:
            faster = (conflict.current or {}).get("operator", "another operator")
            raise OverrideConflict(f"{faster} was faster: nothing was changed. {LOOK_AGAIN}") from conflict


def _made(*, operator: str, reason: str, **others: Any) -> Override:
    try:
        return Override(operator=principal_name(operator), reason=reason.strip(), **others)
    except BodyMalformed as error:
        raise OverrideRefused(error.detail) from error
    except ValueError as error:
        raise OverrideRefused(
            "An override needs a name (up to 100 characters) and a reason (up to 500) in one line, shares from 0 "
            f"to 1, and an end within 7 days: {error}."
        ) from error
