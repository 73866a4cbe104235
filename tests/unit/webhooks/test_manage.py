"""Endpoints: created, changed, rotated, tested, deleted; at once, at their limits, and each merchant for itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.endpoint import (
    MAX_ACTIVE_KEYS,
    MAX_ENDPOINTS_PER_MERCHANT,
    DisabledReason,
    EndpointChange,
)
from payonce.entrypoints.http import KeyedRoute
from payonce.entrypoints.routes import ROUTES
from payonce.ports import Adjust, Table
from payonce.webhooks import quota
from payonce.webhooks.endpoints import change_writes, load_endpoint
from payonce.webhooks.gate import gate_key
from tests.support.events import call
from tests.support.stored import events_in
from tests.support.webhook_api import MERCHANT, URL, an_id, document, events_of, items_of, new_endpoint

if TYPE_CHECKING:
    from payonce.stores.memory import MemoryDatabase
    from payonce.wiring.application import Application
    from tests.support.world import ManualClock

HOUR = 3600


def update(application: Application, endpoint_id: str, key: str, **body: Any) -> dict[str, Any]:
    return call(application, "update_webhook_endpoint", body, key=key.ljust(16, "-"), path={"endpoint_id": endpoint_id})


def rotate(application: Application, endpoint_id: str, key: str, **body: Any) -> dict[str, Any]:
    return call(application, "rotate_webhook_secret", body, key=key.ljust(16, "-"), path={"endpoint_id": endpoint_id})


def delete(application: Application, endpoint_id: str, key: str = "delete") -> dict[str, Any]:
    return call(application, "delete_webhook_endpoint", None, key=key.ljust(16, "-"), path={"endpoint_id": endpoint_id})


def read(application: Application, endpoint_id: str) -> Any:
    return document(call(application, "get_webhook_endpoint", None, path={"endpoint_id": endpoint_id}))


def test_an_endpoint_from_its_creation_to_its_end(application: Application, database: MemoryDatabase) -> None:
    """Every change is one version with one event, and none is left out. Fails when a sequence has a gap."""
    view = new_endpoint(application, description="shop")
    endpoint_id = view["id"]
    assert (view["event_types"], view["status"], view["version"]) == (["*"], "enabled", 1)
    assert document(update(application, endpoint_id, "1", url="https://other.example.com/"))["version"] == 2
    disabled = document(update(application, endpoint_id, "2", status="disabled"))
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "merchant")
    assert disabled["disabled_at_ms"] is not None
    enabled = document(update(application, endpoint_id, "3", status="enabled", event_types=["payment.*"]))
    assert (enabled["disabled_reason"], enabled["disabled_at_ms"]) == (None, None)
    rotate(application, endpoint_id, "4")
    tested = document(call(application, "test_webhook_endpoint", None, path={"endpoint_id": endpoint_id}))
    assert document(delete(application, endpoint_id)) == {
        "id": endpoint_id,
        "object": "webhook_endpoint",
        "deleted": True,
    }
    events = events_of(database, endpoint_id)
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert [event["type"].split(".")[1] for event in events] == [
        "created",
        "updated",
        "disabled",
        "enabled",
        "key_rotated",
        "test",
        "deleted",
    ]
    assert events[5]["id"] == tested["event_id"]
    assert [event["data"]["version"] for event in events] == [1, 2, 3, 4, 5, 6, 7]


def test_a_test_event_is_for_its_endpoint_alone(application: Application, database: MemoryDatabase) -> None:
    """Fails when it goes to whoever subscribes."""
    endpoint_id = new_endpoint(application, event_types=["payment.*"])["id"]
    answer = call(application, "test_webhook_endpoint", None, path={"endpoint_id": endpoint_id})
    assert answer["statusCode"] == 201
    addressed = {
        event["event_id"]: event.get("only_endpoint_id") for event in events_in(items_of(database, Table.OUTBOX))
    }
    assert addressed.pop(document(answer)["event_id"]) == endpoint_id
    assert set(addressed.values()) == {None}
    update(application, endpoint_id, "off", status="disabled")
    refused = call(
        application, "test_webhook_endpoint", None, key="second-test-----", path={"endpoint_id": endpoint_id}
    )
    assert (refused["statusCode"], document(refused)["type"]) == (409, "urn:payonce:problem:endpoint-state")


def test_a_patch_says_what_is_to_change(application: Application, database: MemoryDatabase) -> None:
    endpoint_id = new_endpoint(application)["id"]
    for number, body in enumerate(({}, {"url": None}, {"url": None, "status": None})):
        refused = update(application, endpoint_id, f"nothing{number}", **body)
        assert refused["statusCode"] == 400
        assert "nothing to change" in document(refused)["detail"]
    same = update(application, endpoint_id, "same", url=URL, event_types=["*"], status="enabled", description="")
    assert (same["statusCode"], document(same)["version"]) == (200, 1)
    assert len(events_of(database, endpoint_id)) == 1


def test_a_description_can_be_taken_away(application: Application) -> None:
    """Fails when an empty text counts as no change."""
    endpoint_id = new_endpoint(application, description="shop")["id"]
    assert document(update(application, endpoint_id, "1", description=""))["description"] == ""


def test_concurrent_changes_are_all_made_and_each_has_its_event(
    application: Application, database: MemoryDatabase
) -> None:
    """Fails when a change overwrites what another one has changed in between (P6: one event per version)."""
    endpoint_id = new_endpoint(application)["id"]
    bodies = [{"url": "https://a.example.com/"}, {"description": "b"}, {"event_types": ["payment.*"]}]

    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(
                lambda numbered: update(application, endpoint_id, f"c{numbered[0]}", **numbered[1]), enumerate(bodies)
            )
        )
    assert [answer["statusCode"] for answer in answers] == [200, 200, 200]
    view = read(application, endpoint_id)
    assert (view["url"], view["description"], view["event_types"]) == ("https://a.example.com/", "b", ["payment.*"])
    assert [event["sequence"] for event in events_of(database, endpoint_id)] == [1, 2, 3, 4]


def test_a_change_that_meets_another_is_drafted_again(application: Application, database: MemoryDatabase) -> None:
    """The sender disables the endpoint between our look and our write. Fails when its change is lost."""
    endpoint_id = new_endpoint(application)["id"]
    write, pending = database.write, [True]

    def interleave(writes: Any) -> None:
        if len(writes) > 1 and pending:
            pending.clear()
            before = load_endpoint(database, MERCHANT, endpoint_id)
            assert before is not None
            after = before.disabled(DisabledReason.GONE, at_ms=application.clock.now_ms())
            write(change_writes(before, after, EndpointChange.DISABLED))
        write(writes)

    database.write = interleave  # type: ignore[method-assign]
    view = document(update(application, endpoint_id, "1", description="new"))
    assert (view["version"], view["status"], view["description"]) == (3, "disabled", "new")
    assert [event["sequence"] for event in events_of(database, endpoint_id)] == [1, 2, 3]


def test_what_is_deleted_in_between_is_not_found_and_the_key_is_free(
    application: Application, database: MemoryDatabase
) -> None:
    """Fails when the refusal leaves the claim open: the client would wait for a lease that nobody holds."""
    endpoint_id = new_endpoint(application)["id"]
    write, pending = database.write, [True]

    def interleave(writes: Any) -> None:
        if len(writes) > 1 and pending:
            pending.clear()
            assert delete(application, endpoint_id)["statusCode"] == 200
        write(writes)

    database.write = interleave  # type: ignore[method-assign]
    refused = update(application, endpoint_id, "1", description="new")
    assert refused["statusCode"] == 404
    assert len(items_of(database, Table.IDEMPOTENCY)) == 2  # the creation and the deletion
    assert load_endpoint(database, MERCHANT, endpoint_id) is None


def test_the_limit_holds_under_concurrent_creations(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when endpoints are counted and then written: two would count the same. A deletion makes room for one."""
    monkeypatch.setattr(quota, "MAX_ENDPOINTS_PER_MERCHANT", 3)

    def create(number: int) -> dict[str, Any]:
        return call(application, "create_webhook_endpoint", {"url": URL}, key=f"create-{number:010d}")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(12)))
    assert sorted(answer["statusCode"] for answer in answers) == [201] * 3 + [409] * 9
    listed = document(call(application, "list_webhook_endpoints", None))["data"]
    assert len(listed) == 3
    refused = next(answer for answer in answers if answer["statusCode"] == 409)
    assert document(refused)["type"] == "urn:payonce:problem:endpoint-limit"
    assert call(application, "create_webhook_endpoint", {"url": URL}, merchant_id="mer_2")["statusCode"] == 201
    assert delete(application, listed[0]["id"])["statusCode"] == 200
    assert delete(application, listed[0]["id"])["headers"]["Idempotency-Replayed"] == "true"
    assert [create(number)["statusCode"] for number in (100, 101)] == [201, 409]


