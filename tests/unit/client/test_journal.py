"""The journal: an intent has one key over retries, crashes, threads and processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from payonce.client import (
    AsyncClient,
    Declined,
    DerivedKeys,
    IntentReused,
    IntentTooOld,
    Journal,
    JournalUnusable,
    KeyReused,
    Misused,
    OutcomeUnknown,
    Refused,
)
from payonce.client.journal import DAY_SECONDS, DEFAULT_KEEP_SECONDS, DEFAULT_KEY_LIFETIME_SECONDS, HOUR_SECONDS
from tests.support.client import API_KEY, URL, Stage, created, pay, problem

if TYPE_CHECKING:
    from pathlib import Path

LOST = httpx.ReadTimeout("no answer")
FORBIDDEN = problem("forbidden", 403, retryable=False)
THREADS, PROCESSES = 16, 4
# intent-SHA-256 of "4:shop14:create_payment2:17"
KNOWN_DERIVED_KEY = "intent-1f24139a12b79096ec5ffd6e199814ac6289be0bbfc6fedeca55ab6dd8175a85"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "payonce.db"


def rows(path: Path, query: str) -> list[Any]:
    """Return what a query of the journal's file yields."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


class Clock:
    """The wall clock of a journal."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_an_intent_keeps_its_key_over_restarts(path: Path) -> None:
    stage = Stage([LOST])
    for _ in range(3):  # each with a journal and a client of its own, as processes have
        with pytest.raises(OutcomeUnknown, match="'order-17'") as caught:
            pay(stage.client(intents=Journal(path)), intent="order-17", timeout_seconds=5)
        assert caught.value.intent == "order-17"
    stage.steps = [created(replayed=True)]
    answered = pay(stage.client(intents=Journal(path)), intent="order-17")
    assert set(stage.sent_keys()) == {answered.idempotency_key}
    assert len({request.content for request in stage.sent}) == 1
    assert Journal(path).open_intents() == []


def test_the_key_is_on_the_disk_before_the_first_byte_is_sent(path: Path) -> None:
    found: list[Any] = []
    stage = Stage([created()])

    def look() -> None:
        # As a process after a crash here would.
        found.extend(rows(path, "SELECT intent, key, open_calls FROM intents"))

    stage.on_send = look
    answered = pay(stage.client(intents=Journal(path)), intent="order-17")
    assert found == [("order-17", answered.idempotency_key, 1)]


def test_commits_survive_a_power_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FULL may lose the last commit in this journal mode: https://www.sqlite.org/pragma.html#pragma_synchronous."""
    said: list[str] = []
    connect = sqlite3.connect

    def listening(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr("payonce.client.journal.sqlite3.connect", listening)
    Journal(path).begin("create_payment", "order-17", "digest")
    assert said.count("PRAGMA synchronous = EXTRA") == said.count("COMMIT") == 2
    assert rows(path, "PRAGMA journal_mode") == [("delete",)]


@pytest.mark.parametrize("first", [LOST, created(), problem("declined", 402, retryable=False)], ids=["?", "201", "402"])
def test_other_arguments_for_an_intent_are_an_error_before_sending(path: Path, first: Any) -> None:
    stage = Stage([first])
    client = stage.client(intents=Journal(path))
    with suppress(OutcomeUnknown, Declined):
        pay(client, intent="order-17", timeout_seconds=5)
    sent = len(stage.sent)
    with pytest.raises(IntentReused):
        client.create_payment(amount_minor=1051, currency="EUR", payment_method="pm_visa", intent="order-17")
    with pytest.raises(IntentReused):
        pay(client, intent="order-17", metadata={"order": "17"})
    assert len(stage.sent) == sent


def test_an_intent_of_another_operation_is_another_intent(path: Path) -> None:
    journal = Journal(path)
    keys = {journal.begin(operation, "order-17", "d").key for operation in ("create_payment", "refund_payment")}
    assert len(keys) == 2


def test_the_same_intent_for_another_payment_is_refused(path: Path) -> None:
    """Its path belongs to what a call says: a refund of one payment is not the refund of another."""
    refund = Stage([httpx.Response(201, json={"object": "refund", "status": "succeeded"})])
    client = refund.client(intents=Journal(path))
    client.refund_payment("pay_1", amount_minor=5, intent="return-3")
    with pytest.raises(IntentReused):
        client.refund_payment("pay_2", amount_minor=5, intent="return-3")


def test_a_refused_call_may_be_corrected_under_its_intent(path: Path) -> None:
    stage = Stage([problem("invalid-request", 400, retryable=False)])
    client = stage.client(intents=Journal(path))
    with pytest.raises(Refused):
        client.create_payment(amount_minor=0, currency="EUR", payment_method="pm_visa", intent="order-17")
    stage.steps = [created()]
    pay(client, intent="order-17")
    assert len(set(stage.sent_keys())) == 2  # other arguments under the first key would be refused by the API (422)


def test_a_refused_call_keeps_its_key_while_its_arguments_stay(path: Path) -> None:
    """A copy of the refused request may still be on its way through a proxy, and be accepted late."""
    stage = Stage([FORBIDDEN])
    client = stage.client(intents=Journal(path))
    with pytest.raises(Refused):
        pay(client, intent="order-17")
    stage.steps = [created()]
    pay(client, intent="order-17")
    assert len(set(stage.sent_keys())) == 1


def test_a_refusal_proves_nothing_about_a_call_of_another_process(path: Path) -> None:
    """The other process was killed after it had sent. Its call is open, so nothing is certain, nor may be corrected."""
    Journal(path).begin("create_payment", "order-17", _digest(path))
    stage = Stage([FORBIDDEN])
    client = stage.client(intents=Journal(path))
    with pytest.raises(OutcomeUnknown):
        pay(client, intent="order-17")
    with pytest.raises(IntentReused):
        pay(client, intent="order-17", metadata={"order": "17"})


def test_a_call_that_was_cut_off_stays_open(path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    stage = Stage([created()], on_send=kill)
    journal = Journal(path)
    with pytest.raises(Killed):
        pay(stage.client(intents=journal), intent="order-17")
    [left] = journal.open_intents()
    assert (left.operation, left.intent, left.idempotency_key) == ("create_payment", "order-17", stage.sent_keys()[0])


def test_a_cancelled_task_leaves_its_intent_open(path: Path) -> None:
    """Fails when a task that is cancelled while it waits for the answer counts as one that did nothing."""
    journal = Journal(path)

    async def main() -> None:
        arrived = asyncio.Event()

        async def handle(_request: httpx.Request) -> httpx.Response:
            arrived.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody answers")

        http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
        async with http, AsyncClient(URL, API_KEY, intents=journal, http=http) as client:
            task = asyncio.ensure_future(pay(client, intent="order-17"))  # type: ignore[arg-type]
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert [each.intent for each in journal.open_intents()] == ["order-17"]


def test_an_intent_older_than_the_apis_memory_is_not_sent(path: Path) -> None:
    """After window and guard the API has forgotten the key: a retry would be a second charge."""
    clock = Clock()
    journal = Journal(path, clock=clock)
    stage = Stage([LOST])
    with pytest.raises(OutcomeUnknown):
        pay(stage.client(intents=journal), intent="order-17", timeout_seconds=5)
    clock.now += DEFAULT_KEY_LIFETIME_SECONDS - HOUR_SECONDS
    with pytest.raises(OutcomeUnknown):
        pay(stage.client(intents=journal), intent="order-17", timeout_seconds=5)
    sent = len(stage.sent)
    clock.now += 1
    with pytest.raises(IntentTooOld):
        pay(stage.client(intents=journal), intent="order-17")
    assert len(stage.sent) == sent
    [left] = journal.open_intents()
    journal.forget(left.operation, left.intent)
    stage.steps = [created()]
    pay(stage.client(intents=journal), intent="order-17")


def test_an_old_intent_names_what_it_made(path: Path) -> None:
    clock = Clock()
    client = Stage([created()]).client(intents=Journal(path, clock=clock))
    pay(client, intent="order-17")
    clock.now += 40 * DAY_SECONDS
    with pytest.raises(IntentTooOld, match="/payments/pay_1") as caught:
        pay(client, intent="order-17")
    assert caught.value.resource == "/payments/pay_1"


def test_what_never_had_an_effect_does_not_age(path: Path) -> None:
    clock = Clock()
    stage = Stage([FORBIDDEN])
    client = stage.client(intents=Journal(path, clock=clock))
    with pytest.raises(Refused):
        pay(client, intent="order-17")
    clock.now += 40 * DAY_SECONDS
    stage.steps = [created()]
    pay(client, intent="order-17")


def test_the_file_stays_small_and_open_intents_are_never_forgotten(path: Path) -> None:
    clock = Clock()
    journal = Journal(path, clock=clock)
    journal.begin("create_payment", "lost", "d")
    for number in range(30):
        key = journal.begin("create_payment", f"order-{number}", "d").key
        journal.conclude("create_payment", f"order-{number}", key, None)
    clock.now += DEFAULT_KEEP_SECONDS + 1
    for number in range(30, 34):
        journal.begin("create_payment", f"order-{number}", "d")
    left = {row[0] for row in rows(path, "SELECT intent FROM intents")}
    assert left == {"lost", *(f"order-{number}" for number in range(30, 34))}


@pytest.mark.parametrize("options", [{"keep_seconds": DAY_SECONDS}, {"key_lifetime_seconds": HOUR_SECONDS}])
def test_a_journal_that_forgets_before_the_api_is_refused(path: Path, options: dict[str, int]) -> None:
    with pytest.raises(Misused):
        Journal(path, **options)


def test_threads_with_one_intent_have_one_key(path: Path) -> None:
    def begin(_number: int) -> str:
        return Journal(path).begin("create_payment", "order-17", "d").key

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(begin, range(THREADS * 4)))) == 1


