"""Matches by hand: an operator of the platform says which rows belong together, or takes it back.

Allowed: what ``actions.cases`` says, and on ReconciliationTable dynamodb:BatchGetItem with BREAK#* and MATCHED#*,
dynamodb:PutItem with MATCH#*, MATCHES and MATCHED#*, dynamodb:GetItem and UpdateItem with MATCH#*, and
dynamodb:DeleteItem with MATCHED#*.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from payonce.console.actions.cases import reason_in
from payonce.console.page import Done
from payonce.console.views.one_break import break_asked_for
from payonce.domain.errors import BodyMalformed, MatchConflict
from payonce.reconciliation.cases.manual_match import MATCH_ID_PATTERN
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.cases.merchant import break_path

if TYPE_CHECKING:
    from payonce.console.page import ActionRequest, Services

MAX_NAMES: Final = 20
_MATCH_ID: Final = re.compile(MATCH_ID_PATTERN)


def match(services: Services, request: ActionRequest) -> Done:
    """Store that the rows of this break and those named belong together. Sent twice, the form matches once.

    Raises ``NotFound``, ``BodyMalformed`` and ``MatchConflict``.
    """
    case = break_asked_for(services, request)
    by, reason = request.operator.principal, reason_in(request)
    names = [line.strip() for line in request.fields.get("others", "").splitlines() if line.strip()]
    if len(names) > MAX_NAMES:
        raise BodyMalformed(f"At most {MAX_NAMES} breaks and rows can be named.", field="others")
    if case.match_id is not None:
        before = MatchStore(services.database).get(case.match_id).match
        if (before.by, before.reason) != (by, reason):
            raise MatchConflict(f"This break is in the match {case.match_id} already. Take that one back first.")
        return Done(break_path(case.break_id), "The rows are matched. The next run closes the break.")
    accept_difference = bool(request.fields.get("accept_difference"))
    services.matches.match([case.break_id, *names], reason=reason, by=by, accept_difference=accept_difference)
    return Done(break_path(case.break_id), "The rows are matched. The next run closes the break.")


def unmatch(services: Services, request: ActionRequest) -> Done:
    """Take a match of this break back. Raises ``NotFound``, ``BodyMalformed`` and ``MatchConflict``."""
    case = break_asked_for(services, request)
    reason, match_id = reason_in(request), request.fields.get("match_id", "")
    if not _MATCH_ID.fullmatch(match_id):
        raise BodyMalformed("A match's id looks like mat_ and 64 letters and digits.")
    store = MatchStore(services.database)
    if case.break_id not in store.get(match_id).break_ids:
        raise MatchConflict("That match is not about this break.")
    services.matches.unmatch(match_id, reason=reason, by=request.operator.principal)
    return Done(break_path(case.break_id), "The match is taken back. The next run judges the rows anew.")
