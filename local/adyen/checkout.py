"""The Checkout API: who asks, under which key, and what the books say to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.adyen.desk import Desk
from local.adyen.details import submit_details
from local.adyen.idempotency import KEPT_STATUSES, Keys, keep, kept_answer
from local.adyen.modifications import KINDS, receive, receive_by_reference
from local.adyen.payments import Origin, start_payment
from local.adyen.stored import forget, list_stored, store_without_payment
from local.adyen.vocabulary import DECISIONS, Refused, new_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.adyen.behaviour import Behaviours
    from local.adyen.books import Books
    from local.adyen.clock import Clock
    from local.sandbox_bank.behaviour import Scenario

# The key of a company account, which may use its merchant accounts: those whose names begin with the company's.
API_KEY = re.compile(r"fake_key_of_([A-Za-z0-9]+)")
_VERSION = re.compile(r"(?:/checkout)?/v(\d{2})(/.*)")
VERSIONS = frozenset({"71", "72"})
_MODIFICATION = re.compile(r"/payments/([A-Z0-9]{16})/(captures|cancels|refunds|reversals)")
_STORED = re.compile(r"/storedPaymentMethods(?:/([^/]+))?")
# The sandbox bank's codes of a decline, as the names of Adyen's holders.
_HOLDERS = {"declined": "DECLINED", "insufficient_funds": "NOT_ENOUGH_BALANCE"}

type Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One authenticated request: the path without its version, the JSON body, and the idempotency key or ``""``."""

    company: str
    path: str
    body: dict[str, Any]
    key: str
    base_url: str


@dataclass(slots=True)
class Checkout:
    """Executes requests against the books. Thread-safe."""

    books: Books
    behaviours: Behaviours
    clock: Clock
    keys: Keys = field(default_factory=Keys)

    def execute(self, request: ApiRequest, scenario: Scenario, pause: Callable[[], None]) -> Answer:
        """Execute the request once for its key and return status and body.

        ``pause`` is called while the key is held, before anything is booked. Raises ``Refused`` for what is neither
        executed nor kept.
        """
        settings = self.behaviours.settings()
        with self.keys.processing(request.company, request.key, settings.in_progress_status):
            pause()
            with self.books.transaction() as ledger:
                desk = Desk(ledger, settings, self.clock.now_ms())
                kept = kept_answer(desk, request.company, request.key, request.path, request.body)
                if kept is not None:
                    return kept
                answer = self._first_answer(desk, request, scenario)
                if request.key and (answer[0] in KEPT_STATUSES or scenario.mode == "error_kept"):
                    keep(desk, request.company, request.key, request.path, request.body, answer)
                return answer

    def _first_answer(self, desk: Desk, request: ApiRequest, scenario: Scenario) -> Answer:
        if scenario.mode == "error_kept":
            return 500, Refused(500, "000", "Internal error", "internal").body
        try:
            return _execute(desk, request, scenario)
        except Refused as refused:
            # Nothing is booked before a request is checked, so that the refusal is all that is kept.
            return refused.status, {**refused.body, "pspReference": new_reference()}

    def stored_methods(self, company: str, method: str, path: str, query: dict[str, str]) -> Answer:
        """Answer ``GET`` and ``DELETE`` of stored payment methods, the only objects of Adyen's that can be read."""
        match = _STORED.fullmatch(path)
        if match is None:
            raise Refused(404, "000", "Not Found", "internal")
        with self.books.transaction() as ledger:
            desk = Desk(ledger, self.behaviours.settings(), self.clock.now_ms())
            if method == "GET" and match[1] is None:
                return 200, list_stored(desk, company, query)
            if method == "DELETE" and match[1]:
                forget(desk, company, match[1], query)
                return 204, {}
        raise Refused(404, "000", "Not Found", "internal")


def company_of(api_key: str | None) -> str:
    """Return the company account of an API key. Raises ``Refused`` (401) for a key that is none."""
    match = API_KEY.fullmatch(api_key or "")
    if match is None:
        raise Refused(401, "000", "HTTP Status Response - Unauthorized", "security")
    return match[1]


def path_of(url_path: str) -> str:
    """Return the path behind the version. Raises ``Refused`` (404) for a version that the fake does not speak."""
    match = _VERSION.fullmatch(url_path)
    if match is None or match[1] not in VERSIONS:
        raise Refused(404, "000", "Not Found", "internal")
    return match[2]


def kind_of(path: str, body: dict[str, Any]) -> str:
    """Return the kind of operation, in the sandbox bank's words. Raises ``Refused`` (404) for an unknown path."""
    fixed = {
        "/payments": "payment",
        "/payments/details": "details",
        "/cancels": "void",
        "/storedPaymentMethods": "token",
    }
    amount = body.get("amount")
    if path == "/payments" and isinstance(amount, dict) and amount.get("value") == 0:
        return "setup"
    if path in fixed:
        return fixed[path]
    match = _MODIFICATION.fullmatch(path)
    if match is None:
        raise Refused(404, "000", "Not Found", "internal")
    return KINDS[match[2]]


def _execute(desk: Desk, request: ApiRequest, scenario: Scenario) -> Answer:
    body, company, declined = request.body, request.company, scenario.mode == "decline"
    if request.path == "/payments/details":
        return 200, submit_details(desk, company, body)
    if not str(body.get("merchantAccount", "")).startswith(company):
        raise Refused(403, "901", "Invalid Merchant Account", "security")
    if request.path == "/payments":
        holder = _HOLDERS.get(scenario.code, scenario.code) if declined else ""
        origin = Origin(company, request.base_url, holder if holder in DECISIONS else declined * "DECLINED")
        return 200, start_payment(desk, origin, body)
    if request.path == "/storedPaymentMethods":
        return 201, store_without_payment(desk, company, body)
    if request.path == "/cancels":
        return 201, receive_by_reference(desk, company, body, declined=declined)
    match = _MODIFICATION.fullmatch(request.path)
    if match is None:
        raise Refused(404, "000", "Not Found", "internal")
    return 201, receive(desk, company, KINDS[match[2]], match[1], body, declined=declined)
