"""A person's decision that rows belong together: which rows a break stands for, and what is refused. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.domain.errors import BodyMalformed, MatchConflict
from payonce.domain.ids import content_id
from payonce.domain.principals import is_visible
from payonce.reconciliation.manual import (
    MAX_MATCH_ROWS,
    MAX_MATCHES,
    MAX_REASON_CHARACTERS,
    MAX_ROW_KEY_CHARACTERS,
    ROW_SOURCES,
    Match,
    RowRef,
)
from payonce.reconciliation.matching.break_evidence import EVIDENCE_ROWS_PER_BREAK
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MATCH_NAMESPACE: Final = "payonce/match/v1"
MATCH_ID_PATTERN: Final = "mat_[0-9a-f]{64}"
_C = BreakClass
# The classes that ask which rows belong together. The rows of the others are together already, and what is wrong with
# them, such as a fee, a rate or a dispute, would only be hidden.
MATCHABLE: Final = frozenset(
    {
        _C.MISSING_IN_GATEWAY,
        _C.MISSING_IN_LEDGER,
        _C.ORPHAN_REFUND,
        _C.DUPLICATE_CAPTURE,
        _C.DUPLICATE_POSTING,
        _C.DUPLICATE_ROW,
        _C.AMOUNT_MISMATCH,
        _C.CURRENCY_MISMATCH,
        _C.STATUS_MISMATCH,
        _C.REFUND_FAILED,
        _C.SETTLEMENT_REVERSED,
        _C.PAYOUT_MISSING,
        _C.PAYOUT_DIFFERENT,
        _C.DUPLICATE_CREDIT,
        _C.PAYOUT_RETURNED,
        _C.AMBIGUOUS,
    }
)


def row_ref(text: str) -> RowRef | None:
    """Return the row that ``ledger:KEY``, ``gateway:KEY`` or ``bank:KEY`` names, ``None`` for any other text."""
    source, _, row_key = text.partition(":")
    known = next((each for each in ROW_SOURCES if each == source), None)
    # A text that is no UTF-8 is no row's key, and nothing could store it.
    whole = row_key.encode("utf-8", "replace").decode() == row_key
    return RowRef(known, row_key) if known and row_key and whole else None


def rows_of_break(
    break_id: str, break_class: BreakClass, subject: Sequence[str], evidence: Iterable[tuple[str, str]]
) -> tuple[RowRef, ...]:
    """Return the rows that a break is about, from its evidence of (source, row key).

    A surplus, which the third part of the subject names, is that row alone and not what it is too many of. Raises
    ``BodyMalformed`` for a class whose rows are together already, and where the evidence may not show every row.
    """
    if break_class not in MATCHABLE:
        raise BodyMalformed(f"{break_id} is {break_class.value}: that is not about which rows belong together.")
    shown = sorted({RowRef(source, key) for text, key in evidence for source in ROW_SOURCES if source == text})
    surplus = [row for row in shown if len(subject) > 2 and row.row_key in (subject[2], f"{subject[0]}|{subject[2]}")]
    if surplus:
        return tuple(surplus)
    if not shown or len(shown) >= EVIDENCE_ROWS_PER_BREAK:
        raise BodyMalformed(f"{break_id} does not show each of its rows. Name the rows, as {', '.join(_EXAMPLES)}.")
    return tuple(shown)


_EXAMPLES: Final = tuple(f"{source}:KEY" for source in ROW_SOURCES)


def new_match(
    rows: Iterable[RowRef],
    *,
    reason: str,
    by: str,
    at_ms: int,
    accept_difference: bool,
    matched: Mapping[RowRef, str],
    act_id: str = "",
) -> Match:
    """Return the decision about these rows; ``matched`` are the rows of decisions in force, with their ids.

    ``act_id`` tells apart what one person decides about the same rows within a millisecond.

    Raises ``BodyMalformed`` for fewer than two rows or an unusable reason, and ``MatchConflict`` for a row that another
    decision has already.
    """
    each = tuple(sorted(set(rows)))
    check_reason(reason)
    if not 2 <= len(each) <= MAX_MATCH_ROWS:
        raise BodyMalformed(f"A match is of 2 to {MAX_MATCH_ROWS} rows; these are {len(each)}.")
    if any(len(row.row_key) > MAX_ROW_KEY_CHARACTERS for row in each):
        raise BodyMalformed(f"A row's key has at most {MAX_ROW_KEY_CHARACTERS} characters.")
    if (taken := next((row for row in each if row in matched), None)) is not None:
        raise already_matched(taken, matched[taken])
    if len(set(matched.values())) >= MAX_MATCHES:
        raise MatchConflict(f"There are {MAX_MATCHES:,} matches in force, which is the limit.")
    match_id = content_id("mat", MATCH_NAMESPACE, by, str(at_ms), act_id, *map(str, each))
    return Match(match_id=match_id, rows=each, reason=reason, by=by, at_ms=at_ms, accept_difference=accept_difference)


def already_matched(row: RowRef, match_id: str) -> MatchConflict:
    """Return the refusal of a row that another decision has."""
    return MatchConflict(f"{row} belongs to the match {match_id} already. Take that one back first.")


def check_reason(reason: str) -> None:
    """Raise ``BodyMalformed`` for a reason that nobody can read later."""
    if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS or not all(map(is_visible, reason)):
        raise BodyMalformed(f"A reason is a visible text of one line, of at most {MAX_REASON_CHARACTERS:,} characters.")
