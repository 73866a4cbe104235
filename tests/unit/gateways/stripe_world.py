"""A Stripe on paper: scripted answers where the SDK hands a request to its HTTP client, and what was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import CaptureMethod, Instruction, OperationKind
from payonce.domain.money import Money
from payonce.gateways.stripe_gateway import STRIPE_CAPABILITIES, StripeGateway
from payonce.ports import Deadline
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.exchange import Exchange
    from payonce.domain.gateway import GatewayCapabilities

API_KEY = "sk_live_VerySecret4711"
REFERENCE = "pay_1-1"
INTENT = "pi_1"
CHARGE = "ch_1"
FIRST_MS = 1_800_000_000_000
FIRST_SECONDS = FIRST_MS // 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it would go out."""

    method: str
    path: str
    form: dict[str, str]
    headers: Mapping[str, str]
    deadline: Deadline

    @property
    def line(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class PaperStripe:
    """Gives its answers in order; the last one again and again. An answer may be a function of what was asked."""

    answers: list[Exchange | Callable[[Asked], Exchange]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """See ``HttpExchange``."""
        target = urlsplit(url)
        form = dict(parse_qsl(body.decode() if body else target.query))
        asked = Asked(method, target.path, form, headers, deadline)
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Answered | NotSent | Lost) else answer(asked)

    @property
    def lines(self) -> list[str]:
        """Method and path of every request."""
        return [asked.line for asked in self.asked]


def gateway_on(
    *answers: Exchange | Callable[[Asked], Exchange], capabilities: GatewayCapabilities = STRIPE_CAPABILITIES
) -> tuple[StripeGateway, PaperStripe]:
    """Return the real adapter, with the real SDK, on scripted answers."""
    paper = PaperStripe(list(answers))
    clock = ManualClock(FIRST_MS + 10_000)
    return StripeGateway("stripe", API_KEY, None, capabilities, clock=clock, exchange=paper), paper


def answer(document: Any, status: int = 200, **headers: str) -> Answered:
    """Return a JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answered(status, {"request-id": "req_1", **named}, json.dumps(document).encode())


def error(status: int, code: str | None = None, **fields: Any) -> Answered:
    """Return Stripe's error document."""
    return answer(
        {"error": {"type": "invalid_request_error", "message": "secret text", "code": code, **fields}}, status
    )


def listing(*rows: dict[str, Any], has_more: bool = False) -> Answered:
    """Return a page of a list."""
    return answer({"object": "list", "url": "/v1/x", "data": list(rows), "has_more": has_more})


def intent(status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """Return a payment intent that agrees with ``instruction()``."""
    return {
        "id": INTENT,
        "object": "payment_intent",
        "status": status,
        "amount": 1000,
        "amount_received": 1000 if status == "succeeded" else 0,
        "currency": "eur",
        "created": FIRST_SECONDS + 1,
        "latest_charge": CHARGE,
        "last_payment_error": None,
        "metadata": {"payonce_reference": REFERENCE},
        **changes,
    }


def captured_intent(reference: str = REFERENCE, status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """Return a payment intent with the mark of a capture."""
    metadata = {"payonce_reference": "pay_0-1", "payonce_capture_reference": reference}
    return intent(status, metadata=metadata, **changes)


def refund(status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    """Return a refund that agrees with ``instruction(OperationKind.REFUND)``."""
    return {
        "id": "re_1",
        "object": "refund",
        "status": status,
        "amount": 1000,
        "currency": "eur",
        "created": FIRST_SECONDS + 1,
        "payment_intent": INTENT,
        "metadata": {"payonce_reference": REFERENCE},
        **changes,
    }


def instruction(
    kind: OperationKind = OperationKind.PAYMENT,
    *,
    money: Money | None = None,
    capture: CaptureMethod = CaptureMethod.AUTOMATIC,
    charge_id: str | None = INTENT,
) -> Instruction:
    """Return an instruction for 10 euros."""
    return Instruction(
        kind=kind,
        gateway_reference=REFERENCE,
        merchant_id="mer_1",
        payment_id="pay_1",
        money=money or Money(1000, "EUR"),
        capture_method=capture,
        payment_method="pm_token",
        first_submitted_at_ms=FIRST_MS,
        gateway_charge_id=None if kind is OperationKind.PAYMENT else charge_id,
    )


SOON = Deadline(FIRST_MS + 15_000)
