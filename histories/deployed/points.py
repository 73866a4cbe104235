"""Where a payment's requests to its services can be struck: each step with each service that it asks.

``python -m histories.deployed --trace`` prints a payment's requests in order, from which these were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from histories.deployed.wire import Seen

CREATE, RELAY, DISPATCH, RECOVER, ASK = "create", "relay", "dispatch", "recover", "ask"
BANK, RECEIVER = "bank", "receiver"
FUNCTIONS = {
    CREATE: "CreatePaymentFunction",
    RELAY: "RelayEventsFunction",
    DISPATCH: "DispatchDeliveriesFunction",
    RECOVER: "RecoverPaymentsFunction",
    ASK: "AskGatewaysFunction",
}


@dataclass(frozen=True, slots=True)
class Asks:
    """Requests of one kind: through a door, to a service, whose action begins so and whose text names ``table``.

    ``is_marked``: they name the payment or its merchant, so that payments can be struck at the same time.
    """

    door: str
    service: str
    action: str
    table: str = ""
    is_marked: bool = True

    def is_asked(self, seen: Seen) -> bool:
        """Return whether a request is one of these."""
        return (
            (seen.door, seen.service) == (self.door, self.service)
            and seen.action.startswith(self.action)
            and self.table in seen.text
        )


@dataclass(frozen=True, slots=True)
class Point:
    """A request of a payment. ``after`` comes right before it; ``passes`` of the same kind do.

    ``in_doubt``: the payment's first request to the bank is lost, so that recovery has to ask. ``is_cold``: the request
    is made once in the life of an execution environment.
    """

    step: str
    asks: Asks
    after: Asks | None
    passes: int = 0
    in_doubt: bool = False
    is_cold: bool = False
    what: str = ""

    @property
    def name(self) -> str:
        """Step, service, and which of its requests."""
        return f"{self.step}: {self.asks.service}" + (f", {self.what}" if self.what else "")


IDEMPOTENCY, DELIVERIES, OUTBOX = "-IdempotencyTable-", "-DeliveriesTable-", "-OutboxTable-"
CLAIM = Asks(CREATE, "dynamodb", "PutItem", IDEMPOTENCY)
SECRETS = Asks(CREATE, "secretsmanager", "GetSecretValue", is_marked=False)
SUBMIT = Asks(BANK, BANK, "POST ")
COMMIT = Asks(CREATE, "dynamodb", "TransactWriteItems", OUTBOX)
RELAYED = Asks(RELAY, "dynamodb", "PutItem", DELIVERIES)
QUEUED = Asks(RELAY, "sqs", "SendMessage")
OPENED = Asks(DISPATCH, "kms", "Decrypt")
ATTEMPT = Asks(DISPATCH, "dynamodb", "UpdateItem", DELIVERIES)
POSTED = Asks(RECEIVER, RECEIVER, "POST ")
DUE = Asks(RECOVER, "dynamodb", "Query", IDEMPOTENCY, is_marked=False)
FED = Asks(RECOVER, "sqs", "SendMessage")
TAKEN = Asks(ASK, "dynamodb", "UpdateItem", IDEMPOTENCY)
FOUND = Asks(BANK, BANK, "GET ")
CONCLUDED = Asks(ASK, "dynamodb", "TransactWriteItems", OUTBOX)

POINTS = (
    Point("claim", CLAIM, None),
    Point("submit", SECRETS, CLAIM, is_cold=True),
    Point("submit", SUBMIT, CLAIM),
    Point("commit", COMMIT, SUBMIT),
    Point("relay", RELAYED, COMMIT),
    Point("relay", QUEUED, RELAYED),
    Point("deliver", OPENED, QUEUED),
    Point("deliver", POSTED, QUEUED),
    Point("deliver", ATTEMPT, POSTED, what="record"),
    Point("recover", DUE, None, in_doubt=True, what="what is due"),
    Point("recover", FED, DUE, in_doubt=True),
    Point("recover", TAKEN, FED, in_doubt=True, what="takeover"),
    Point("recover", FOUND, TAKEN, in_doubt=True, what="ask"),
    Point("recover", SUBMIT, FOUND, in_doubt=True, what="submit again"),
    Point("recover", CONCLUDED, SUBMIT, in_doubt=True, what="commit"),
)
