"""A gateway whose credentials can be replaced while it is in use.

::

    call ─▶ answered                        that is the outcome
        └─▶ our credentials are refused ─▶ read them again, past every cache ─┬ the same: that is the outcome
                                                                              └ others: the call once more, with them

A refused submission has executed nothing (``CredentialsRefused``), and a refused question or withdrawal has changed
nothing (``NotAllowed``, ``NotWithdrawn``), so that a second call is as safe as the first. Both are of one account: an
account never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import CredentialsRefused, NotAllowed, NotWithdrawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.gateway import (
        AwaitsPayer,
        ChargeOutcome,
        GatewayCapabilities,
        Instruction,
        LookupOutcome,
        SubmitOutcome,
        WithdrawOutcome,
    )
    from payonce.ports import Deadline, Gateway


class RenewedGateway:
    """The Gateway port over ``inner``. ``renew`` returns the gateway with newer credentials, ``None`` without any."""

    def __init__(self, inner: Gateway, renew: Callable[[], Gateway | None]) -> None:
        self._inner = inner
        self._renew = renew

    def __repr__(self) -> str:
        return f"RenewedGateway({self._inner.name!r})"

    @property
    def name(self) -> str:
        """See ``Gateway``."""
        return self._inner.name

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return self._inner.capabilities

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        return self._call(lambda gateway: gateway.submit(instruction, deadline))

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        return self._call(lambda gateway: gateway.find(instruction, deadline))

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. Where the credentials stay refused there is no answer, so that whoever asks comes again."""
        outcome = self._call(lambda gateway: gateway.withdraw(instruction, waiting, deadline))
        return waiting if isinstance(outcome, NotWithdrawn) else outcome

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        return self._call(lambda gateway: gateway.confirm(instruction, waiting, result, deadline))

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        return self._call(lambda gateway: gateway.read_charge(gateway_charge_id, deadline))

    def _call[Outcome](self, call: Callable[[Gateway], Outcome]) -> Outcome:
        outcome = call(self._inner)
        if not isinstance(outcome, CredentialsRefused | NotAllowed | NotWithdrawn):
            return outcome
        renewed = self._renew()
        if renewed is None:
            return outcome
        self._inner = renewed
        return call(renewed)
