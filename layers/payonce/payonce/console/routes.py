"""All pages and actions. The first route that matches a path counts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.actions.routing import drain, release
from payonce.console.page import Action, Page, Role
from payonce.console.views.audit import audit
from payonce.console.views.decisions import decision, decisions
from payonce.console.views.gateways import gateways
from payonce.console.views.overview import overview

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGES: tuple[Page, ...] = (
    Page(path="/", view=overview),
    Page(path="/gateways", platform=True, view=gateways),
    Page(path="/gateways/decisions", platform=True, view=decisions),
    Page(path="/gateways/decisions/{epoch}", platform=True, view=decision),
    Page(path="/audit", role=Role.VIEWER, view=audit),
)

# By the function that serves them (template.yaml).
ACTIONS: Mapping[str, tuple[Action, ...]] = MappingProxyType(
    {
        "key_actions": (),
        "webhook_actions": (),
        "routing_actions": (
            Action(path="/gateways/overrides/releases", platform=True, act=release),
            Action(path="/gateways/overrides/drains", platform=True, act=drain),
        ),
        "case_actions": (),
    }
)

# The titles of the navigation, in its order. A page that an operator may not see is left out.
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "/": "Overview",
        "/payments": "Payments",
        "/keys": "Keys",
        "/webhooks": "Webhooks",
        "/gateways": "Gateways",
        "/breaks": "Breaks",
        "/runs": "Runs",
        "/files": "Files",
        "/balances": "Balances",
        "/audit": "Audit",
    }
)


def navigation_of(pages: Sequence[Page]) -> tuple[tuple[str, str, Page], ...]:
    """Return path, title and page of those that the navigation names, in its order."""
    by_path = {page.path: page for page in pages}
    return tuple((path, title, by_path[path]) for path, title in TITLES.items() if path in by_path)
