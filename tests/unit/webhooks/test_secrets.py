"""A secret is shown once, replayed byte for byte, and nowhere else to be found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.endpoint import KeyKind
from payonce.domain.errors import OutcomeUnknown, SecretNotOpened, StoreUnavailable
from payonce.idempotency import sealed_responses
from payonce.idempotency.records import StoredResponse
from payonce.ports import Table
from payonce.webhooks.endpoints import load_endpoint
from payonce.webhooks.keys import key_context
from payonce.webhooks.signing import Ed25519SigningKey, parse_signing_key, public_key_of
from tests.support.events import call
from tests.support.recovery import recover
from tests.support.webhook_api import MERCHANT, URL, document, holds_secret, items_of, new_endpoint

if TYPE_CHECKING:
    from payonce.domain.endpoint import Endpoint
    from payonce.stores.memory import MemoryDatabase
    from payonce.wiring.application import Application
    from tests.support.world import ManualClock

KEY = "rotate-the-secret"


def stored(application: Application, endpoint_id: str) -> Endpoint:
    endpoint = load_endpoint(application.database, MERCHANT, endpoint_id)
    assert endpoint is not None
    return endpoint


def opened(application: Application, endpoint: Endpoint, number: int = 0) -> str:
    key = endpoint.keys[number]
    context = {"merchant_id": MERCHANT, "endpoint_id": endpoint.endpoint_id, "key_id": key.key_id}
    return application.cipher.open(key.sealed, context).decode()


def create(application: Application, **body: Any) -> dict[str, Any]:
    return call(application, "create_webhook_endpoint", {"url": URL, **body})


def rotate(application: Application, endpoint_id: str, body: Any = None, key: str = KEY) -> dict[str, Any]:
    return call(application, "rotate_webhook_secret", body, key=key, path={"endpoint_id": endpoint_id})


def test_the_secret_that_is_shown_is_the_one_that_signs(application: Application) -> None:
    """Fails when another secret is sealed than shown, or when it is sealed for another place."""
    view = document(create(application))
    endpoint = stored(application, view["id"])
    assert view["secret"].startswith("whsec_")
    assert opened(application, endpoint) == view["secret"]
    assert parse_signing_key(view["secret"]).kind is KeyKind.HMAC_SHA256
    for wrong in ({"merchant_id": "mer_2"}, {"endpoint_id": "we_x"}, {"key_id": "whk_x"}):
        context = {**key_context(MERCHANT, endpoint.endpoint_id, endpoint.keys[0].key_id), **wrong}
        with pytest.raises(SecretNotOpened):
            application.cipher.open(endpoint.keys[0].sealed, context)


def test_of_an_ed25519_key_the_merchant_gets_the_public_half_alone(application: Application) -> None:
    answer = create(application, key_kind="v1a")
    view = document(answer)
    assert "secret" not in view
    private = parse_signing_key(opened(application, stored(application, view["id"])))
    assert isinstance(private, Ed25519SigningKey)
    assert view["public_key"] == view["keys"][0]["public_key"] == public_key_of(private).text()
    assert private.text() not in answer["body"]


@pytest.mark.parametrize("operation", ["create", "rotate"])
def test_a_replay_is_the_same_bytes_with_the_secret_and_no_record_holds_it(
    operation: str, application: Application, database: MemoryDatabase
) -> None:
    """Fails when the answer is stored as it is sent, or when a replay does not open it."""
    endpoint_id = new_endpoint(application)["id"]

    def ask() -> dict[str, Any]:
        return create(application) if operation == "create" else rotate(application, endpoint_id)

    first, again = ask(), ask()
    secret = document(first)["secret"]
    assert first["statusCode"] == 201
    assert again["body"] == first["body"]
    assert again["headers"]["Idempotency-Replayed"] == "true"
    assert {name for name in first["headers"] if "ealed" in name} == set()
    assert holds_secret({"x": first["body"].encode()}, secret)  # or the search below could find nothing anywhere
    for table in Table:
        for item in items_of(database, table):
            assert not holds_secret(item, secret), table


def test_the_plan_of_a_claim_holds_no_secret(application: Application, database: MemoryDatabase) -> None:
    """The process dies between claim and commit, with the secret drawn. Fails when the plan holds it."""
    drawn: list[str] = []
    maker = application.key_maker
    make, write = maker.new, database.write

    def remember(*arguments: Any) -> Any:
        key = make(*arguments)
        drawn.append(key.secret or "")
        return key

    def die(writes: Any) -> None:
        if len(writes) > 1:
            raise KeyboardInterrupt
        write(writes)

    maker.new = remember  # type: ignore[method-assign]
    database.write = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        create(application)
    (record,) = items_of(database, Table.IDEMPOTENCY)
    assert drawn[0].startswith("whsec_")
    assert record["plan"]["endpoint_id"].startswith("we_")
    assert not holds_secret(record, drawn[0])


def test_who_takes_a_dead_claim_over_keeps_its_identity_and_makes_one_endpoint(
    application: Application, database: MemoryDatabase, clock: ManualClock
) -> None:
    write = database.write

    def die(writes: Any) -> None:
        if len(writes) > 1:
            raise KeyboardInterrupt
        write(writes)

    database.write = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        create(application)
    planned = items_of(database, Table.IDEMPOTENCY)[0]["plan"]
    database.write = write  # type: ignore[method-assign]
    assert document(call(application, "create_webhook_endpoint", {"url": URL}, headers={"Prefer": "wait=0"}))[
        "type"
    ].endswith("key-in-progress")
    clock.ms += 60_000
    view = document(create(application))
    assert (view["id"], view["keys"][0]["id"]) == (planned["endpoint_id"], planned["key_id"])
    assert opened(application, stored(application, view["id"])) == view["secret"]
    assert len(document(call(application, "list_webhook_endpoints", None))["data"]) == 1


def test_a_dead_claim_that_nobody_retries_is_given_back(
    application: Application, database: MemoryDatabase, clock: ManualClock
) -> None:
    """Fails when recovery takes every claim for a payment's: it would fail with it again every minute."""
    write = database.write

    def die(writes: Any) -> None:
        if len(writes) > 1:
            raise KeyboardInterrupt
        write(writes)

    database.write = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        create(application)
    database.write = write  # type: ignore[method-assign]
    clock.ms += 60_000
    report = recover(application)
    assert (report.seen, report.concluded, report.failed) == (1, 1, 0)
    assert items_of(database, Table.IDEMPOTENCY) == []
    assert create(application)["statusCode"] == 201


