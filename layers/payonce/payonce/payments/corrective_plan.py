"""The plan of a correction, as its claim stores it, and the names and writes that follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.dispute import DECIDED
from payonce.domain.errors import CorrectionStateConflict
from payonce.domain.gateway import OperationKind, Succeeded
from payonce.domain.gateway_address import PLATFORM, address_of
from payonce.domain.ids import content_id, gateway_reference
from payonce.outbox import partition_of
from payonce.payments.operations import REFERENCES, AttemptedPlan
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.errors import PayonceError
    from payonce.domain.gateway import ChargeState
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.payment import Payment
    from payonce.payments.payment_work import Result
    from payonce.ports import Key, Write

OPERATION = "correct_break"
APPROVED, CORRECTED, FAILED = "approved", "corrected", "failed"
EXECUTED, ALREADY_GIVEN_BACK, PARTLY_GIVEN_BACK = "executed", "already_given_back", "partly_given_back"
DISPUTED = "disputed"
FIRST_ATTEMPT = 1
# The number of the only submission of an operation: another attempt is another operation.
SUBMISSION = 1
OPERATION_NAMESPACE = "payonce/corrective/v1"
OPERATION_ID_CHARACTERS = 44  # "cor_" and 160 bits: with the attempt, far below a gateway reference's 64 characters


def correction_key(merchant_id: str, payment_id: str, break_id: str) -> Key:
    """Return the key of a correction. It is in its payment's partition, which keeps merchants apart."""
    return {"pk": partition_of(merchant_id, payment_id), "sk": f"CORRECTION#{break_id}"}


def case_key(break_id: str) -> Key:
    """Return the key of a break's case."""
    return {"pk": f"BREAK#{break_id}", "sk": "CASE"}


def operation_id_of(break_id: str, attempt: int = FIRST_ATTEMPT) -> str:
    """Return the id of the single operation that an attempt to correct a break makes."""
    return content_id("cor", OPERATION_NAMESPACE, break_id, str(attempt))[:OPERATION_ID_CHARACTERS]


def corrective_reference(break_id: str, attempt: int = FIRST_ATTEMPT) -> str:
    """Return the reference under which the gateway reports an attempt's refund."""
    return gateway_reference(operation_id_of(break_id, attempt), SUBMISSION)


def address_beside(payment: Payment, gateway: str) -> GatewayAddress:
    """Return where a charge of ``payment`` at ``gateway`` is: with the payment itself, where that is its gateway.

    A surplus charge at another gateway is looked for in the platform's account, since no report names another one. If
    it is not there it is not known, and people decide.
    """
    return payment.address if payment.gateway == gateway else address_of(gateway, payment.merchant_id, PLATFORM)


def left_minor(state: ChargeState) -> int:
    """Return the amount of a charge that the merchant still has, in minor units: neither refunded nor taken back.

    More may be taken back than was left, so it may be negative.
    """
    if state.voided:
        return 0
    withdrawn_minor = sum(each.withdrawn_minor for each in state.disputes if each.currency == state.currency)
    return state.captured_minor - state.refunded_minor - state.reversed_minor - withdrawn_minor


def is_undecided(state: ChargeState) -> bool:
    """Return whether a dispute holds money of the charge that may come back: it has not been given back yet."""
    return any(each.withdrawn_minor and each.status not in DECIDED for each in state.disputes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectivePlan(AttemptedPlan):
    """A correction about to be submitted, as the claim stores it.

    ``known``: the charge belongs to a payment of ours and is refunded in its books. Otherwise it is a surplus charge,
    missing from our books and made under ``charge_reference``. ``recognised_minor``: the amount with which that charge
    is booked, as the gateway reports it; 0 when an earlier attempt has booked it.
    """

    kind: OperationKind
    break_id: str
    merchant_id: str
    payment_id: str
    gateway: str
    gateway_charge_id: str
    amount_minor: int
    currency: str
    known: bool
    proposal_version: int
    created_at_ms: int
    attempt: int = FIRST_ATTEMPT
    recognised_minor: int = 0
    charge_reference: str = ""

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``. The id depends on the break and the attempt alone."""
        return operation_id_of(self.break_id, self.attempt)

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        return {**asdict(self), "kind": self.kind.value, REFERENCES: self.references(), "correction": True}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> CorrectivePlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name not in {"correction", REFERENCES}}
        return cls(**{**fields, "kind": OperationKind(data["kind"])})

    def claim_write(self) -> Write:
        """Return the write that makes the claim conditional: exactly this proposal must be approved."""
        return Adjust(
            table=Table.PAYMENTS,
            key=correction_key(self.merchant_id, self.payment_id, self.break_id),
            require={
                "correction_status": APPROVED,
                "proposal_version": self.proposal_version,
                "attempt": self.attempt,
            },
            add={"revision": 1},
            set={"claimed_at_ms": self.created_at_ms, "claimed_attempt": self.attempt},
        )

    def mark_write(self, result: Result, now_ms: int) -> Write:
        """Return the write that ends the correction."""
        succeeded = isinstance(result, Succeeded)
        return Adjust(
            table=Table.PAYMENTS,
            key=correction_key(self.merchant_id, self.payment_id, self.break_id),
            require={"correction_status": APPROVED},
            set={
                "correction_status": CORRECTED if succeeded else FAILED,
                "outcome": EXECUTED if succeeded else getattr(result, "code", "not_executed"),
                "updated_at_ms": now_ms,
            },
        )

    def case_write(self, now_ms: int) -> Write:
        """Return the write that records the refunded amount on the break's case.

        It is a change of the case, so that a run which read the case earlier can't close it.
        """
        return Adjust(
            table=Table.RECONCILIATION,
            key=case_key(self.break_id),
            add={"corrected_minor": self.amount_minor, "version": 1},
            set={"updated_at_ms": now_ms},
        )


def not_approved(plan: CorrectivePlan) -> PayonceError:
    """Return the error of a claim that found another proposal, or none that is approved."""
    return CorrectionStateConflict(
        f"The correction of {plan.break_id} is not approved, or its proposal has changed. Read it and decide again."
    )
