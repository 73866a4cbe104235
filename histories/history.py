"""What is recorded of a run: the events, their file, and the operations that they make up.

An event is a JSON object on a line, as Jepsen's histories have them: ``invoke`` when a request leaves, then ``ok``
(answered), ``fail`` (refused, and nothing happened) or ``info`` (nobody knows). The nemesis' events are ``info`` too.
Times are nanoseconds of one process' monotonic clock, so that they order events of all clients.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from histories.key_model import Asked, Counted, Outcome
from histories.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from histories.key_model import Action

NEMESIS = "nemesis"
EVENT_TYPES = {Outcome.ANSWERED: "ok", Outcome.UNKNOWN: "info"}  # every other outcome: "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line. ``attempt`` numbers the requests; ``text`` is the answer, or what the nemesis did."""

    at_ns: int
    process: str
    type: str
    attempt: int = -1
    key: str = ""
    body: str = ""
    outcome: str = ""
    effects: int = 1
    text: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution where it happens. ``attempt`` is the request that caused it, -1 where that is not known."""

    body: str
    attempt: int = -1


@dataclass(slots=True)
class History:
    """The events of a run, and the executions of each key, counted after it. Recording is thread-safe."""

    events: list[Event] = field(default_factory=list)
    executions: dict[str, list[Execution]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _attempts: int = 0

    def invoke(self, process: str, key: str, body: str) -> int:
        """Record that a request leaves now; return the number of its attempt."""
        with self._lock:
            attempt, self._attempts = self._attempts, self._attempts + 1
            self.events.append(
                Event(at_ns=time.monotonic_ns(), process=process, type="invoke", attempt=attempt, key=key, body=body)
            )
            return attempt

    def complete(self, process: str, attempt: int, told: Asked) -> None:
        """Record now what the request was told."""
        with self._lock:
            self.events.append(
                Event(
                    at_ns=time.monotonic_ns(),
                    process=process,
                    type=EVENT_TYPES.get(told.outcome, "fail"),
                    attempt=attempt,
                    outcome=told.outcome.value,
                    effects=told.effects,
                    text=told.answer,
                )
            )

    def note(self, text: str) -> None:
        """Record what the nemesis does now."""
        with self._lock:
            self.events.append(Event(at_ns=time.monotonic_ns(), process=NEMESIS, type="info", text=text))

    def operations(self) -> dict[str, list[Operation[Action]]]:
        """Return each key's operations, its executions counted at the end."""
        begun: dict[int, Event] = {}
        found: defaultdict[str, list[Operation[Action]]] = defaultdict(list)
        for event in self.events:
            if event.type == "invoke":
                begun[event.attempt] = event
            elif event.process != NEMESIS:
                call = begun.pop(event.attempt)
                found[call.key].append(_operation(call, event))
        for call in begun.values():  # those whose client was stopped
            found[call.key].append(
                Operation(call.process, call.at_ns, None, Asked(call.body, Outcome.UNKNOWN, attempt=call.attempt))
            )
        return _with_counts(found, self.executions, at_ns=max((event.at_ns for event in self.events), default=0) + 1)

    def write(self, path: Path) -> None:
        """Write the history to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for event in self.events:
                file.write(json.dumps(asdict(event)) + "\n")
            counted = {key: [asdict(one) for one in executions] for key, executions in self.executions.items()}
            file.write(json.dumps({"executions": counted}) + "\n")


def read_history(lines: Iterable[str]) -> History:
    """Return the history in a file. Raises ``ValueError`` or ``TypeError`` for a line that is none."""
    history = History()
    for line in lines:
        document: dict[str, Any] = json.loads(line)
        if "executions" in document:
            history.executions = {
                key: [Execution(**one) for one in executions] for key, executions in document["executions"].items()
            }
        else:
            history.events.append(Event(**document))
    return history


def _operation(call: Event, answer: Event) -> Operation[Action]:
    outcome = Outcome(answer.outcome)
    ended_ns = None if outcome is Outcome.UNKNOWN else answer.at_ns
    told = Asked(call.body, outcome, answer.text, answer.effects, attempt=call.attempt)
    return Operation(call.process, call.at_ns, ended_ns, told)


def _with_counts(
    found: Mapping[str, list[Operation[Action]]], executions: Mapping[str, Sequence[Execution]], *, at_ns: int
) -> dict[str, list[Operation[Action]]]:
    counted: dict[str, list[Operation[Action]]] = {}
    for key in sorted(found.keys() | executions.keys()):
        bodies = tuple(sorted(execution.body for execution in executions.get(key, ())))
        count: Operation[Action] = Operation("the count", at_ns, at_ns, Counted(bodies))
        counted[key] = [*found.get(key, []), count]
    return counted
