"""One owner's execution of an operation, and the verdicts that ``resolve`` may return about earlier executions."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.ports import Deadline

ASK_AGAIN_SECONDS = 5  # the outcome of what has just failed is seldom known at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One owner's execution of an operation.

    ``reference`` is the same for every owner of the claim. Use it as the downstream idempotency key, and in ``resolve``
    to look the effect up. ``owners``: the number of owners so far, including this one. ``deadline``: afterwards another
    owner may take over, and this one's result may be refused. ``submit_horizon_ms``: the last moment at which an
    earlier owner can have sent anything, in epoch milliseconds, 0 for the first owner; until then "not found" proves
    nothing.
    """

    operation: str
    scope: str
    key: str
    reference: str
    owners: int
    deadline: Deadline
    submit_horizon_ms: int


@dataclass(frozen=True, slots=True)
class WasExecuted:
    """Verdict of ``resolve``: the effect happened, and this is its result."""

    value: Any


@dataclass(frozen=True, slots=True)
class WasNotExecuted:
    """Verdict: it did not happen. It is executed now; before ``submit_horizon_ms``, ``resolve`` is asked again."""


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Verdict of ``resolve``: nobody knows yet. Ask again after this many seconds."""

    ask_again_seconds: float = ASK_AGAIN_SECONDS


type Verdict = WasExecuted | WasNotExecuted | NotKnown


def check_resolve(resolve: Any) -> None:
    """Raise ``ValueError`` for a coroutine function: it would be noticed only at the first doubt."""
    if iscoroutinefunction(resolve) or iscoroutinefunction(getattr(resolve, "__call__", None)):  # noqa: B004 - its kind
        raise ValueError(
            "resolve is an ordinary function, which may block, and no coroutine function: it is called in a thread of "
            "the engine's. Ask with a blocking client there, also where the guarded function is a coroutine."
        )
