"""Overview and gateways: what the streams kept is shown, to whom it may be, at little cost."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from payonce.console.operators import Role
from payonce.ports import Insert, Table
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.override import parse_override
from payonce.routing.control.override_desk import OverrideDesk
from payonce.routing.decision.predictor_store import decision_write
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.console import Browser, Seen, signed_in
from tests.support.overview import ACME, ENVIRONMENT, GATEWAYS, NOW_MS, OTHER, REASON, store_hour, store_routes
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from payonce.routing.control.override import Override

XSS = "<img src=x onerror=alert(1)>\"'`${7*7}{{7*7}}"


class Counting(MemoryDatabase):
    """Counts round trips."""

    trips = 0

    def get(self, *given: Any, **named: Any) -> Any:
        self.trips += 1
        return super().get(*given, **named)

    def get_many(self, *given: Any, **named: Any) -> Any:
        self.trips += 1
        return super().get_many(*given, **named)

    def query(self, *given: Any, **named: Any) -> Any:
        self.trips += 1
        return super().query(*given, **named)


@pytest.fixture
def live() -> Application:
    """An application with routing on, and an hour of payments."""
    made = Application(load_settings(ENVIRONMENT), clock=ManualClock(NOW_MS), database=Counting())
    store_hour(made.database)
    store_routes(made.database)
    return made


def words(seen: Seen) -> str:
    """Return the text of a page, in one line."""
    assert seen.status == 200, seen.status
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", seen.text)))


def in_force(live: Application) -> Override | None:
    raw = ControlStore(live.database).read().override
    found = parse_override(raw, frozenset(GATEWAYS)) if raw is not None else None
    return found if found is not None and found.is_in_force(NOW_MS) else None


def test_the_platform_sees_all_and_why(live: Application) -> None:
    shown = words(signed_in(live, Role.VIEWER).get("/"))
    assert "Payments a minute 42 42 so far this minute, 2562 in the hour" in shown
    assert "Approval rate, 15 min 88.1 %" in shown
    assert "In doubt now 4 oldest since" in shown
    assert "Replays and conflicts 5 / 1 1 key reused with another request" in shown
    assert "Webhooks failing 2" in shown
    assert "Breaks open 4" in shown
    assert "insufficient_funds 305" in shown
    assert REASON in shown


def test_a_merchant_sees_its_own_and_no_routing(live: Application) -> None:
    """Fails when an operator of one merchant sees counts of another, or what routing does with all of them."""
    browser = signed_in(live, Role.VIEWER, OTHER)
    shown = words(browser.get("/"))
    assert "Payments a minute 2 2 so far this minute, 122 in the hour" in shown
    assert "In doubt now 0 none older than a minute" in shown
    assert "Replays and conflicts 0 / 0" in shown
    assert "Webhooks failing 0 every receiver answers" in shown
    assert "Breaks open 0" in shown
    assert REASON not in shown
    assert "Gateways" not in shown
    for path in ("/gateways", "/gateways/decisions", "/gateways/decisions/1"):
        assert browser.get(path).status == 404
    assert browser.get(f"/?merchant={ACME}").status == 404


def test_what_nobody_has_looked_at_is_not_called_none(live: Application) -> None:
    """Fails when doubts are shown as 0 although recovery has not run."""
    live.clock.ms += 10 * 60_000  # type: ignore[attr-defined]
    shown = words(signed_in(live, Role.VIEWER).get("/"))
    assert "In doubt now – recovery has not looked for 5 min" in shown
    assert "Webhooks failing – the scheduler has not looked for 5 min" in shown
    assert "There is no fresh decision: payments go by the static weights." in shown


def test_an_empty_platform_has_an_overview() -> None:
    empty = Application(load_settings({}), clock=ManualClock(NOW_MS), database=MemoryDatabase())
    browser = signed_in(empty, Role.VIEWER)
    shown = words(browser.get("/"))
    assert "Payments a minute 0" in shown
    assert "Approval rate, 15 min – no payments before" in shown
    assert "No payment was declined." in shown
    assert "Routing is off" in shown
    assert "No payment ended in the last hour." in words(browser.get("/gateways"))
    assert "Routing is off, so no decision is made." in words(browser.get("/gateways/decisions"))


def test_pages_cost_few_round_trips(live: Application) -> None:
    """Fails when a page computes what it could read. One of them is the session's."""
    platform, merchant = signed_in(live, Role.VIEWER), signed_in(live, Role.VIEWER, ACME)
    database = live.database
    assert isinstance(database, Counting)
    for browser, path, most in ((platform, "/", 4), (merchant, "/", 5), (platform, "/gateways", 4)):
        database.trips = 0
        assert browser.get(path, {"hx-request": "true"}).status == 200
        assert database.trips <= most, path


