"""Whose payments an event may speak of: those at the account whose secret has signed it, and no other merchant's.

Stripe: "each event for a connected account also contains a top-level account property"
(https://docs.stripe.com/connect/webhooks). Adyen: every item names its merchantAccountCode, which is signed
(https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from Adyen.util import generate_notification_sig

from payonce.domain.errors import NoticeRefused
from payonce.domain.gateway import Notice, NoticeOutcome, OperationKind
from payonce.domain.gateway_address import Whereabouts
from payonce.entrypoints.gateway_events import accept_event
from payonce.gateways.account_notices import MerchantNotices, PlatformNotices
from payonce.gateways.adyen_notices import AdyenNoticeReader
from payonce.notices.kept import NoticeState, find_notice, key_of, place_of
from payonce.notices.told import KeptNoticeBook, told_writes
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.account_stage import EVENTS_SECRETS, MERCHANT_A, MERCHANT_B, AccountStage
from tests.support.notices import ADYEN_KEY, BANK_SECRET, bank_event, bank_headers, posted

if TYPE_CHECKING:
    from payonce.wiring.notices import NoticeApplication

OTHERS_ADYEN_KEY = "AB" * 32
SECRET_OF_A, SECRET_OF_B = EVENTS_SECRETS


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> AccountStage:
    return AccountStage(monkeypatch)


def post(
    process: NoticeApplication, body: bytes, secret: str, merchant_id: str | None, *, event_id: str = "evt_1"
) -> int:
    """Post an event to a merchant's address, or to the platform's, and return the status."""
    sent = posted(body, bank_headers(body, process.clock.now_ms(), event_id=event_id, secret=secret), "bank")
    if merchant_id is not None:
        sent["pathParameters"]["merchant_id"] = merchant_id
    status: int = accept_event(process, sent)["statusCode"]
    return status


def about(payment: dict[str, Any], *, event_id: str = "evt_1") -> bytes:
    """Return the body of an event about a payment of ours."""
    reference = f"{payment['id']}-1"
    return bank_event(event_id=event_id, reference=reference, payment_reference=reference)


def apply(process: NoticeApplication) -> list[str]:
    """Apply what is queued now."""
    queue: Any = process.notice_queue
    messages, queue.messages = list(queue.messages), []
    deadline = Deadline(process.clock.now_ms() + 40_000)
    return [process.applier.handle(message.body, deadline) for message in messages]


def refunded_elsewhere(stage: AccountStage, account: str, merchant_id: str) -> tuple[NoticeApplication, dict[str, Any]]:
    """Let a merchant pay at its account, and somebody refund a part of it in the account's dashboard."""
    process = stage.process()
    payment = json.loads(stage.pay(process, merchant_id=merchant_id)["body"])
    stage.bank.accounts[account].elsewhere(OperationKind.REFUND, 300)
    return process, payment


def refunded_minor(stage: AccountStage, merchant_id: str, payment: dict[str, Any]) -> int:
    found = find_payment(stage.database, merchant_id, payment["id"])
    assert found is not None
    return found.refunded_minor


def test_an_event_of_a_merchants_own_account_moves_its_payment(stage: AccountStage) -> None:
    stage.give("a", events_secrets=(SECRET_OF_A,))
    process, payment = refunded_elsewhere(stage, "a", MERCHANT_A)
    assert post(process, about(payment), SECRET_OF_A, MERCHANT_A) == 200
    assert apply(process) == ["applied"]
    assert refunded_minor(stage, MERCHANT_A, payment) == 300


def test_an_event_of_one_merchant_never_moves_anothers_payment(stage: AccountStage) -> None:
    """Fails where what an event names is not compared with whose secret has signed it."""
    stage.give("a", MERCHANT_A, events_secrets=(SECRET_OF_A,))
    stage.give("b", MERCHANT_B, events_secrets=(SECRET_OF_B,))
    process, payment = refunded_elsewhere(stage, "b", MERCHANT_B)
    assert post(process, about(payment), SECRET_OF_A, MERCHANT_A) == 200  # its own event, whatever it says
    assert apply(process) == ["unknown"]
    assert refunded_minor(stage, MERCHANT_B, payment) == 0
    # The same event of the merchant that may send it is another one, and is not taken for a copy of the forged one.
    assert post(process, about(payment), SECRET_OF_B, MERCHANT_B) == 200
    assert apply(process) == ["applied"]
    assert refunded_minor(stage, MERCHANT_B, payment) == 300


