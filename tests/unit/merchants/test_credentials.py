"""Credentials of merchants: rotated without a deployment, kept for a stated time, and sealed for their place."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import (
    CredentialsRejected,
    CredentialsUnavailable,
    MisconfiguredError,
    NotFound,
    StoreUnavailable,
)
from payonce.domain.gateway import CaptureMethod, Instruction, OperationKind
from payonce.domain.gateway_address import address_of, parts_of
from payonce.domain.money import Money
from payonce.gateways.account_forms import FORMS, check_account, check_api_key, check_events_secrets
from payonce.gateways.method_types import METHOD_TYPES
from payonce.merchants import credential_cache
from payonce.merchants.credential_cache import CREDENTIALS_LIFE_SECONDS, REREAD_PAUSE_SECONDS, CredentialCache
from payonce.merchants.credentials_desk import MAX_ACCOUNTS
from payonce.merchants.gateway_accounts import (
    AccountKind,
    AccountSecrets,
    fingerprint_of,
    open_events_secrets,
    open_key,
    read_accounts,
)
from payonce.payments.counted_gateway import CountedGateway
from payonce.ports import Deadline, Table
from payonce.recovery.asker import Tally
from payonce.wiring.notices import READERS
from tests.support.account_stage import EVENTS_SECRETS, MERCHANT_A, MERCHANT_B, PLATFORM_KEY, AccountStage
from tests.support.setup_shop import SetupShop

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.merchants.gateway_accounts import MerchantAccounts
    from payonce.wiring.notices import NoticeApplication

LEASE_IS_OVER_MS = 120_000


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> AccountStage:
    return AccountStage(monkeypatch)


def instruction() -> Instruction:
    return Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference="pay_1-1",
        merchant_id=MERCHANT_A,
        payment_id="pay_1",
        money=Money(1000, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method="pm_visa",
        first_submitted_at_ms=1,
    )


def rotated(stage: AccountStage, key: str = "another-key-of-a") -> None:
    """Let the bank give account a another key, refuse the old one, and let the operator store it."""
    stage.bank.keys[key] = "a"
    stage.desk.rotate(MERCHANT_A, "bank", "a", api_key=key, events_secrets=None)
    del stage.bank.keys["key-of-a"]


def test_a_refused_key_is_read_again_and_the_payment_goes_on(stage: AccountStage) -> None:
    """Fails with a 503 where the refusal causes no read past the cache."""
    stage.give("a")
    process = stage.process()
    stage.pay(process)
    rotated(stage)
    stage.clock.ms += REREAD_PAUSE_SECONDS * 1000
    answer = stage.pay(process)
    assert (answer["statusCode"], json.loads(answer["body"])["status"]) == (201, "captured")
    assert stage.bank.refused == ["key-of-a"]
    assert len(stage.bank.accounts["a"].succeeded()) == 2
    stage.pay(process)
    assert stage.bank.refused == ["key-of-a"]  # the new one is kept


def test_a_new_key_is_in_force_after_the_stated_time_without_a_refusal(stage: AccountStage) -> None:
    stage.give("a")
    process = stage.process()
    stage.pay(process)
    rotated(stage)
    stage.clock.ms += CREDENTIALS_LIFE_SECONDS * 1000
    assert stage.pay(process)["statusCode"] == 201
    assert stage.bank.refused == []


def test_credentials_that_stay_refused_execute_nothing_and_are_not_read_for_each_of_a_burst(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.give("a")
    process = stage.process()
    stage.pay(process)
    del stage.bank.keys["key-of-a"]
    reads: list[Table] = []
    get = stage.database.get
    monkeypatch.setattr(stage.database, "get", lambda table, key: reads.append(table) or get(table, key))
    stage.clock.ms += REREAD_PAUSE_SECONDS * 1000
    for _ in range(5):
        answer = stage.pay(process)
        assert (answer["statusCode"], json.loads(answer["body"])["type"]) == (
            503,
            "urn:payonce:problem:gateway-unavailable",
        )
    assert reads.count(Table.CREDENTIALS) == 1
    assert stage.bank.charges() == 1


def test_a_question_that_was_refused_is_asked_again_with_the_new_key(stage: AccountStage) -> None:
    """Recovery asks with the key that it has in memory; that it is old says nothing about the payment."""
    stage.give("a")
    stage.bank.accounts["a"].script = ["booked_lost"]
    stage.bank.accounts["a"].lookup_fails = True
    process = stage.process()
    stage.pay(process)
    stage.bank.accounts["a"].lookup_fails = False
    recovering = stage.process()
    stage.clock.ms += LEASE_IS_OVER_MS
    recovering.account_in_use(MERCHANT_A, "bank")
    stage.clock.ms += REREAD_PAUSE_SECONDS * 1000
    rotated(stage)
    stage.recover(recovering)
    assert stage.bank.refused == ["key-of-a"]
    assert stage.bank.charges() == 1
    assert len(stage.bank.accounts["a"].inquiries) >= 2


def test_a_withdrawal_that_was_refused_is_made_again_with_the_new_key(stage: AccountStage) -> None:
    """Fails when a set-up that its merchant cancels stays open, since the key is old, until somebody asks again."""
    shop = SetupShop(stage)
    setup = shop.set_up(payment_method="pm_3ds", return_url="https://shop.example/back")
    assert setup["status"] == "requires_action"
    stage.clock.ms += REREAD_PAUSE_SECONDS * 1000
    rotated(stage)
    canceled = shop.ask("cancel_setup", {}, path={"setup_id": setup["id"]})
    assert (canceled["http"], canceled["status"]) == (201, "canceled")
    assert (stage.bank.refused, len(shop.bank.withdrawn)) == (["key-of-a"], 1)


NEWER = "another-key-of-the-platform"


def reading(process: NoticeApplication) -> list[str]:
    """Let the platform's secret be the last of the list that is returned, which gets each that was read."""
    stored = [PLATFORM_KEY]

    def read() -> dict[str, str]:
        stored.insert(0, stored[-1])
        return {"sandbox_bank_api_key": stored[-1]}

    process._read_secrets = read  # type: ignore[method-assign]
    return stored


