"""GET /idempotency-keys/{key}, and the operator's key show: what is told of a key, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.cli import idempotency_keys
from payonce.entrypoints.routes import KEYED_OPERATIONS
from payonce.idempotency.audit import AuditEntry, ReleasedBy, Transition
from payonce.idempotency.inspect import IdempotencyRecordView, KeyState, inspect_keys
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from tests.support.events import KEY, PAYMENT, call
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Item, Key
    from payonce.wiring.application import Application

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ODD_KEY = "order/47 %2F?&\"#'~!".replace(" ", "+")  # visible ASCII, none of it welcome in a path


def look(application: Application, key: str = KEY, **options: Any) -> dict[str, Any]:
    return call(application, "get_idempotency_key", None, key=None, path={"idempotency_key": key}, **options)


def records(application: Application, key: str = KEY, **options: Any) -> list[dict[str, Any]]:
    answer = look(application, key, **options)
    assert answer["statusCode"] == 200, answer["body"]
    found: list[dict[str, Any]] = json.loads(answer["body"])["data"]
    return found


def gateway(application: Application) -> ScriptedGateway:
    found = application.gateway("bank")
    assert isinstance(found, ScriptedGateway)
    return found


def clock(application: Application) -> ManualClock:
    assert isinstance(application.clock, ManualClock)
    return application.clock


def test_a_finished_request(application: Application) -> None:
    made = call(application, "create_payment")
    now_ms = application.clock.now_ms()
    (record,) = records(application)
    stored = application.database.get(Table.IDEMPOTENCY, {"id": record_id("mer_1", "create_payment", KEY)})
    assert stored is not None
    assert record == {
        "object": "idempotency_record",
        "operation": "create_payment",
        "state": "completed",
        "claim_id": json.loads(made["body"])["id"],
        "fence": 1,
        "attempts": 1,
        "fingerprint": stored["fingerprint"],
        "lease_expires_at_ms": None,
        "resource": made["headers"]["Location"],
        "response_status": 201,
        "created_at_ms": now_ms,
        "expires_at_ms": now_ms + DAY_MS,
        "purge_at_ms": now_ms // 1000 * 1000 + 30 * DAY_MS,
    }


def test_neither_body_nor_plan_nor_payment_method_is_told(application: Application) -> None:
    """Fails when the stored record is returned as it is."""
    gateway(application).script = ["lost"]
    call(application, "create_payment", {**PAYMENT, "reference": "a-secret-reference"})
    text = look(application)["body"]
    assert '"state":"in_doubt"' in text
    assert not any(word in text for word in ("a-secret-reference", "pm_visa", "amount_minor", "plan", "body"))


def test_doubt_then_takeover_then_expiry(application: Application) -> None:
    gateway(application).script = ["booked_lost"]
    gateway(application).lookup_fails = True
    call(application, "create_payment")
    (doubt,) = records(application)
    assert (doubt["state"], doubt["attempts"], doubt["response_status"], doubt["purge_at_ms"]) == (
        "in_doubt",
        1,
        202,
        None,
    )
    assert doubt["lease_expires_at_ms"] == application.clock.now_ms() + 5_000  # when it is asked about again
    clock(application).ms += HOUR_MS // 2
    gateway(application).lookup_fails = False
    call(application, "create_payment")
    (done,) = records(application)
    assert (done["state"], done["attempts"], done["claim_id"]) == ("completed", 2, doubt["claim_id"])
    clock(application).ms += 25 * HOUR_MS
    assert records(application)[0]["state"] == "expired"


def test_a_request_in_flight(application: Application) -> None:
    seen: list[dict[str, Any]] = []
    submit = gateway(application).submit

    def looking(*arguments: Any) -> Any:
        seen.extend(records(application))
        return submit(*arguments)

    gateway(application).submit = looking  # type: ignore[method-assign]
    call(application, "create_payment")
    (record,) = seen
    assert (record["state"], record["response_status"]) == ("in_progress", None)
    assert record["lease_expires_at_ms"] == application.clock.now_ms() + 30_000


def test_another_merchants_key_does_not_exist(application: Application) -> None:
    """Fails when the scope is taken from anything but the API key, or can be reached through the operation."""
    call(application, "create_payment")
    assert look(application, merchant_id="mer_2")["statusCode"] == 404
    for operation in ("create_payment", "#create_payment", "mer_1#create_payment", "x#mer_1#create_payment"):
        answer = look(application, merchant_id="mer_2", query={"operation": operation})
        assert answer["statusCode"] in (400, 404)
    # A merchant whose id, with an operation, spells the other's: the operation's pattern is what keeps them apart.
    assert look(application, merchant_id="mer", query={"operation": "_1#create_payment"})["statusCode"] == 400


def test_the_scope_is_needed(application: Application) -> None:
    call(application, "create_payment")
    assert look(application, scopes="payments:read payments:write")["statusCode"] == 403
    assert look(application, scopes="idempotency:read")["statusCode"] == 200


@pytest.mark.parametrize("key", ["", "short", "x" * 256, "white space in the key", "\u00e9" * 20, "%C3%A9" * 2])
def test_what_can_not_be_a_key_is_not_found(application: Application, key: str) -> None:
    assert look(application, key)["statusCode"] == 404


def test_unknown_keys_and_operations_are_not_found(application: Application) -> None:
    call(application, "create_payment")
    assert look(application, "another-key-altogether")["statusCode"] == 404
    assert look(application, query={"operation": "refund_payment"})["statusCode"] == 404
    assert [r["operation"] for r in records(application, query={"operation": "create_payment"})] == ["create_payment"]


def test_all_operations_are_read_in_one_round_trip() -> None:
    """Fails when each operation is read on its own."""

    class Counting(MemoryDatabase):
        trips: int = 0

        def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
            self.trips += 1
            assert len(keys) == len(KEYED_OPERATIONS)
            return super().get_many(table, keys)

        def get(self, table: Table, key: Key) -> Item | None:
            raise AssertionError("one by one")

    database = Counting()
    assert inspect_keys(DatabaseIdempotencyStore(database), None, "m", KEYED_OPERATIONS, [KEY], now_ms=0) == []
    assert database.trips == 1
    assert len(KEYED_OPERATIONS) > 10


def test_one_key_may_stand_for_several_operations(application: Application) -> None:
    """A merchant that uses its order's number for everything. Fails when the first that is found is all."""
    payment = json.loads(call(application, "create_payment")["body"])
    call(application, "refund_payment", {"amount_minor": 50}, path={"payment_id": payment["id"]})
    assert [record["operation"] for record in records(application)] == ["create_payment", "refund_payment"]


