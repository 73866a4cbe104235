"""The filters of the work list of breaks, as the page's address has them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.durations import DAY_MS
from payonce.domain.errors import BodyMalformed, FileRejected
from payonce.domain.principals import person_key
from payonce.reconciliation.readers.values import minor_of
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.paging import Listing
    from payonce.reconciliation.cases.case import Case

ME: Final = "me"
NOBODY: Final = "-"
MAX_TEXT_CHARACTERS: Final = 200
_DAYS: Final = re.compile(r"[0-9]{1,4}")


class BreakState(StrEnum):
    """What the work list can be of. ``AWAITING`` are open breaks whose correction waits for a person's decision."""

    OPEN = "open"
    AWAITING = "awaiting"
    CLOSED = "closed"
    DISMISSED = "dismissed"


class BreakOrder(StrEnum):
    """The orders in which the store can give the list: by deadline, or by age among one merchant's."""

    URGENT = "urgent"
    LATEST = "latest"
    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakFilter:
    """What is asked for. ``merchant_id`` is the one merchant, or ``None`` for all.

    ``assignee`` is a folded name, "" for anybody's, ``NOBODY`` for those of nobody. ``min_age_days`` counts from the
    break's opening. ``min_minor`` is in minor units of ``currency``.
    """

    merchant_id: str | None
    state: BreakState = BreakState.OPEN
    order: BreakOrder = BreakOrder.URGENT
    kind: BreakClass | None = None
    gateway: str = ""
    assignee: str = ""
    min_age_days: int = 0
    currency: str = ""
    min_minor: int = 0

    @property
    def chooses(self) -> bool:
        """Whether some of what the store gives may be left out."""
        by_merchant = self.merchant_id is not None and self.state is not BreakState.AWAITING
        more = (self.kind, self.gateway, self.assignee, self.min_age_days, self.currency, self.min_minor)
        return by_merchant or any(more)

    @property
    def listing(self) -> Listing:
        """Return the name of the list, which its cursors are of."""
        kind = None if self.kind is None else self.kind.value
        numbers = (str(self.min_age_days), str(self.min_minor))
        words = (self.state.value, self.order.value, kind, self.gateway, self.assignee, self.currency)
        return ("console", "breaks", self.merchant_id, *words, *numbers)

    def takes(self, case: Case, *, now_ms: int, bound: bool) -> bool:
        """Return whether the list has the case. ``bound``: it is the merchant's own list, with its own assignees."""
        # An open break is in the index of its state, and everything else is looked at here.
        wanted = "open" if self.state is BreakState.AWAITING else self.state.value
        person = (case.merchant_assignee if bound else case.assignee) or ""
        assigned = not self.assignee or (person_key(person) or NOBODY) == self.assignee
        return (
            case.status.value == wanted
            and self.merchant_id in (None, case.merchant_id)
            and self.kind in (None, case.break_class)
            and self.gateway in ("", case.gateway)
            and assigned
            and now_ms - case.opened_at_ms >= self.min_age_days * DAY_MS
            and self.currency in ("", case.currency)
            and case.open_minor >= self.min_minor
        )


def break_filter(query: Mapping[str, str], merchant_id: str | None, *, me: str) -> BreakFilter:
    """Return the filter of a page's address. ``me`` is the name for which ``assignee=me`` stands.

    Raises ``BodyMalformed`` for a value that means nothing.
    """
    currency = query.get("currency", "").strip().upper()
    if currency and currency not in MINOR_UNIT_EXPONENTS:
        raise BodyMalformed("A currency is an ISO 4217 code, such as EUR.", field="currency")
    assignee = query.get("assignee", "").strip()[:MAX_TEXT_CHARACTERS]
    age = query.get("age", "").strip() or "0"
    if not _DAYS.fullmatch(age):
        raise BodyMalformed("An age is a number of whole days, at most 9999.", field="age")
    state = _word(BreakState, query.get("state", "") or BreakState.OPEN.value, "state")
    return BreakFilter(
        merchant_id=merchant_id,
        state=state,
        order=_order(query.get("sort", ""), orders(state, merchants=merchant_id is not None)),
        kind=_word(BreakClass, kind, "kind") if (kind := query.get("kind", "")) else None,
        gateway=query.get("gateway", "").strip()[:MAX_TEXT_CHARACTERS],
        assignee=person_key(me) if assignee == ME else person_key(assignee),
        min_age_days=int(age),
        currency=currency,
        min_minor=_least(query.get("amount", "").strip(), currency),
    )


def orders(state: BreakState, *, merchants: bool) -> tuple[BreakOrder, ...]:
    """Return the orders that a list has; ``merchants``: the list of one merchant. The first is the usual one.

    What awaits a decision is in the order of that decision's deadline, whosever it is.
    """
    by_age = merchants and state is not BreakState.AWAITING
    return (BreakOrder.NEWEST, BreakOrder.OLDEST) if by_age else (BreakOrder.URGENT, BreakOrder.LATEST)


def _order(text: str, known: tuple[BreakOrder, ...]) -> BreakOrder:
    if not text:
        return known[0]
    found = _word(BreakOrder, text, "sort")
    # Another merchant, or another state, that is chosen later leaves the other list's order behind.
    return found if found in known else known[0]


def _least(text: str, currency: str) -> int:
    if not text:
        return 0
    if not currency:
        raise BodyMalformed("Name the currency of the amount.", field="currency")
    try:
        least = minor_of(text, currency, line=0, field="amount")
    except FileRejected:
        raise BodyMalformed(f"An amount is a decimal number of {currency}, such as 12.50.", field="amount") from None
    if least < 0:
        raise BodyMalformed("The least amount is not negative.", field="amount")
    return least


def _word[Words: StrEnum](words: type[Words], text: str, what: str) -> Words:
    try:
        return words(text)
    except ValueError:
        raise BodyMalformed(f"The {what} is one of {', '.join(words)}.", field=what) from None
