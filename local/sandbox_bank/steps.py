"""What happens at a bank by itself when its time has come."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from local.sandbox_bank.disputes import lose_unanswered, remind
from local.sandbox_bank.payments import apply_answer
from local.sandbox_bank.states import expire, fail, reverse, succeed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.sandbox_bank.desk import Desk

# Each takes the desk at the time for which the step was scheduled, and the object's id.
STEPS: Mapping[str, Callable[[Desk, str], object]] = MappingProxyType(
    {
        "apply_answer": apply_answer,
        "expire": expire,
        "fail": fail,
        "lose_unanswered": lose_unanswered,
        "remind": remind,
        "reverse": reverse,
        "succeed": succeed,
    }
)


def catch_up(desk: Desk) -> None:
    """Let everything that is due happen, in order, each at its own time."""
    while True:
        row = desk.connection.execute(
            "SELECT rowid, * FROM due WHERE bank=? AND at_ms<=? ORDER BY at_ms, rowid LIMIT 1", (desk.bank, desk.at_ms)
        ).fetchone()
        if row is None:
            return
        desk.connection.execute("DELETE FROM due WHERE rowid=?", (row["rowid"],))
        STEPS[row["step"]](desk.at(row["at_ms"]), row["object_id"])