def test_the_last_place_is_taken_once(
    application: Application, database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """::

        A   reads: one is left ──────────────────────────── commits: refused, reads again ─▶ 409
        B                       reads, commits the last one ▲

    Fails when taking one is not conditional on what is left.
    """
    monkeypatch.setattr(quota, "MAX_ENDPOINTS_PER_MERCHANT", 2)
    new_endpoint(application)
    write, pending, inner = database.write, [True], []

    def interleave(writes: Any) -> None:
        if len(writes) > 1 and pending:
            pending.clear()
            inner.append(call(application, "create_webhook_endpoint", {"url": URL}, key="b---------------"))
        write(writes)

    database.write = interleave  # type: ignore[method-assign]
    outer = call(application, "create_webhook_endpoint", {"url": URL}, key="a---------------")
    assert (outer["statusCode"], inner[0]["statusCode"]) == (409, 201)
    assert len(document(call(application, "list_webhook_endpoints", None))["data"]) == 2


def test_the_hundredth_endpoint_is_the_last(application: Application) -> None:
    statuses = [
        call(application, "create_webhook_endpoint", {"url": URL}, key=f"create-{number:010d}")["statusCode"]
        for number in range(MAX_ENDPOINTS_PER_MERCHANT + 1)
    ]
    assert statuses == [201] * MAX_ENDPOINTS_PER_MERCHANT + [409]


def test_older_keys_sign_on_for_the_overlap_and_are_then_forgotten(
    application: Application, clock: ManualClock
) -> None:
    endpoint_id = new_endpoint(application)["id"]
    first = document(rotate(application, endpoint_id, "1", overlap_seconds=HOUR))
    assert [key["expires_at_ms"] for key in first["keys"]] == [None, clock.ms + HOUR * 1000]
    clock.ms += 1000
    second = document(rotate(application, endpoint_id, "2"))
    # A longer overlap does not bring back time to a key that is on its way out.
    assert [key["expires_at_ms"] for key in second["keys"]] == [
        None,
        clock.ms + 24 * HOUR * 1000,
        clock.ms - 1000 + HOUR * 1000,
    ]
    assert len({key["id"] for key in second["keys"]}) == MAX_ACTIVE_KEYS
    clock.ms += HOUR * 1000
    third = document(rotate(application, endpoint_id, "3"))
    assert [key["id"] for key in third["keys"][1:]] == [key["id"] for key in second["keys"][:2]]


def test_a_key_that_still_signs_is_not_dropped_behind_the_merchants_back(
    application: Application, database: MemoryDatabase
) -> None:
    """Fails when a fourth key is taken, or one of the three is dropped; with no overlap a rotation always works."""
    endpoint_id = new_endpoint(application)["id"]
    assert [rotate(application, endpoint_id, name)["statusCode"] for name in "ab"] == [201, 201]
    before = load_endpoint(database, MERCHANT, endpoint_id)
    refused = rotate(application, endpoint_id, "c")
    assert (refused["statusCode"], document(refused)["type"]) == (409, "urn:payonce:problem:endpoint-state")
    assert load_endpoint(database, MERCHANT, endpoint_id) == before
    at_once = document(rotate(application, endpoint_id, "d", overlap_seconds=0))
    assert len(at_once["keys"]) == 1


def test_a_rotation_keeps_the_kind_unless_it_is_told(application: Application) -> None:
    endpoint_id = new_endpoint(application, key_kind="v1a")["id"]
    assert document(rotate(application, endpoint_id, "1"))["public_key"].startswith("whpk_")
    assert document(rotate(application, endpoint_id, "2", key_kind="v1"))["secret"].startswith("whsec_")
    refused = rotate(application, endpoint_id, "3", overlap_seconds=7 * 24 * HOUR + 1)
    assert (refused["statusCode"], document(refused)["errors"][0]["pointer"]) == (400, "/overlap_seconds")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://",
        "https://localhost/",
        "https://127.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://user:pass@hooks.example.com/",
        "https://hooks.example.com/#x",
        "https://hooks.example.com:22/",
        "javascript:alert(1)",
        "https://hooks.example.com/\r\nX: y",
        "https://hööks.example.com/",
        "https://x.example.com/" + "a" * 3000,
        "",
        7,
        None,
    ],
)
def test_an_odd_url_is_refused_at_creation_and_at_change(application: Application, url: Any) -> None:
    endpoint_id = new_endpoint(application)["id"]
    answers = [call(application, "create_webhook_endpoint", {"url": url})]
    if url is not None:
        answers.append(update(application, endpoint_id, "1", url=url))
    for answer in answers:
        assert answer["statusCode"] == 400, answer["body"]
        assert document(answer)["errors"][0]["pointer"] == "/url"
    assert read(application, endpoint_id)["url"] == URL


