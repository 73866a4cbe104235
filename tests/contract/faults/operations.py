"""The operations that are struck: how each is prepared, what is asked, and what comes of it when all is well."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind
from tests.contract.faults.stage import LEASE_JUST_OVER_MS, Answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.contract.faults.stage import Stage

AMOUNT_MINOR = 1050
PART_MINOR = 400
FIRST_INQUIRY_MS = 6_000  # due after 5 s; the late bank does not show yet what it has booked


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``prepare`` runs without faults. ``healthy`` is the class of the answer without faults; ``executed`` how often
    the bank has done it once everything is settled. ``replayed``: an earlier request has done it.
    ``overtakes``: an earlier request has died over it.
    ``alike``: it goes the way of another one; in the slice each fault strikes it at one request only.
    """

    name: str
    route: str = "create_payment"
    body: dict[str, Any]
    kind: OperationKind = OperationKind.PAYMENT
    prepare: Callable[[Stage], None] = lambda _stage: None
    healthy: str = "201"
    executed: int = 1
    by_recovery: bool = False
    replayed: bool = False
    overtakes: bool = False
    alike: bool = False

    @property
    def healthy_late(self) -> tuple[str, ...]:
        """The class of the answer when the bank's "not found" is not final yet."""
        if self.by_recovery:
            return ("200 concluded=0 open=1 failed=0",)
        return ("202",) if self.overtakes else ()

    def ask(self, stage: Stage, **options: Any) -> Answer:
        """Send the client's request, the same on every retry."""
        return stage.ask(self.route, self.body, **options)

    def act(self, stage: Stage) -> Answer:
        """Do what the fault strikes."""
        if not self.by_recovery:
            return self.ask(stage)
        report = stage.recover()
        return Answer(200, "", {}, f"concluded={report.concluded} open={report.still_open} failed={report.failed}", "")


def new_payment(capture: str = "automatic") -> dict[str, Any]:
    """Return the body of a request for a payment."""
    return {"amount_minor": AMOUNT_MINOR, "currency": "EUR", "payment_method": "pm_visa", "capture": capture}


def _says(*words: str, lookup_fails: bool = False) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        stage.bank.script.extend(words)
        stage.bank.lookup_fails = lookup_fails

    return prepare


def _paid(capture: str, *words: str, lookup_fails: bool = False) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        direct = stage.application(stage.servers.direct)
        answer = stage.ask("create_payment", new_payment(capture), key="key-of-the-payment", application=direct)
        assert answer.status == 201, answer
        stage.payment_id = json.loads(answer.body)["id"]
        _says(*words, lookup_fails=lookup_fails)(stage)

    return prepare


def _died(when: str, route: str, body: dict[str, Any], *, first: Callable[[Stage], None] | None = None) -> Any:
    def prepare(stage: Stage) -> None:
        if first is not None:
            first(stage)
        stage.die(route, body, when=when)
        stage.pass_time(LEASE_JUST_OVER_MS)

    return prepare


def _done(stage: Stage) -> None:
    direct = stage.application(stage.servers.direct)
    assert stage.ask("create_payment", new_payment(), application=direct).status == 201


def _in_doubt(stage: Stage) -> None:
    _says("booked_lost", lookup_fails=True)(stage)
    direct = stage.application(stage.servers.direct)
    assert stage.ask("create_payment", new_payment(), application=direct).status == 202
    stage.bank.lookup_fails = False
    stage.pass_time(FIRST_INQUIRY_MS)


_CAPTURE, _REFUND, _VOID = OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID
_PART = {"amount_minor": PART_MINOR}
_NEW = new_payment()
_BY_CLIENTS = (
    Operation(name="create", body=_NEW),
    Operation(name="create, authorized", alike=True, body=new_payment("manual")),
    Operation(
        name="create, declined", alike=True, body=_NEW, prepare=_says("decline"), healthy="402 declined", executed=0
    ),
    Operation(name="create, never sent", body=_NEW, prepare=_says("never"), healthy="503 gateway-unavailable"),
    Operation(name="create, in doubt", body=_NEW, prepare=_says("booked_lost", lookup_fails=True), healthy="202"),
    Operation(name="create, replayed", body=_NEW, prepare=_done, replayed=True),
    Operation(name="capture", alike=True, route="capture_payment", body=_PART, kind=_CAPTURE, prepare=_paid("manual")),
    Operation(name="cancel", route="cancel_payment", body={}, kind=_VOID, prepare=_paid("manual")),
    Operation(name="refund", route="refund_payment", body=_PART, kind=_REFUND, prepare=_paid("automatic")),
    Operation(
        name="refund, declined",
        alike=True,
        route="refund_payment",
        body=_PART,
        kind=_REFUND,
        prepare=_paid("automatic", "decline"),
        healthy="402 declined",
        executed=0,
    ),
    Operation(
        name="refund, never sent",
        route="refund_payment",
        body=_PART,
        kind=_REFUND,
        prepare=_paid("automatic", "never"),
        healthy="503 gateway-unavailable",
    ),
    Operation(
        name="refund, in doubt",
        alike=True,
        route="refund_payment",
        body=_PART,
        kind=_REFUND,
        prepare=_paid("automatic", "booked_lost", lookup_fails=True),
        healthy="202",
    ),
    Operation(name="takeover, unsent", overtakes=True, body=_NEW, prepare=_died("before", "create_payment", _NEW)),
    Operation(name="takeover, charged", overtakes=True, body=_NEW, prepare=_died("after", "create_payment", _NEW)),
    Operation(name="takeover, in doubt", alike=True, overtakes=True, body=_NEW, prepare=_in_doubt),
    Operation(
        name="takeover, refunded",
        alike=True,
        overtakes=True,
        route="refund_payment",
        body=_PART,
        kind=_REFUND,
        prepare=_died("after", "refund_payment", _PART, first=_paid("automatic")),
    ),
)
_LEFT_TO_RECOVERY = tuple(
    replace(
        operation,
        name=operation.name.replace("takeover", "recovery"),
        by_recovery=True,
        healthy="200 concluded=1 open=0 failed=0",
    )
    for operation in _BY_CLIENTS
    if operation.name.startswith("takeover")
)
OPERATIONS = (*_BY_CLIENTS, *_LEFT_TO_RECOVERY)
