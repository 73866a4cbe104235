"""A merchant with an account of its own at a bank that holds set-ups for their payers, behind the routes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import CredentialsUnavailable
from payonce.domain.gateway import Notice
from payonce.payments.settlement import settlement_id
from payonce.payments.setups.load import load_method, load_setup
from payonce.ports import Deadline
from tests.support.account_stage import MERCHANT_A, AccountStage
from tests.support.events import call
from tests.support.holding import HoldingGateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.setup import SavedMethod
    from payonce.wiring.notices import NoticeApplication

CREDENTIALS_ARE_READ_AGAIN_MS = 60_000
SETUP = {"customer": "cus_1", "payment_method": "pm_visa", "currency": "EUR"}
OTHERS = ("b", "platform")


def _forget(stage: AccountStage) -> None:
    stage.give("b")
    stage.desk.forget(MERCHANT_A, "bank", "a")
    del stage.bank.keys["key-of-a"]


CHANGES: dict[str, Callable[[AccountStage], Any]] = {
    "another account": lambda stage: stage.give("b"),
    "the platform's account": lambda stage: stage.desk.retire(MERCHANT_A, "bank"),
    "the secrets forgotten": _forget,
}


class SetupShop:
    """A merchant with account a of a bank that holds set-ups for their payers, and what it asks for."""

    def __init__(self, stage: AccountStage) -> None:
        self.stage = stage
        self.process: NoticeApplication = stage.process()
        for account in ("platform", "a", "b"):
            stage.bank.open(account)
            stage.bank.accounts[account] = HoldingGateway(stage.clock)
        stage.give("a")
        self._keys = 0

    @property
    def bank(self) -> HoldingGateway:
        """Account a's books."""
        books = self.stage.bank.accounts["a"]
        assert isinstance(books, HoldingGateway)
        return books

    def ask(
        self, operation: str, body: Any, *, path: dict[str, str] | None = None, merchant_id: str = MERCHANT_A
    ) -> dict[str, Any]:
        """Return the status and the document of a request."""
        self._keys += 1
        key = f"key-of-a-request-{self._keys:04d}"
        said = call(self.process, operation, body, key=key, merchant_id=merchant_id, gateway="bank", path=path)
        return {"http": said["statusCode"], **json.loads(said["body"])}

    def set_up(self, merchant_id: str = MERCHANT_A, **body: str) -> dict[str, Any]:
        """Return the answer to a new set-up."""
        return self.ask("create_setup", SETUP | body, merchant_id=merchant_id)

    def saved(self, merchant_id: str = MERCHANT_A) -> SavedMethod:
        """Return the payment method that a new set-up has saved."""
        return self.method(self.set_up(merchant_id)["saved_payment_method"], merchant_id)

    def method(self, method_id: str, merchant_id: str = MERCHANT_A) -> SavedMethod:
        """Return the payment method as it is stored."""
        return load_method(self.stage.database, merchant_id, method_id)

    def status(self, setup_id: str, merchant_id: str = MERCHANT_A) -> str:
        """Return the status of the set-up as it is stored."""
        return load_setup(self.stage.database, merchant_id, setup_id).status.value

    def charge(self, method: SavedMethod) -> dict[str, Any]:
        """Return the answer to a payment by the saved method, while the payer is absent."""
        return self.ask(
            "create_payment",
            {"amount_minor": 1050, "currency": "EUR", "payment_method": method.method_id, "off_session": True},
        )

    def change(self, change: str) -> bool:
        """Change the account, let every process know, and return whether account a can still be asked."""
        CHANGES[change](self.stage)
        self.stage.clock.ms += CREDENTIALS_ARE_READ_AGAIN_MS
        return "key-of-a" in self.stage.bank.keys

    def tell(self, *, signed_by: str = "", account: str | None = None, **names: str) -> str:
        """Let an event of the bank arrive and be applied, and return what has become of it.

        ``signed_by`` is the merchant whose own secret has signed it, "" for the platform's, which names an ``account``
        if the event is about a connected one.
        """
        self._keys += 1
        self.stage.clock.ms += 1  # nobody is at work on a settlement that was made before
        notice = Notice(notice_id=f"evt_{self._keys}", type="changed", created_at_ms=1, account=account, **names)  # type: ignore[arg-type]
        self.process.acceptance.accept("bank", [notice], b"{}", signed_by=signed_by)
        queue: Any = self.process.notice_queue
        said = ""
        while queue.messages:
            message = queue.messages.pop(0)
            said = self.process.applier.handle(message.body, Deadline(self.stage.clock.ms + 40_000))
            if said.startswith("later"):
                break
        queue.messages.clear()
        return said

    def settle(self, setup_id: str) -> None:
        """Let the settlement look, as recovery does."""
        deadline = Deadline(self.stage.clock.ms + 40_000)
        with contextlib.suppress(CredentialsUnavailable):
            self.stage.process().recovery.recover(settlement_id(MERCHANT_A, setup_id), deadline, early=True)

    def asked_elsewhere(self) -> int:
        """Return how often another account than a was asked about anything."""
        return sum(
            len(books.inquiries) + len(books.submissions) + len(books.confirmed) + len(books.withdrawn)
            for account in OTHERS
            if isinstance(books := self.stage.bank.accounts[account], HoldingGateway)
        )
