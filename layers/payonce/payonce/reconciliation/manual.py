"""What people decide about runs: rows that belong together, accepted differences, rows that rules name. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

type RowSource = Literal["ledger", "gateway", "bank"]
ROW_SOURCES: Final[tuple[RowSource, ...]] = ("ledger", "gateway", "bank")  # a statement belongs together with nothing
MAX_MATCH_ROWS: Final = 50  # with what a transaction of the store writes beside them, below its limit of 100
MAX_MATCHES: Final = 10_000  # in force at once: years of a person's work
MAX_REASON_CHARACTERS: Final = 1_000  # a paragraph, like a comment on a break
MAX_ROW_KEY_CHARACTERS: Final = 2_000  # a gateway's name and the longest id that a reader takes


@dataclass(frozen=True, slots=True, order=True)
class RowRef:
    """A row of a run: its source, and the key that evidence and open items show for it."""

    source: RowSource
    row_key: str

    def __str__(self) -> str:
        return f"{self.source}:{self.row_key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A person's decision that rows belong together.

    ``accept_difference`` says that what their amounts differ by is accepted, too, whatever it is.
    """

    match_id: str
    rows: tuple[RowRef, ...]
    reason: str
    by: str
    at_ms: int
    accept_difference: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """By how much the amounts of a pair may differ: at most ``amount_minor``, and at most ``basis_points`` of it.

    ``payout``: of a payout and its bank lines instead of our ledger's row and the gateway's. A bound that is ``None``
    does not bind; one of the two is given.
    """

    gateway: str
    currency: str
    reason: str
    amount_minor: int | None = None
    basis_points: int | None = None
    payout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRule:
    """A rule of the operator's own: rows whose ``field`` the pattern is found in become open items called ``label``.

    Each condition that is not ``None`` must hold as well. ``sign`` is 1 or -1; the amounts are without their sign.
    """

    source: RowSource
    field: str
    pattern: str
    label: str
    sign: int | None = None
    from_minor: int | None = None
    until_minor: int | None = None
    currency: str | None = None
    gateway: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A match that shares a row with another one. Neither of them is applied."""

    match_id: str
    row: RowRef


def contradictions(matches: Iterable[Match]) -> tuple[Contradiction, ...]:
    """Return the matches that name a row which another one names as well, each with the first such row."""
    each = list(matches)
    counts = Counter(row for match in each for row in set(match.rows))
    return tuple(
        Contradiction(match.match_id, shared[0])
        for match in each
        if (shared := sorted(row for row in match.rows if counts[row] > 1))
    )
