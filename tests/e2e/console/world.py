"""What the tests look at: a shop with payments of every fate, another shop that must never be seen, and a break."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.reconciliation.cases.case_store import CaseStore
from tests.e2e.conftest import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack

BANK, GATEWAY = "forgetful", "sandbox_bank"
PATIENCE_SECONDS = 400  # cold starts with DuckDB and a workflow, on a machine that does other things too
RETRIED = {429, 500, 502, 503, 504}
VISA = "pm_sandbox_visa"


def wait_for[T](look: Callable[[], T], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """Return what ``look`` returns as soon as it is something."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass(frozen=True)
class Shop:
    """A merchant with a program that pays, and an endpoint."""

    stack: Stack
    name: str
    merchant_id: str
    client: Client

    @classmethod
    def opened(cls, stack: Stack, name: str) -> Shop:
        """Return a new shop of the bank that ignores keys."""
        merchant_id, api_key = stack.create_merchant(name, gateway=GATEWAY, holder="ann")
        return cls(stack, name, merchant_id, Client(stack, api_key))

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Send one request until it is answered; anything but a GET under a key."""
        key = None if method == "GET" else key or str(uuid.uuid4())
        for _ in range(60):
            answer = self.client.call(method, path, body, key=key)
            if answer.status not in RETRIED:
                break
            time.sleep(0.5)
        return answer

    def pay(self, amount_minor: int = 1234, currency: str = "EUR", *, key: str | None = None, **more: Any) -> Any:
        """Pay, and return the payment's document; one that is declined, too."""
        body = {"amount_minor": amount_minor, "currency": currency, "payment_method": VISA, **more}
        answer = self.ask("POST", "/payments", body, key=key)
        assert answer.status in (201, 202, 402), answer.body
        document = answer.json()
        return document.get("payment", document)

    def payment(self, payment_id: str) -> Any:
        """Return a payment as it is now."""
        return self.ask("GET", f"/payments/{payment_id}").json()

    def doubtful(self, *, key: str | None = None, **more: Any) -> str:
        """Pay at a bank that drops the connection before it books; return the id of the payment, which is in doubt."""
        body = {"amount_minor": 1799, "currency": "EUR", "payment_method": VISA, **more}
        with self.stack.bank.misbehaving(BANK, "drop_before_booking", kinds=["payment"], times=1):
            answer = self.ask("POST", "/payments", body, key=key)
        assert answer.status == 202, answer.body
        return str(answer.headers["location"]).rsplit("/", 1)[1]

    def recover(self) -> None:
        """Do what the stack does every minute."""
        name = self.stack.outputs["RecoverPaymentsFunctionName"]
        self.stack.client("lambda").invoke(FunctionName=name, Payload=b"{}")

    def endpoint(self, path: str = "", **more: Any) -> dict[str, Any]:
        """Register an endpoint at the receiver; return its document with its ``path``."""
        path = path or f"/{uuid.uuid4().hex}"
        answer = self.ask("POST", "/webhook_endpoints", {"url": self.stack.receiver.url + path, **more})
        assert answer.status == 201, answer.body
        return {**answer.json(), "path": path}

    def deliveries(self, endpoint_id: str) -> list[dict[str, Any]]:
        """Return the deliveries of an endpoint."""
        listed: list[dict[str, Any]] = self.ask("GET", f"/webhook_endpoints/{endpoint_id}/deliveries").json()["data"]
        return listed

    def charged_twice(self, amount_minor: int = 1234) -> str:
        """Pay once, let the bank charge twice, and hand in its report; return the payment's id."""
        payment_id: str = self.pay(amount_minor, reference=f"order-{uuid.uuid4().hex[:8]}")["id"]
        self.stack.bank.fault(BANK, "duplicate_capture", reference=f"{payment_id}-1")
        return payment_id

    def break_of(self, payment_id: str, break_class: str = "duplicate_capture") -> str:
        """Return the id of the break about the payment, once a run has found it."""

        def found() -> str:
            listed = self.ask("GET", f"/breaks?class={break_class}").json()["data"]
            return next((str(one["id"]) for one in listed if one["payment_id"] == payment_id), "")

        return wait_for(found, f"a {break_class} of {payment_id}")

    def correction(self, break_id: str) -> Any:
        """Return the correction of a break, or nothing."""
        answer = self.ask("GET", f"/breaks/{break_id}/correction")
        return answer.json() if answer.status == 200 else {}


def report(stack: Stack, *, name: str = "") -> None:
    """Put the bank's report of all charges into the bucket, which starts a run."""
    key = f"incoming/gateway/{GATEWAY}/{name or uuid.uuid4().hex + '.csv'}"
    stack.client("s3").put_object(
        Bucket=stack.outputs["ReconciliationBucketName"], Key=key, Body=stack.bank.report(BANK)
    )


def cases(stack: Stack) -> CaseStore:
    """Return the breaks as they are stored."""
    return CaseStore(stack.database())
