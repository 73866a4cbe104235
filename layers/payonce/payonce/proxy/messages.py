"""Requests and responses as the proxy handles them: header lines in order, bodies as bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

type Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRequest:
    """An incoming request. ``target`` is the path and query as sent; ``claims`` are an authorizer's assertions.

    Header values are texts of the characters U+0000 to U+00FF, one per octet on the wire. ``is_checked``: its head has
    passed ``check_request``.
    """

    method: str
    target: str
    lines: Lines
    body: bytes
    client: str = ""
    scheme: str = "http"
    claims: Mapping[str, Any] = field(default_factory=dict)
    is_checked: bool = False
    _by_name: dict[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[str]] = {}
        for name, value in self.lines:
            found.setdefault(name.lower(), []).append(value)
        object.__setattr__(self, "_by_name", found)

    def headers(self) -> Mapping[str, list[str]]:
        """Return all values by lower-case name."""
        return self._by_name


@dataclass(frozen=True, slots=True)
class ProxyResponse:
    """A response to be sent. ``route`` and ``outcome`` are for metrics and logs, and are not sent."""

    status: int
    lines: Lines
    body: bytes
    route: str = ""
    outcome: str = ""
