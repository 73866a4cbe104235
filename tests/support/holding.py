"""A gateway that holds payments, for their payers or as long as it takes. Each test decides what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    Declined,
    NextAction,
    NotFound,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from tests.support.world import Booking, ScriptedGateway, saved_by

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome, WithdrawOutcome
    from payonce.ports import Deadline

PAGE = NextAction(type=ActionType.REDIRECT, url="https://bank.example/authenticate/1")
VOUCHER = NextAction(
    type=ActionType.DISPLAY, url="https://bank.example/voucher/1", expires_at_ms=1_800_000_000_000 + 14 * 86_400_000
)
CODE = NextAction(type=ActionType.CONFIRM)


@dataclass
class HoldingGateway(ScriptedGateway):
    """Holds payments whose token begins with ``pm_3ds`` or ``pm_debit``, and operations while ``receives`` is set.

    ``held``: by reference, what a lookup finds. ``unanswered``: how many of the next calls about held things get no
    answer, although they take effect.
    """

    held: dict[str, LookupOutcome] = field(default_factory=dict)
    receives: bool = False
    unanswered: int = 0
    withdrawn: list[str] = field(default_factory=list)
    confirmed: list[tuple[str, str]] = field(default_factory=list)

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        token, reference = instruction.payment_method, instruction.gateway_reference
        begins = instruction.kind in {OperationKind.PAYMENT, OperationKind.SETUP}
        if begins and token.startswith("pm_3ds"):
            action = CODE if "confirm" in token else VOUCHER if "voucher" in token else PAGE
            return self._hold(instruction, AwaitsPayer(f"ch_{reference}", "requires_action", action))
        if begins and token.startswith("pm_debit"):
            return self._hold(instruction, Pending(f"ch_{reference}", "processing"))
        if not begins and self.receives:
            return self._hold(instruction, Pending(f"op_{reference}", "received"))
        return super().submit(instruction, deadline)

    def _hold(self, instruction: Instruction, outcome: Pending) -> SubmitOutcome:
        self.submissions.append(instruction)
        self.held[instruction.gateway_reference] = outcome
        self._instructions[instruction.gateway_reference] = instruction
        return self._answer(outcome)

    @property
    def _instructions(self) -> dict[str, Instruction]:
        return self.__dict__.setdefault("kept_instructions", {})

    def _answer[T](self, outcome: T) -> T | Unknown:
        if self.unanswered:
            self.unanswered -= 1
            return Unknown("no answer", repeatable=True)
        return outcome

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        if instruction.gateway_reference in self.held:
            self.inquiries.append(instruction)
            return self._answer(self.held[instruction.gateway_reference])
        return super().find(instruction, deadline)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``."""
        reference = instruction.gateway_reference
        held = self.held.get(reference, NotFound())
        if isinstance(held, AwaitsPayer):
            self.withdrawn.append(reference)
            held = self.held[reference] = Declined("canceled", "It was canceled.")
        answer = self._answer(held)
        return answer if isinstance(answer, Succeeded | Declined | Pending) else waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. The result ``ok`` pays, any other is declined."""
        del waiting
        reference = instruction.gateway_reference
        self.confirmed.append((reference, result))
        if isinstance(self.held[reference], AwaitsPayer):
            (self.pay if result == "ok" else self.decline)(reference)
        outcome = self._answer(self.held[reference])
        return Unknown("nothing is known") if isinstance(outcome, NotFound) else outcome

    def pay(self, reference: str | None = None) -> None:
        """Let the payer finish, or the days pass: what is held is executed."""
        reference = reference or next(iter(self.held))
        if not isinstance(self.held[reference], Pending):
            return
        instruction = self._instructions[reference]
        charge_id = instruction.gateway_charge_id or f"ch_{reference}"
        outcome = Succeeded(charge_id, f"op_{reference}")
        if instruction.kind is OperationKind.SETUP or instruction.saves_method:
            outcome = saved_by(replace(instruction, gateway_charge_id=charge_id), reference)
        self.held[reference] = outcome
        self.bookings.append(Booking(replace(instruction, gateway_charge_id=charge_id), outcome, 0))

    def decline(self, reference: str | None = None, code: str = "insufficient_funds") -> None:
        """Let what is held fail."""
        self.held[reference or next(iter(self.held))] = Declined(code, "It failed.")

    def process(self, reference: str | None = None) -> None:
        """Let the payer finish; the gateway still has to process the payment."""
        reference = reference or next(iter(self.held))
        self.held[reference] = Pending(f"ch_{reference}", "processing")
