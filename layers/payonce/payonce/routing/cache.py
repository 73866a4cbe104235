"""The control document as a request finds it: from memory, refreshed now and then, its age checked on every use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.routing.document import ControlDocument, parse_document

if TYPE_CHECKING:
    from collections.abc import Callable

REFRESH_MS = 1000  # the reflex loop's own step: older data would add to its delay
JITTER = 0.5  # of that, up and down: environments started together must not read together


class DocumentCache:
    """Gives the document in force, or ``None``: then routing is neutral.

    ``fetch`` returns the stored bytes, or ``None`` when there are none. It may raise anything: the last document stays,
    and its expiry ends it. ``draw`` gives random numbers in [0, 1).
    """

    def __init__(
        self, fetch: Callable[[], bytes | None], gateways: frozenset[str], *, draw: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._gateways = gateways
        self._draw = draw
        self._raw: bytes | None = None
        self._document: ControlDocument | None = None
        self._refresh_at_ms = 0

    def current(self, now_ms: int) -> ControlDocument | None:
        """The document to act on at ``now_ms``. Never raises."""
        if not now_ms < self._refresh_at_ms <= now_ms + 2 * REFRESH_MS:  # also when the clock was set back
            self._refresh_at_ms = now_ms + int(REFRESH_MS * (1 + JITTER * (2 * self._draw() - 1)))
            self._refresh()
        document = self._document
        return document if document is not None and document.is_fresh(now_ms) else None

    def _refresh(self) -> None:
        try:
            raw = self._fetch()
        except Exception:  # whatever is wrong with the store, a payment does not depend on it
            return
        if raw == self._raw:
            return
        self._raw = raw
        try:
            self._document = parse_document(raw, self._gateways) if raw is not None else None
        except (ValueError, KeyError, TypeError):
            self._document = None
