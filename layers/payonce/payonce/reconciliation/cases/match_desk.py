"""The operator's matches by hand: who said what belongs together, audited in the transaction that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, MatchConflict, WriteConflict
from payonce.idempotency.audit import act_entry
from payonce.reconciliation.cases.manual_match import check_reason, new_match, row_ref, rows_of_break
from payonce.reconciliation.cases.match_store import MAX_MATCH_BREAKS, MatchStore
from payonce.reconciliation.cases.merchant import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from payonce.idempotency.audit import AuditEntry
    from payonce.ports import Clock, Database, IdSource, Write
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.manual import Match, RowRef


def rows_of_case(case: Case) -> tuple[RowRef, ...]:
    """Return the rows that the case's break is about. Raises ``BodyMalformed``, see ``rows_of_break``."""
    evidence = [(row.source.value, row.row_key) for row in case.evidence]
    return rows_of_break(case.break_id, case.break_class, case.subject, evidence)


def refuse_corrected(cases: Iterable[Case], correcting: Callable[[Case], str | None]) -> None:
    """Raise ``MatchConflict`` for a case whose correction is under way; ``correcting`` returns its state."""
    for case in cases:
        if (state := correcting(case)) is not None:
            raise MatchConflict(
                f"The correction of {case.break_id} is {state}: money may be on its way. Decide about it first."
            )


class MatchDesk:
    """What operators do with matches. ``correcting`` returns the state of a correction that is under way.

    ``audited`` returns the writes of an audit trail entry, for the transaction of the act.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ids: IdSource,
        audited: Callable[[AuditEntry], Sequence[Write]],
        correcting: Callable[[Case], str | None],
    ) -> None:
        self._database = database
        self._store = MatchStore(database)
        self._clock = clock
        self._ids = ids
        self._audited = audited
        self._correcting = correcting

    def in_force(self) -> tuple[Match, ...]:
        """Return the matches that runs go by, the oldest first. Raises ``StoreUnavailable``."""
        return self._store.in_force()

    def match(self, named: Iterable[str], *, reason: str, by: str, accept_difference: bool) -> Match:
        """Store that the rows belong together that are named, as ``brk_...`` or as ``ledger:KEY``, and return it.

        Raises ``BodyMalformed``, ``NotFound`` and ``MatchConflict``, ``StoreUnavailable`` and ``OutcomeUnknown``.
        """
        names = list(dict.fromkeys(named))
        rows = {text: row for text in names if (row := row_ref(text)) is not None}
        break_ids = [text for text in names if text not in rows]
        if len(break_ids) > MAX_MATCH_BREAKS:
            raise BodyMalformed(f"A match is of at most {MAX_MATCH_BREAKS} breaks. Name the rows.")
        cases = self._store.cases(break_ids) if break_ids else []
        refuse_corrected(cases, self._correcting)
        of_cases = [row for case in cases for row in rows_of_case(case)]
        at_ms = self._clock.now_ms()
        made = new_match(
            [*rows.values(), *of_cases],
            reason=reason,
            by=by,
            at_ms=at_ms,
            accept_difference=accept_difference,
            matched={},
            act_id=self._ids.new("act"),
        )
        self._write(
            [
                *self._store.writes_of(made, cases, merchant_id=None),
                *self._entry("match_rows", made.match_id, by, reason),
            ]
        )
        return made

    def unmatch(self, match_id: str, *, reason: str, by: str) -> None:
        """Store that the match is taken back. Raises ``NotFound``, and as ``match`` does."""
        check_reason(reason)
        stored = self._store.get(match_id)
        writes = self._store.undoing(stored, reason=reason, by=by, at_ms=self._clock.now_ms())
        self._write([*writes, *self._entry("unmatch_rows", match_id, by, reason)])

    def _write(self, writes: Sequence[Write]) -> None:
        try:
            self._database.write(writes)
        except WriteConflict:
            raise MatchConflict("A break or a row of it was changed meanwhile. Look at it again.") from None

    def _entry(self, operation: str, match_id: str, by: str, reason: str) -> Sequence[Write]:
        entry = act_entry(
            scope=OPERATOR,
            operation=operation,
            resource=f"/matches/{match_id}",
            principal=by,
            at_ms=self._clock.now_ms(),
            act_id=match_id,
            reason=reason,
            refused=False,
        )
        return self._audited(entry)