@pytest.mark.parametrize(
    ("event_types", "named"),
    [
        (["payment.paid"], "payment.paid"),
        (["*", "nothing.*"], "nothing.*"),
        (["payment.*.x"], "payment.*.x"),
        (["custom."], "custom."),
        (["custom.a b"], "custom.a b"),
        (["custom." + "x" * 80], "80"),
        (["PAYMENT.*"], "PAYMENT.*"),
        ([""], "/event_types/0"),
        ([], "/event_types"),
        ("*", "/event_types"),
    ],
)
def test_an_unknown_event_type_is_named(application: Application, event_types: Any, named: str) -> None:
    answer = call(application, "create_webhook_endpoint", {"url": URL, "event_types": event_types})
    assert answer["statusCode"] == 400
    assert named in document(answer)["detail"]


def test_event_types_are_kept_once_and_in_order(application: Application) -> None:
    wanted = ["payment.*", "custom.shipped", "custom.*", "webhook_endpoint.test", "payment.*"]
    assert new_endpoint(application, event_types=wanted)["event_types"] == wanted[:-1]


def test_the_health_is_that_of_the_gate(application: Application, database: MemoryDatabase, clock: ManualClock) -> None:
    endpoint_id = new_endpoint(application)["id"]
    healthy = {"consecutive_failures": 0, "failing_since_ms": None, "breaker_open_until_ms": None}
    assert read(application, endpoint_id)["health"] == healthy
    failures = {"consecutive_failures": 6, "failing_since_ms": clock.ms - 9, "last_failure_at_ms": clock.ms}
    database.write([Adjust(table=Table.ENDPOINTS, key=gate_key(MERCHANT, endpoint_id), set=failures)])
    assert read(application, endpoint_id)["health"] == {
        "consecutive_failures": 6,
        "failing_since_ms": clock.ms - 9,
        "breaker_open_until_ms": clock.ms + 120_000,
    }
    clock.ms += 120_000
    assert read(application, endpoint_id)["health"]["breaker_open_until_ms"] is None


