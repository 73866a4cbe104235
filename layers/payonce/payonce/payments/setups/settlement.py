"""Follows a set-up that the gateway holds, until the gateway has decided it: see ``payments.settlement``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.payments.settlement import PaymentSettlement
from payonce.payments.setups.deciding import HeldSetup, usable
from payonce.payments.setups.load import load_setup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.gateway import AwaitsPayer, Instruction, LookupOutcome, Unknown, WithdrawOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim
    from payonce.payments.payment_work import Services
    from payonce.ports import Gateway


class SetupSettlement(PaymentSettlement):
    """The work of a set-up's settlement."""

    _id_name = "setup_id"

    def __init__(
        self, data: Mapping[str, Any], gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
        super().__init__({**data, "payment_id": data["setup_id"]}, gateway_named, services)
        self._setup_id = str(data["setup_id"])

    def _ask(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> LookupOutcome:
        return usable(super()._ask(gateway, instruction, claim))

    def _withdraw(
        self, gateway: Gateway, instruction: Instruction, waiting: AwaitsPayer, claim: Claim
    ) -> WithdrawOutcome | Unknown:
        return usable(super()._withdraw(gateway, instruction, waiting, claim))

    def _held(self) -> HeldSetup:
        return HeldSetup(load_setup(self._database, self._merchant_id, self._setup_id))
