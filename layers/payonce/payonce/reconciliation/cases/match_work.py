"""A merchant's matches by hand of its own breaks, written in the commit of the request's claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from payonce.domain.errors import NotFound
from payonce.domain.principals import API_KEY_PREFIX
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft
from payonce.reconciliation.cases.case_work import BreakWork
from payonce.reconciliation.cases.manual_match import check_reason, new_match
from payonce.reconciliation.cases.match_desk import refuse_corrected, rows_of_case
from payonce.reconciliation.cases.match_store import MatchStore, StoredMatch
from payonce.reconciliation.cases.merchant import break_path, require_break, shown_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case
    from payonce.webhooks.commit_work import Services


class TakenBackView(TypedDict):
    """That a match was taken back."""

    by: Annotated[str, "The id of an API key, or operator."]
    reason: str | None
    at_ms: int


class MatchView(TypedDict):
    """A match by hand as a merchant sees it: an operator's notes are internal, and so are others' breaks."""

    object: Literal["match"]
    id: str
    break_ids: list[str]
    accept_difference: bool
    by: Annotated[str, "The id of an API key, or operator."]
    reason: str | None
    at_ms: int
    taken_back: TakenBackView | None


class MatchListView(TypedDict):
    """The matches about a break, oldest first."""

    object: Literal["list"]
    data: list[MatchView]


def list_matches(database: Database, merchant_id: str, break_id: str) -> MatchListView:
    """Return the matches about the merchant's break. Raises ``NotFound``."""
    require_break(database, merchant_id, break_id)
    found = MatchStore(database).of_break(break_id)
    return {"object": "list", "data": [_view(one, merchant_id, break_id) for one in found]}


def _view(stored: StoredMatch, merchant_id: str, break_id: str) -> MatchView:
    match = stored.match
    taken_back: TakenBackView | None = None
    if stored.taken_back_by is not None and stored.taken_back_at_ms is not None:
        reason = stored.taken_back_reason if stored.taken_back_by.startswith(API_KEY_PREFIX) else None
        taken_back = {"by": shown_by(stored.taken_back_by), "reason": reason, "at_ms": stored.taken_back_at_ms}
    return {
        "object": "match",
        "id": match.match_id,
        "break_ids": list(stored.break_ids) if stored.merchant_id == merchant_id else [break_id],
        "accept_difference": match.accept_difference,
        "by": shown_by(match.by),
        "reason": match.reason if match.by.startswith(API_KEY_PREFIX) else None,
        "at_ms": match.at_ms,
        "taken_back": taken_back,
    }


class MatchBreaks(BreakWork):
    """The work of ``POST /breaks/{id}/matches``. ``correcting`` returns the state of a correction under way."""

    kind = "break.match"

    def __init__(
        self,
        services: Services,
        merchant_id: str,
        break_id: str,
        *,
        others: Sequence[str],
        reason: str,
        accept_difference: bool,
        correcting: Callable[[Case], str | None],
        actor: str,
    ) -> None:
        super().__init__(services, merchant_id, break_id, actor=actor)
        self._others = others
        self._reason = reason
        self._accept_difference = accept_difference
        self._correcting = correcting

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        store = MatchStore(self._services.database)
        break_ids = list(dict.fromkeys((self._break_id, *self._others)))
        for break_id in break_ids:
            require_break(self._services.database, self._merchant_id, break_id)
        cases = store.cases(break_ids)
        refuse_corrected(cases, self._correcting)
        made = new_match(
            [row for case in cases for row in rows_of_case(case)],
            reason=self._reason,
            by=self.actor,
            at_ms=now_ms,
            accept_difference=self._accept_difference,
            matched={},
            act_id=record_id,
        )
        writes = store.writes_of(made, cases, merchant_id=self._merchant_id)
        stored = StoredMatch(match=made, break_ids=tuple(break_ids), merchant_id=self._merchant_id)
        view = _view(stored, self._merchant_id, self._break_id)
        return Draft(json_response(201, view, location=f"{break_path(self._break_id)}/matches"), writes)


class UnmatchBreaks(BreakWork):
    """The work of ``POST /breaks/{id}/matches/{match_id}/reversals``; of the merchant's own matches only."""

    kind = "break.unmatch"

    def __init__(
        self, services: Services, merchant_id: str, break_id: str, *, match_id: str, reason: str, actor: str
    ) -> None:
        super().__init__(services, merchant_id, break_id, actor=actor)
        self._match_id = match_id
        self._reason = reason

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        check_reason(self._reason)
        self.load()
        store = MatchStore(self._services.database)
        stored = store.get(self._match_id)
        if stored.merchant_id != self._merchant_id or self._break_id not in stored.break_ids:
            raise NotFound(f"There is no match {self._match_id}.")
        writes = store.undoing(stored, reason=self._reason, by=self.actor, at_ms=now_ms)
        view = _view(stored, self._merchant_id, self._break_id)
        view["taken_back"] = {"by": shown_by(self.actor), "reason": self._reason, "at_ms": now_ms}
        return Draft(json_response(201, view, location=f"{break_path(self._break_id)}/matches"), writes)