def test_merchants_that_share_an_account_do_not_speak_for_each_other(stage: AccountStage) -> None:
    """Fails where only the account is compared: two shops of one company, each with an endpoint and a secret."""
    stage.give("shared", MERCHANT_A, events_secrets=(SECRET_OF_A,))
    stage.give("shared", MERCHANT_B, events_secrets=(SECRET_OF_B,))
    process, payment = refunded_elsewhere(stage, "shared", MERCHANT_B)
    assert post(process, about(payment), SECRET_OF_A, MERCHANT_A) == 200
    assert apply(process) == ["unknown"]
    assert refunded_minor(stage, MERCHANT_B, payment) == 0


def test_an_event_of_a_merchant_never_moves_a_payment_at_the_platforms_account(stage: AccountStage) -> None:
    process, payment = refunded_elsewhere(stage, "platform", MERCHANT_A)
    stage.give("a", MERCHANT_A, events_secrets=(SECRET_OF_A,))
    assert post(process, about(payment), SECRET_OF_A, MERCHANT_A) in {200, 404}
    stage.clock.ms += 60_000
    assert post(process, about(payment), SECRET_OF_A, MERCHANT_A) == 200
    assert "applied" not in apply(process)
    assert refunded_minor(stage, MERCHANT_A, payment) == 0


def test_an_event_of_the_platforms_account_never_moves_a_payment_at_a_merchants(stage: AccountStage) -> None:
    stage.give("a", events_secrets=(SECRET_OF_A,))
    process, payment = refunded_elsewhere(stage, "a", MERCHANT_A)
    process.read_event_secrets = lambda: {"bank_events_secret": BANK_SECRET}  # type: ignore[method-assign]
    assert post(process, about(payment), BANK_SECRET, None) == 200
    assert apply(process) == ["unknown"]
    assert refunded_minor(stage, MERCHANT_A, payment) == 0


@pytest.mark.parametrize(
    ("secret", "merchant_id", "status"),
    [
        (SECRET_OF_A, MERCHANT_B, 400),  # B's address takes B's secret alone
        (BANK_SECRET, MERCHANT_A, 400),  # the platform's secret opens no merchant's address
        (SECRET_OF_A, "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRZ", 404),
        (SECRET_OF_A, "mer_1#bank", 404),
        (SECRET_OF_A, "", 404),
    ],
)
def test_an_event_at_another_address_is_refused_and_nothing_is_stored(
    stage: AccountStage, secret: str, merchant_id: str, status: int
) -> None:
    stage.give("a", MERCHANT_A, events_secrets=(SECRET_OF_A,))
    stage.give("b", MERCHANT_B, events_secrets=(SECRET_OF_B,))
    process = stage.process()
    assert post(process, bank_event(reference="pay_1-1"), secret, merchant_id) == status
    assert not stage.database._tables[Table.NOTICES]  # type: ignore[attr-defined]


def test_secrets_of_events_are_rotated_with_an_overlap_and_without_a_deployment(stage: AccountStage) -> None:
    stage.give("a", events_secrets=(SECRET_OF_A,))
    process = stage.process()
    assert post(process, bank_event(reference="pay_1-1"), SECRET_OF_A, MERCHANT_A) == 200
    stage.desk.rotate(MERCHANT_A, "bank", "a", api_key=None, events_secrets=(SECRET_OF_A, SECRET_OF_B))
    stage.clock.ms += 60_000
    for number, secret in enumerate((SECRET_OF_A, SECRET_OF_B)):
        identity = f"evt_overlap_{number}"
        body = bank_event(event_id=identity, reference="pay_1-1")
        assert post(process, body, secret, MERCHANT_A, event_id=identity) == 200
    stage.desk.rotate(MERCHANT_A, "bank", "a", api_key=None, events_secrets=(SECRET_OF_B,))
    stage.clock.ms += 60_000
    assert post(process, bank_event(reference="pay_1-1"), SECRET_OF_A, MERCHANT_A) == 400


def test_events_of_a_retired_account_are_still_taken(stage: AccountStage) -> None:
    """What was paid there may be disputed for months."""
    stage.give("a", events_secrets=(SECRET_OF_A,))
    process, payment = refunded_elsewhere(stage, "a", MERCHANT_A)
    stage.give("b", events_secrets=(SECRET_OF_B,))
    stage.clock.ms += 60_000
    assert post(process, about(payment), SECRET_OF_A, MERCHANT_A) == 200
    assert apply(process) == ["applied"]
    assert refunded_minor(stage, MERCHANT_A, payment) == 300


