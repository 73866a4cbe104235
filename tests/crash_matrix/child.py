"""The process that is killed: one operation or one recovery run, with a kill point between two steps.

The points are put around the ports, so that production code knows nothing of them.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import CaptureMethod, OperationKind, PaymentMethodType, Pending, Succeeded
from payonce.domain.money import Money
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from payonce.idempotency.record_items import WAITING_SHARDS
from payonce.idempotency.records import KeyedRequest
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.confirm import ConfirmPayment, plan_confirmation
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.planning import plan_follow_up
from payonce.ports import Deadline, Table
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.aws import http_client
from tests.support.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Gateway, Write

MERCHANT = "mer_crash"
KILLED_EXIT_CODE = 137
REQUEST_MS = 25_000


class FileClock:
    """The machine's clock plus an offset that the test moves, also under a frozen process."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000 + int(self._file.read_text() or 0)


def strike(how: str) -> None:
    """End or freeze this process, here and now."""
    if how == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        os._exit(KILLED_EXIT_CODE)


class Point:
    """Strikes when its named step is reached: ``before:write:2``, ``after:submit:1``, ``during:submit:300``."""

    def __init__(self, name: str, how: str) -> None:
        self.name = name
        self.how = how
        self.counts: dict[str, int] = {}

    def around(self, step: str, call: Callable[[], Any]) -> Any:
        """Make the call, striking before, during or after it if that is the point."""
        self.counts[step] = self.counts.get(step, 0) + 1
        number = self.counts[step]
        if self.name == f"before:{step}:{number}":
            strike(self.how)
        if self.name.startswith(f"during:{step}:"):
            timer = threading.Timer(int(self.name.split(":")[2]) / 1000, strike, [self.how])
            timer.daemon = True
            timer.start()
        result = call()
        if self.name == f"after:{step}:{number}":
            strike(self.how)
        return result


class StrikingDatabase:
    """The database with the point around each write."""

    def __init__(self, inner: Any, point: Point) -> None:
        self._inner = inner
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        self._point.around("write", lambda: self._inner.write(writes))


