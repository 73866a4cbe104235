"""A console with two pages and two actions of the tests' own, so that the checks before them are seen alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from payonce.console.operators import Role
from payonce.console.page import Action, Done, Download, Page, Rendered
from payonce.domain.errors import PaymentStateConflict
from payonce.entrypoints.console import handlers_of
from tests.support.console import Browser, signed_in

if TYPE_CHECKING:
    from payonce.console.page import ActionRequest, PageRequest, Services
    from payonce.wiring.application import Application

OTHER = "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRB"


@dataclass
class Stage:
    """The console under test, and what its views and acts were called with."""

    application: Application
    merchant_id: str
    seen: list[PageRequest] = field(default_factory=list)
    done: list[ActionRequest] = field(default_factory=list)

    def browser(self, role: Role = Role.APPROVER, *, bound: bool = False) -> Browser:
        """Return a browser with somebody of this role, of the platform or bound to the merchant."""
        return signed_in(self.application, role, self.merchant_id if bound else None, self.handlers())

    def stranger(self) -> Browser:
        """Return a browser without a session."""
        return Browser(self.application, self.handlers())

    def handlers(self) -> object:
        """Return the handlers of the tests' pages and actions."""
        pages = (
            Page(path="/audit", view=self._view),
            Page(path="/things/{thing}", view=self._view),
            Page(path="/one", view=self._of_one),
            Page(path="/file", view=self._file),
            Page(path="/broken", view=self._broken),
            Page(path="/approvers", role=Role.APPROVER, view=self._view),
            Page(path="/gateways", platform=True, view=self._view),
        )
        actions = (
            Action(path="/keys/{thing}/release", act=self._act),
            Action(path="/keys/{thing}/approve", role=Role.APPROVER, act=self._act),
            Action(path="/keys/{thing}/drain", platform=True, act=self._act),
            Action(path="/keys/{thing}/conflict", act=self._conflict),
        )
        return handlers_of(self.application, pages, {"key_actions": actions})

    def _view(self, _services: Services, request: PageRequest) -> Rendered:
        self.seen.append(request)
        return Rendered("audit.html", {"acts": (), "next_cursor": "", "cursor": ""})

    def _of_one(self, _services: Services, request: PageRequest) -> Rendered:
        request.require_merchant()
        return self._view(_services, request)

    def _file(self, _services: Services, _request: PageRequest) -> Download:
        return Download("list.xlsx", "application/vnd.ms-excel", b"\x00\xff")

    def _broken(self, _services: Services, _request: PageRequest) -> Rendered:
        raise RuntimeError("what nobody foresaw")

    def _act(self, _services: Services, request: ActionRequest) -> Done:
        self.done.append(request)
        return Done("/audit", "It was <done>.")

    def _conflict(self, _services: Services, _request: ActionRequest) -> Done:
        raise PaymentStateConflict("The payment is captured.")


@pytest.fixture
def stage(application: Application) -> Stage:
    """The console, with a merchant."""
    return Stage(application, application.merchants.create_merchant("Acme"))