def test_the_gateways_are_shown_with_plots_and_their_numbers(live: Application) -> None:
    seen = signed_in(live, Role.VIEWER).get("/gateways?route=alder%7Ccard")
    shown = words(seen)
    assert "alder limited 150 10.0 %" in shown
    assert "41 in flight" in shown
    assert "Decisions route payments." in shown
    assert "Latency at alder, card" in shown
    assert "forecast against what came" in shown
    svgs = re.findall(r"<svg.*?</svg>", seen.text, re.DOTALL)
    assert len(svgs) == 5
    for svg in svgs:
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own
        assert root.attrib["role"] == "img"
        labels = root.attrib["aria-labelledby"].split()
        assert [one.attrib["id"] for one in root[:2]] == labels
        assert all((one.text or "").strip() for one in root[:2])
        assert not re.search(r"style=|<script|on\w+=", svg)
    assert seen.text.count("<summary>Numbers of") == 5
    assert "/overrides/drains" not in seen.text  # a viewer's
    assert "/overrides/drains" in signed_in(live, Role.OPERATOR).get("/gateways").text


def test_a_part_of_the_page_refreshes_itself(live: Application) -> None:
    browser = signed_in(live, Role.VIEWER)
    for path, every in (("/", "every 5s"), ("/gateways", "every 10s")):
        whole, part = browser.get(path).text, browser.get(path, {"hx-request": "true"}).text
        assert f'hx-trigger="{every}" hx-select="#live" hx-target="#live"' in whole
        assert 'id="live"' in part
        assert "<html" not in part


@pytest.mark.parametrize("query", ["minutes=61", "minutes=1e3", "route=alder", "route=%7C"])
def test_a_query_that_makes_no_sense_is_refused(live: Application, query: str) -> None:
    assert signed_in(live, Role.VIEWER).get(f"/gateways?{query}").status == 400


def test_a_route_of_the_query_is_text(live: Application) -> None:
    seen = signed_in(live, Role.VIEWER).get("/gateways?route=%3Cscript%3Ealert(1)%3C%2Fscript%3E%7Ccard")
    assert seen.status == 200
    assert "<script>alert" not in seen.text


def test_reasons_and_names_are_text(live: Application) -> None:
    """Fails when what an operator or the predictor wrote is HTML in the page."""
    desk = OverrideDesk(live.database, live.clock, dict.fromkeys(GATEWAYS, 1 / 3))
    desk.set(operator="ann", reason=XSS, shares={"birch": 0.5})
    browser = signed_in(live, Role.OPERATOR)
    for path in ("/", "/gateways"):
        seen = browser.get(path)
        assert XSS in words(Seen(seen.status, seen.headers, seen.body))
        assert "<img src=x" not in seen.text


def drain_fields(browser: Browser, **more: str) -> dict[str, str]:
    page = browser.get("/gateways")
    hidden = {name: page.hidden(name) for name in ("csrf", "key", "seen")}
    return {**hidden, "gateway": "alder", "percent": "0", "minutes": "30", "reason": "alder maintains", **more}


