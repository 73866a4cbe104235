"""The routes of tests and demos: how the bank behaves, its clock, its files, its dashboard and its events."""

from __future__ import annotations

from local.sandbox_bank import dashboard, event_faults, events
from local.sandbox_bank.services import Asked, Reply, Services, route

DONE = Reply.of(200, {"ok": True})


def _books(services: Services, asked: Asked) -> Reply:
    rows = services.books.all(asked.query)
    return Reply.of(200, {"count": len(rows), "operations": rows})


def _settings(services: Services, asked: Asked) -> Reply:
    services.behaviours.configure(asked.bank, asked.document())
    return DONE


def _scenario(services: Services, asked: Asked) -> Reply:
    services.behaviours.set_scenario(asked.bank, asked.document())
    return DONE


def _end_scenario(services: Services, asked: Asked) -> Reply:
    services.behaviours.clear_scenario(asked.bank)
    return DONE


def _fault(services: Services, asked: Asked) -> Reply:
    return Reply.of(200, services.back_office.commit_fault(asked.bank, asked.document()))


def _settle(services: Services, asked: Asked) -> Reply:
    return Reply.of(201, services.back_office.settle(asked.bank, asked.document()))


def _file(services: Services, asked: Asked) -> Reply:
    bank, kind = asked.parts
    content_type, file = services.back_office.file(bank, kind, asked.query)
    return Reply(200, file, {"Content-Type": content_type})


def _clock(services: Services, asked: Asked) -> Reply:
    advance_ms = asked.document().get("advance_ms", 0)
    if not isinstance(advance_ms, int) or advance_ms < 0:
        raise ValueError("advance_ms is a number of milliseconds: the bank's clock never goes back")
    return Reply.of(200, {"now_ms": services.books.advance(asked.bank, advance_ms)})


def _dashboard(services: Services, asked: Asked) -> Reply:
    bank, action = asked.parts
    with services.books.desk(bank) as desk:
        return Reply.of(201, dashboard.act(desk, action, asked.document()))


def _register(services: Services, asked: Asked) -> Reply:
    body = asked.document()
    with services.books.desk(asked.bank) as desk:
        endpoint = events.register(desk, body.get("url"), body.get("secret"))
    services.senders.start(asked.bank)
    return Reply.of(200, endpoint)


def _events(services: Services, asked: Asked) -> Reply:
    with services.books.desk(asked.bank) as desk:
        return Reply.of(200, {"events": events.listed(desk.connection, asked.bank)})


def _event_fault(services: Services, asked: Asked) -> Reply:
    with services.books.desk(asked.bank) as desk:
        event_faults.set_fault(desk, asked.document())
    return DONE


def _end_event_fault(services: Services, asked: Asked) -> Reply:
    with services.books.desk(asked.bank) as desk:
        event_faults.clear_fault(desk)
    return DONE


def _send_again(services: Services, asked: Asked) -> Reply:
    with services.books.desk(asked.bank) as desk:
        events.send_again(desk, asked.parts[1], asked.document().get("mode"))
    return Reply.of(201, {"ok": True})


ROUTES = (
    route("GET", "/books", _books),
    route("PUT", "{bank}/settings", _settings),
    route("PUT", "{bank}/scenario", _scenario),
    route("DELETE", "{bank}/scenario", _end_scenario),
    route("PUT", "{bank}/fault", _fault),
    route("POST", "{bank}/settlements", _settle),
    route("GET", "{bank}/(report|statement)", _file),
    route("GET", "{bank}/clock", _clock),
    route("PUT", "{bank}/clock", _clock),
    route("POST", "{bank}/dashboard/([a-z_]+)", _dashboard),
    route("PUT", "{bank}/events", _register),
    route("GET", "{bank}/events", _events),
    route("PUT", "{bank}/events/faults", _event_fault),
    route("DELETE", "{bank}/events/faults", _end_event_fault),
    route("POST", "{bank}/events/(evt_[0-9a-f]+)/deliveries", _send_again),
)
