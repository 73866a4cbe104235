"""All pages and actions. The first route that matches a path counts."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.console import forms
from payonce.console.page import Action, Page, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _at(place: str) -> Callable[[Any, Any], Any]:
    """Return what calls the function at ``place`` (module:name), and loads its module then.

    Every function of the console has this table, and needs the modules of one family; the one for signing in needs
    none. What all of them import takes 0.4 s of processor time, in each cold start.
    """
    module, _, name = place.partition(":")

    def called(services: Any, request: Any) -> Any:
        return getattr(import_module(f"payonce.console.{module}"), name)(services, request)

    called.__name__ = place
    return called


def _lists(module: str, *names: str) -> Mapping[str, Callable[[Any, Any], Any]]:
    """Return the lists of a page that can be saved as files: that of ``name`` is saved by ``module:name_list``."""
    return {name: _at(f"views.{module}:{name}_list") for name in names}


PAGES: tuple[Page, ...] = (
    Page(
        path="/",
        view=_at("views.overview:overview"),
        lists=_lists("saved_routing", "declines", "doubt_ages", "break_ages"),
    ),
    Page(
        path="/payments",
        view=_at("views.payment_pages:payments"),
        lists=_lists("saved_payments", "payments", "found"),
    ),
    Page(
        path="/payments/{payment_id}",
        view=_at("views.payment_pages:payment"),
        lists=_lists("saved_payments", "story", "operations", "disputes", "journal"),
    ),
    Page(path="/keys", view=_at("views.payment_pages:keys")),
    Page(path="/webhooks", view=_at("views.payment_pages:webhooks"), lists=_lists("saved_payments", "endpoints")),
    Page(
        path="/webhooks/{endpoint_id}",
        view=_at("views.payment_pages:webhook"),
        lists=_lists("saved_payments", "deliveries", "replays"),
    ),
    Page(
        path="/webhooks/{endpoint_id}/deliveries/{delivery_id}",
        view=_at("views.payment_pages:delivery"),
        lists=_lists("saved_payments", "attempts"),
    ),
    Page(
        path="/gateways",
        platform=True,
        view=_at("views.gateways:gateways"),
        lists=_lists(
            "saved_routing", "gateways", "overrides", "heat", "forecast", "shares", "plotted_weights", "limits"
        ),
    ),
    Page(
        path="/gateways/decisions",
        platform=True,
        view=_at("views.decisions:decisions"),
        lists=_lists("saved_routing", "decisions"),
    ),
    Page(
        path="/gateways/decisions/{epoch}",
        platform=True,
        view=_at("views.decisions:decision"),
        lists=_lists("saved_routing", "forecasts", "weights"),
    ),
    Page(path="/breaks", view=_at("views.breaks:breaks"), lists=_lists("breaks", "breaks", "ageing")),
    Page(path="/breaks/{break_id}", view=_at("views.one_break:one_break")),
    Page(path="/runs", platform=True, view=_at("views.runs:runs"), lists=_lists("runs", "runs")),
    Page(
        path="/runs/{run_id}",
        platform=True,
        view=_at("views.runs:one_run"),
        lists=_lists("runs", "cases", "kinds", "ageing", "tallies"),
    ),
    Page(
        path="/files",
        platform=True,
        view=_at("views.files:files"),
        lists=_lists("files", "accepted", "uploads", "refused"),
    ),
    Page(
        path="/files/{file_id}",
        platform=True,
        view=_at("views.files:one_file"),
        lists=_lists("saved_files", "lines", "wrong", "statements"),
    ),
    Page(path="/balances", view=_at("views.balances:balances")),
    Page(path="/audit", role=Role.VIEWER, view=_at("views.audit:audit"), lists=_lists("audit", "acts")),
)

# By the function that serves them (template.yaml).
ACTIONS: Mapping[str, tuple[Action, ...]] = MappingProxyType(
    {
        "key_actions": (Action(path="/keys/release", act=_at("actions.keys:release"), form=forms.RELEASE_KEY),),
        "webhook_actions": (
            Action(
                path="/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver",
                act=_at("actions.webhooks:redeliver"),
                form=forms.REDELIVER,
            ),
            Action(path="/webhooks/{endpoint_id}/replays", act=_at("actions.webhooks:replay"), form=forms.REPLAY),
            Action(
                path="/webhooks/{endpoint_id}/status",
                act=_at("actions.webhooks:change_status"),
                form=forms.CHANGE_STATUS,
            ),
        ),
        "routing_actions": (
            Action(
                path="/gateways/overrides/releases",
                platform=True,
                act=_at("actions.routing:release"),
                form=forms.RELEASE_OVERRIDE,
            ),
            Action(
                path="/gateways/overrides/drains", platform=True, act=_at("actions.routing:drain"), form=forms.DRAIN
            ),
        ),
        "case_actions": (
            Action(path="/breaks/{break_id}/assign", act=_at("actions.cases:assign"), form=forms.ASSIGN),
            Action(path="/breaks/{break_id}/comment", act=_at("actions.cases:comment"), form=forms.COMMENT),
            Action(path="/breaks/{break_id}/propose", act=_at("actions.cases:propose"), form=forms.PROPOSE),
            Action(
                path="/breaks/{break_id}/approve",
                role=Role.APPROVER,
                act=_at("actions.cases:approve"),
                form=forms.APPROVE,
            ),
            Action(
                path="/breaks/{break_id}/reject", role=Role.APPROVER, act=_at("actions.cases:reject"), form=forms.REJECT
            ),
            Action(
                path="/breaks/{break_id}/dismiss", platform=True, act=_at("actions.cases:dismiss"), form=forms.DISMISS
            ),
            Action(path="/breaks/{break_id}/match", platform=True, act=_at("actions.matches:match"), form=forms.MATCH),
            Action(
                path="/breaks/{break_id}/unmatch", platform=True, act=_at("actions.matches:unmatch"), form=forms.UNMATCH
            ),
        ),
        # Apart from the others: its function carries what reads workbooks, and may write where files arrive.
        "file_actions": (
            Action(path="/files", platform=True, act=_at("actions.files:upload"), form=forms.UPLOAD),
            Action(path="/files/{file_id}/accept", platform=True, act=_at("actions.files:accept"), form=forms.ACCEPT),
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
