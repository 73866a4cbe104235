"""An operation of a history: who did what, and between which two moments it can have taken effect."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation[A]:
    """One call of a client. ``action`` is what was asked together with what was answered.

    It took effect at one moment from ``began_ns`` to ``ended_ns``. Without ``ended_ns`` nobody knows: it took effect at
    some moment after it began, or never will.
    """

    process: str
    began_ns: int
    ended_ns: int | None
    action: A