def test_a_gateway_is_drained_and_released(live: Application) -> None:
    browser = signed_in(live, Role.OPERATOR)
    done = browser.post("/gateways/overrides/drains", drain_fields(browser))
    assert (done.status, done.location) == (303, "/gateways")
    override = in_force(live)
    assert override is not None
    assert (dict(override.shares), override.reason) == ({"alder": 0.0}, "alder maintains")
    assert override.expires_at_ms == NOW_MS + 30 * 60_000
    shown = words(browser.get("/gateways"))
    assert "Drained: alder gets none of its weight for 30 min (" in shown
    assert "alder drained limited" in shown
    assert "alder at 0 % of its weight for 30 min alder maintains" in shown
    browser.post("/gateways/overrides/releases", {**drain_fields(browser), "reason": "alder is back"})
    assert in_force(live) is None


def test_a_short_drain_leaves_another_gateways_longer_one(live: Application) -> None:
    """Fails when a drain of five minutes ends another's of six hours, or the page shows one end for both."""
    browser = signed_in(live, Role.OPERATOR)
    browser.post("/gateways/overrides/drains", drain_fields(browser, minutes="360"))
    browser.post("/gateways/overrides/drains", drain_fields(browser, gateway="birch", percent="50", minutes="5"))
    override = in_force(live)
    assert override is not None
    assert (override.end_of("alder"), override.end_of("birch")) == (NOW_MS + 360 * 60_000, NOW_MS + 5 * 60_000)
    shown = words(browser.get("/gateways"))
    assert "alder at 0.0 % of its weight until 2026-11-24 19:17:58 UTC birch at 50.0 % of its weight until" in shown
    assert "alder at 0 % of its weight for 360 min; birch at 50 % of its weight for 5 min" in shown
    live.clock.ms += 5 * 60_000  # type: ignore[attr-defined]
    shown = words(browser.get("/gateways"))
    assert "alder at 0.0 % of its weight until" in shown
    assert "birch at 50.0 %" not in shown


def test_a_form_sent_twice_acts_once(live: Application) -> None:
    """Fails when the second of two equal requests overrides again, or is told that somebody was faster."""
    browser = signed_in(live, Role.OPERATOR)
    fields = drain_fields(browser)
    for _ in range(3):
        assert browser.post("/gateways/overrides/drains", fields).status == 303
    desk = OverrideDesk(live.database, live.clock, {})
    assert len(list(desk.history())) == 1
    browser.post("/gateways/overrides/releases", drain_fields(browser))
    assert browser.post("/gateways/overrides/drains", fields).status == 303  # a copy that was late changes nothing
    assert in_force(live) is None
    assert len(list(desk.history())) == 2


def test_a_page_that_stood_open_changes_no_override_that_it_does_not_show(live: Application) -> None:
    """Fails when a form releases, or lengthens, what somebody else has set since its page was loaded."""
    browser = signed_in(live, Role.OPERATOR)
    stale = [drain_fields(browser, gateway="birch") for _ in range(2)]
    desk = OverrideDesk(live.database, live.clock, dict.fromkeys(GATEWAYS, 1.0))
    desk.set(operator="ann", reason="alder is down", shares={"alder": 0.0}, life_ms=6 * 3_600_000)
    for fields, path in zip(stale, ("drains", "releases"), strict=True):
        answer = browser.post(f"/gateways/overrides/{path}", fields)
        assert answer.status == 409
        assert "ann has changed the override meanwhile" in answer.text
        assert "In force now: alder at 0 % of its weight for 360 min (alder is down)." in answer.text
    # Whoever has read that, and sends the form again, adds to it.
    again = {**stale[0], "seen": answer.hidden("seen"), "key": answer.hidden("key"), "percent": "50"}
    override = in_force(live)
    assert override is not None
    assert (dict(override.shares), override.expires_at_ms) == ({"alder": 0.0}, NOW_MS + 6 * 3_600_000)
    assert browser.post("/gateways/overrides/drains", again).status == 303
    override = in_force(live)
    assert override is not None
    assert dict(override.shares) == {"alder": 0.0, "birch": 0.5}
    assert browser.post("/gateways/overrides/releases", drain_fields(browser)).status == 303
    assert in_force(live) is None


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"reason": " "}, 409),
        ({"gateway": "nobody"}, 409),
        ({"minutes": "0"}, 409),
        ({"minutes": "99999"}, 409),
        ({"minutes": "soon"}, 400),
        ({"percent": "101"}, 400),
        ({"percent": "-1"}, 400),
        ({"key": ""}, 400),
        ({"seen": ""}, 400),
    ],
)
def test_what_is_wrong_with_a_drain_changes_nothing(live: Application, more: dict[str, str], status: int) -> None:
    browser = signed_in(live, Role.OPERATOR)
    answer = browser.post("/gateways/overrides/drains", drain_fields(browser, **more))
    assert answer.status == status
    assert in_force(live) is None


