"""What an upstream's answer, refusal or silence becomes, by each policy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.errors import ReleaseRefused, StoreUnavailable
from payonce.domain.exchange import Answered, NotSent
from payonce.idempotency.claim_recovery import carried_on_by
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.release import ReleaseOrder
from payonce.payments.recovery_run import release_desk
from payonce.proxy.forward import OF_A_COPY
from payonce.proxy.headers import OWN_ANSWERS
from payonce.proxy.plan import PROXY
from tests.support.world import World as PaymentWorld
from tests.unit.proxy.world import LINES, LOST, OK, World, replayed, slug

ASK = {"policy": "ask", "url": "/status/{downstream_key}", "answer_status": 201, "authoritative_after_seconds": 30}
RESUBMIT = {"policy": "resubmit", "honours_seconds": 3600}
KEPT = {"max_bytes": 100}
MINUTE_MS = 60_000
REFUSED = NotSent("no connection: ConnectionRefusedError")


def past_lease(world: World) -> None:
    world.clock.ms += 20 * MINUTE_MS


def upstream_key(world: World) -> str:
    keys = {sent.header("Idempotency-Key") for sent in world.upstream.sent}
    assert len(keys) == 1
    return str(keys.pop())


def test_an_answer_is_replayed_with_every_header_line() -> None:
    """Fails when repeated headers collapse in the record."""
    world = World()
    first, again = world.post(), world.post()
    assert (first.status, first.body) == (again.status, again.body) == (201, OK.body)
    own = {name.lower() for name in OWN_ANSWERS}
    for response in (first, again):
        assert tuple(line for line in response.lines if line[0].lower() not in own) == LINES
    assert (replayed(first), replayed(again)) == ("false", "true")
    assert len(world.upstream.sent) == 1


def test_never_sent_is_released_and_the_next_try_executes() -> None:
    """Fails when a refused connection blocks the key, or counts as executed."""
    world = World()
    world.upstream.script = [REFUSED]
    refused = world.post()
    assert (refused.status, slug(refused)) == (503, "upstream-unavailable")
    assert ("Retry-After", "1") in refused.lines
    assert world.post().status == 201


def test_a_released_status_is_passed_on_and_not_kept() -> None:
    world = World(responses={"release": ["429", "503"]})
    busy = Answered(503, {}, b"later", (("Retry-After", "7"), ("X-Reason", "busy")))
    world.upstream.script = [busy, Answered(429, {}, b"slow"), OK]
    first = world.post()
    assert (first.status, first.body, first.outcome) == (503, b"later", "released")
    assert first.lines[:2] == busy.lines
    assert [world.post().status for _ in range(3)] == [429, 201, 201]
    assert len(world.upstream.sent) == 3


@pytest.mark.parametrize("silence", [LOST, Answered(500, {}, b"oops"), Answered(504, {}, b"")])
def test_a_parked_request_is_never_sent_again(silence: Any) -> None:
    """P4. Fails when a timeout or an upstream's 500 is a failure: the retry would execute a second time."""
    world = World()
    world.upstream.script = [silence]
    for _ in range(4):
        response = world.post()
        assert (response.status, slug(response), response.outcome) == (409, "outcome-unknown", "unknown")
        world.recover()
        past_lease(world)
    assert len(world.upstream.sent) == 1
    assert world.errors == []


def test_a_route_may_answer_202_while_it_is_in_doubt() -> None:
    world = World(unknown={"policy": "park", "status": 202})
    world.upstream.script = [LOST]
    assert world.post().status == 202


def test_asking_at_once_finds_what_was_executed() -> None:
    world = World(unknown=ASK)
    world.upstream.script = [LOST]
    world.upstream.inquiries = [Answered(200, {}, b'{"order":1}', LINES)]
    first = world.post()
    assert (first.status, first.body, replayed(first)) == (201, b'{"order":1}', "false")
    assert world.upstream.asked[0].url == f"http://up:9/status/{upstream_key(world)}"
    assert world.post().body == b'{"order":1}'
    assert len(world.upstream.sent) == 1