def test_an_endpoint_that_is_enabled_begins_anew(application: Application, database: MemoryDatabase) -> None:
    """Fails when the failures are kept that it was disabled for: the next one would disable it again at once."""
    endpoint_id = new_endpoint(application)["id"]
    update(application, endpoint_id, "off", status="disabled")
    key = gate_key(MERCHANT, endpoint_id)
    failures = {"consecutive_failures": 40, "failing_since_ms": 1, "last_failure_at_ms": 2}
    database.write([Adjust(table=Table.ENDPOINTS, key=key, set=failures)])
    update(application, endpoint_id, "text", description="x")
    assert read(application, endpoint_id)["health"]["consecutive_failures"] == 40
    update(application, endpoint_id, "on", status="enabled")
    gate = database.get(Table.ENDPOINTS, key)
    assert gate is not None
    assert {name: gate[name] for name in failures} == dict.fromkeys(failures, 0)


WITH_ENDPOINT = [route for route in ROUTES.values() if "{endpoint_id}" in route.path]
BODIES = {
    "update_webhook_endpoint": {"description": "stolen"},
    "replay_webhooks": {"from_ms": 0, "until_ms": 1},
}


@pytest.mark.parametrize("route", WITH_ENDPOINT, ids=lambda route: route.operation)
def test_another_merchants_endpoint_does_not_exist(
    application: Application, database: MemoryDatabase, route: Any
) -> None:
    """The same ids, with another merchant's key. Fails when a read or a write does not have the merchant in its key."""
    endpoint_id = new_endpoint(application)["id"]
    path = {"endpoint_id": endpoint_id, "delivery_id": an_id("whd", 1), "replay_id": an_id("rpl", 1)}
    before = {table: items_of(database, table) for table in Table}
    answer = call(application, route.operation, BODIES.get(route.operation), path=path, merchant_id="mer_2")
    assert answer["statusCode"] == 404, answer["body"]
    assert {table: items_of(database, table) for table in Table} == before


