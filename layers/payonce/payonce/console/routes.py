"""All pages and actions. The first route that matches a path counts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.actions import cases, matches
from payonce.console.actions import files as file_forms
from payonce.console.actions.keys import release
from payonce.console.actions.webhooks import change_status, redeliver, replay
from payonce.console.page import Action, Page, Role
from payonce.console.views.audit import audit
from payonce.console.views.balances import balances
from payonce.console.views.breaks import breaks
from payonce.console.views.files import files, one_file
from payonce.console.views.one_break import one_break
from payonce.console.views.payment_pages import delivery, keys, payment, payments, webhook, webhooks
from payonce.console.views.runs import one_run, runs

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
    Page(path="/breaks", view=breaks),
    Page(path="/breaks/{break_id}", view=one_break),
    Page(path="/runs", platform=True, view=runs),
    Page(path="/runs/{run_id}", platform=True, view=one_run),
    Page(path="/files", platform=True, view=files),
    Page(path="/files/{file_id}", platform=True, view=one_file),
    Page(path="/balances", view=balances),
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
            Action(path="/files", platform=True, act=file_forms.upload),
            Action(path="/files/{file_id}/accept", platform=True, act=file_forms.accept),
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