def test_a_key_of_odd_characters_is_found_encoded_or_not(application: Application) -> None:
    """API Gateways differ in whether a path parameter arrives decoded. Fails when only one reading is looked up."""
    call(application, "create_payment", key=ODD_KEY)
    encoded = "".join(f"%{ord(character):02X}" for character in ODD_KEY)
    assert records(application, ODD_KEY) == records(application, encoded)


def test_a_released_claim_is_told_when_the_operation_is_named(application: Application) -> None:
    """Fails when the trail is not asked; without the operation nothing is stored to find."""
    gateway(application).script = ["lost"]
    call(application, "create_payment")
    stored = application.store.get(record_id("mer_1", "create_payment", KEY))
    assert stored is not None
    application.store.release(stored, by=ReleasedBy(operator="ada", reason="r", at_ms=1))
    (record,) = records(application, query={"operation": "create_payment"})
    assert (record["state"], record["claim_id"], record["response_status"]) == ("released", stored.claim_id, 202)
    assert look(application)["statusCode"] == 404
    assert look(application, query={"operation": "create_payment"}, merchant_id="mer_2")["statusCode"] == 404
    assert call(application, "create_payment")["statusCode"] == 201  # the key is free again
    assert records(application, query={"operation": "create_payment"})[0]["state"] == "completed"