def test_an_answer_that_is_lost_at_the_commit_is_still_the_stored_one(
    application: Application, database: MemoryDatabase
) -> None:
    """The commit is done and its answer lost. Fails when a new secret is shown that was never stored."""
    write = database.write

    def lose(writes: Any) -> None:
        write(writes)
        if len(writes) > 1:
            raise OutcomeUnknown("no answer")

    database.write = lose  # type: ignore[method-assign]
    view = document(create(application))
    assert opened(application, stored(application, view["id"])) == view["secret"]


def test_a_commit_that_has_to_be_drafted_again_keeps_its_secret(
    application: Application, database: MemoryDatabase
) -> None:
    """Another change comes between draft and commit. Fails when each draft draws its own secret."""
    endpoint_id = new_endpoint(application)["id"]
    write, drawn, pending = database.write, [], [True]
    make = application.key_maker.new

    def remember(*arguments: Any) -> Any:
        key = make(*arguments)
        drawn.append(key.secret)
        return key

    def interleave(writes: Any) -> None:
        if len(writes) > 1 and pending:
            pending.clear()
            body = {"description": "changed in between"}
            call(
                application, "update_webhook_endpoint", body, key="in-between-------", path={"endpoint_id": endpoint_id}
            )
        write(writes)

    application.key_maker.new = remember  # type: ignore[method-assign]
    database.write = interleave  # type: ignore[method-assign]
    view = document(rotate(application, endpoint_id))
    assert drawn == [view["secret"]]
    endpoint = stored(application, endpoint_id)
    assert (endpoint.version, endpoint.description) == (3, "changed in between")
    assert opened(application, endpoint) == view["secret"]
    assert view["description"] == "changed in between"