def test_an_event_is_kept_at_the_place_of_its_signer(stage: AccountStage) -> None:
    stage.give("a", events_secrets=(SECRET_OF_A,))
    process = stage.process()
    post(process, bank_event(reference="pay_1-1"), SECRET_OF_A, MERCHANT_A)
    kept = find_notice(stage.database, key_of(place_of("bank", MERCHANT_A), "evt_1"))
    assert kept is not None
    assert (kept.signed_by, kept.notice.account, kept.state) == (MERCHANT_A, "a", NoticeState.RECEIVED)
    assert find_notice(stage.database, kept.notice_key) == kept
    assert find_notice(stage.database, key_of("bank", "evt_1")) is None


# Adyen can't be asked: what its events tell is what a lookup reads, so that it is kept by whom it was told.


def adyen_body(account: str, key: str) -> bytes:
    plain = {
        "amount": {"currency": "EUR", "value": 1000},
        "eventCode": "AUTHORISATION",
        "merchantAccountCode": account,
        "merchantReference": "pay_1-1",
        "pspReference": "PSP1",
        "success": "true",
    }
    signature = generate_notification_sig(plain, key).decode()
    item = {**plain, "additionalData": {"hmacSignature": signature}}
    return json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()


OUTCOME = NoticeOutcome(
    kind=OperationKind.PAYMENT, executed=True, gateway_operation_id="PSP1", amount_minor=1000, currency="EUR"
)


def told(account: str | None, signed_by: str) -> MemoryDatabase:
    """Return a database that keeps what one signer has told of an account's payment."""
    database = MemoryDatabase()
    notice = Notice(
        notice_id="n1",
        type="AUTHORISATION",
        created_at_ms=1,
        gateway_reference="pay_1-1",
        gateway_charge_id="PSP1",
        account=account,
        outcome=OUTCOME,
    )
    database.write(told_writes("adyen", notice, now_ms=1, signed_by=signed_by))
    return database


@pytest.mark.parametrize(
    ("account", "signed_by", "asking", "heard"),
    [
        (None, "", None, True),
        ("ShopB", "", Whereabouts("adyen", MERCHANT_B, "ShopB"), True),  # the platform's webhook of the company
        ("ShopB", MERCHANT_B, Whereabouts("adyen", MERCHANT_B, "ShopB"), True),
        ("ShopB", MERCHANT_A, Whereabouts("adyen", MERCHANT_B, "ShopB"), False),
        ("ShopA", MERCHANT_A, Whereabouts("adyen", MERCHANT_B, "ShopB"), False),
        ("ShopA", MERCHANT_A, None, False),
        ("ShopA", "", None, False),
        (None, "", Whereabouts("adyen", MERCHANT_B, "ShopB"), False),
    ],
)
def test_what_one_signer_has_told_decides_nothing_of_anothers(
    account: str | None, signed_by: str, asking: Whereabouts | None, heard: bool
) -> None:
    """Fails with a payment that counts as paid because another merchant's key says so."""
    book = KeptNoticeBook(told(account, signed_by), asking)
    assert list(book.outcomes("adyen", ["pay_1-1"])) == ([OUTCOME] if heard else [])
    assert book.charge("adyen", "PSP1").gateway_reference == ("pay_1-1" if heard else None)


def test_an_item_about_another_merchant_account_is_refused_at_a_merchants_address() -> None:
    reader = MerchantNotices({"ShopA": AdyenNoticeReader([OTHERS_ADYEN_KEY])})
    (taken,) = reader.read(adyen_body("ShopA", OTHERS_ADYEN_KEY), {}, now_ms=1)
    assert taken.account == "ShopA"
    with pytest.raises(NoticeRefused):
        reader.read(adyen_body("ShopB", OTHERS_ADYEN_KEY), {}, now_ms=1)


def test_the_platforms_own_merchant_account_is_no_merchants() -> None:
    reader = PlatformNotices(AdyenNoticeReader([ADYEN_KEY]), "Platform")
    assert [each.account for each in reader.read(adyen_body("Platform", ADYEN_KEY), {}, now_ms=1)] == [None]
    assert [each.account for each in reader.read(adyen_body("ShopB", ADYEN_KEY), {}, now_ms=1)] == ["ShopB"]
