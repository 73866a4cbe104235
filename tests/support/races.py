"""One race about a payment that the bank holds: payer, merchant's requests, settlements, events, and who freezes.

A seed decides who takes part, when each begins, which answers are lost and who freezes past its lease. The threads are
real, so that a seed is a distribution of schedules and not one schedule.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import OperationKind
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.keys import record_id
from payonce.idempotency.persistence import with_powertools
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.window import IdempotencySettings
from payonce.payments.recovery_run import Recovery
from payonce.payments.settlement import settlement_id
from payonce.ports import Deadline
from tests.support.race_ending import Ending
from tests.support.race_events import RacingEvents
from tests.support.race_story import Story, draw_story
from tests.support.racing_bank import GENUINE, RacingBank, State
from tests.support.world import MERCHANT, REQUEST_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.records import KeyedResponse
    from payonce.ports import Database
    from tests.support.world import World

ACTORS = 17
HOUR_MS = 3_600_000
LEASE_OVER_MS = 61_000
ROUNDS = 60
EARLY_MS = 10_000  # an event makes a settlement due at once: whoever asks for it does not wait for the pause's end


@dataclass
class Race:
    """One race. ``run`` returns how it ended; ``answers`` are the answers by key, in the order of their arrival."""

    world: World
    seed: int
    story: Story = None  # type: ignore[assignment]
    answers: dict[tuple[str, str], list[KeyedResponse]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    committed_by: list[tuple[str, str]] = field(default_factory=list)

    bank_kind = RacingBank

    def __post_init__(self) -> None:
        self.story = self.story or draw_story(self.seed)
        self._calm = False
        self._submitted, self._thaw = threading.Event(), threading.Event()
        self._frozen, self._lock = 0, threading.Lock()
        self._local = threading.local()
        story = self.story
        self.bank = self.bank_kind(
            clock=self.world.clock,
            interrupt=self.interrupt,
            loses=lambda: not self._calm and self._chance.random() < story.loss,
            needs_confirmation=story.flow == "confirm",
            processes=story.flow == "process",
            voids_authorized=story.voids_authorized,
            receives=story.receives,
            payer_may_take_ms=story.payer_may_take_ms,
        )
        self.world.gateway = self.bank  # type: ignore[assignment]
        self._plain = self.world.database
        early = _Ahead(self.world.clock, EARLY_MS)
        self._early = IdempotencyEngine(
            store=self.world.store, settings=IdempotencySettings(), clock=early, sleep=time.sleep, flow=with_powertools
        )
        self._early_clock = early
        self.events = RacingEvents(self)

    @property
    def _chance(self) -> Random:
        chance: Random = self._local.chance
        return chance

    @property
    def _token(self) -> str:
        return "pm_debit" if self.story.flow == "debit" else "pm_3ds"

    def interrupt(self, point: str) -> None:
        """Let other threads run, for a while or until this one's lease is over."""
        if self._calm or not hasattr(self._local, "chance"):
            return
        if point == "after submit":
            self._submitted.set()
        main = threading.current_thread() is threading.main_thread()
        begun = self._submitted.is_set() and not (main or self._thaw.is_set())
        if self._chance.random() < self.story.freezes and begun:
            with self._lock:
                self._frozen += 1
            self._thaw.wait(60)
            with self._lock:
                self._frozen -= 1
        if self._chance.random() < 0.5:
            time.sleep(self._chance.random() * 0.004)

    # The race.

    def run(self, pool: ThreadPoolExecutor) -> str:
        """Race, let everything conclude, check, and return the end in words."""
        self._race(pool)
        return Ending(self).checked()

    def _actors(self) -> list[tuple[str, Callable[[], None]]]:
        story = self.story
        actors: list[tuple[str, Callable[[], None]]] = [
            ("client", self._create),
            ("client-again", self._create),
            *[(f"settlement-{number}", self._ask) for number in range(3)],
            *[(f"cancellation-{number}", self._cancel) for number in range(story.cancels)],
            *[(f"event-{number}", self._hear) for number in range(story.events)],
            *[
                (f"confirmation-{n}", lambda key=key: self._confirm(key))
                for n, key in enumerate(story.confirmation_keys)
            ],
        ]
        if story.payer != "leaves" and story.flow != "debit":
            actors.append(("payer", self._pay))
        if story.flow in {"debit", "process"} or story.receives:
            actors.append(("days", lambda: self.bank.decide(succeeds=self._chance.random() < 0.8)))
        for wanted, kind in ((story.captures, OperationKind.CAPTURE), (story.refunds, OperationKind.REFUND)):
            if wanted:
                actors.append((kind.value, partial(self._until_taken, kind)))
        if story.voids:
            actors.append(("void", lambda: self._until_taken(OperationKind.VOID)))
        return actors

    def _race(self, pool: ThreadPoolExecutor) -> None:
        futures = [pool.submit(self._act, name, act) for name, act in self._actors()]
        while not all(future.done() for future in futures):
            wait(futures, timeout=0.003)
            with self._lock:
                if sum(not future.done() for future in futures) <= self._frozen:
                    break
        self._local.chance = Random(f"{self.seed}/recovery")
        if self._frozen:
            self.world.clock.offset_ms += LEASE_OVER_MS  # type: ignore[attr-defined]
            self._recover_once()
        self._thaw.set()
        for future in futures:
            future.result()
        self._conclude()

    def _act(self, name: str, act: Callable[[], None]) -> None:
        threading.current_thread().name = name
        self._local.chance = Random(f"{self.seed}/{name}")
        if not name.startswith("client"):
            self._submitted.wait(20)
        time.sleep(self._chance.random() * self.story.spread_seconds)
        try:
            act()
        except PayonceError as error:
            self.errors.append(f"{name}: {type(error).__name__}")

    @property
    def payment_id(self) -> str:
        """The payment's id, known as soon as the bank has it: no client needs to have its answer."""
        return self.bank.objects[0].instruction.payment_id

    def _create(self) -> None:
        self._keep("create", "k", lambda: self._created(wait_seconds=2))

    def _created(self, wait_seconds: float = 0) -> KeyedResponse:
        return self.world.create(
            f"race-{self.seed}", payment_method=self._token, capture=self.story.capture, wait_seconds=wait_seconds
        )

    def _keep(self, operation: str, key: str, ask: Callable[[], KeyedResponse]) -> None:
        answer = ask()
        with self._lock:
            self.answers.setdefault((operation, key), []).append(answer)

    def _pay(self) -> None:
        self.bank.payer_answers(approves=self.story.payer == "approves")

    def _cancel(self) -> None:
        # Both cancellations have one key: a client that retries.
        key = f"race-{self.seed}-cancel"
        self._keep("void", key, lambda: self.world.follow_up(OperationKind.VOID, self.payment_id, key))

    def _confirm(self, key: str) -> None:
        for _ in range(40):
            if self.bank.objects[0].state is not State.WAITS or self._calm:
                break
            time.sleep(0.005)
        key = f"race-{self.seed}-{key}"
        self._keep("confirm_payment", key, lambda: self.world.confirm(self.payment_id, key, GENUINE))

    def _until_taken(self, kind: OperationKind) -> None:
        key = f"race-{self.seed}-{kind.value}"
        for _ in range(25):
            try:
                self._keep(kind.value, key, lambda: self.world.follow_up(kind, self.payment_id, key))
            except PayonceError:
                time.sleep(0.008)
            else:
                return

    def _ask(self) -> None:
        for _ in range(1 + self._chance.randrange(3)):
            self._settle_early(settlement_id(MERCHANT, self.payment_id))
            time.sleep(self._chance.random() * 0.02)

    def _hear(self) -> None:
        self.events.arrive(self._chance)
        for _ in range(3):
            time.sleep(self._chance.random() * 0.02)
            self.events.apply(self._chance)

    def _settle_early(self, open_id: str) -> None:
        recovery = Recovery(
            engine=self._early,
            services=self.world.services,
            gateway_named=lambda _name: self.bank,
        )
        recovery.recover(open_id, Deadline(self._early_clock.now_ms() + REQUEST_MS))

    # The end.

    def _open_ids(self) -> list[str]:
        found = [record_id(MERCHANT, "create_payment", f"race-{self.seed}")]
        for name in ("cancel", "capture", "refund", "void"):
            kind = "void" if name == "cancel" else name
            found.append(record_id(MERCHANT, kind, f"race-{self.seed}-{name}"))
        found += [record_id(MERCHANT, "confirm_payment", f"race-{self.seed}-{key}") for key in ("c-1", "c-2")]
        identities = [self.payment_id, *self._operation_ids()] if self.bank.objects else []
        return found + [settlement_id(MERCHANT, identity) for identity in identities]

    def _operation_ids(self) -> list[str]:
        return [one.instruction.gateway_reference.rsplit("-", 1)[0] for one in self.bank.objects[1:]]

    def _open(self) -> list[str]:
        stored = ((open_id, self.world.store.get(open_id)) for open_id in self._open_ids())
        return [open_id for open_id, record in stored if record and record.status is not RecordStatus.COMPLETED]

    def _recover_once(self) -> None:
        recovery = Recovery(
            engine=self.world.engine,
            services=self.world.services,
            gateway_named=lambda _name: self.bank,
        )
        for open_id in self._open():
            try:
                recovery.recover(open_id, Deadline(self.world.clock.now_ms() + REQUEST_MS))
            except PayonceError as error:
                self.errors.append(f"recovery: {type(error).__name__}")

    def _conclude(self) -> None:
        self._calm = True
        if not self.bank.objects:
            self._created()
        for number in range(ROUNDS):
            if not (self._open() or self.events.rest):
                return
            self.world.clock.offset_ms += LEASE_OVER_MS if number < 5 else HOUR_MS  # type: ignore[attr-defined]
            self.bank.decide()
            self.events.apply(self._chance)
            self._recover_once()
        raise AssertionError(f"{self._open()} are not concluded")

    def replayed(self) -> dict[tuple[str, str], KeyedResponse | str]:
        """Ask again with every key that was answered, and return the answers."""
        found: dict[tuple[str, str], KeyedResponse | str] = {}
        for operation, key in self.answers:
            try:
                if operation == "create":
                    found[operation, key] = self._created()
                elif operation == "confirm_payment":
                    found[operation, key] = self.world.confirm(self.payment_id, key, GENUINE)
                else:
                    found[operation, key] = self.world.follow_up(OperationKind(operation), self.payment_id, key)
            except PayonceError as error:
                found[operation, key] = type(error).__name__
        return found


class _Ahead:
    """A clock that is ahead of another one."""

    def __init__(self, clock: Any, ms: int) -> None:
        self._clock, self._ms = clock, ms

    def now_ms(self) -> int:
        """See ``Clock``."""
        now_ms: int = self._clock.now_ms() + self._ms
        return now_ms


class Shaken:
    """A database whose calls are interrupted, before and after. It notes which thread has committed which event."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.race: Race | None = None

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._database, name)
        if name not in {"get", "get_many", "write", "query"}:
            return call

        def shaken(*arguments: Any, **named: Any) -> Any:
            if self.race is not None:
                self.race.interrupt(f"before {name}")
            result = call(*arguments, **named)
            if self.race is not None:
                if name == "write":
                    self._note(arguments[0])
                self.race.interrupt(f"after {name}")
            return result

        return shaken

    def _note(self, writes: Any) -> None:
        assert self.race is not None
        for write in writes:
            item = getattr(write, "item", None) or {}
            if "packed" in item and item.get("pk") == self.race.payment_id:
                self.race.committed_by.append((f"{item['pk']}/{int(item['sk'])}", threading.current_thread().name))
