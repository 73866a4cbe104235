"""All pages and actions. The first route that matches a path counts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.actions.keys import release
from payonce.console.actions.webhooks import change_status, redeliver, replay
from payonce.console.page import Action, Page, Role
from payonce.console.views.audit import audit
from payonce.console.views.payment_pages import delivery, keys, payment, payments, webhook, webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGES: tuple[Page, ...] = (
    Page(path="/payments", view=payments),
    Page(path="/payments/{payment_id}", view=payment),
    Page(path="/keys", view=keys),
    Page(path="/webhooks", view=webhooks),
    Page(path="/webhooks/{endpoint_id}", view=webhook),
    Page(path="/webhooks/{endpoint_id}/deliveries/{delivery_id}", view=delivery),
    Page(path="/audit", role=Role.VIEWER, view=audit),
)

# By the function that serves them (template.yaml).
ACTIONS: Mapping[str, tuple[Action, ...]] = MappingProxyType(
    {
        "key_actions": (Action(path="/keys/release", act=release),),
        "webhook_actions": (
            Action(path="/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver", act=redeliver),
            Action(path="/webhooks/{endpoint_id}/replays", act=replay),
            Action(path="/webhooks/{endpoint_id}/status", act=change_status),
        ),
        "routing_actions": (),
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