def test_the_platforms_own_key_is_read_again_when_it_is_refused(stage: AccountStage) -> None:
    """Fails with a 503 until the process ends, where the key is read once in its life."""
    process = stage.process()
    stored = reading(process)
    assert stage.pay(process, merchant_id=MERCHANT_B)["statusCode"] == 201
    stored[-1] = NEWER
    stage.bank.keys = {NEWER: "platform"}
    for _ in range(3):
        assert stage.pay(process, merchant_id=MERCHANT_B)["statusCode"] == 201
    assert (stage.bank.refused, stored) == ([PLATFORM_KEY], [NEWER, NEWER])
    assert stage.bank.charges() == 4


def test_a_platforms_key_that_stays_refused_is_not_read_for_each_of_a_burst(stage: AccountStage) -> None:
    process = stage.process()
    stored = reading(process)
    stage.pay(process)
    stage.bank.keys.clear()
    for _ in range(5):
        assert stage.pay(process)["statusCode"] == 503
    assert len(stored) == 2
    stage.clock.ms += REREAD_PAUSE_SECONDS * 1000
    stage.pay(process)
    assert len(stored) == 3


def test_a_connected_account_is_asked_with_the_platforms_newer_key(stage: AccountStage) -> None:
    """An account without a key of its own uses the platform's, and renews with it."""
    stage.bank.open("c")
    stage.bank.keys = {PLATFORM_KEY: "c"}
    stage.desk.set(MERCHANT_A, "bank", "c", AccountKind.CONNECTED, None)
    process = stage.process()
    stored = reading(process)
    assert stage.pay(process)["statusCode"] == 201
    stored[-1] = NEWER
    stage.bank.keys = {NEWER: "c"}
    assert stage.pay(process)["statusCode"] == 201
    assert len(stage.bank.accounts["c"].succeeded()) == 2


def test_a_process_that_knows_of_no_account_reads_once_more_for_a_claim_that_names_one(stage: AccountStage) -> None:
    recovering = stage.process()
    assert recovering.account_in_use(MERCHANT_A, "bank") == ""
    stage.clock.ms += REREAD_PAUSE_SECONDS * 1000
    stage.give("a")
    assert recovering.gateway(address_of("bank", MERCHANT_A, "a")).name == "bank"
    assert recovering.account_in_use(MERCHANT_A, "bank") == "a"


def test_nothing_takes_the_place_of_missing_credentials(stage: AccountStage) -> None:
    """Fails where the platform's account is asked instead."""
    process = stage.process()
    with pytest.raises(CredentialsUnavailable):
        process.gateway(address_of("bank", MERCHANT_A, "a"))
    stage.give("a")
    with pytest.raises(CredentialsUnavailable):
        stage.process().gateway(address_of("bank", MERCHANT_B, "a"))
    stage.cipher.data_keys.disabled = True
    stage.clock.ms += 400_000  # the data key in memory has expired
    with pytest.raises((CredentialsUnavailable, StoreUnavailable)):
        stage.process().gateway(address_of("bank", MERCHANT_A, "a"))


