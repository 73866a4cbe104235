"""All pages and actions. The first route that matches a path counts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.actions import cases, files, keys, matches, routing, webhooks
from payonce.console.page import Action, Page, Role
from payonce.console.views import balances, breaks, decisions, gateways, one_break, overview, payment_pages, runs
from payonce.console.views import files as file_pages
from payonce.console.views.audit import audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGES: tuple[Page, ...] = (
    Page(path="/", view=overview.overview),
    Page(path="/payments", view=payment_pages.payments),
    Page(path="/payments/{payment_id}", view=payment_pages.payment),
    Page(path="/keys", view=payment_pages.keys),
    Page(path="/webhooks", view=payment_pages.webhooks),
    Page(path="/webhooks/{endpoint_id}", view=payment_pages.webhook),
    Page(path="/webhooks/{endpoint_id}/deliveries/{delivery_id}", view=payment_pages.delivery),
    Page(path="/gateways", platform=True, view=gateways.gateways),
    Page(path="/gateways/decisions", platform=True, view=decisions.decisions),
    Page(path="/gateways/decisions/{epoch}", platform=True, view=decisions.decision),
    Page(path="/breaks", view=breaks.breaks),
    Page(path="/breaks/{break_id}", view=one_break.one_break),
    Page(path="/runs", platform=True, view=runs.runs),
    Page(path="/runs/{run_id}", platform=True, view=runs.one_run),
    Page(path="/files", platform=True, view=file_pages.files),
    Page(path="/files/{file_id}", platform=True, view=file_pages.one_file),
    Page(path="/balances", view=balances.balances),
    Page(path="/audit", role=Role.VIEWER, view=audit),
)

# By the function that serves them (template.yaml).
ACTIONS: Mapping[str, tuple[Action, ...]] = MappingProxyType(
    {
        "key_actions": (Action(path="/keys/release", act=keys.release),),
        "webhook_actions": (
            Action(path="/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver", act=webhooks.redeliver),
            Action(path="/webhooks/{endpoint_id}/replays", act=webhooks.replay),
            Action(path="/webhooks/{endpoint_id}/status", act=webhooks.change_status),
        ),
        "routing_actions": (
            Action(path="/gateways/overrides/releases", platform=True, act=routing.release),
            Action(path="/gateways/overrides/drains", platform=True, act=routing.drain),
        ),
        "case_actions": (
            Action(path="/breaks/{break_id}/assign", act=cases.assign),
            Action(path="/breaks/{break_id}/comment", act=cases.comment),
            Action(path="/breaks/{break_id}/propose", act=cases.propose),
            Action(path="/breaks/{break_id}/approve", role=Role.APPROVER, act=cases.approve),
            Action(path="/breaks/{break_id}/reject", role=Role.APPROVER, act=cases.reject),
            Action(path="/breaks/{break_id}/dismiss", platform=True, act=cases.dismiss),
            Action(path="/breaks/{break_id}/match", platform=True, act=matches.match),
            Action(path="/breaks/{break_id}/unmatch", platform=True, act=matches.unmatch),
        ),
        # Apart from the others: its function carries what reads workbooks, and may write where files arrive.
        "file_actions": (
            Action(path="/files", platform=True, act=files.upload),
            Action(path="/files/{file_id}/accept", platform=True, act=files.accept),
        ),
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
