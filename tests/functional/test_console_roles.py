"""The console's functions behind their roles: what a browser does asks for no more, and needs all that is granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.console.operators import Role
from payonce.console.sessions import NOTED_AFTER_SECONDS
from tests.functional import console_payments_journey
from tests.functional.conftest import load_handler
from tests.functional.console_case_journey import bring_files, decide_about_breaks, with_bucket
from tests.functional.test_console_payments import Shop
from tests.functional.test_roles import CONSOLE, unused
from tests.support.console import Browser, operator_key
from tests.support.roles import Call, Grant, grants, recorded

if TYPE_CHECKING:
    import pytest

    from payonce.wiring.delivery import DeliveryApplication

SESSION = (
    Grant("dynamodb:BatchGetItem", "ConsoleTable", ("SESSION#*", "OPERATORS")),
    Grant("dynamodb:UpdateItem", "ConsoleTable", ("SESSION#*",), ("pk", "sk", "seen_at_ms")),
    Grant("dynamodb:PutItem", "ConsoleTable", ("ACTS#*",)),
    Grant("dynamodb:PutItem", "AuditTable"),
)
MAY_BE_MISSING = Grant("s3:ListBucket", "ReconciliationBucket")
NO_ACT_YET = "An act that is done notes that its session is used; the journey does none here."
ELSEWHERE = "tests/functional/test_console_live.py asks for it, and finds what is not asked for."


def of_live_pages(function: str) -> dict[Grant, str]:
    """Return the rights of a function that are for overview, gateways, drain and release."""
    tables = {"OverviewTable", "RoutingTable"}
    return {grant: ELSEWHERE for grant in grants(function) if grant.resource in tables}


NOT_ASKED_FOR: dict[str, dict[Grant, str]] = {
    "pages": {**of_live_pages("ConsolePagesFunction"), MAY_BE_MISSING: "The same."},
    "session_actions": {SESSION[1]: "A theme and a sign-out are no use that keeps a session open."},
    **console_payments_journey.NOT_ASKED_FOR,
    "routing_actions": {SESSION[1]: NO_ACT_YET, **of_live_pages("ConsoleRoutingActionsFunction")},
    "case_actions": {SESSION[1]: "It is used again within minutes of signing in."},
    "file_actions": {
        SESSION[1]: "The same.",
        MAY_BE_MISSING: "S3 tells by it that there is no such file, and not that it may not be read.",
    },
}


class Guarded:
    """The console's handlers as their roles let them run. What each asked for is in ``asked``."""

    def __init__(self, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, set[Call]] = {name: set() for name in CONSOLE}
        self._handlers = {name: load_handler(name, application, monkeypatch) for name in CONSOLE}

    def __call__(self, name: str) -> Any:
        """Return the handler of this name."""

        def serve(event: Any, context: Any) -> Any:
            with recorded() as calls:
                answer = self._handlers[name](event, context)
            self.asked[name] |= calls
            return answer

        return serve


def journey(application: DeliveryApplication, guarded: Guarded) -> None:
    """Sign in, look at every page, be refused, and sign out."""
    merchant_id = application.merchants.create_merchant("Acme")
    bound = Browser(application, guarded)
    bound.sign_in(operator_key(application, "ben", Role.VIEWER, merchant_id))
    assert bound.get("/audit?merchant=mer_1").status == 404
    key = operator_key(application, "ann", Role.APPROVER)
    browser = Browser(application, guarded)
    assert browser.sign_in("poc_" + "A" * 43).status == 401
    assert browser.sign_in(key).status == 303
    token = browser.csrf()
    application.clock.offset_ms += NOTED_AFTER_SECONDS * 1000  # type: ignore[attr-defined]
    assert browser.get("/audit").status == 200
    for path in ("/keys/k/nothing", "/webhooks/w/nothing", "/gateways/g/nothing", "/breaks/b/nothing"):
        assert browser.post(path, {"csrf": token}).status == 404
        assert browser.post(path, {"csrf": "x"}).status == 403
    with_bucket(application)
    decide_about_breaks(application, guarded, merchant_id)
    bring_files(application, guarded)
    assert browser.post("/theme", {"csrf": token, "theme": "dark"}).status == 303
    assert browser.post("/sign-out", {"csrf": token}).status == 303


def test_each_function_asks_for_what_its_role_allows(
    application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a function asks for more than its role allows, or a right is granted that nothing needs."""
    guarded = Guarded(application, monkeypatch)
    journey(application, guarded)
    console_payments_journey.look_and_act(Shop(application, monkeypatch), guarded)
    for name in sorted(CONSOLE):
        assert unused(name, guarded.asked[name]) == NOT_ASKED_FOR.get(name, {}).keys(), name
