"""An owner's execution of an operation, and what ``resolve`` may say of the ones before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.ports import Deadline

ASK_AGAIN_SECONDS = 5  # what has just gone wrong is seldom known at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One owner's execution of an operation.

    ``reference`` is the same for every owner of the claim: what to hand on as a downstream idempotency key, and what
    ``resolve`` asks with. ``owners``: how many there have been, this one included. ``deadline``: after it another owner
    may take over, and this one's result may be refused. ``submit_horizon_ms``: the last moment at which an earlier
    owner can have sent anything, in epoch milliseconds, 0 for the first owner. Until it "not found" means nothing.
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
    """``resolve``: it happened, and this is its result."""

    value: Any


@dataclass(frozen=True, slots=True)
class WasNotExecuted:
    """``resolve``: it did not happen. It is executed now; before ``submit_horizon_ms`` is over, asked about again."""


@dataclass(frozen=True, slots=True)
class NotKnown:
    """``resolve``: nobody knows yet; ask again after so many seconds."""

    ask_again_seconds: float = ASK_AGAIN_SECONDS


type Verdict = WasExecuted | WasNotExecuted | NotKnown