@pytest.mark.parametrize("last", [Transition.CLAIMED, Transition.COMPLETED, Transition.UNFORESEEN])
def test_only_what_ended_is_told_from_the_trail(application: Application, last: Transition) -> None:
    """A record that is not there although its last entry says so: fails when that is told as a state."""
    one = record_id("mer_1", "create_payment", KEY)
    application.audit_trail.add(
        AuditEntry(record_id=one, claim_id="c", fence=1, transition=last, at_ms=1, status="COMPLETED")
    )
    assert look(application, query={"operation": "create_payment"})["statusCode"] == 404


# ---------------------------------------------------------------- the operator's command
TABLES = ["--idempotency-table", "i", "--audit-table", "a"]


@pytest.fixture
def command(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command on the application in memory; return (exit code, standard output, standard error)."""
    from payonce.cli import main as cli

    monkeypatch.setattr(idempotency_keys, "application_of", lambda *_: application)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_show_says_what_happens_next(application: Application, command: Any) -> None:
    gateway(application).script = ["lost"]
    payment = json.loads(call(application, "create_payment")["body"])
    code, shown, _ = command("key", "show", "--merchant", "mer_1", KEY)
    assert code == 0
    assert "state          in_doubt" in shown
    assert f"at gateway     {payment['id']}-1" in shown  # what the operator looks for there
    assert "in doubt: recovery asks the gateway again at 2027-01-15 08:00:05 UTC" in shown
    assert "response       202 (provisional)" in shown
    assert "pm_visa" not in shown


def test_show_of_nothing(command: Any) -> None:
    code, shown, error = command("key", "show", "--merchant", "mer_1", KEY)
    assert (code, shown) == (2, "")
    assert "has not used this key" in error


def view(state: KeyState, **changes: Any) -> IdempotencyRecordView:
    shown: dict[str, Any] = dict.fromkeys(IdempotencyRecordView.__annotations__)
    known = {"operation": "o", "claim_id": "c", "fence": 1, "attempts": 1, "fingerprint": "f"}
    return cast("IdempotencyRecordView", shown | known | {"state": state} | changes)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (view(KeyState.IN_PROGRESS, lease_expires_at_ms=2_000), "works until 1970-01-01 00:00:02 UTC"),
        (view(KeyState.IN_PROGRESS, lease_expires_at_ms=999), "takes over and asks"),
        (view(KeyState.IN_DOUBT, lease_expires_at_ms=2_000), "asks the gateway again at 1970-01-01 00:00:02 UTC"),
        (view(KeyState.IN_DOUBT, lease_expires_at_ms=999), "or is failing"),
        (view(KeyState.COMPLETED, expires_at_ms=2_000), "never released"),
        (view(KeyState.EXPIRED, expires_at_ms=2_000, purge_at_ms=3_000), "409 until 1970-01-01 00:00:03 UTC"),
        (view(KeyState.EXPIRED, purge_at_ms=3_000), "would be a new one"),
        (view(KeyState.RELEASED), "may be used again"),
    ],
)
def test_every_state_has_its_next_step(shown: IdempotencyRecordView, says: str) -> None:
    assert says in idempotency_keys.next_step(shown, 1_000)


@given(merchant=st.text("ab_#", min_size=1, max_size=5), operation=st.text("ab_", min_size=1, max_size=5))
def test_scope_and_operation_come_back_from_a_records_id(merchant: str, operation: str) -> None:
    """Fails when the id is split from the left: a scope of an in-process tenant may hold a '#'."""
    entry = AuditEntry(
        record_id=record_id(merchant, operation, KEY),
        claim_id="c",
        fence=1,
        transition=Transition.CLAIMED,
        at_ms=1,
        status="INPROGRESS",
    )
    assert (entry.scope, entry.operation) == (merchant, operation)
