"""The attempts of one call, without any input or output: when to send again, and what the call ends with.

The sync and the async client drive the same object::

    while True:
        send, with attempts.timeout_seconds()
        ├─ answer ──▶ attempts.answered(raw)  ─▶ result, a wait in seconds, or an error
        └─ no answer ▶ attempts.failed(error) ─▶ a wait in seconds, or an error
        sleep
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.client import answers, errors
from payonce.client.backoff import retry_after_seconds
from payonce.client.call import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.client.backoff import Backoff
    from payonce.client.call import Call

_log = logging.getLogger("payonce.client")
# An attempt that is cut off at once would only turn "certainly nothing" into "unknown".
MIN_ATTEMPT_SECONDS = 1.0
MAX_WAIT_SECONDS = 20  # the longest that the API lets a copy of a request wait for the first one's answer


@dataclass(frozen=True, slots=True)
class Timing:
    """What the client measures and waits with: a monotonic clock, the wall clock, and randomness in [0, 1)."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    random: Callable[[], float]


class Attempts:
    """The attempts of ``call``. ``key`` is "" for a read. ``timeout_seconds`` is of all of them; ``None`` is for ever.

    ``may_be_executed``: an earlier call with the key may have had an effect.
    """

    def __init__(
        self,
        call: Call,
        *,
        timing: Timing,
        backoff: Backoff,
        timeout_seconds: float | None,
        attempt_timeout_seconds: float,
        key: str = "",
        intent: str | None = None,
        may_be_executed: bool = False,
    ) -> None:
        self.call = call
        self.key = key
        self.intent = intent
        self.resource: str | None = None
        self._timing = timing
        self._backoff = backoff
        self._ends = None if timeout_seconds is None else timing.monotonic() + timeout_seconds
        self._attempt_timeout_seconds = attempt_timeout_seconds
        self._unknown = may_be_executed
        self._failures = 0
        self._problem: Mapping[str, Any] = {}

    def timeout_seconds(self) -> float:
        """Return how long the next attempt may take."""
        if self._ends is None:
            return self._attempt_timeout_seconds
        return max(0.001, min(self._attempt_timeout_seconds, self._ends - self._timing.monotonic()))

    def headers(self) -> dict[str, str]:
        """Return the headers of every attempt, without authorization."""
        headers = {"Accept": "application/json", **self.call.headers}
        if self.call.body is not None:
            headers["Content-Type"] = "application/json"
        if self.key:
            headers["X-Idempotency-Key"] = self.key
            # A copy waits at the API instead of being refused, and still answers before this attempt is given up.
            headers["Prefer"] = f"wait={min(MAX_WAIT_SECONDS, int(self._attempt_timeout_seconds / 2))}"
        return headers

    def answered(self, raw: answers.Raw) -> Answer[Any] | float:
        """Return the result, or the seconds to wait before the next attempt. Raises a ``ClientError`` at the end."""
        self.resource = _resource(raw) or self.resource
        match answers.judge(self.call.operation, raw):
            case answers.Done(document):
                return Answer(
                    data=document,
                    idempotency_key=self.key,
                    replayed=raw.headers.get("idempotency-replayed") == "true",
                    resource=self.resource,
                    standing=raw.headers.get("payment-status"),
                    expires_at=raw.headers.get("idempotency-expires"),
                )
            case answers.InDoubt():
                return self._again("it is in doubt", raw, unknown=True)
            case answers.Ended(problem):
                raise self._ended(problem)
            case answers.Refusal(problem):
                raise self._refused(problem)
            case answers.Again(reason, without_effect, problem):
                self._problem = problem
                return self._again(reason, raw, unknown=not without_effect)
            case answers.Hopeless(reason, problem):
                self._problem, self._unknown = problem, True
                raise self._at_the_end(reason)

    def failed(self, reason: str, *, sent: bool) -> float:
        """Return the seconds to wait after an attempt without an answer. Raises a ``ClientError`` at the end.

        ``sent``: whether the request may have arrived.
        """
        return self._again(reason, None, unknown=sent)

    def _again(self, reason: str, raw: answers.Raw | None, *, unknown: bool) -> float:
        self._unknown = self._unknown or unknown
        self._failures += 1
        asked = None if raw is None else retry_after_seconds(raw.headers, self._timing.wall())
        wait = self._backoff.wait_seconds(self._failures, asked, self._timing.random)
        if self._ends is not None and self._timing.monotonic() + wait + MIN_ATTEMPT_SECONDS > self._ends:
            raise self._at_the_end(reason)
        _log.info("%s: attempt %d: %s; again in %.2f s", self.call.operation.name, self._failures, reason, wait)
        return wait

    def _at_the_end(self, reason: str) -> errors.ClientError:
        name = self.call.operation.name
        if not self.key:
            detail = f"{name} got no answer in time: {reason}."
            return errors.ReadFailed(detail, operation=name, problem=self._problem, reason=reason)
        if not self._unknown:
            detail = f"{name} was not begun: {reason}. The same call may be repeated."
            return self._error(errors.NotBegun, detail, reason)
        detail = f"{name} may have been executed, or may be yet: {reason}. {self._go_on()}"
        return self._error(errors.OutcomeUnknown, detail, reason)

    def _go_on(self) -> str:
        with_what = "the same key" if self.intent is None else f"the same intent, {self.intent!r}"
        return f"Repeat the same call with {with_what}; another key could execute it twice."

    def _ended(self, problem: Mapping[str, Any]) -> errors.ClientError:
        slug = str(problem["type"]).removeprefix(answers.PROBLEM_PREFIX)
        self._problem = problem
        detail = str(problem.get("detail", slug))
        if slug == "key-expired":
            return self._error(errors.AlreadyExecuted, detail)
        return self._error(errors.NotExecuted if slug == "not-executed" else errors.Declined, detail)

    def _refused(self, problem: Mapping[str, Any]) -> errors.ClientError:
        slug = str(problem.get("type", "")).removeprefix(answers.PROBLEM_PREFIX)
        self._problem = problem
        detail = str(problem.get("detail", slug))
        if slug == "key-reused":
            return self._error(errors.KeyReused, detail)
        if self._unknown and self.key:
            # An earlier attempt's answer was lost, or not seen here. This refusal says nothing about it.
            return self._error(
                errors.OutcomeUnknown,
                f"An earlier {self.call.operation.name} with this key may have been executed; this attempt was refused:"
                f" {detail} Mend that, then go on. {self._go_on()}",
                detail,
            )
        return self._error(errors.NotFound if problem.get("status") == 404 else errors.Refused, detail)

    def _error(self, cls: type[errors.KeyedError], detail: str, reason: str = "") -> errors.KeyedError:
        named = self._problem.get("resource")
        return cls(
            detail,
            operation=self.call.operation.name,
            problem=self._problem,
            reason=reason,
            idempotency_key=self.key,
            intent=self.intent,
            resource=named if isinstance(named, str) else self.resource,
        )


def _resource(raw: answers.Raw) -> str | None:
    # A redirect's Location is where somebody else wants the request to go.
    return raw.headers.get("location") if not 300 <= raw.status < 400 else None