def test_not_found_is_final_only_after_its_time() -> None:
    """::

        sent ─ lost ─ asked: 404 (on its way still?) ─ asked within 30 s: 404 ─ asked after: 404, so sent again

    Fails when the first 404 is believed: a request that was only slow would be executed twice.
    """
    world = World(unknown=ASK)
    world.upstream.script = [LOST]
    assert slug(world.post()) == "outcome-unknown"
    world.clock.ms += 6_000
    assert slug(world.post()) == "outcome-unknown"
    assert len(world.upstream.asked) == 2
    assert len(world.upstream.sent) == 1
    world.clock.ms += 31_000
    assert world.post().status == 201
    assert len(world.upstream.sent) == 2
    upstream_key(world)  # one and the same


def test_not_found_is_never_final_where_nobody_says_when() -> None:
    world = World(unknown={**ASK, "authoritative_after_seconds": None})
    world.upstream.script = [LOST]
    for _ in range(3):
        assert slug(world.post()) == "outcome-unknown"
        past_lease(world)
    assert len(world.upstream.sent) == 1


@pytest.mark.parametrize("inquiry", [LOST, Answered(500, {}, b""), Answered(200, {}, b'{"state":"pending"}')])
def test_an_inquiry_that_says_nothing_settles_nothing(inquiry: Any) -> None:
    world = World(unknown={**ASK, "state_member": "state", "final_states": ["done"], "authoritative_after_seconds": 0})
    world.upstream.script = [LOST]
    world.upstream.inquiries = [inquiry, inquiry, Answered(200, {}, b'{"state":"done"}')]
    world.post()
    past_lease(world)
    assert slug(world.post()) == "outcome-unknown"
    past_lease(world)
    assert world.post().status == 201
    assert len(world.upstream.sent) == 1


def test_resubmission_repeats_the_downstream_key() -> None:
    """Fails when a second sending has another key: the upstream could not know that it is the same request."""
    world = World(unknown=RESUBMIT)
    world.upstream.script = [LOST, LOST, LOST]
    assert slug(world.post()) == "outcome-unknown"
    assert len(world.upstream.sent) == 2  # once more at once
    world.clock.ms += 6_000
    assert slug(world.post()) == "outcome-unknown"
    past_lease(world)
    assert world.post().status == 201
    assert len(world.upstream.sent) == 4
    upstream_key(world)


def test_a_resubmission_that_was_never_sent_leaves_the_doubt() -> None:
    """Fails when "never sent" of the second sending speaks for the first."""
    world = World(unknown=RESUBMIT)
    world.upstream.script = [LOST, REFUSED, Answered(503, {}, b"busy")]
    assert slug(world.post()) == "outcome-unknown"
    past_lease(world)
    assert slug(world.post()) == "outcome-unknown"


def test_nothing_is_resubmitted_past_the_upstreams_own_memory() -> None:
    """Fails when a late retry is sent with a key that the upstream has forgotten: it would execute again."""
    world = World(unknown=RESUBMIT)
    world.upstream.script = [LOST, LOST]
    world.post()
    world.clock.ms += 3_600_000
    assert slug(world.post()) == "outcome-unknown"
    assert len(world.upstream.sent) == 2


def test_recovery_asks_and_gives_back_what_was_never_executed() -> None:
    world = World(unknown=ASK)
    world.upstream.script = [LOST]
    world.post()
    past_lease(world)
    report = world.recover()
    assert (report.concluded, report.failed) == (1, 0)
    assert len(world.upstream.sent) == 1
    assert replayed(world.post()) == "false"
    assert len(world.upstream.sent) == 2


def test_recovery_sends_a_kept_request_and_leaves_others_to_their_clients() -> None:
    """Fails when recovery sends a request without its body, or shuts the door to the client's own retry."""
    world = World(unknown=RESUBMIT, keep_request=KEPT)
    world.upstream.script = [LOST, LOST, LOST, LOST]
    small, large = b'{"a":1}', b'{"a":"' + b"x" * 200 + b'"}'
    world.post(small)
    world.post(large, key="another-key-0123456789")
    past_lease(world)
    report = world.recover()
    assert (report.concluded, report.still_open) == (1, 1)
    assert world.upstream.sent[-1].body == small
    assert world.upstream.sent[-1].header("Content-Type") == "application/json"
    assert world.upstream.sent[-1].header("X-Tenant") is None
    world.clock.ms += 6_000
    assert world.post(large, key="another-key-0123456789").status == 201
    assert replayed(world.post(small)) == "true"


