"""What a race about a held payment came to, held to the promises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind
from payonce.domain.payment import TRANSITIONS, Change
from payonce.notices.kept import NoticeState
from payonce.payments.payment_reads import get_history
from payonce.payments.stored_payments import find_payment
from tests.support.racing_bank import State
from tests.support.world import MERCHANT

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from tests.support.races import Race


class Ending:
    """What a race came to, held to the promises."""

    def __init__(self, race: Race) -> None:
        self._race = race
        self._bank = race.bank
        payment = find_payment(race.world.database, MERCHANT, race.payment_id)
        assert payment is not None, "the payment is not stored"
        self._payment: Payment = payment
        self._history = get_history(race.world.services, MERCHANT, race.payment_id)["data"]

    def checked(self) -> str:
        """Check the promises and return the end in words."""
        self._one_charge()
        self._status_is_true()
        self._one_event_per_change()
        self._journal_is_the_banks()
        self._replays_are_the_first_answers()
        self._answers_are_true()
        self._events_are_applied()
        return self._words()

    def _one_charge(self) -> None:
        for kind in OperationKind:
            references = [one.instruction.gateway_reference for one in self._bank.of(kind) if one.executions]
            assert len(references) == len(set(references)), f"P1: executed twice: {references}"
        assert sum(one.executions for one in self._bank.of(OperationKind.PAYMENT)) <= 1, "P1: charged twice"

    def _status_is_true(self) -> None:
        charge, status = self._bank.of(OperationKind.PAYMENT)[0], self._payment.status.value
        captured, refunded = self._bank.captured_minor(), self._bank.refunded_minor()
        if charge.state is State.DONE and not charge.voided:
            true = "captured" if captured else "authorized"
            if refunded:
                true = "refunded" if refunded == captured else "partially_refunded"
            allowed = {true}
        elif charge.voided or charge.state is State.CANCELED:
            allowed = {"voided", "expired"}
        else:
            # A cancellation of what the issuer has declined is told as voided: nothing was paid either way.
            allowed = {"declined", "voided"}
        assert status in allowed, f"P4: {status}, but at the bank {charge.state} {captured} {refunded}"
        held = charge.state is State.DONE and not charge.voided and charge.instruction.capture_method == "manual"
        assert self._payment.capturable_minor == (self._payment.amount_minor - captured if held else 0), "capturable"
        assert self._payment.refundable_minor == captured - refunded, "refundable"
        assert self._payment.next_action is None, "next_action"

    def _one_event_per_change(self) -> None:
        assert [entry["sequence"] for entry in self._history] == list(range(1, len(self._history) + 1)), "P6: gaps"
        assert self._history[-1]["sequence"] == self._payment.version, "P6: version"
        status = None
        for entry in self._history:
            status = TRANSITIONS[status, Change(entry["type"])]
        assert status == self._payment.status, "P6: the events lead elsewhere"
        told = [(entry["type"], entry["data"].get("id")) for entry in self._history if entry["type"] in ONCE]
        assert len(told) == len(set(told)), f"P6: told twice: {told}"

    def _journal_is_the_banks(self) -> None:
        totals: dict[str, int] = {}
        for entry in self._history:
            for line in (entry["journal_entry"] or {"postings": ()})["postings"]:
                totals[line["account"]] = totals.get(line["account"], 0) + line["amount_minor"]
        assert sum(totals.values()) == 0, f"P7: {totals}"
        moved = self._bank.captured_minor() - self._bank.refunded_minor()
        assert totals.get("gateway_receivable:bank", 0) == moved, f"P7: {totals}, the bank owes {moved}"
        held = {amount for account, amount in totals.items() if account.startswith("authorization")}
        assert {abs(amount) for amount in held} <= {self._payment.capturable_minor, 0} | (
            set() if self._payment.capturable_minor else {0}
        ), f"P7: {totals}"

    def _replays_are_the_first_answers(self) -> None:
        for key, again in self._race.replayed().items():
            finals = [one.response for one in self._race.answers[key] if one.response.status != 202]
            finals += [] if isinstance(again, str) else [again.response]
            assert len({(one.status, one.body) for one in finals}) == 1, f"P3: {key}: {finals} {again}"
            assert not isinstance(again, str), f"P3: {key}: {again}"
            assert again.response.status != 202, f"{key} is not concluded"

    def _answers_are_true(self) -> None:
        for (operation, key), again in self._race.replayed().items():
            if operation != "void" or not key.endswith("cancel") or isinstance(again, str):
                continue
            document, charge = json.loads(again.response.body), self._bank.of(OperationKind.PAYMENT)[0]
            if again.response.status == 201 and document["status"] == "succeeded":
                assert not self._bank.captured_minor(), "a canceled payment was captured"
            refused = again.response.status == 402
            assert not (refused and charge.state is State.CANCELED), "what was canceled is said not to be"
            if document.get("code") == "payer_was_faster":
                assert charge.executions == 1, "the payer was not faster"

    def _events_are_applied(self) -> None:
        states = self._race.events.states()
        assert states <= {NoticeState.APPLIED}, f"an event is {states}"

    def _words(self) -> str:
        types = [entry["type"] for entry in self._history]
        by = {
            int(name.rsplit("/", 1)[1]): who
            for name, who in self._race.committed_by
            if self._payment.payment_id in name
        }
        decided = next((n for n, kind in enumerate(types, 1) if kind in DECIDING), 0)
        actor = by.get(decided, "?").rsplit("-", 1)[0]
        actor = "settlement" if actor.startswith(("MainThread", "settlement")) else actor
        codes = {
            json.loads(one.response.body).get("code")
            for answers in self._race.answers.values()
            for one in answers
            if one.response.status == 402
        }
        faster = ", and the payer was faster than a cancellation" if "payer_was_faster" in codes else ""
        return f"{types[decided - 1]} by {actor}{faster}"


DECIDING = {
    "payment.captured",
    "payment.authorized",
    "payment.declined",
    "payment.expired",
    "payment.voided_at_gateway",
    "void.succeeded",
}
ONCE = DECIDING | {"capture.succeeded", "refund.succeeded", "payment.failed", "payment.in_doubt"}
