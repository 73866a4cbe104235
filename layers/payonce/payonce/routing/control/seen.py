"""The control item as people look at it: each of its parts, or why it can't be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.routing.control.document import parse_document
from payonce.routing.control.override import parse_override

if TYPE_CHECKING:
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


def seen(control: Control, gateways: frozenset[str]) -> Seen:
    """Parse both parts as the request path does."""
    document = override = None
    document_problem = override_problem = ""
    try:
        document = parse_document(control.document, gateways) if control.document is not None else None
    except (ValueError, KeyError, TypeError) as error:
        document_problem = str(error)
    try:
        override = parse_override(control.override, gateways) if control.override is not None else None
    except (ValueError, KeyError, TypeError) as error:
        override_problem = str(error)
    return Seen(document, document_problem, override, override_problem)
