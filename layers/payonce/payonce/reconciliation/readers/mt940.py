"""MT940, MT942 and MT950 (SWIFT category 9), as banks send them: with and without the SWIFT envelope.

Read strictly where money is (:60:, :61:, :62:) and leniently where text is (:86:). What does not prove itself is read
and says why: an interim report (MT942), a fragment, a statement without or against its balances.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.mt940_fields import (
    Balance,
    Movement,
    balance_of,
    details_of,
    floor_currency,
    movement_of,
    sequence_of,
    total_of,
)
from payonce.reconciliation.readers.mt940_lines import Field, fields_of
from payonce.reconciliation.readers.proof import INTERIM, judged
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.values import unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INTERIM_TAGS = frozenset({"13", "13D", "34F", "90C", "90D"})
ACCOUNT, NUMBER = ("25", "25P"), ("28", "28C")
OPENING, CLOSING = ("60", "60F", "60M"), ("62", "62F", "62M")
PAGE = "M"  # an intermediate balance: the page before, or the next one, belongs to the same statement
AFTER_CLOSING = "a movement stands after the closing balance"
NO_PAGE_AFTER = "its last page ends with :62M:, so the next page is missing"
NO_PAGE_BEFORE = "its first page begins with :60M:, so the page before is missing"


@dataclass(slots=True)
class _Open:
    """A statement while it is read."""

    line: int
    reference: str
    bank: str | None
    account: str = ""
    number: str = ""
    currency: str | None = None
    opening: tuple[str, Balance] | None = None
    closing: tuple[str, Balance] | None = None
    totals: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    fields: list[Field] = field(default_factory=list)  # :61: and the :86: under each
    reasons: list[str] = field(default_factory=list)

    @property
    def page_of(self) -> str:
        return f"{self.account} {self.currency}"


def read_mt940(data: bytes) -> tuple[Statement, ...]:
    """Return one statement per :20:, or per account where fields stand without one. Raises ``FileRejected``.

    The pages of one statement, each with a :20: of its own, are one where each begins with the balance that the one
    before carries over.
    Refused: a balance, a movement or a total that can't be read, movements of no known currency, and a file that holds
    neither movement nor balance. Unproved: see ``proof.judged``; and pages that do not follow each other.
    """
    opened = _whole(_statements(data))
    found = tuple(_closed(one) for one in opened if one.fields or one.opening or one.closing)
    if not any(one.lines or (one.account and one.opening_minor is not None) for one in found):
        line = opened[0].line if opened else None
        raise FileRejected("this is a fragment of MT940: no movement, and no opening balance of an account", line=line)
    return found


def _statements(data: bytes) -> Iterator[_Open]:
    current: _Open | None = None
    before = ""
    for found in fields_of(data):
        if current is None or found.tag == "20" or (found.tag in ACCOUNT and current.account):
            if current is not None:
                if found.tag != "20" and before not in (*CLOSING, "64", "65", "86", "90C", "90D"):
                    problem = f"it may not follow :{before}:"
                    raise FileRejected(problem, line=found.line, field=f":{found.tag}:")
                yield current
            current = _Open(found.line, found.lines[0].strip() if found.tag == "20" else "", found.bank)
            if found.tag != "20":
                current.reasons.append("it is a fragment: there is no :20:")
        _take(current, found)
        before = before if found.tag == "NS" else found.tag
    if current is not None:
        yield current


def _take(current: _Open, found: Field) -> None:
    name, text = f":{found.tag}:", found.lines[0]
    if found.tag in INTERIM_TAGS and INTERIM not in current.reasons:
        current.reasons.append(INTERIM)
    if found.tag in ACCOUNT:
        # The second line of :25P: is the bank's BIC; :25: of some banks wraps.
        current.account = (text if found.tag == "25P" else "".join(found.lines)).strip()
    elif found.tag in NUMBER:
        current.number = text.strip()
    elif found.tag in (*OPENING, *CLOSING):
        _take_balance(current, found)
    elif found.tag == "34F":
        _set_currency(current, floor_currency(text, line=found.line, field=name), found)
    elif found.tag in ("90C", "90D"):
        count, currency, total = total_of(text, line=found.line, field=name)
        _set_currency(current, currency, found)
        current.totals[found.tag] = (count, total)
    elif found.tag in ("61", "86"):
        _take_movement(current, found)


def _take_balance(current: _Open, found: Field) -> None:
    balance = balance_of(found.lines[0], line=found.line, field=f":{found.tag}:")
    _set_currency(current, balance.currency, found)
    side = "opening" if found.tag in OPENING else "closing"
    known = getattr(current, side)
    if known is None:
        setattr(current, side, (found.tag, balance))
    elif known[1].amount_minor != balance.amount_minor:
        current.reasons.append(f"it states several {side} balances")


def _take_movement(current: _Open, found: Field) -> None:
    closed = current.closing is not None
    if found.tag == "61":
        if closed:
            current.reasons.append(AFTER_CLOSING)
        current.fields.append(found)
    elif current.fields and (not closed or AFTER_CLOSING in current.reasons):
        current.fields.append(found)  # else it is about the account


def _set_currency(current: _Open, currency: str, found: Field) -> None:
    if current.currency not in (None, currency):
        problem = f"it is in {currency}, the statement in {current.currency}"
        raise FileRejected(problem, line=found.line, field=f":{found.tag}:")
    current.currency = currency


def _whole(pages: Iterable[_Open]) -> list[_Open]:
    """Return whole statements: a page that goes on from the one before is joined to it."""
    found: list[_Open] = []
    for page in pages:
        brought = _carried(page.opening)
        if (
            found
            and brought is not None
            and (found[-1].page_of, _carried(found[-1].closing)) == (page.page_of, brought)
        ):
            found[-1].fields += page.fields
            found[-1].reasons += page.reasons
            found[-1].closing = page.closing
            continue
        if brought is not None:
            page.reasons.append(NO_PAGE_BEFORE)
        found.append(page)
    for one in found:
        if _carried(one.closing) is not None:
            one.reasons.append(NO_PAGE_AFTER)
    return found


def _carried(balance: tuple[str, Balance] | None) -> int | None:
    """Return an intermediate balance, which a page carries over to the next one; ``None`` for any other."""
    return balance[1].amount_minor if balance is not None and balance[0].endswith(PAGE) else None


def _closed(current: _Open) -> Statement:
    lines = tuple(_lines(current))
    if current.currency is None:
        raise FileRejected("nothing states the currency of the account", line=current.line, field=":60F:")
    opening = current.opening[1] if current.opening else None
    closing = current.closing[1] if current.closing else None
    if not current.account:
        current.reasons.append("it states no account")
    statement = Statement(
        statement_id=" ".join(filter(None, (current.reference, current.number))) or f"line-{current.line}",
        account=current.account,
        currency=current.currency,
        opening_minor=opening.amount_minor if opening else None,
        closing_minor=closing.amount_minor if closing else None,
        lines=lines,
        sequence=sequence_of(current.number),
        first_day=opening.day if opening else None,
        last_day=closing.day if closing else None,
    )
    return judged(statement, [*current.reasons, *_totals_off(current, lines)], bank_code=current.bank)


def _totals_off(current: _Open, lines: tuple[StatementLine, ...]) -> Iterator[str]:
    for tag, sign in (("90D", -1), ("90C", 1)):
        if tag in current.totals:
            amounts = [abs(line.amount_minor) for line in lines if line.amount_minor * sign > 0]
            count, total = current.totals[tag]
            if total != sum(amounts) or (count is not None and count != len(amounts)):
                yield f"its total :{tag}: is not that of its movements"


def _lines(current: _Open) -> Iterator[StatementLine]:
    texts: list[str] = []
    movement: Movement | None = None
    for found in current.fields:
        if found.tag == "86":
            texts.extend(found.lines)
            continue
        if movement is not None:
            yield _line(movement, texts, current.currency or "")
        if current.currency is None:
            raise FileRejected("nothing states the currency of this movement", line=found.line, field=":61:")
        movement, texts = movement_of(found.lines, current.currency, line=found.line), []
    if movement is not None:
        yield _line(movement, texts, current.currency or "")


def _line(movement: Movement, texts: list[str], currency: str) -> StatementLine:
    details = details_of(texts)
    return StatementLine(
        row_number=movement.line,
        amount_minor=movement.amount_minor,
        currency=currency,
        booking_date=movement.booking_date,
        value_date=movement.value_date,
        references=unique(
            # "KREF+" in :61: only says that the reference did not fit and is in :86:.
            [
                details.end_to_end_id,
                details.customer_reference,
                movement.customer_reference.removesuffix("KREF+"),
                movement.bank_reference,
            ]
        ),
        end_to_end_id=details.end_to_end_id,
        counterparty=details.counterparty,
        description=" ".join(filter(None, (movement.supplement, details.text))),
    )