def _begin_many(path: str) -> list[str]:
    journal = Journal(path)
    return [journal.begin("create_payment", f"order-{number}", "d").key for number in range(8)]


def test_processes_with_the_same_intents_have_the_same_keys(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        keys = pool.map(_begin_many, [str(path)] * PROCESSES)
    assert len({tuple(each) for each in keys}) == 1
    assert len(set(keys[0])) == 8


def test_nobody_else_may_read_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        Journal(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(JournalUnusable, match="chmod 600"):
        Journal(path)


def test_the_file_holds_no_token_and_no_payers_data(path: Path) -> None:
    client = Stage([created()]).client(intents=Journal(path))
    options = {"metadata": {"name": "Ada Lovelace"}, "customer": "cus_ada"}
    client.create_payment(amount_minor=7, currency="EUR", payment_method="pm_of_ada", intent="o-1", **options)  # type: ignore[arg-type]
    content = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"o-1" in content
    for secret in (b"pm_of_ada", b"Lovelace", b"cus_ada", b"po_secret"):
        assert secret not in content


@pytest.mark.parametrize("spoil", ["no folder", "no journal", "a folder"])
def test_an_unusable_file_is_an_error_before_sending(path: Path, spoil: str) -> None:
    if spoil == "no journal":
        path.write_bytes(b"this is no database, and long enough to be none" * 40)
        path.chmod(0o600)
    elif spoil == "a folder":
        path.mkdir(mode=0o700)
    with pytest.raises(JournalUnusable):
        Journal(path / "x" if spoil == "no folder" else path)


def test_a_journal_that_breaks_later_stops_calls_and_loses_no_answer(path: Path) -> None:
    stage = Stage([created()], on_send=lambda: path.write_bytes(b"no database any more" * 100))
    client = stage.client(intents=Journal(path))
    assert pay(client, intent="order-17").resource == "/payments/pay_1"
    with pytest.raises(JournalUnusable):
        pay(client, intent="order-18")
    assert len(stage.sent) == 1


def test_an_intent_without_a_journal_is_a_mistake_and_not_a_random_key() -> None:
    stage = Stage([created()])
    with pytest.raises(Misused, match="Journal"):
        pay(stage.client(), intent="order-17")
    with pytest.raises(Misused, match="not both"):
        pay(stage.client(intents=DerivedKeys("shop")), intent="order-17", idempotency_key="0123456789abcdef")
    assert stage.sent == []


@pytest.mark.parametrize("intent", ["", "x" * 256, "a\nb", 17])
def test_what_is_no_intent(path: Path, intent: Any) -> None:
    stage = Stage([created()])
    with pytest.raises(Misused):
        pay(stage.client(intents=Journal(path)), intent=intent)
    assert stage.sent == []


def test_derived_keys_need_no_disk_and_tell_systems_operations_and_intents_apart() -> None:
    """From stable names alone: a hash of the whole body would change with every fresh token
    (https://github.com/Adyen/adyen-commercetools/issues/1305).
    """

    def key(namespace: str, operation: str, intent: str, digest: str = "d") -> str:
        return DerivedKeys(namespace).begin(operation, intent, digest).key

    assert key("shop", "create_payment", "17") == key("shop", "create_payment", "17", "other arguments")
    # Fixed for ever: a new release that derived others would charge again what an old one has charged.
    assert key("shop", "create_payment", "17") == KNOWN_DERIVED_KEY
    different = [
        key("shop", "create_payment", "17"),
        key("shop", "refund_payment", "17"),
        key("shop", "create_payment", "18"),
        key("sho", "pcreate_payment", "17"),
        key("shop", "create_payment1", "7"),
    ]
    assert len(set(different)) == len(different)
    assert all(16 <= len(each) <= 255 for each in different)


def test_other_arguments_with_a_derived_key_are_refused_by_the_api() -> None:
    stage = Stage([problem("key-reused", 422, retryable=False, resource="/payments/pay_1")])
    with pytest.raises(KeyReused) as caught:
        pay(stage.client(intents=DerivedKeys("shop")), intent="order-17")
    assert caught.value.resource == "/payments/pay_1"


def _digest(path: Path) -> str:
    """Return the digest of the payment of these tests, as a journal gets it."""
    other = path.with_name("other.db")
    pay(Stage([created()]).client(intents=Journal(other)), intent="x")
    digest: str = rows(other, "SELECT digest FROM intents")[0][0]
    return digest