def test_a_response_too_large_to_replay_is_said_and_never_executed_again() -> None:
    """Fails when completion fails after the effect: the key would be in doubt, or executed again."""
    world = World(responses={"max_inline_bytes": 1024})
    world.upstream.script = [Answered(201, {}, b"x" * 2000, (("Location", "/orders/7"),))]
    first, again = world.post(), world.post()
    assert (first.status, slug(first)) == (502, "response-too-large")
    document = json.loads(first.body)
    assert (document["upstream_status"], document["resource"], document["retryable"]) == (201, "/orders/7", False)
    assert (again.status, again.body, replayed(again)) == (first.status, first.body, "true")
    assert len(world.upstream.sent) == 1


class Shelf:
    """Blobs in memory, which may be out of order."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.down = False

    def put(self, name: str, data: bytes) -> None:
        """See ``Blobs``."""
        if self.down:
            raise StoreUnavailable("down")
        self.stored[name] = data

    def get(self, name: str) -> bytes | None:
        """See ``Blobs``."""
        if self.down:
            raise StoreUnavailable("down")
        return self.stored.get(name)


def large_world(shelf: Shelf) -> World:
    world = World(blobs=shelf, changes={"overflow": {"folder": "x"}}, responses={"max_inline_bytes": 1024})
    world.upstream.script = [Answered(200, {}, bytes(range(256)) * 100, LINES)]
    return world


def test_a_large_response_overflows_and_is_replayed_byte_for_byte() -> None:
    shelf = Shelf()
    world = large_world(shelf)
    first, again = world.post(), world.post()
    assert first.body == again.body == bytes(range(256)) * 100
    assert not any(name.startswith("payonce-") for name, _ in again.lines)
    (name,) = shelf.stored
    shelf.stored[name] = b"changed"
    assert slug(world.post()) == "response-too-large"
    shelf.down = True
    assert world.post().status == 503
    assert len(world.upstream.sent) == 1


def test_a_place_that_is_out_of_order_after_the_effect_executes_nothing_again() -> None:
    shelf = Shelf()
    shelf.down = True
    world = large_world(shelf)
    assert slug(world.post()) == "response-too-large"
    shelf.down = False
    assert slug(world.post()) == "response-too-large"
    assert len(world.upstream.sent) == 1


def test_the_clients_key_goes_on_only_where_it_is_meant_to() -> None:
    world, passing = World(), World(pass_client_key=True, key_headers=["X-Request-Key"])
    world.post(more=[("X-Idempotency-Key", "0123456789abcdef")])
    sent = world.upstream.sent[0]
    assert (sent.header("Idempotency-Key") or "").startswith("fwd_")
    assert sent.header("X-Idempotency-Key") is None
    assert sent.header("Accept-Encoding") == "identity"
    passing.post(key=None, more=[("X-Request-Key", "my-own-key-0123456789")])
    assert passing.upstream.sent[0].header("X-Request-Key") == "my-own-key-0123456789"
    assert (passing.upstream.sent[0].header("Idempotency-Key") or "").startswith("fwd_")


@pytest.mark.parametrize(
    ("route", "request_", "status"),
    [
        ({"scope": {"header": "X-Tenant"}}, {"tenant": None}, 400),
        ({"scope": {"header": "X-Tenant"}}, {"tenant": ""}, 400),
        ({"scope": {"header": "X-Tenant"}}, {"more": [("X-Tenant", "other")]}, 400),
        ({"scope": {"header": "Authorization"}}, {}, 401),
        ({"scope": {"claim": "merchant_id"}}, {}, 401),
        ({"scope": {"claim": "merchant_id"}}, {"merchant_id": ""}, 401),
    ],
)
def test_without_a_scope_nothing_is_executed(route: dict[str, Any], request_: dict[str, Any], status: int) -> None:
    """P8. Fails when requests without an identity share one."""
    world = World(**route)
    assert world.post(**request_).status == status
    assert world.upstream.sent == []


def test_scopes_never_meet_however_they_are_spelt() -> None:
    """P8. Fails when "a#proxy:orders" and a hash read as text are somebody else's."""
    world = World(scope={"claim": "merchant_id"})
    tenants = ["a", "a#proxy:orders", "a#", "#", "sha256:00", "b c", "ü", "1"]
    for tenant in tenants:
        assert replayed(world.post(tenant=None, merchant_id=tenant)) == "false"
    assert len(world.upstream.sent) == len(tenants)