def test_a_sealed_answer_opens_for_its_own_record_alone(application: Application) -> None:
    response = StoredResponse(201, {"location": "/x"}, b'{"secret":"whsec_x"}')
    sealed = sealed_responses.seal_response(application.cipher, response, "mer_1#create#1")
    assert sealed_responses.is_sealed(sealed)
    assert b"whsec" not in sealed.body
    assert sealed_responses.open_response(application.cipher, sealed, "mer_1#create#1") == response
    for other in ("mer_2#create#1", "mer_1#create#2", "mer_1#rotate#1"):
        with pytest.raises(SecretNotOpened):
            sealed_responses.open_response(application.cipher, sealed, other)


@pytest.mark.parametrize("operation", ["create", "rotate"])
def test_without_the_key_service_nothing_is_done_and_a_retry_succeeds(
    operation: str, application: Application, database: MemoryDatabase
) -> None:
    endpoint_id = new_endpoint(application)["id"]
    before = items_of(database, Table.ENDPOINTS)
    seal = application.cipher.seal

    def down(plaintext: bytes, context: Any) -> bytes:
        raise StoreUnavailable("The key service gave no data key.")

    def ask() -> dict[str, Any]:
        return create(application) if operation == "create" else rotate(application, endpoint_id)

    application.cipher.seal = down  # type: ignore[method-assign]
    refused = ask()
    assert (refused["statusCode"], document(refused)["retryable"]) == (503, True)
    assert items_of(database, Table.ENDPOINTS) == before
    application.cipher.seal = seal  # type: ignore[method-assign]
    assert ask()["statusCode"] == 201


def test_a_secret_is_in_no_list_event_log_or_error(
    application: Application, database: MemoryDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a view, an event or a log line shows one. Everything is asked for, what fails included."""
    view = new_endpoint(application)
    path = {"endpoint_id": view["id"]}
    secrets = [view["secret"], document(rotate(application, view["id"]))["secret"]]
    answers = [
        call(application, "list_webhook_endpoints", None),
        call(application, "get_webhook_endpoint", None, path=path),
        call(application, "update_webhook_endpoint", {"description": "x"}, key="update----------", path=path),
        call(application, "test_webhook_endpoint", None, key="test------------", path=path),
        call(application, "list_webhook_deliveries", None, path=path),
        rotate(application, view["id"], {"overlap_seconds": 1}),  # the key was used with another body
        call(application, "delete_webhook_endpoint", None, key="delete----------", path=path),
    ]

    def break_(*_arguments: Any) -> Any:
        raise RuntimeError("unforeseen")

    application.cipher.open = break_  # type: ignore[method-assign]
    answers.append(rotate(application, view["id"]))
    assert [answer["statusCode"] for answer in answers] == [200, 200, 200, 201, 200, 422, 200, 500]
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    assert "unforeseen" in logged
    for secret in secrets:
        assert secret.removeprefix("whsec_") not in logged
        assert not any(secret.removeprefix("whsec_") in json.dumps(answer) for answer in answers)
        assert not any(holds_secret(item, secret) for item in items_of(database, Table.OUTBOX))


def test_a_new_keys_repr_hides_its_secret(application: Application) -> None:
    key = application.key_maker.new(KeyKind.HMAC_SHA256, key_context("mer_1", "we_1", "whk_1"))
    assert key.secret is not None
    assert key.secret.removeprefix("whsec_") not in repr(key)
