"""Where operators override routing and let it go again: the override in force and its entry in the audit trail at once.

::

    pk CONTROL     sk CONTROL       override, override_version           (control_store)
    pk OVERRIDES   sk 0000000004    operator, reason, at_ms, before, after, weights: never changed, never purged

Two operators at the same time::

    ann   reads version 3 ─ writes entry 4: done
    bob   reads version 3 ······················ writes entry 4, which is there: conflict, nothing is written
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, OverrideConflict, OverrideRefused, WriteConflict
from payonce.domain.principals import principal_name
from payonce.paging import every_item
from payonce.ports import Insert, Table
from payonce.routing.control.control_store import ControlStore, override_write
from payonce.routing.control.document import canonical, parse_document
from payonce.routing.control.override import USUAL_LIFE_MS, Override, mode_of, overridden, parse_override
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.ports import Clock, Database, Write
    from payonce.routing.control.control_store import Control

TRAIL = "OVERRIDES"
VERSION_DIGITS = 10
PAGE_SIZE = 50
DECIDING = frozenset({Mode.CANARY, Mode.ON})  # the modes in which a document's weights are any payment's
LOOK_AGAIN = "Look at what is in force now (payonce routing show), and decide again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change in the audit trail. ``before`` is what was stored until then, as bytes: it may have been garbage.

    ``weights`` are the static ones it was made with, as JSON.
    """

    version: int
    at_ms: int
    operator: str
    reason: str
    before: bytes | None
    after: bytes
    weights: bytes


class OverrideDesk:
    """``weights`` are the static ones of the configured routes: what an override may name, and may not take away."""

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
        beside: Sequence[Write] = (),
    ) -> Override:
        """Add ``mode`` and ``shares`` to what is in force; return all that is in force now, which ends with this one.

        Raises ``OverrideRefused`` for what has no name, reason or end, for a gateway that is not configured, and when
        no gateway would be left; ``OverrideConflict`` when another operator was faster. Then nothing was changed.
        ``beside``: writes of the same transaction.
        """
        (control, version), now_ms = self._read(), self._clock.now_ms()
        before = self._in_force(control, now_ms)
        after = self._made(
            version,
            now_ms,
            life_ms,
            operator=operator,
            reason=reason,
            mode=mode if mode is not None else before.mode if before else None,
            shares={**(before.shares if before else {}), **(shares or {})},
        )
        if after.is_release():
            raise OverrideRefused("That would override nothing: name a mode, or a gateway and its share.")
        self._refuse_without_route(control, after, now_ms)
        self._write(control, after, beside)
        return after

    def release(self, *, operator: str, reason: str, beside: Sequence[Write] = ()) -> Override:
        """End the override: configuration and document decide again. Returns the release, which says nothing.

        Raises ``OverrideRefused`` without a name or reason, or when there is nothing to end, and ``OverrideConflict``.
        """
        (control, version), now_ms = self._read(), self._clock.now_ms()
        if self._is_over(control, now_ms):
            raise OverrideRefused("There is no override in force, so there is nothing to release.")
        after = self._made(version, now_ms, USUAL_LIFE_MS, operator=operator, reason=reason, mode=None, shares={})
        self._write(control, after, beside)
        return after

    def history(self) -> Iterator[Entry]:
        """Give all changes, the newest first. Raises ``StoreUnavailable``."""
        for item in every_item(
            lambda start: self._database.query(
                Table.ROUTING, partition=("pk", TRAIL), descending=True, limit=PAGE_SIZE, start=start
            )
        ):
            yield Entry(
                version=int(item["sk"]),
                at_ms=item["at_ms"],
                operator=item["operator"],
                reason=item["reason"],
                before=item["before"],
                after=item["after"],
                weights=item["weights"],
            )

    def _in_force(self, control: Control, now_ms: int) -> Override | None:
        # What payments can't read does not count for them, so nothing is built on it either.
        try:
            stored = parse_override(control.override, self._gateways) if control.override is not None else None
        except ValueError:
            return None
        return stored if stored is not None and stored.is_in_force(now_ms) else None

    def _is_over(self, control: Control, now_ms: int) -> bool:
        # Garbage, or one of the future, may still be ended: who sees it there wants it gone.
        if control.override is None:
            return True
        try:
            stored = parse_override(control.override, None)
        except ValueError:
            return False
        return stored.is_release() or stored.expires_at_ms <= now_ms

    def _made(
        self,
        version: int,
        now_ms: int,
        life_ms: int,
        *,
        operator: str,
        reason: str,
        mode: Mode | None,
        shares: Mapping[str, float],
    ) -> Override:
        unknown = sorted(set(shares) - self._gateways)
        if unknown:
            known = ", ".join(sorted(self._gateways))
            raise OverrideRefused(f"Routing knows no gateway {', '.join(unknown)}. It routes to: {known}.")
        try:
            return Override(
                version=version,
                mode=mode,
                shares=shares,
                operator=_operator(operator),
                reason=reason.strip(),
                issued_at_ms=now_ms,
                expires_at_ms=now_ms + life_ms,
            )
        except ValueError as error:
            raise OverrideRefused(
                "An override needs a name (up to 100 characters) and a reason (up to 500) in one line, shares from 0 "
                f"to 1, and an end within 7 days: {error}."
            ) from error

    def _read(self) -> tuple[Control, int]:
        """Return what is stored, and the number that a change of exactly that has."""
        # The trail is read first, and counts only where the control item was lost: its numbers would begin anew. Read
        # after it, the trail may have an entry whose override was not seen, and the next number would pass it by.
        newest = next(self.history(), None)
        control = ControlStore(self._database).read()
        return control, max(control.override_version, newest.version if newest else 0) + 1

    def _refuse_without_route(self, control: Control, after: Override, now_ms: int) -> None:
        # ``overridden`` gives the very weights back when nothing is left of them: the override would do nothing.
        if after.shares and overridden(self._weights, after, now_ms) is self._weights:
            raise OverrideRefused("No gateway would be left that has a static weight. Leave one of them a share.")
        try:
            document = parse_document(control.document, self._gateways) if control.document is not None else None
        except ValueError:
            return
        if document is None or not document.is_fresh(now_ms) or mode_of(document.mode, after, now_ms) not in DECIDING:
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


def _operator(name: str) -> str:
    try:
        return principal_name(name)
    except BodyMalformed as error:
        raise OverrideRefused(error.detail) from error
