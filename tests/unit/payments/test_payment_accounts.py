"""A payment is asked about at the account to which it was sent, whatever account its merchant has by then.

Stripe says why it matters: what a direct charge makes "exists on the connected account, not on the platform", and is
read with that account alone (https://docs.stripe.com/connect/direct-charges). In any other account it is not found, and
a "not found" that is final makes payonce send the payment again.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.units.shop import body_of
from payonce.domain.gateway import OperationKind
from payonce.merchants.credential_cache import CREDENTIALS_LIFE_SECONDS
from payonce.payments.stored_payments import find_payment
from payonce.ports import Insert, Table
from payonce.stores.limits import item_bytes
from payonce.stores.memory import MemoryDatabase
from tests.support.account_stage import MERCHANT_A, MERCHANT_B, AccountStage
from tests.support.events import call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Write
    from payonce.wiring.notices import NoticeApplication

LEASE_IS_OVER_MS = 120_000


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> AccountStage:
    return AccountStage(monkeypatch)


def in_doubt_at_a(stage: AccountStage) -> tuple[NoticeApplication, dict[str, Any]]:
    """Let account a book a payment whose answer is lost, and which can't be looked up at once."""
    stage.give("a")
    stage.bank.accounts["a"].script = ["booked_lost"]
    stage.bank.accounts["a"].lookup_fails = True
    process = stage.process()
    answer = stage.pay(process)
    assert json.loads(answer["body"])["status"] == "in_doubt"
    stage.bank.accounts["a"].lookup_fails = False
    stage.clock.ms += LEASE_IS_OVER_MS
    return process, json.loads(answer["body"])


@pytest.mark.parametrize("fresh", [False, True], ids=["by the same process", "by another process"])
@pytest.mark.parametrize(
    "change",
    [
        lambda stage: stage.give("b"),
        lambda stage: stage.desk.retire(MERCHANT_A, "bank"),
        lambda stage: [stage.give("b"), stage.desk.forget(MERCHANT_A, "bank", "a"), stage.bank.keys.pop("key-of-a")],
    ],
    ids=["another account", "the platform's account", "the secrets forgotten"],
)
def test_another_account_is_never_asked_about_a_claim(
    stage: AccountStage, change: Callable[[AccountStage], Any], fresh: bool
) -> None:
    """Fails with two charges where a claim's owner asks the account that is in use by then."""
    process, payment = in_doubt_at_a(stage)
    change(stage)
    report = stage.recover(stage.process() if fresh else process)
    del report
    assert stage.bank.charges() == 1
    stored = find_payment(stage.database, MERCHANT_A, payment["id"])
    assert stored is not None
    forgotten = "key-of-a" not in stage.bank.keys
    assert (stored.account, stored.status.value) == ("a", "in_doubt" if forgotten else "captured")


class Killed(BaseException):
    """The process is gone."""