class ReceivingGateway:
    """A gateway that only receives captures, voids and refunds: it tells what became of them once a file is there.

    As Adyen's modifications (https://docs.adyen.com/online-payments/capture), which the sandbox bank does not have.
    """

    def __init__(self, inner: Gateway, decided: Path) -> None:
        self._inner = inner
        self._decided = decided
        self.name = inner.name
        self.capabilities = inner.capabilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def submit(self, instruction: Any, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._shown(instruction, self._inner.submit(instruction, deadline))

    def find(self, instruction: Any, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._shown(instruction, self._inner.find(instruction, deadline))

    def _shown(self, instruction: Any, outcome: Any) -> Any:
        received = isinstance(outcome, Succeeded) and instruction.kind is not OperationKind.PAYMENT
        if received and not self._decided.exists():
            return Pending(outcome.gateway_operation_id, "received")
        return outcome


class StrikingGateway:
    """The gateway with the point around each call."""

    def __init__(self, inner: Gateway, point: Point) -> None:
        self._inner = inner
        self._point = point
        self.name = inner.name
        self.capabilities = inner.capabilities

    def submit(self, instruction: Any, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._point.around("submit", lambda: self._inner.submit(instruction, deadline))

    def find(self, instruction: Any, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._point.around("find", lambda: self._inner.find(instruction, deadline))

    def withdraw(self, instruction: Any, waiting: Any, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._point.around("withdraw", lambda: self._inner.withdraw(instruction, waiting, deadline))

    def confirm(self, instruction: Any, waiting: Any, result: str, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._point.around("confirm", lambda: self._inner.confirm(instruction, waiting, result, deadline))

    def read_charge(self, gateway_charge_id: str, deadline: Any) -> Any:
        """See ``Gateway``."""
        return self._point.around("read", lambda: self._inner.read_charge(gateway_charge_id, deadline))


@dataclass(frozen=True, slots=True)
class Ports:
    """The striking ports around an application's adapters."""

    clock: FileClock
    database: Any
    gateway: StrikingGateway
    point: Point


def ports(task: dict[str, Any]) -> Ports:
    """Return the ports of a task's application."""
    point = Point(task.get("point", ""), task.get("how", "exit"))
    clock = FileClock(Path(task["clock_file"]))
    names = {Table(name): value for name, value in task["tables"].items()}
    from payonce.stores.dynamodb import DynamoDatabase

    database = StrikingDatabase(DynamoDatabase(http_client(task["dynamodb_url"]), names), point)
    if task.get("stripe_url"):
        from payonce.gateways.stripe_gateway import stripe_from_options

        gateway: Any = stripe_from_options(
            "bank", task["gateway"] | {"url": task["stripe_url"]}, {"stripe_api_key": "sk_test_12345"}, clock
        )
    else:
        gateway = sandbox_bank_from_options("bank", task["gateway"], {"sandbox_bank_api_key": "x"}, clock)
    if "decided_file" in task:
        gateway = ReceivingGateway(gateway, Path(task["decided_file"]))
    return Ports(clock, database, StrikingGateway(gateway, point), point)


def application(task: dict[str, Any]) -> Application:
    """Return the real application, with the striking ports around its adapters."""
    given = ports(task)
    return Application(load_settings({}), clock=given.clock, database=given.database, gateways={"bank": given.gateway})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task and return what a client or an operator would see."""
    app = application(task)
    if task["do"] == "recover":
        report = recover(app, run_ms=300_000)
        return {"concluded": report.concluded, "open": report.still_open, "failed": report.failed}
    if task["do"] == "settle":
        return {"asked": settle(app)}
    if task["do"] == "confirm":
        confirmation = plan_confirmation(
            merchant_id=MERCHANT, payment_id=task["payment_id"], result=task["result"], services=app.services
        )
        return answered(app, task, "confirm_payment", ConfirmPayment(confirmation, app.gateway, app.services))
    kind = OperationKind(task["do"])
    if kind is OperationKind.PAYMENT:
        new = NewPayment(
            money=Money(task.get("charge_minor", 1000), "EUR"),
            payment_method=task["token"],
            capture_method=CaptureMethod(task.get("capture", "automatic")),
            payment_method_type=PaymentMethodType(task.get("method_type", "card")),
            return_url=task.get("return_url"),
        )
        plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: "bank", services=app.services)
        work: Any = CreatePayment(plan, app.gateway, app.services)
    else:
        follow_up = plan_follow_up(
            kind,
            merchant_id=MERCHANT,
            payment_id=task["payment_id"],
            amount_minor=task.get("amount_minor"),
            services=app.services,
        )
        work = follow_up_work(follow_up, app.gateway, app.services)
    return answered(app, task, kind.value, work)


def settle(app: Application) -> int:
    """Ask about everything that gateways hold and that is due; return how much that was."""
    due = [
        open_id
        for shard in WAITING_SHARDS
        for open_id in app.store.open_claims(shard, lease_expired_at_ms=app.clock.now_ms(), limit=9)
    ]
    for open_id in due:
        app.recovery.recover(open_id, Deadline(app.clock.now_ms() + REQUEST_MS))
    return len(due)


def answered(app: Application, task: dict[str, Any], operation: str, work: Any) -> dict[str, Any]:
    """Execute the work under the task's key and return what its client sees."""
    request = KeyedRequest(
        scope=MERCHANT,
        operation=operation,
        key=task["key"],
        fingerprint="f",
        deadline=Deadline(app.clock.now_ms() + REQUEST_MS),
        wait_seconds=0,
    )
    try:
        answer = app.engine.execute(request, work)
    except PayonceError as error:
        return {"error": type(error).__name__, "detail": error.detail}
    return {"status": answer.response.status, "replayed": answer.replayed, "body": answer.response.body.decode()}


def charge_again(task: dict[str, Any], reference: str) -> str:
    """Have the bank charge the reference once more, by its own fault; return the id of that charge."""
    body = {
        "reference": reference,
        "currency": "EUR",
        "payment_method": task["token"],
        "capture": "automatic",
        "amount_minor": task.get("charge_minor", 1000),
    }
    request = Request(
        f"{task['gateway']['url']}/charges",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer x", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["charge_id"])
