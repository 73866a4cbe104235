"""The routes with which a merchant looks things up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from local.sandbox_bank.disputes import dispute_of, disputes_of
from local.sandbox_bank.saved import find_mandate, saved_methods_of
from local.sandbox_bank.services import Asked, Reply, Services, is_authenticated, route
from local.sandbox_bank.setups import setup_of, setups_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.sandbox_bank.desk import Desk

UNAVAILABLE = Reply.of(503, {"error": {"code": "unavailable"}})


def _asked_by_its_merchant(serve: Callable[[Services, Asked], Reply]) -> Callable[[Services, Asked], Reply]:
    """Refuse whoever has not the token that the bank is configured with. Without one, anybody may look things up."""

    def guarded(services: Services, asked: Asked) -> Reply:
        if services.behaviours.settings(asked.bank).token and not is_authenticated(services, asked.bank, asked.headers):
            return Reply.of(401, {"error": {"code": "unauthenticated"}})
        return serve(services, asked)

    return guarded


def _find(services: Services, asked: Asked) -> Reply:
    scenario = services.behaviours.next_scenario(asked.bank, "find", "")
    if scenario.mode in {"unavailable", "timeout_before_booking"}:
        if scenario.mode.startswith("timeout"):
            time.sleep(scenario.delay_ms / 1000)
        return UNAVAILABLE
    return Reply.of(200, {"operations": services.books.find(asked.bank, asked.query.get("reference", ""))})


def _charge(services: Services, asked: Asked) -> Reply:
    if services.behaviours.next_scenario(asked.bank, "find", "").mode == "unavailable":
        return UNAVAILABLE
    charge = services.books.charge(*asked.parts)
    if charge is None:
        return Reply.of(404, {"error": {"code": "no_such_charge"}})
    return Reply.of(200, charge)


def _disputes(services: Services, asked: Asked) -> Reply:
    if services.behaviours.next_scenario(asked.bank, "find", "").mode == "unavailable":
        return UNAVAILABLE
    with services.books.desk(asked.bank) as desk:
        return Reply.of(200, {"disputes": disputes_of(desk, asked.query.get("charge_id"))})


def _dispute(services: Services, asked: Asked) -> Reply:
    if services.behaviours.next_scenario(asked.bank, "find", "").mode == "unavailable":
        return UNAVAILABLE
    with services.books.desk(asked.bank) as desk:
        return Reply.of(200, dispute_of(desk, asked.parts[1]))


def _setups(services: Services, asked: Asked) -> Reply:
    return _shown(services, asked, lambda desk: {"setups": setups_of(desk, asked.query.get("reference", ""))})


def _setup(services: Services, asked: Asked) -> Reply:
    return _shown(services, asked, lambda desk: setup_of(desk, asked.parts[1]))


def _saved_methods(services: Services, asked: Asked) -> Reply:
    customer = unquote(asked.parts[1])
    return _shown(services, asked, lambda desk: {"saved_methods": saved_methods_of(desk, customer)})


def _mandate(services: Services, asked: Asked) -> Reply:
    return _shown(services, asked, lambda desk: find_mandate(desk, asked.parts[1]))


def _shown(services: Services, asked: Asked, found: Callable[[Desk], dict[str, Any]]) -> Reply:
    scenario = services.behaviours.next_scenario(asked.bank, "find", "")
    if scenario.mode == "timeout_before_booking":
        time.sleep(scenario.delay_ms / 1000)
    if scenario.mode in {"unavailable", "timeout_before_booking"}:
        return UNAVAILABLE
    with services.books.desk(asked.bank) as desk:
        return Reply.of(200, found(desk))


ROUTES = (
    route("GET", "{bank}/operations", _asked_by_its_merchant(_find)),
    route("GET", "{bank}/{charge}", _asked_by_its_merchant(_charge)),
    route("GET", "{bank}/disputes", _asked_by_its_merchant(_disputes)),
    route("GET", "{bank}/disputes/(dp_[0-9a-f]+)", _asked_by_its_merchant(_dispute)),
    route("GET", "{bank}/setups", _asked_by_its_merchant(_setups)),
    route("GET", "{bank}/setups/(su_[0-9a-f]+)", _asked_by_its_merchant(_setup)),
    route("GET", "{bank}/customers/([^/]+)/saved_methods", _asked_by_its_merchant(_saved_methods)),
    route("GET", "{bank}/mandates/(md_[0-9a-f]+)", _asked_by_its_merchant(_mandate)),
)
