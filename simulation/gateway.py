"""The port ``Gateway`` of the simulation: what is sent may be lost, late or unanswered before the gateway's books."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    AwaitsPayer,
    ChargeOutcome,
    Declined,
    Instruction,
    LookupOutcome,
    NeverSent,
    NotFound,
    OperationKind,
    Pending,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from simulation.gateway_books import LOOKUP_LAGS, UNBOUNDED_LATE_SECONDS, Booking, Sent
from simulation.goals import Goal
from simulation.held import HoldingBooks
from simulation.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.ports import Deadline
    from simulation.held import Hold
    from simulation.wire import Wire

TYPICAL_MS = 120
LATE_WITH_ITS_SENDER = 0.5
ANSWER_ALONE_IS_LOST = 0.5


class SimulatedGateway(HoldingBooks):
    """The port ``Gateway``, with a network before the books. ``on_sent`` sees every submission that leaves."""

    def __init__(
        self,
        name: str,
        kind: str,
        wire: Wire,
        *,
        on_sent: Callable[[Sent], None],
        on_never_sent: Callable[[str, Instruction], None],
        on_booked: Callable[[str, Booking], None],
        holds: Mapping[str, Hold],
        receives_seconds: float,
    ) -> None:
        super().__init__(name, kind, wire, on_booked, holds, receives_seconds)
        self._on_sent = on_sent
        self._on_never_sent = on_never_sent
        self.asked: set[tuple[str, str]] = set()  # who has asked about which reference

    @property
    def name(self) -> str:
        """See ``Gateway``."""
        return self._name

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        fault = self._wire.begin("submit")
        kind, ms = fault
        remaining_ms = deadline.at_ms - self._scheduler.now_ms()
        named = f"{self._name}: submit {instruction.kind.value} {instruction.gateway_reference}"
        if remaining_ms <= 0 or kind == "never":
            self._scheduler.record(f"{named} -> never sent")
            self._on_never_sent(self._name, instruction)
            return NeverSent("no connection")
        keeps = self._keeps(kind)
        late_ms = self._late_ms(kind)
        self._leave(instruction, remaining_ms, late_ms)
        effect = partial(
            self.arrive, instruction, kind, keeps, named, self._visible_from_us(late_ms), late_ms is not None
        )
        # The connection may break at any moment, and at the latest the deadline ends the wait.
        vain_ms = int(self._scheduler.alive().latencies.uniform(min(200, remaining_ms), remaining_ms))
        if kind == "lost":
            self.gone(instruction.gateway_reference)
            self._wire.exchange(fault, effect, typical_ms=TYPICAL_MS, waits_ms=vain_ms, lands_ms=-1)
            self._scheduler.record(f"{named} -> no answer (lost)")
            return Unknown("no answer", repeatable=True)
        if late_ms is not None:
            self._wire.exchange(fault, effect, typical_ms=TYPICAL_MS, waits_ms=vain_ms, lands_ms=late_ms)
            self._scheduler.record(f"{named} -> no answer yet")
            return Unknown("no answer", repeatable=True)
        hidden = kind == "booked_lost"
        slow = "slow", min(ms, remaining_ms * 3 // 4)
        done = self._wire.exchange(
            slow if kind == "slow" else fault,
            effect,
            typical_ms=min(TYPICAL_MS, max(1, remaining_ms // 20)),
            waits_ms=vain_ms if hidden else None,
        )
        if hidden or done.value is None:
            return Unknown("no answer", repeatable=True)
        return done.value

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        reference = instruction.gateway_reference
        named = f"{self._name}: find {reference}"
        self.asked.add((self._scheduler.alive().name, reference))

        def look() -> LookupOutcome:
            if instruction.kind is OperationKind.REVOCATION:
                revoked = instruction.payment_method in self.revoked
                return self.ended(instruction) if revoked else NotFound()
            now_us = self._scheduler.now_us
            found = [self.now(booking) for booking in self.booked(reference) if booking.visible_at_us <= now_us]
            succeeded = [outcome for outcome in found if isinstance(outcome, Succeeded)]
            outcome: LookupOutcome = (succeeded or found or [NotFound()])[0]
            if isinstance(outcome, NotFound):
                self._not_found.add(reference)
            self._scheduler.record(f"{named} -> {shown(outcome)}")
            return outcome

        return self._ask(look, named, deadline)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``."""
        named = f"{self._name}: withdraw {instruction.gateway_reference}"

        def cancel() -> SubmitOutcome | None:
            outcome = self.withdrawn(instruction)
            self._scheduler.record(f"{named} -> {shown(outcome)}")
            # A cancellation gives a reason of its own: this one's payer was shown as waiting by a lookup.
            faster = isinstance(outcome, Succeeded) or type(outcome) is Pending
            if faster and waiting.reason == "requires_action":
                self._wire.reached[Goal.EXPIRY_MET_PAYMENT] += 1
            return outcome

        self.hurry(instruction)
        outcome = self._change(cancel, named, deadline)
        return outcome if isinstance(outcome, Succeeded | Declined | Pending) else waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        named = f"{self._name}: confirm {instruction.gateway_reference}"

        def confirm() -> SubmitOutcome | None:
            outcome = self.confirmed(instruction, result)
            self._scheduler.record(f"{named} -> {shown(outcome)}")
            return outcome

        outcome = self._change(confirm, named, deadline)
        return Unknown("no answer", repeatable=True) if outcome is None else outcome

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        named = f"{self._name}: read charge {gateway_charge_id}"

        def look() -> ChargeOutcome:
            state = self.charge(gateway_charge_id)
            self._scheduler.record(f"{named} -> {shown(state)}")
            return state

        return self._ask(look, named, deadline)

    def _change(
        self, effect: Callable[[], SubmitOutcome | None], named: str, deadline: Deadline
    ) -> SubmitOutcome | None:
        """Let ``effect`` happen and return its answer; without an answer it has happened as often as not."""
        fault = self._wire.begin("ask")
        remaining_ms = deadline.at_ms - self._scheduler.now_ms()
        if remaining_ms <= 0 or fault[0] == "unanswered":
            arrives = remaining_ms > 0 and self._scheduler.alive().latencies.random() < ANSWER_ALONE_IS_LOST
            nothing: Callable[[], SubmitOutcome | None] = lambda: None  # noqa: E731
            self._wire.exchange(
                fault, effect if arrives else nothing, typical_ms=TYPICAL_MS, waits_ms=max(0, remaining_ms)
            )
            self._scheduler.record(f"{named} -> no answer")
            return None
        slow = "slow", min(fault[1], remaining_ms // 2)
        done = self._wire.exchange(
            slow if fault[0] == "slow" else fault, effect, typical_ms=min(TYPICAL_MS, max(1, remaining_ms // 20))
        )
        return done.value

    def _ask[T](self, look: Callable[[], T], named: str, deadline: Deadline) -> T | Unknown:
        fault = self._wire.begin("ask")
        remaining_ms = deadline.at_ms - self._scheduler.now_ms()
        if remaining_ms <= 0 or fault[0] == "unanswered":
            self._wire.exchange(fault, lambda: None, typical_ms=TYPICAL_MS, waits_ms=max(0, remaining_ms))
            self._scheduler.record(f"{named} -> no answer")
            return Unknown("the lookup failed")
        slow = "slow", min(fault[1], remaining_ms // 2)
        done = self._wire.exchange(
            slow if fault[0] == "slow" else fault, look, typical_ms=min(TYPICAL_MS, max(1, remaining_ms // 20))
        )
        return done.value if done.value is not None else Unknown("the lookup failed")

    def _keeps(self, kind: str) -> bool:
        """Return whether a failure is kept: only where keys are honoured and a lookup can end the doubt."""
        capable = self.capabilities.key_retention_seconds and self.capabilities.lookup_authoritative_after_seconds
        return kind in {"kept", "booked_kept"} and bool(capable)

    def _late_ms(self, kind: str) -> int | None:
        after_seconds = self.capabilities.lookup_authoritative_after_seconds
        if after_seconds is None:
            after_seconds = UNBOUNDED_LATE_SECONDS
        chance = self._scheduler.alive().latencies
        # What stops its sender may hold up what was sent, too.
        late = kind == "late" or (kind.endswith("_after") and chance.random() < LATE_WITH_ITS_SENDER)
        if not late or not after_seconds:
            return None
        # As often as not nearly as late as the gateway declares that it may be.
        earliest = 0.85 if chance.random() < 0.5 else 0.03
        return int(chance.uniform(earliest, 1) * after_seconds * 1000)

    def _visible_from_us(self, late_ms: int | None) -> int:
        """Return from when a lookup shows what is sent now: where "not found" is not final at once, perhaps later."""
        now_us, chance = self._scheduler.now_us, self._scheduler.alive().latencies
        after_seconds = self.capabilities.lookup_authoritative_after_seconds or 0
        if chance.random() > LOOKUP_LAGS:
            return now_us
        return now_us + int(chance.uniform((late_ms or 0) / 1000, after_seconds) * 1_000_000)

    def _leave(self, instruction: Instruction, remaining_ms: int, late_ms: int | None) -> None:
        now_us, actor = self._scheduler.now_us, self._scheduler.alive()
        reference = instruction.gateway_reference
        self.on_their_way[reference] = self.on_their_way.get(reference, 0) + 1
        arrives_by_us = now_us + (remaining_ms if late_ms is None else late_ms) * 1000
        self._on_sent(Sent(actor.name, self._name, instruction, now_us, arrives_by_us))
