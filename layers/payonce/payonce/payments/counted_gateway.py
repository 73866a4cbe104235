"""A gateway whose answers are counted, so that recovery learns whether it answers at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, CredentialsRefused, NeverSent, NotAllowed, Unknown

if TYPE_CHECKING:
    from payonce.domain.gateway import (
        ChargeOutcome,
        GatewayCapabilities,
        Instruction,
        LookupOutcome,
        SubmitOutcome,
        WithdrawOutcome,
    )
    from payonce.ports import Deadline, Gateway
    from payonce.recovery.asker import Tally


class CountedGateway:
    """Passes every call on. An outcome that is not known, or was never sent, counts as unanswered.

    A gateway that refuses credentials does answer: one merchant's old key must not hold back everybody's claims.
    """

    def __init__(self, inner: Gateway, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally
        self.name = inner.name
        self.capabilities: GatewayCapabilities = inner.capabilities

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        return self._counted(self._inner.submit(instruction, deadline))

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        return self._counted(self._inner.find(instruction, deadline))

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. ``waiting`` itself says that there was no answer."""
        outcome = self._inner.withdraw(instruction, waiting, deadline)
        self._tally.count(self.name, answered=outcome is not waiting)
        return outcome

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        return self._counted(self._inner.confirm(instruction, waiting, result, deadline))

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        return self._counted(self._inner.read_charge(gateway_charge_id, deadline))

    def _counted[Outcome](self, outcome: Outcome) -> Outcome:
        silent = isinstance(outcome, Unknown | NeverSent) and not isinstance(outcome, CredentialsRefused | NotAllowed)
        self._tally.count(self.name, answered=not silent)
        return outcome