class KillingDatabase(MemoryDatabase):
    """Kills the process after a number of writes: before the write is made, or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes_left: int | None = None
        self.after = False

    def write(self, writes: Any) -> None:
        """See ``Database``."""
        if self.writes_left is None:
            return super().write(writes)
        self.writes_left -= 1
        if self.writes_left < 0 and not self.after:
            raise Killed
        super().write(writes)
        if self.writes_left < 0:
            raise Killed
        return None


STEPS = [(kill, after) for kill in range(3) for after in (False, True)]
WORDS = ["ok", "lost", "booked_lost", "decline"]


@pytest.mark.parametrize(("step", "word"), list(itertools.product(STEPS, WORDS)), ids=str)
@pytest.mark.parametrize("cached", [False, True], ids=["read anew", "cached"])
def test_killed_at_each_step_while_the_account_changes(
    monkeypatch: pytest.MonkeyPatch, step: tuple[int, bool], word: str, cached: bool
) -> None:
    """A process is killed at each write of a payment, the account is changed, and the client and recovery go on.

    Fails with two charges, or a payment at the wrong account, where the account is no part of the claim.
    """
    database = KillingDatabase()
    stage = AccountStage(monkeypatch, database=database)
    stage.give("a")
    stage.bank.accounts["a"].script = [word]
    dying, living = stage.process(), stage.process()
    if cached:
        living.account_in_use(MERCHANT_A, "bank")  # it goes on knowing the old account for a while
    (database.writes_left, database.after) = step
    with contextlib.suppress(Killed):
        stage.pay(dying, "the-same-key-of-a-client")
    database.writes_left = None
    stage.give("b")
    for _ in range(4):
        stage.clock.ms += LEASE_IS_OVER_MS
        stage.recover(living)
    answer = stage.pay(living, "the-same-key-of-a-client")
    document = json.loads(answer["body"])
    assert stage.bank.charges() == (0 if word == "decline" and not stage.bank.accounts["b"].bookings else 1)
    payment_id = document.get("id") or document["payment"]["id"]
    stored = find_payment(database, MERCHANT_A, payment_id)
    assert stored is not None
    assert stored.status.value in {"captured", "declined"}
    booked_at = [name for name, books in stage.bank.accounts.items() if books.bookings]
    assert booked_at == [stored.account]


def test_what_was_paid_is_captured_and_refunded_at_its_account(stage: AccountStage) -> None:
    stage.give("a")
    process = stage.process()
    payment = json.loads(stage.pay(process, capture="manual")["body"])
    stage.give("b")
    stage.clock.ms += CREDENTIALS_LIFE_SECONDS * 1000
    path = {"payment_id": payment["id"]}
    for operation, key in (("capture_payment", "a-key-of-a-capture"), ("refund_payment", "a-key-of-a-refund-1")):
        answer = call(process, operation, {"amount_minor": 1050}, key=key, merchant_id=MERCHANT_A, path=path)
        assert answer["statusCode"] == 201, answer
    assert [booking.instruction.kind for booking in stage.bank.accounts["a"].bookings] == [
        OperationKind.PAYMENT,
        OperationKind.CAPTURE,
        OperationKind.REFUND,
    ]
    assert not stage.bank.accounts["b"].bookings
    assert not stage.bank.accounts["platform"].bookings


def test_each_merchant_pays_at_its_own_account_and_others_at_the_platforms(stage: AccountStage) -> None:
    stage.give("a")
    process = stage.process()
    for merchant_id in (MERCHANT_A, MERCHANT_B):
        assert stage.pay(process, merchant_id=merchant_id)["statusCode"] == 201
    whose = {name: [row.merchant_id for row in books.submissions] for name, books in stage.bank.accounts.items()}
    assert whose == {"a": [MERCHANT_A], "platform": [MERCHANT_B]}


def test_without_credentials_of_ones_own_a_payment_reads_nothing_more(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails where the absence of credentials is not kept in memory."""
    reads: list[Table] = []
    process = stage.process()
    get = stage.database.get
    monkeypatch.setattr(stage.database, "get", lambda table, key: reads.append(table) or get(table, key))
    for _ in range(5):
        assert stage.pay(process, merchant_id=MERCHANT_B)["statusCode"] == 201
    assert reads.count(Table.CREDENTIALS) == 1
    stage.clock.ms += CREDENTIALS_LIFE_SECONDS * 1000
    stage.pay(process, merchant_id=MERCHANT_B)
    assert reads.count(Table.CREDENTIALS) == 2


def test_a_payment_at_the_platforms_account_is_stored_as_ever(stage: AccountStage) -> None:
    """What was stored before there were accounts is at the platform's, and stays there when the merchant gets one."""
    process = stage.process()
    payment = json.loads(stage.pay(process, capture="manual")["body"])
    stage.give("a")
    stage.clock.ms += CREDENTIALS_LIFE_SECONDS * 1000
    answer = call(
        process,
        "capture_payment",
        {},
        key="a-key-of-a-capture",
        merchant_id=MERCHANT_A,
        path={"payment_id": payment["id"]},
    )
    assert answer["statusCode"] == 201
    assert len(stage.bank.accounts["platform"].succeeded(OperationKind.CAPTURE)) == 1
    heads = [item for item in stage.database._tables[Table.PAYMENTS].values() if item["sk"] == "PAYMENT"]  # type: ignore[attr-defined]
    assert [("account" in item) for item in heads] == [False]


def test_an_account_costs_a_fresh_payment_no_unit(stage: AccountStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where what an account adds makes an item a kilobyte larger: each costs a unit (docs/capacity.md)."""
    written: list[list[int]] = []
    write = stage.database.write

    def noting(writes: Sequence[Write]) -> None:
        units = [math.ceil(item_bytes(each.item) / 1024) for each in writes if isinstance(each, Insert)]
        written.append(units + [0 for each in writes if not isinstance(each, Insert)])
        write(writes)

    told = body_of()
    process = stage.process()
    monkeypatch.setattr(stage.database, "write", noting)
    stage.pay(process, merchant_id=MERCHANT_A, **told)
    at_the_platform, written = list(written), []
    monkeypatch.setattr(stage.database, "write", write)
    stage.give("acct_1032D82eZvKYlo2C", MERCHANT_B)
    monkeypatch.setattr(stage.database, "write", noting)
    stage.pay(stage.process(), merchant_id=MERCHANT_B, **told)
    assert written == at_the_platform
    assert written[0] == [1]  # the claim