@pytest.mark.parametrize("part", ["merchant_id", "gateway", "account"])
def test_secrets_open_at_their_place_alone(stage: AccountStage, part: str) -> None:
    """Fails where the seal is not for this merchant, gateway and account: a moved item would open elsewhere."""
    stage.give("a", events_secrets=EVENTS_SECRETS)
    held = read_accounts(stage.database, MERCHANT_A, "bank")
    assert open_key(stage.cipher, held, "a") == "key-of-a"
    assert open_events_secrets(stage.cipher, held, "a") == list(EVENTS_SECRETS)
    moved = replace(held.accounts["a"], account="b")
    elsewhere = {
        "merchant_id": replace(held, merchant_id=MERCHANT_B),
        "gateway": replace(held, gateway="other"),
        "account": replace(held, accounts={"b": moved}),
    }[part]
    for opening in (open_key, open_events_secrets):
        with pytest.raises(CredentialsUnavailable):
            opening(stage.cipher, elsewhere, "b" if part == "account" else "a")


def test_a_key_does_not_open_as_a_secret_of_events(stage: AccountStage) -> None:
    """Fails where both have one purpose: what anybody may call could then open the keys."""
    stage.give("a", events_secrets=EVENTS_SECRETS)
    held = read_accounts(stage.database, MERCHANT_A, "bank")
    swapped = replace(held.accounts["a"], sealed_events=held.accounts["a"].sealed_key)
    with pytest.raises(CredentialsUnavailable):
        open_events_secrets(stage.cipher, replace(held, accounts={"a": swapped}), "a")


def test_the_cache_is_bounded_and_survives_a_clock_that_is_set_back(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_cache, "MAX_CACHED_ACCOUNTS", 3)
    cache = CredentialCache(stage.database, stage.clock)
    for number in range(10):
        cache.accounts(f"mer_{number}", "bank")
    assert len(cache._kept) == 3
    stage.give("a")
    assert cache.accounts(MERCHANT_A, "bank").current == "a"
    stage.give("b")
    stage.clock.ms -= 10_000_000
    assert cache.accounts(MERCHANT_A, "bank").current == "b"


def test_accounts_are_retired_come_back_and_are_forgotten(stage: AccountStage) -> None:
    stage.give("a")
    stage.give("b")
    held = stage.desk.accounts(MERCHANT_A, "bank")
    assert (held.current, held.accounts["a"].retired_at_ms) == ("b", stage.clock.ms)
    assert held.accounts["a"].sealed_key is not None
    stage.give("a")
    held = stage.desk.accounts(MERCHANT_A, "bank")
    assert (held.current, held.accounts["a"].retired_at_ms, held.accounts["a"].version) == ("a", 0, 2)
    with pytest.raises(CredentialsRejected):
        stage.desk.forget(MERCHANT_A, "bank", "a")  # in use
    stage.desk.forget(MERCHANT_A, "bank", "b")
    forgotten = stage.desk.accounts(MERCHANT_A, "bank").accounts["b"]
    assert (forgotten.sealed_key, forgotten.sealed_events, forgotten.fingerprint) == (None, None, "")
    stage.desk.retire(MERCHANT_A, "bank")
    assert stage.desk.accounts(MERCHANT_A, "bank").current == ""
    assert stage.process().account_in_use(MERCHANT_A, "bank") == ""


def refusals(stage: AccountStage) -> dict[str, Callable[[], object]]:
    desk, own = stage.desk, AccountSecrets("key-of-a")
    return {
        "no such merchant": lambda: desk.set("mer_nobody", "bank", "a", AccountKind.OWN, own),
        "no account": lambda: desk.set(MERCHANT_A, "bank", "a#b", AccountKind.OWN, own),
        "nothing to rotate": lambda: desk.rotate(MERCHANT_A, "bank", "", api_key="x", events_secrets=None),
        "nothing to retire": lambda: desk.retire(MERCHANT_A, "bank"),
        "nothing to forget": lambda: desk.forget(MERCHANT_A, "bank", "a"),
    }


def test_what_can_not_be_is_refused_and_changes_nothing(stage: AccountStage) -> None:
    for refusal in refusals(stage).values():
        with pytest.raises((CredentialsRejected, NotFound)):
            refusal()
    assert read_accounts(stage.database, MERCHANT_A, "bank").revision == 0


