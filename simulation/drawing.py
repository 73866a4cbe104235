"""What merchants want done in a run, and how it is drawn: operations about payments, each with its requests."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from simulation.held import Hold
from simulation.scheduler import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

MERCHANTS = ("mer_a", "mer_b")
GATEWAYS = ("alpha", "beta")
CURRENCIES = ("EUR", "USD", "JPY")
BUSY_SECONDS = 90  # most operations begin in this time
HELD = 0.8  # of the payments of such a run
RACING = 0.4  # of their payers
CANCELED = 0.4  # of them, once more than others
# Two clocks may differ by as much as a lease's margin takes: five seconds.
MAX_SKEW_MS = 2_450
# The clocks of first and of later executions: the extremes are where margins are used up.
SKEWS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {"equal": ((0,), (0,)), "any": ((-1, 0, 1), (-1, 0, 1)), "against": ((-1,), (1,))}
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of an operation, by its number. ``altered``: with another body under the same key."""

    number: int
    at_ms: int
    gateway: str
    host: Host
    skew_ms: int
    altered: bool = False
    wait_seconds: int = 5


@dataclass(frozen=True, slots=True)
class Operation:
    """What a merchant wants done once. ``of`` names the operation that created its payment."""

    name: str
    kind: str
    merchant: str
    key: str
    attempts: tuple[Attempt, ...]
    amount_minor: int = 1000
    currency: str = "EUR"
    manual: bool = False
    of: str = ""
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws the operations of a run."""

    chance: Random
    skews: str
    containers: float
    holding: bool

    def host(self) -> Host:
        return Host.CONTAINER if self.chance.random() < self.containers else Host.LAMBDA

    def skew_ms(self, *, first: bool) -> int:
        return self.chance.choice(SKEWS[self.skews][0 if first else 1]) * MAX_SKEW_MS

    def create(self, number: int) -> Operation:
        chance = self.chance
        return Operation(
            name=f"create-{number}",
            kind="create",
            merchant=MERCHANTS[number % 2],
            # The first two have one key, of two merchants.
            key=f"order-{(number + 1) // 2:012d}",
            amount_minor=chance.choice((1000, 4000)),
            currency=chance.choice(CURRENCIES),
            manual=chance.random() < 0.4,
            attempts=self._attempts(chance.randint(0, 5_000)),
            hold=self.hold() if self.holding and chance.random() < HELD else None,
        )

    def hold(self) -> Hold:
        chance = self.chance
        racing = chance.random() < RACING
        expires_seconds = chance.randint(20, 2 * BUSY_SECONDS)
        return Hold(
            flow=chance.choice(
                ("redirect", "process") if racing else ("redirect", "confirm", "confirm", "process", "debit")
            ),
            payer=chance.choice(("approves", "approves", "approves", "declines", "leaves")),
            # One who races acts when the payment is withdrawn, and not before it expires.
            payer_seconds=chance.uniform(1, BUSY_SECONDS) + (expires_seconds if racing else 0),
            decision_seconds=chance.uniform(1, 2 * BUSY_SECONDS),
            expires_seconds=expires_seconds,
            fails=chance.random() < 0.3,
            racing=racing,
        )

    def follow_ups(self, created: Operation) -> list[Operation]:
        chance = self.chance
        found: list[Operation] = []
        kinds: tuple[str, ...]
        kinds = ("capture", "capture", "cancel", "refund") if created.manual else ("refund", "refund", "refund")
        hold = created.hold
        if hold is not None:
            kinds += ("cancel", "cancel")
            if chance.random() < CANCELED:
                at_ms = chance.randint(6_000, 1000 * hold.expires_seconds)
                found.append(self.of(created, "cancel", 9, created.amount_minor, at_ms))
        for number in range(chance.choice((0, 1, 2, 3))):
            kind = chance.choice(kinds)
            # Of two of one kind both want most of it: only one can have it.
            amount = chance.choice((created.amount_minor, created.amount_minor * 3 // 4, created.amount_minor // 4))
            found.append(self.of(created, kind, number, amount, chance.randint(3_000, BUSY_SECONDS * 1000)))
        if hold is not None and hold.flow == "confirm":
            for number in range(chance.choice((0, 1, 1, 2))):
                at_ms = int(hold.payer_seconds * 1000) + chance.randint(-500, 9_000)
                found.append(self.of(created, "confirm", number, 0, max(at_ms, 1_000)))
        if chance.random() < 0.3:
            found.append(self.of(created, "surplus", 0, created.amount_minor, chance.randint(10_000, 100_000)))
        if chance.random() < 0.25:
            amount = chance.choice((created.amount_minor, created.amount_minor // 4))
            found.append(self.of(created, "dashboard", 0, amount, chance.randint(5_000, BUSY_SECONDS * 1000)))
        if chance.random() < 0.2:
            found.append(self.of(created, "stranger", 0, 0, chance.randint(10_000, 100_000)))
        return found

    def of(self, created: Operation, kind: str, number: int, amount_minor: int, at_ms: int) -> Operation:
        own = created.merchant
        return Operation(
            name=f"{kind}-{number}-of-{created.name}",
            kind=kind,
            merchant=MERCHANTS[own == MERCHANTS[0]] if kind == "stranger" else own,
            key=f"{kind}-{number}-{created.key}",
            amount_minor=amount_minor,
            currency=created.currency,
            of=created.name,
            attempts=self._attempts(at_ms),
        )

    def _pause_ms(self) -> int:
        """Return a client's pause: any, or about as long as a request's time, after which most give up and retry."""
        chance = self.chance
        return chance.randint(5_000, 32_000) if chance.random() < 0.4 else int(10 ** chance.uniform(0.5, 4.9))

    def _attempts(self, first_ms: int) -> tuple[Attempt, ...]:
        """Return retries as clients make them: at once, after seconds, after a minute."""
        chance = self.chance
        at_ms = [first_ms]
        for _ in range(chance.choice((0, 1, 2, 3, 4, 5))):
            at_ms.append(at_ms[-1] + self._pause_ms())
        gateway = chance.choice(GATEWAYS)
        return tuple(
            Attempt(
                number=number,
                at_ms=at,
                gateway=gateway if chance.random() < 0.7 else chance.choice(GATEWAYS),
                host=self.host(),
                skew_ms=self.skew_ms(first=number == 0),
                altered=number > 0 and chance.random() < 0.2,
                wait_seconds=chance.choice((0, 1, 5, 15)),
            )
            for number, at in enumerate(at_ms)
        )