def test_payments_and_proxy_leave_each_others_claims_alone() -> None:
    """Fails when payments' recovery gives a proxy's claim back: the next retry would execute a second time."""
    payments = PaymentWorld()
    proxy = World(unknown=ASK, store=payments.store, clock=payments.clock)
    proxy.upstream.script = [LOST]
    proxy.upstream.inquiries = [LOST]
    payments.gateway.script = ["lost"]
    payments.create("payment-key")
    proxy.post()
    payments.clock.ms += 20 * MINUTE_MS
    assert payments.recover().seen == 1
    assert payments.errors == []
    assert proxy.post(key="some-other-key-01234").status == 201
    proxy.upstream.inquiries = [Answered(200, {}, b"")]
    report = proxy.recover()
    assert (report.seen, report.concluded) == (1, 1)


def test_a_route_that_is_gone_is_not_this_proxys() -> None:
    world = World(unknown=ASK)
    world.upstream.script = [LOST]
    world.post()
    past_lease(world)
    other = World(name="renamed", unknown=ASK, store=world.store, clock=world.clock)
    assert other.recover().seen == 0
    assert world.recover().seen == 1


def test_a_plan_says_who_carries_it_on() -> None:
    world = World()
    world.upstream.script = [LOST]
    world.post()
    past_lease(world)
    shards = range(OPEN_LEASE_SHARDS)
    found = [world.store.open_claims(shard, lease_expired_at_ms=world.clock.ms, limit=9) for shard in shards]
    records = [world.store.get(one) for ids in found for one in ids]
    assert [carried_on_by(record) for record in records if record] == [PROXY]


@pytest.mark.parametrize(
    ("request_", "status", "problem"),
    [
        ({"target": "/orders", "method": "TRACE"}, 405, "method-not-allowed"),
        ({"target": "/a/../b"}, 400, "invalid-request"),
        ({"body": b"x" * 2000}, 413, "body-too-large"),
        ({"key": None}, 400, "key-missing"),
        ({"more": [("Prefer", "wait=soon")]}, 400, "invalid-request"),
    ],
)
def test_what_is_refused_is_refused_before_anything(request_: dict[str, Any], status: int, problem: str) -> None:
    world = World(max_request_bytes=1000)
    response = world.post(**request_)
    assert (response.status, slug(response)) == (status, problem)
    assert world.upstream.sent == []


def test_the_fingerprint_is_of_the_request_as_sent() -> None:
    """Fails when two requests that differ are one: a body with a number of another spelling, a query, a method."""
    base = World()
    base.post(b'{"a":1,"b":2}')
    assert replayed(base.post(b' {"b":2, "a":1} ')) == "true"
    for changed in (
        {"body": b'{"a":1.0,"b":2}'},
        {"body": b'{"a":1,"b":2,"b":2}'},
        {"body": b'{"a":1,"b":2}', "target": "/orders?x=1"},
        {"body": b'{"a":1,"b":2}', "target": "/refunds"},
        {"body": b'{"a":1,"b":2}', "method": "PUT"},
        {"body": b'{"a":{"\\u0000number":"1"},"b":2}'},
    ):
        assert base.post(**changed).status == 422, changed  # type: ignore[arg-type]