@pytest.mark.parametrize("route", WITH_ENDPOINT, ids=lambda route: route.operation)
def test_what_can_not_be_an_id_reaches_no_key(
    application: Application, database: MemoryDatabase, route: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a path parameter gets into a key as it is: a # in it would reach into another partition."""

    def reached(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("the database was asked")

    for name in ("get", "query", "write"):
        monkeypatch.setattr(database, name, reached)
    good = {"endpoint_id": an_id("we", 1), "delivery_id": an_id("whd", 1), "replay_id": an_id("rpl", 1)}
    for name in (name for name in good if f"{{{name}}}" in route.path):
        for odd in ("", "we_1#x", an_id("pay", 1), good[name] + "\n", good[name].lower() + "x", "../" + good[name]):
            body = BODIES.get(route.operation)
            answer = call(application, route.operation, body, path={**good, name: odd}, key="odd-path-id-----")
            assert answer["statusCode"] == 404, (odd, answer["body"])


def test_two_merchants_with_the_same_key_have_their_own_endpoints(application: Application) -> None:
    mine, yours = new_endpoint(application), new_endpoint(application, merchant_id="mer_2")
    assert mine["id"] != yours["id"]
    assert mine["secret"] != yours["secret"]
    for merchant_id, own in ((MERCHANT, mine), ("mer_2", yours)):
        listed = document(call(application, "list_webhook_endpoints", None, merchant_id=merchant_id))["data"]
        assert [endpoint["id"] for endpoint in listed] == [own["id"]]


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES.values() if route.scope.split(":")[0] in {"webhooks", "events"}],
    ids=lambda route: route.operation,
)
def test_a_route_needs_its_own_scope(application: Application, route: Any) -> None:
    others = " ".join({other.scope for other in ROUTES.values()} - {route.scope})
    body = BODIES.get(route.operation, {"url": URL} if route.operation == "create_webhook_endpoint" else None)
    path = {"endpoint_id": an_id("we", 1), "delivery_id": an_id("whd", 1), "event_id": an_id("evt", 1)}
    answer = call(application, route.operation, body, scopes=others, path=path)
    assert answer["statusCode"] == 403
    name = "events" if route.path.startswith("/events") else "webhooks"
    assert route.scope == f"{name}:{'write' if isinstance(route, KeyedRoute) else 'read'}"


def test_a_card_number_in_a_description_is_refused(application: Application) -> None:
    answer = call(application, "create_webhook_endpoint", {"url": URL, "description": "4111 1111 1111 1111"})
    assert document(answer)["type"] == "urn:payonce:problem:card-number-refused"