def test_the_last_gateway_is_not_drained(live: Application) -> None:
    browser = signed_in(live, Role.OPERATOR)
    for gateway in ("alder", "birch"):
        browser.post("/gateways/overrides/drains", drain_fields(browser, gateway=gateway))
    answer = browser.post("/gateways/overrides/drains", drain_fields(browser, gateway="cedar"))
    assert answer.status == 409
    assert "No gateway would be left" in unescape(answer.text)


@pytest.mark.parametrize("merchant", [None, ACME])
def test_who_may_not_drain_is_refused(live: Application, merchant: str | None) -> None:
    """Fails when a viewer, or an operator of one merchant, changes where all merchants' payments go."""
    browser = signed_in(live, Role.VIEWER if merchant is None else Role.APPROVER, merchant)
    fields = {"csrf": browser.csrf(), "gateway": "alder", "percent": "0", "minutes": "30", "reason": "why not"}
    for path in ("/gateways/overrides/drains", "/gateways/overrides/releases"):
        assert browser.post(path, fields).status in {403, 404}
    assert in_force(live) is None


def test_a_decision_is_shown_and_made_again(live: Application) -> None:
    """A record that the predictor made; and one that was changed, which says so."""
    from tests.support.routing_world import RoutingWorld

    world = RoutingWorld()
    world.warm_up()
    world.start_traffic(20)
    world.start_predictor("run", seconds=15)
    world.run_until(30)
    [(_, item), *_] = sorted(
        (key, item) for key, item in world.database._tables[Table.ROUTING].items() if key[0].startswith("DECISION#")
    )
    live.database.write([Insert(Table.ROUTING, item)])
    hour, epoch = item["pk"].removeprefix("DECISION#"), int(item["sk"])
    browser = signed_in(live, Role.VIEWER)
    shown = words(browser.get(f"/gateways/decisions/{epoch}?hour={hour}"))
    assert "Made again the same" in shown
    assert "birch card" in shown
    changed = Insert(Table.ROUTING, {**item, "sk": f"{epoch + 900_000:012d}", "record": _changed(item["record"])})
    live.database.write([changed])
    other = words(browser.get(f"/gateways/decisions/{epoch + 900_000}?hour={hour}"))
    assert "not the same" in other
    assert "document.reason: recorded" in other
    assert browser.get("/gateways/decisions/5").status == 404
    assert browser.get(f"/gateways/decisions/{epoch}?hour=now").status == 400


def _changed(record: bytes) -> bytes:
    from payonce.routing.signals.packed import packed, unpacked

    text = unpacked(record, 10**7)
    return packed(re.sub(rb'"reason":"[^"]*"', b'"reason":"another"', text))


def test_decisions_are_listed(live: Application) -> None:
    write = decision_write(b'{"now_ms":%d,"document":{"mode":"on","reason":"why"}}' % NOW_MS, epoch=7, at_ms=NOW_MS)
    assert write is not None
    live.database.write([write])
    assert "7 2026-11-24" in words(signed_in(live, Role.VIEWER).get("/gateways/decisions"))