def test_two_operators_do_not_overwrite_each_other(stage: AccountStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.give("a")
    desk = stage.desk
    read = desk.accounts
    monkeypatch.setattr(desk, "accounts", lambda *where: (read(*where), stage.give("b"))[0])
    with pytest.raises(CredentialsRejected, match="Another operator"):
        desk.rotate(MERCHANT_A, "bank", "a", api_key="mine-is-older", events_secrets=None)
    assert stage.desk.accounts(MERCHANT_A, "bank").current == "b"


def test_accounts_are_bounded(stage: AccountStage) -> None:
    for number in range(MAX_ACCOUNTS):
        stage.give(f"a{number}")
    with pytest.raises(CredentialsRejected, match="at most"):
        stage.give("one-more")


def opened(stage: AccountStage, held: MerchantAccounts) -> tuple[str, list[str]]:
    return open_key(stage.cipher, held, "a"), open_events_secrets(stage.cipher, held, "a")


def test_a_rotation_keeps_what_it_is_not_given(stage: AccountStage) -> None:
    stage.give("a", events_secrets=EVENTS_SECRETS[:1])
    stage.desk.rotate(MERCHANT_A, "bank", "", api_key=None, events_secrets=EVENTS_SECRETS)
    held = stage.desk.accounts(MERCHANT_A, "bank")
    assert opened(stage, held) == ("key-of-a", list(EVENTS_SECRETS))
    assert (held.accounts["a"].fingerprint, held.accounts["a"].events_secret_count) == (fingerprint_of("key-of-a"), 2)
    stage.desk.rotate(MERCHANT_A, "bank", "a", api_key="another-key", events_secrets=None)
    held = stage.desk.accounts(MERCHANT_A, "bank")
    assert opened(stage, held) == ("another-key", list(EVENTS_SECRETS))


GOOD = {
    "stripe": ("acct_1032D82eZvKYlo2C", "rk_live_51abcDEF", "whsec_abcdef01"),
    "adyen": ("ShopECOM", "AQE1hmfxK4zOag5FxRQ", "AB" * 32),
    "mollie": ("pfl_v9hTwCvYqw", "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM", "a-secret-of-mollie"),
    "sandbox_bank": ("main", "a-token-of-mine", EVENTS_SECRETS[0]),
}
SLIPS = {
    "stripe": ("1032D82eZvKYlo2C", "pk_live_51abcDEF", "sk_live_51abcDEF"),
    "adyen": ("Shop ECOM", "a key of two words", "AB" * 31),
    "mollie": ("org_123", "access_Wwvu7egPcJLLJ9Kb7J632x8wJ2zMeJ", "two words of it"),
    "sandbox_bank": ("Main#1", "short", "whsec_?"),
}


@pytest.mark.parametrize("kind", sorted(METHOD_TYPES))
def test_slips_are_found_before_anything_is_stored(kind: str) -> None:
    account, api_key, events_secret = GOOD[kind]
    check_account(kind, account, connected=False)
    check_api_key(kind, api_key)
    check_events_secrets(kind, [events_secret])
    assert FORMS.keys() == METHOD_TYPES.keys() == READERS.keys()
    wrong_account, wrong_key, wrong_secret = SLIPS[kind]
    for slip in (
        lambda: check_account(kind, wrong_account, connected=False),
        lambda: check_api_key(kind, wrong_key),
        lambda: check_api_key(kind, api_key + "\n"),
        lambda: check_events_secrets(kind, [wrong_secret]),
        lambda: check_events_secrets(kind, [events_secret, events_secret]),
        lambda: check_events_secrets(kind, [f"{events_secret}{number}" for number in range(5)]),
    ):
        with pytest.raises(CredentialsRejected) as refused:
            slip()
        for secret in (wrong_key, wrong_secret, api_key, events_secret):
            assert secret not in str(refused.value)


@pytest.mark.parametrize("kind", ["mollie", "sandbox_bank"])
def test_where_the_platforms_key_is_of_no_use_an_account_is_not_connected(kind: str) -> None:
    with pytest.raises(CredentialsRejected):
        check_account(kind, GOOD[kind][0], connected=True)


def test_an_address_is_read_as_it_was_made() -> None:
    assert address_of("stripe", "mer_1", "") == "stripe"
    for account in ("", "acct_1", "a.b-c_D"):
        where = parts_of(address_of("stripe", "mer_1", account))
        assert (where.gateway, where.account, where.merchant_id) == ("stripe", account, "mer_1" if account else "")


def test_an_adapter_that_can_not_be_made_is_missing_credentials(
    stage: AccountStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> None:
        raise MisconfiguredError("the key is of no use")

    stage.give("a")
    monkeypatch.setattr("payonce.gateways.sandbox_bank.sandbox_bank_from_options", refuse)
    with pytest.raises(CredentialsUnavailable):
        stage.process().gateway(address_of("bank", MERCHANT_A, "a"))


def test_one_merchants_refused_key_does_not_make_the_gateway_look_silent(stage: AccountStage) -> None:
    """Fails where such refusals count as unanswered: the claims of all merchants there would wait for a probe."""
    stage.give("a")
    process = stage.process()
    gateway = process.gateway(address_of("bank", MERCHANT_A, "a"))
    stage.bank.keys = {}
    tally, deadline = Tally(), Deadline(stage.clock.now_ms() + 8_000)
    counted = CountedGateway(gateway, tally)
    counted.submit(instruction(), deadline)
    counted.find(instruction(), deadline)
    counted.read_charge("ch_1", deadline)
    assert (tally.requests["bank"], tally.unanswered["bank"]) == (3, 0)
    stage.bank.open("a").script = ["lost"]
    counted.submit(instruction(), deadline)
    assert tally.unanswered["bank"] == 1
