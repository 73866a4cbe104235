"""The control item as people look at it: each of its parts, or why it can't be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.routing.control.document import parse_document
from payonce.routing.control.override import parse_override

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.routing.control.control_store import Control
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.control.override import Override


@dataclass(frozen=True, slots=True)
class Seen:
    """The parsed control item: each part, or its problem as text (``""`` if the part is valid or missing)."""

    document: ControlDocument | None
    document_problem: str
    override: Override | None
    override_problem: str

    def document_at(self, now_ms: int) -> ControlDocument | None:
        """Return the document if it is fresh at ``now_ms``."""
        return self.document if self.document is not None and self.document.is_fresh(now_ms) else None

    def override_at(self, now_ms: int) -> Override | None:
        """Return the override if it is in force at ``now_ms``, without the parts that have ended."""
        override = self.override
        return override.left_at(now_ms) if override is not None and override.is_in_force(now_ms) else None


def seen(control: Control, gateways: frozenset[str]) -> Seen:
    """Parse both parts as the request path does."""
    return Seen(
        *_parsed(parse_document, control.document, gateways), *_parsed(parse_override, control.override, gateways)
    )


def _parsed[T](
    parse: Callable[[bytes, frozenset[str]], T], raw: bytes | None, gateways: frozenset[str]
) -> tuple[T | None, str]:
    try:
        return None if raw is None else parse(raw, gateways), ""
    except ValueError as error:
        return None, str(error)
