"""Merchants' own accounts at running gateways: two banks with tokens of their own, and a database of the cloud's form.

The bank's address names the account and its token opens it, so that a token of another bank is refused. Adyen's fake
refuses merchant accounts that the key has no access to, as Adyen does with 403 and the code 901:
https://docs.adyen.com/development-resources/error-codes.
"""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.adyen.running import API_KEY, MERCHANT_ACCOUNT, running_adyen
from local.sandbox_bank.running import running_bank
from payonce.domain.gateway import CaptureMethod, CredentialsRefused, Instruction, OperationKind, Succeeded
from payonce.domain.gateway_address import address_of
from payonce.domain.money import Money
from payonce.merchants.credential_cache import REREAD_PAUSE_SECONDS
from payonce.merchants.credentials_desk import CredentialsDesk
from payonce.merchants.gateway_accounts import AccountKind, AccountSecrets
from payonce.ports import Deadline, Insert, Table
from payonce.stores.memory_cipher import MemoryCipher
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.account_stage import MERCHANT_A
from tests.support.events import PAYMENT, call
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from payonce.ports import Database

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    with running_bank(tmp_path_factory.mktemp("bank")) as handle:
        yield handle


@dataclass
class Till:
    """A merchant's till, on processes that read credentials at run time."""

    handle: BankHandle
    database: Database
    cipher: MemoryCipher
    clock: RealClock
    platform: str

    def process(self) -> Application:
        """Return a process that has just started."""
        gateways = [{"name": "bank", "kind": "sandbox_bank", "url": self.handle.base_url(self.platform)}]
        settings = load_settings({"PAYONCE_GATEWAYS": json.dumps(gateways), "PAYONCE_CREDENTIALS_TABLE": "credentials"})
        application = Application(settings, clock=self.clock, database=self.database, cipher=self.cipher)
        application.__dict__["_secrets"] = {"sandbox_bank_api_key": "of-the-platform"}
        return application

    @property
    def desk(self) -> CredentialsDesk:
        """Return what the operator works at."""
        return CredentialsDesk(database=self.database, cipher=lambda: self.cipher, clock=self.clock)

    def pay(self, process: Application) -> dict[str, Any]:
        """Pay, and return the proxy response."""
        key = f"key-of-a-payment-{next(_numbers):05d}"
        return call(process, "create_payment", PAYMENT, key=key, merchant_id=MERCHANT_A, gateway="bank")


@pytest.fixture
def till(handle: BankHandle, database: Database) -> Till:
    clock = RealClock()
    merchant = {"pk": f"MERCHANT#{MERCHANT_A}", "sk": "MERCHANT"}
    database.write([Insert(Table.MERCHANTS, merchant)])
    return Till(handle, database, MemoryCipher(clock, os.urandom), clock, f"platform_{next(_numbers)}")


def test_a_merchant_pays_at_its_bank_and_its_token_is_rotated_without_a_restart(till: Till) -> None:
    """On every database: set, pay, rotate on both sides, pay by the same process, refund what was paid before."""
    bank = f"own_{next(_numbers)}"
    till.handle.configure(bank, token="the-first-token")
    till.desk.set(MERCHANT_A, "bank", bank, AccountKind.OWN, AccountSecrets("the-first-token"))
    process = till.process()
    first = json.loads(till.pay(process)["body"])
    till.handle.configure(bank, token="the-second-token")
    till.desk.rotate(MERCHANT_A, "bank", "", api_key="the-second-token", events_secrets=None)
    till.clock.offset_ms += REREAD_PAUSE_SECONDS * 1000
    assert till.pay(process)["statusCode"] == 201
    path = {"payment_id": first["id"]}
    answer = call(
        process, "refund_payment", {"amount_minor": 50}, key="a-key-of-a-refund", merchant_id=MERCHANT_A, path=path
    )
    assert answer["statusCode"] == 201
    assert len(till.handle.charges(bank=bank)) == 2
    assert not till.handle.books(bank=till.platform)


def test_another_banks_token_executes_nothing(till: Till) -> None:
    bank = f"own_{next(_numbers)}"
    till.handle.configure(bank, token="the-right-token")
    till.desk.set(MERCHANT_A, "bank", bank, AccountKind.OWN, AccountSecrets("of-another-bank"))
    assert till.pay(till.process())["statusCode"] == 503
    assert not till.handle.books(bank=bank)


@pytest.mark.parametrize(("account", "accepted"), [(MERCHANT_ACCOUNT + "Shop", True), ("SomebodyElses", False)])
def test_a_merchant_account_of_adyens_by_the_platforms_key(tmp_path: Path, account: str, accepted: bool) -> None:
    """A merchant account that the key has no access to is refused, and told from a decline."""
    clock = RealClock()
    with running_adyen(tmp_path) as adyen:
        gateways = [{"name": "adyen", "kind": "adyen", "merchant_account": MERCHANT_ACCOUNT, "url": adyen.api_url}]
        settings = load_settings({"PAYONCE_GATEWAYS": json.dumps(gateways), "PAYONCE_CREDENTIALS_TABLE": "credentials"})
        from payonce.stores.memory import MemoryDatabase

        database, cipher = MemoryDatabase(), MemoryCipher(clock, os.urandom)
        database.write([Insert(Table.MERCHANTS, {"pk": f"MERCHANT#{MERCHANT_A}", "sk": "MERCHANT"})])
        application = Application(settings, clock=clock, database=database, cipher=cipher)
        application.__dict__["_secrets"] = {"adyen_api_key": API_KEY}
        desk = CredentialsDesk(database=database, cipher=lambda: cipher, clock=clock)
        desk.set(MERCHANT_A, "adyen", account, AccountKind.CONNECTED, None)
        gateway = application.gateway(address_of("adyen", MERCHANT_A, account))
        now_ms = clock.now_ms()
        instruction = Instruction(
            kind=OperationKind.PAYMENT,
            gateway_reference="pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA-1",
            merchant_id=MERCHANT_A,
            payment_id="pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA",
            money=Money(1000, "EUR"),
            capture_method=CaptureMethod.AUTOMATIC,
            payment_method="pm_token_A1",
            customer="shopper_1",
            return_url="https://shop.example/back",
            first_submitted_at_ms=now_ms,
        )
        outcome = gateway.submit(instruction, Deadline(now_ms + 8_000))
        assert isinstance(outcome, Succeeded if accepted else CredentialsRefused), outcome
        assert {row["merchant_account"] for row in adyen.charges()} == ({account} if accepted else set())
