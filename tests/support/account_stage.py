"""Merchants with accounts of their own at a bank in memory, behind the routes: each account has books and keys.

The bank stands for a gateway whose key decides the account, as Stripe's and Mollie's do: whoever asks with another
account's key is answered from that account's books.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CredentialsRefused, NotAllowed
from payonce.gateways.declines import not_withdrawn
from payonce.idempotency.claim_recovery import RecoveryReport, Sweep
from payonce.merchants.credentials_desk import CredentialsDesk
from payonce.merchants.gateway_accounts import AccountKind, AccountSecrets
from payonce.ports import Deadline, Insert, Table
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.notices import NoticeApplication
from payonce.wiring.settings import load_settings
from tests.support.events import PAYMENT, call
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from payonce.domain.gateway import (
        AwaitsPayer,
        ChargeOutcome,
        GatewayCapabilities,
        Instruction,
        LookupOutcome,
        SubmitOutcome,
        WithdrawOutcome,
    )
    from payonce.ports import Clock, Database

GATEWAYS = [{"name": "bank", "kind": "sandbox_bank", "url": "http://127.0.0.1:9/banks/platform"}]
PLATFORM_KEY = "key-of-platform"
EVENTS_SECRETS = tuple("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
MERCHANT_A, MERCHANT_B = "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRB"


@dataclass
class Bank:
    """The bank. ``keys``: which account's books each key opens; a key that is not there is refused."""

    clock: Clock
    accounts: dict[str, ScriptedGateway] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    refused: list[str] = field(default_factory=list, repr=False)

    def open(self, account: str) -> ScriptedGateway:
        """Open an account, with the first of its keys."""
        self.keys[f"key-of-{account}"] = account
        self.accounts[account] = ScriptedGateway(self.clock)
        return self.accounts[account]

    def adapter(self, name: str, options: Mapping[str, Any], secrets: Mapping[str, str], clock: Clock) -> KeyedAdapter:
        """See ``gateways.sandbox_bank.sandbox_bank_from_options``."""
        del options, clock
        return KeyedAdapter(name, self, secrets["sandbox_bank_api_key"])

    def charges(self) -> int:
        """Return how many payments were really executed, in all accounts."""
        return sum(len(books.succeeded()) for books in self.accounts.values())


@dataclass
class KeyedAdapter:
    """The Gateway port over the bank, with one key."""

    name: str
    bank: Bank
    key: str = field(repr=False)

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return next(iter(self.bank.accounts.values())).capabilities

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        books = self._books()
        return CredentialsRefused("refused") if books is None else books.submit(instruction, deadline)

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        books = self._books()
        return NotAllowed("refused") if books is None else books.find(instruction, deadline)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``."""
        books = self._books()
        return not_withdrawn(waiting) if books is None else books.withdraw(instruction, waiting, deadline)

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        books = self._books()
        return CredentialsRefused("refused") if books is None else books.confirm(instruction, waiting, result, deadline)

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        books = self._books()
        return NotAllowed("refused") if books is None else books.read_charge(gateway_charge_id, deadline)

    def _books(self) -> ScriptedGateway | None:
        account = self.bank.keys.get(self.key)
        if account is None:
            self.bank.refused.append(self.key)
            return None
        return self.bank.accounts[account]


@dataclass
class AccountStage:
    """Two merchants, the bank, and the processes of a deployment, each with a memory of its own."""

    monkeypatch: pytest.MonkeyPatch
    clock: ManualClock = field(default_factory=ManualClock)
    database: Database = field(default_factory=MemoryDatabase)
    bank: Bank = field(init=False)
    cipher: MemoryCipher = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.bank = Bank(self.clock)
        self.bank.open("platform")
        self.cipher = MemoryCipher(self.clock, os.urandom)
        self.monkeypatch.setattr("payonce.gateways.sandbox_bank.sandbox_bank_from_options", self.bank.adapter)
        for merchant_id in (MERCHANT_A, MERCHANT_B):
            item = {"pk": f"MERCHANT#{merchant_id}", "sk": "MERCHANT", "name": "a", "gateway": "bank"}
            self.database.write([Insert(Table.MERCHANTS, item)])

    def process(self) -> NoticeApplication:
        """Return a process that has just started."""
        settings = load_settings({"PAYONCE_GATEWAYS": json.dumps(GATEWAYS), "PAYONCE_CREDENTIALS_TABLE": "credentials"})
        application = NoticeApplication(settings, clock=self.clock, database=self.database, cipher=self.cipher)
        application.__dict__["_secrets"] = {"sandbox_bank_api_key": PLATFORM_KEY}
        application.__dict__["notice_queue"] = MemoryQueue()
        return application

    @property
    def desk(self) -> CredentialsDesk:
        """Return what an operator works at."""
        return CredentialsDesk(database=self.database, cipher=lambda: self.cipher, clock=self.clock)

    def give(self, account: str, merchant_id: str = MERCHANT_A, *, events_secrets: tuple[str, ...] = ()) -> None:
        """Put an account into use for a merchant, opening it first."""
        if account not in self.bank.accounts:
            self.bank.open(account)
        secrets = AccountSecrets(f"key-of-{account}", events_secrets)
        self.desk.set(merchant_id, "bank", account, AccountKind.OWN, secrets)

    def pay(
        self, process: NoticeApplication, key: str | None = None, merchant_id: str = MERCHANT_A, **body: Any
    ) -> dict[str, Any]:
        """Pay, and return the proxy response."""
        key = key or f"key-of-a-payment-{next(self._numbers):04d}"
        return call(process, "create_payment", {**PAYMENT, **body}, key=key, merchant_id=merchant_id, gateway="bank")

    def recover(self, process: NoticeApplication) -> RecoveryReport:
        """Let a process recover what is due."""
        errors: list[Exception] = []
        sweep = Sweep(
            store=process.store,
            clock=self.clock,
            recover=process.recovery.recover,
            report_error=lambda _id, error: errors.append(error),
        )
        return sweep.run(Deadline(self.clock.now_ms() + 10_000_000))