def test_an_unknown_outcome_can_be_found_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an operator is left without the record's id, or the log shows the client's key."""
    logged: list[dict[str, Any]] = []
    logger = type("Logger", (), {"warning": lambda _self, message, extra: logged.append({"message": message, **extra})})
    monkeypatch.setattr("payonce.proxy.service.get_logger", logger)
    world = World()
    world.upstream.script = [LOST]
    world.post()
    assert world.store.get(logged[0]["record_id"]) is not None
    assert "0123456789abcdef" not in json.dumps(logged)


def test_an_operator_releases_what_is_parked() -> None:
    """The payments' desk takes the proxy's claims: they may have happened, and reserve nothing there."""
    payments = PaymentWorld()
    proxy = World(store=payments.store, clock=payments.clock)
    proxy.upstream.script = [LOST]
    proxy.post()
    shards = range(OPEN_LEASE_SHARDS)
    payments.clock.ms += 20 * MINUTE_MS
    (open_id,) = [one for s in shards for one in payments.store.open_claims(s, lease_expired_at_ms=10**15, limit=9)]
    record = payments.store.get(open_id)
    assert record is not None
    desk = release_desk(payments.store, lambda _name: payments.gateway, payments.services)
    order = ReleaseOrder(
        record_id=open_id, claim_id=record.claim_id, fence=record.fence, operator="ada", reason="ticket"
    )
    with pytest.raises(ReleaseRefused):
        desk.release(order)  # not without having looked at the upstream
    desk.release(replace(order, finding="nothing at the shop"))
    assert replayed(proxy.post()) == "false"
    assert len(proxy.upstream.sent) == 2


@pytest.mark.parametrize("status", sorted(OF_A_COPY))
def test_what_is_said_of_a_copy_is_not_the_keys_answer(status: int) -> None:
    """The first sending may be at work: 409 "in progress" is not what became of it.

    Fails (the refusal is replayed for ever, over an executed request) when a copy's refusal concludes the claim.
    """
    world = World(unknown=RESUBMIT)
    world.upstream.script = [LOST, Answered(status, {}, b"in progress")]
    assert slug(world.post()) == "outcome-unknown"
    world.clock.ms += 60_000
    assert (world.post().status, len(world.upstream.sent)) == (201, 3)


def test_a_request_that_recovery_sends_is_not_refused_for_its_missing_credentials() -> None:
    """Fails when 401, which is of the sender, becomes the answer that the client replays."""
    world = World(unknown=RESUBMIT, keep_request=KEPT)
    world.upstream.script = [LOST, LOST, Answered(401, {}, b"who are you")]
    world.post()
    world.clock.ms += 60_000
    world.recover()
    assert len(world.upstream.sent) == 3
    world.clock.ms += 60_000
    assert world.post().status == 201


def test_a_copy_is_never_sent_after_the_upstreams_memory_is_over() -> None:
    """Fails when the second sending of the same call does not look at the time."""
    world = World(unknown={**RESUBMIT, "honours_seconds": 1})
    world.upstream.script = [LOST]
    assert slug(world.post()) == "outcome-unknown"
    assert len(world.upstream.sent) == 1


def test_a_claim_released_under_its_owner_is_not_executed_anew() -> None:
    """An operator's ``--force``. Fails (two executions) when the owner claims again and starts over.

    ::

        owner     claim ─ send ─────── 201 ─ complete: lost ─ claim anew ─ in doubt
        operator            └ release
    """
    world = World()
    real = world.upstream.forward

    def released_meanwhile(*arguments: Any, **named: Any) -> Any:
        answer = real(*arguments, **named)
        if len(world.upstream.sent) == 1:
            shards = (world.store.open_claims(n, lease_expired_at_ms=2**53, limit=9) for n in range(OPEN_LEASE_SHARDS))
            (open_id,) = (found for shard in shards for found in shard)
            record = world.store.get(open_id)
            assert record is not None
            world.store.release(record)
        return answer

    world.upstream.forward = released_meanwhile  # type: ignore[method-assign]
    assert slug(world.post()) == "outcome-unknown"
    assert len(world.upstream.sent) == 1


def test_an_upstreams_pointer_is_not_taken_for_ours() -> None:
    """Fails when an upstream can name a stored answer of somebody else, or make its own unreadable."""
    world = World(responses={"headers": ["*"]})
    world.upstream.script = [Answered(201, {}, b"x", (("payonce-overflow", "blob 00 18"),))]
    assert [(answer.status, answer.body) for answer in (world.post(), world.post())] == [(201, b"x")] * 2


def test_an_alias_of_a_header_does_not_stand_beside_ours() -> None:
    """CGI folds _ and -. Fails when a client can add to the downstream key, or to who asked."""
    world = World()
    world.post(more=(("Idempotency_Key", "attacker"), ("X_Forwarded_For", "1.2.3.4")))
    names = [name for name, _ in world.upstream.sent[0].lines]
    assert not [name for name in names if "_" in name]


def test_a_request_that_was_never_executed_is_not_answered_for_its_missing_credentials() -> None:
    """Recovery sends it without its client. Fails when 401 becomes the answer that the client replays."""
    world = World(unknown=ASK, keep_request=KEPT)
    world.upstream.script = [LOST, Answered(401, {}, b"who are you")]
    assert slug(world.post()) == "outcome-unknown"
    world.clock.ms += 3_600_000
    world.recover()
    assert len(world.upstream.sent) == 2
    world.clock.ms += 3_600_000
    assert world.post().status == 201
