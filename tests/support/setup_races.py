"""One race about a set-up that the bank holds, what it saves, charges of that, and its revocation: see ``races``."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import (
    ChargeState,
    Declined,
    MethodSaved,
    NeverSent,
    NotFound,
    OperationKind,
    Succeeded,
    Unknown,
)
from payonce.domain.setup import NOTHING_SAVED, MethodStatus, SetupStatus, method_id_of
from payonce.idempotency.keys import record_id
from payonce.notices.kept import NoticeState
from payonce.payments.settlement import settlement_id
from payonce.payments.setup_items import find_method, find_setup
from tests.support.race_events import RacingEvents
from tests.support.races import Race
from tests.support.racing_bank import GENUINE, BankObject, RacingBank, State
from tests.support.setups import events_of
from tests.support.world import MERCHANT

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from payonce.domain.gateway import ChargeOutcome, Instruction, LookupOutcome, Pending, SubmitOutcome
    from payonce.idempotency.records import KeyedResponse
    from payonce.ports import Deadline


@dataclass
class SavingBank(RacingBank):
    """A bank that saves methods, charges them, and ends them. ``charged_after``: charges that came after the end."""

    revoked: set[str] = field(default_factory=set)
    charged_after: list[str] = field(default_factory=list)

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        kind = instruction.kind
        if kind is OperationKind.REVOCATION:
            with self._call("submit"):
                if self._is_late(deadline):
                    return NeverSent("late")
                self.revoked.add(instruction.payment_method)
            return self._answered(Succeeded("mandate", instruction.payment_method), "submit")
        if kind is not OperationKind.SETUP and not instruction.payment_method.startswith("tok_"):
            return super().submit(instruction, deadline)
        with self._call("submit"):
            if self._is_late(deadline):
                return NeverSent("late")
            found = BankObject(f"ob_{next(self._numbers)}", instruction, State.WAITS)
            if kind is OperationKind.SETUP:
                found.state = State.PROCESSING if instruction.payment_method == "pm_debit" else State.WAITS
            elif instruction.payment_method in self.revoked:
                self.charged_after.append(instruction.gateway_reference)
                found.state = State.DECLINED
            else:
                self._execute(found)
            self.objects.append(found)
            answer = self._shown(found)
        return self._answered(answer, "submit")

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        if instruction.kind is not OperationKind.REVOCATION:
            return super().find(instruction, deadline)
        with self._call("find"):
            if self._is_late(deadline):
                return Unknown("late")
            token = instruction.payment_method
            answer: LookupOutcome = Succeeded("mandate", token) if token in self.revoked else NotFound()
        return self._answered(answer, "find")

    def payer_answers(self, *, approves: bool) -> None:
        """See ``RacingBank``: the payer is the set-up's."""
        with self.lock:
            setup = self.of(OperationKind.SETUP)[0]
            if setup.state is State.WAITS and not approves:
                setup.state = State.DECLINED
            elif setup.state is State.WAITS and self.needs_confirmation:
                setup.state = State.RETURNED
            elif setup.state is State.WAITS:
                self._approved(setup)

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``. An event may be about a charge, which nobody changes after it was made."""
        with self._call("read"):
            if self._is_late(deadline):
                return Unknown("late")
            charges = [one for one in self.of(OperationKind.PAYMENT) if one.identity == gateway_charge_id]
            if not charges:
                return NotFound()
            money = charges[0].instruction.money
            return ChargeState(
                captured_minor=money.amount_minor if charges[0].state is State.DONE else 0,
                refunded_minor=0,
                voided=False,
                currency=money.currency,
                gateway_reference=charges[0].instruction.gateway_reference,
            )

    def _is_possible(self, asked: BankObject) -> bool:
        return True

    def _shown(self, found: BankObject) -> Succeeded | Declined | Pending:
        if found.instruction.kind is OperationKind.SETUP and found.state is State.DONE:
            return MethodSaved(found.identity, found.identity, f"tok_{found.identity}", "mandate")
        if found.instruction.kind is OperationKind.PAYMENT and found.state is State.DONE:
            return Succeeded(found.identity, found.identity)
        # What is held of a set-up is shown as a payment's is.
        return super()._shown(replace(found, instruction=replace(found.instruction, kind=OperationKind.PAYMENT)))


@dataclass
class SetupRace(Race):
    """One race. ``payment_id`` is the set-up's id."""

    bank: SavingBank = None  # type: ignore[assignment]

    bank_kind = SavingBank

    def __post_init__(self) -> None:
        super().__post_init__()
        self.events = RacingEvents(self)
        self.events.named = ("reference", "payment")

    def run(self, pool: ThreadPoolExecutor) -> str:
        """See ``Race``."""
        self._race(pool)
        return self._checked()

    def _actors(self) -> list[tuple[str, Callable[[], None]]]:
        story, payer = self.story, ("client", "settlement", "cancellation", "event", "confirmation", "payer", "days")
        common = [(name, act) for name, act in super()._actors() if name.startswith(payer)]
        revokes = story.refunds or story.captures
        return [
            *common,
            *[(f"charge-{number}", partial(self._charge, f"race-{self.seed}-charge-{number}")) for number in range(2)],
            *[(f"revocation-{number}", self._revoke) for number in range(2 if revokes else 0)],
        ]

    @property
    def method_id(self) -> str:
        """The id that the payment method has, if the set-up saves one."""
        return method_id_of(self.payment_id)

    def _created(self, wait_seconds: float = 0) -> KeyedResponse:
        del wait_seconds
        return self.world.set_up(f"race-{self.seed}", payment_method=self._token)

    def _cancel(self) -> None:
        key = f"race-{self.seed}-cancel"
        self._keep("cancel", key, partial(self._ask_again, "cancel", key))

    def _confirm(self, key: str) -> None:
        for _ in range(40):
            if self.bank.objects[0].state is not State.WAITS or self._calm:
                break
            time.sleep(0.005)
        key = f"race-{self.seed}-{key}"
        self._keep("confirm", key, partial(self._ask_again, "confirm", key))

    def _charge(self, key: str) -> None:
        self._once_saved("charge", key)

    def _revoke(self) -> None:
        self._once_saved("revoke", f"race-{self.seed}-revoke")

    def _once_saved(self, operation: str, key: str) -> None:
        for _ in range(25):
            if find_method(self.world.database, MERCHANT, self.method_id) is not None:
                self._keep(operation, key, partial(self._ask_again, operation, key))
                return
            time.sleep(0.008)

    def _ask_again(self, operation: str, key: str) -> KeyedResponse:
        match operation:
            case "create":
                return self._created()
            case "cancel":
                return self.world.setup_step(self.payment_id, key, cancels=True)
            case "confirm":
                return self.world.setup_step(self.payment_id, key, GENUINE)
            case "revoke":
                return self.world.revoke(self.method_id, key)
        method = find_method(self.world.database, MERCHANT, self.method_id)
        assert method is not None
        return self.world.charge_saved(method, key)

    def _open_ids(self) -> list[str]:
        own = [("create_setup", ""), ("cancel_setup", "-cancel"), ("revoke_payment_method", "-revoke")]
        own += [("confirm_setup", f"-{key}") for key in ("c-1", "c-2")]
        own += [("create_payment", f"-charge-{number}") for number in range(2)]
        found = [record_id(MERCHANT, operation, f"race-{self.seed}{suffix}") for operation, suffix in own]
        return found + ([settlement_id(MERCHANT, self.payment_id)] if self.bank.objects else [])

    # The end.

    def _checked(self) -> str:
        bank, database = self.bank, self.world.database
        setup = find_setup(database, MERCHANT, self.payment_id)
        assert setup is not None, "the set-up is not stored"
        made, method = bank.of(OperationKind.SETUP), find_method(database, MERCHANT, self.method_id)
        saved = [one for one in made if one.executions]
        assert len(made) == 1, f"P1: set up {len(made)} times"
        assert (method is not None) == (setup.status is SetupStatus.SUCCEEDED) == bool(saved), f"P4: {setup.status}"
        assert saved or setup.status in NOTHING_SAVED, f"P4: {setup.status}"
        assert len(events_of(database, self.payment_id)) == setup.version, "P6: the set-up's events"
        if method is not None:
            gone = method.token in bank.revoked
            assert method.status is (MethodStatus.REVOKED if gone else MethodStatus.ACTIVE), f"P4: {method.status}"
            assert len(events_of(database, method.method_id)) == method.version, "P6: the method's events"
        self._charges_are_true()
        self._answers_stay()
        assert self.events.states() <= {NoticeState.APPLIED}, f"an event is {self.events.states()}"
        ended = "" if method is None else f", the method is {method.status.value}"
        charged = sum(one.executions for one in bank.of(OperationKind.PAYMENT))
        return f"{setup.status.value}{ended}, {charged} charges"

    def _charges_are_true(self) -> None:
        charges = self.bank.of(OperationKind.PAYMENT)
        references = [one.instruction.gateway_reference for one in charges]
        assert len(references) == len(set(references)), f"P1: charged twice: {references}"
        answered = {key: answers[-1].response for (name, key), answers in self.answers.items() if name == "charge"}
        paid = [one for one in answered.values() if one.status == 201]
        assert len(paid) <= sum(one.executions for one in charges), "P2: a charge was told and not made"

    def _answers_stay(self) -> None:
        for (operation, key), answers in self.answers.items():
            finals = [one.response for one in answers if one.response.status != 202]
            try:
                finals.append(self._ask_again(operation, key).response)
            except PayonceError as error:
                raise AssertionError(f"P3: {operation} {key}: {type(error).__name__}") from error
            assert len({(one.status, one.body) for one in finals}) == 1, f"P3: {operation} {key}: {finals}"
            assert finals[-1].status != 202, f"{key} is not concluded: {json.loads(finals[-1].body)}"
