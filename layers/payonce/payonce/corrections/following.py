"""How a reconciliation run interacts with corrections: it starts them and reports which refunds each still awaits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.corrections.actions import Action, action_for
from payonce.corrections.record import MAX_ATTEMPTS_OF_RUNS, Correction, CorrectionStatus, find_corrections
from payonce.payments.corrective_plan import corrective_reference
from payonce.reconciliation.model import Break
from payonce.reconciliation.runs.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.ports import CorrectionStarter, Database
    from payonce.reconciliation.cases.case import Case


class CorrectionsOfRuns:
    """See ``RunCorrections``."""

    def __init__(self, database: Database, starter: CorrectionStarter) -> None:
        self._database = database
        self._starter = starter

    def standing(self, cases: Iterable[Case]) -> Mapping[str, Standing]:
        """See ``RunCorrections``."""
        return {each.break_id: standing_of(each) for each in self._of(cases)}

    def begin(self, cases: Iterable[Case]) -> None:
        """See ``RunCorrections``. Expired corrections and the rest of partial ones are restarted.

        Rejected and failed ones are left to people.
        """
        wanted = [case for case in cases if action_for(case.break_class) is not Action.MANUAL and _has_payment(case)]
        stored = {each.break_id: each for each in self._of(wanted)}
        for case in wanted:
            correction = stored.get(case.break_id)
            if correction is None:
                self._starter.start(case.break_id, 1)
            elif _has_to_go_on(correction) and correction.attempt < MAX_ATTEMPTS_OF_RUNS:
                self._starter.start(case.break_id, correction.attempt + 1)

    def _of(self, cases: Iterable[Case]) -> list[Correction]:
        identities = [
            (case.merchant_id or "", case.payment_id or "", case.break_id) for case in cases if _has_payment(case)
        ]
        return list(find_corrections(self._database, identities)) if identities else []


def standing_of(correction: Correction) -> Standing:
    """Return what a run has to know of a correction. It awaits only refunds that were sent to the gateway."""
    corrected = correction.status is CorrectionStatus.CORRECTED
    return Standing(
        in_flight=correction.status is CorrectionStatus.APPROVED,
        gateway_references=tuple(
            corrective_reference(correction.break_id, part["attempt"]) for part in correction.parts
        ),
        since_ms=correction.updated_at_ms if corrected else 0,
        rest_minor=correction.rest_minor,
    )


def break_of(case: Case) -> Break:
    """Return the break of a case."""
    return Break(
        break_class=case.break_class,
        subject=case.subject,
        amount_minor=case.amount_minor,
        currency=case.currency,
        occurred_at_ms=case.occurred_at_ms,
        merchant_id=case.merchant_id,
        payment_id=case.payment_id,
        gateway=case.gateway,
        surplus_gateway_payment_id=case.surplus_gateway_payment_id,
    )


def _has_to_go_on(correction: Correction) -> bool:
    if correction.status is CorrectionStatus.CORRECTED:
        return correction.rest_minor > 0
    return correction.status is CorrectionStatus.EXPIRED


def _has_payment(case: Case) -> bool:
    return bool(case.merchant_id and case.payment_id)
