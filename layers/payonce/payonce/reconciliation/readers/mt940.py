"""MT940 customer statements (SWIFT category 9), as banks send them: with and without the SWIFT envelope.

Read strictly where money is (:60:, :61:, :62:) and leniently where text is (:86:). MT942, the interim report, has no
closing balance and is refused: nothing in it proves that it is whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_LINE_CHARACTERS, MAX_ROWS
from payonce.reconciliation.readers.mt940_fields import (
    Balance,
    Movement,
    balance_of,
    details_of,
    movement_of,
    sequence_of,
)
from payonce.reconciliation.readers.proof import prove
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.text import decoded_text, lines_of
from payonce.reconciliation.readers.values import shown, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

# Only these begin a field. Text of :86: may wrap so that a line begins with ":26:37", which is a time of day.
TAG = re.compile(r":(20|21|25|25P|28|28C|60F|60M|61|62F|62M|64|65|86|NS|13D?|34F|90C|90D):(.*)", re.DOTALL)
INTERIM_TAGS = frozenset({"13", "13D", "34F", "90C", "90D"})
ENVELOPE = re.compile(r"\{[1235]:(?:[^{}]|\{[^{}]*\})*\}|\{4:|-\}")
# What may follow what, by the specification; :86: after :62: or :65: is about the account, not about a line.
AFTER = {
    "20": ("21", "25", "25P"),
    "21": ("25", "25P"),
    "25": ("28", "28C", "NS", "60F", "60M"),
    "25P": ("28", "28C", "NS", "60F", "60M"),
    "28": ("NS", "60F", "60M"),
    "28C": ("NS", "60F", "60M"),
    "60F": ("61", "62F", "62M", "86", "NS"),
    "60M": ("61", "62F", "62M", "86", "NS"),
    "61": ("61", "86", "NS", "62F", "62M"),
    "86": ("61", "62F", "62M", "86", "NS", "20", "64", "65"),
    "62F": ("64", "65", "86", "NS", "20"),
    "62M": ("64", "65", "86", "NS", "20"),
    "64": ("65", "86", "NS", "20"),
    "65": ("65", "86", "NS", "20"),
}


@dataclass(slots=True)
class _Field:
    line: int
    tag: str
    lines: list[str]


@dataclass(slots=True)
class _Open:
    """A statement while it is read."""

    line: int
    reference: str
    account: str = ""
    number: str = ""
    opening: tuple[str, Balance] | None = None
    closing: tuple[str, Balance, int] | None = None
    movements: list[tuple[Movement, list[str]]] = field(default_factory=list)


def read_mt940(data: bytes) -> tuple[Statement, ...]:
    """Return one statement per :20:. Raises ``FileRejected``.

    Checked: the order of fields, one currency, opening (:60:) + movements (:61:) = closing (:62:), and that a page that
    ends with an intermediate balance (:62M:) is followed by one that begins with it.
    """
    statements: list[Statement] = []
    pending: _Open | None = None
    current: _Open | None = None
    before = ""
    for found in _fields(data):
        if found.tag in INTERIM_TAGS:
            raise FileRejected(
                "this is MT942, an interim report without balances; send the MT940 of the day",
                line=found.line,
                field=f":{found.tag}:",
            )
        if found.tag == "20":
            if current is not None:
                pending = _finish(current, pending, statements)
            current = _Open(found.line, found.lines[0].strip())
        elif current is None:
            raise FileRejected("a statement begins with :20:", line=found.line, field=f":{found.tag}:")
        elif found.tag not in AFTER[before] and found.tag != "NS":
            problem = f"it may not follow :{before}:"
            raise FileRejected(problem, line=found.line, field=f":{found.tag}:")
        else:
            _take(current, found)
        before = before if found.tag == "NS" else found.tag
    if current is None:
        raise FileRejected("there is no :20:, so this is not MT940")
    if (pending := _finish(current, pending, statements)) is not None:
        raise FileRejected("the last page ends with :62M:, its next page is missing", line=pending.line, field=":62M:")
    return tuple(statements)


def _fields(data: bytes) -> Iterator[_Field]:
    current: _Field | None = None
    count = 0
    for number, raw in enumerate(lines_of(decoded_text(data)), start=1):
        if len(raw) > MAX_LINE_CHARACTERS:
            raise FileRejected(f"the line is longer than {MAX_LINE_CHARACTERS} characters", line=number)
        text = raw.rstrip("\r").strip("\x01\x03")
        if text.startswith(("{", "-}")):
            text = ENVELOPE.sub("", text)
        if text.rstrip() in ("", "-"):
            continue
        matched = TAG.fullmatch(text)
        if matched is not None:
            count += 1
            if count > MAX_ROWS:
                raise FileRejected(f"there are more than {MAX_ROWS} fields; split the file", line=number)
            if current is not None:
                yield current
            current = _Field(number, matched[1], [matched[2]])
        elif current is None or current.tag not in ("61", "86", "NS", "25"):
            after = f" after :{current.tag}:" if current else ""
            raise FileRejected(f"{shown(text)} is not a field of MT940{after}", line=number)
        else:
            current.lines.append(text)
    if current is not None:
        yield current


def _take(current: _Open, found: _Field) -> None:
    name = f":{found.tag}:"
    if found.tag in ("25", "25P"):
        current.account = "".join(found.lines).strip()
        if not current.account:
            raise FileRejected("there is no account", line=found.line, field=name)
    elif found.tag in ("28", "28C"):
        current.number = found.lines[0].strip()
    elif found.tag in ("60F", "60M"):
        current.opening = (found.tag, balance_of(found.lines[0], line=found.line, field=name))
    elif found.tag in ("62F", "62M"):
        current.closing = (found.tag, balance_of(found.lines[0], line=found.line, field=name), found.line)
    elif found.tag == "61":
        if current.opening is None or current.closing is not None:
            raise FileRejected("a movement outside opening and closing balance", line=found.line, field=name)
        movement = movement_of(found.lines, current.opening[1].currency, line=found.line)
        current.movements.append((movement, []))
    elif found.tag == "86" and current.movements and current.closing is None:
        current.movements[-1][1].extend(found.lines)


def _finish(current: _Open, pending: _Open | None, statements: list[Statement]) -> _Open | None:
    """Add the statement; return it when its next page has to follow."""
    if current.opening is None or current.closing is None:
        missing = ":60F:" if current.opening is None else ":62F:"
        raise FileRejected(f"the statement has no {missing}", line=current.line, field=missing)
    (opening_tag, opening), (closing_tag, closing, line) = current.opening, current.closing
    if closing.currency != opening.currency:
        problem = f"it is in {closing.currency}, the opening balance in {opening.currency}"
        raise FileRejected(problem, line=line, field=f":{closing_tag}:")
    if pending is not None and pending.closing is not None:
        carried = pending.closing[1].amount_minor
        if (opening_tag, opening.amount_minor, current.account) != ("60M", carried, pending.account):
            problem = f"the page before ends with {carried} minor units of {pending.account}; this one begins otherwise"
            raise FileRejected(problem, line=current.line, field=f":{opening_tag}:")
    statement = Statement(
        statement_id=" ".join(filter(None, (current.reference, current.number))) or f"line-{current.line}",
        account=current.account,
        currency=opening.currency,
        opening_minor=opening.amount_minor,
        closing_minor=closing.amount_minor,
        lines=tuple(_line(movement, texts, opening.currency) for movement, texts in current.movements),
        sequence=sequence_of(current.number),
        first_day=opening.day,
        last_day=closing.day,
    )
    statements.append(prove(statement, line=line, field=f":{closing_tag}:"))
    return current if closing_tag == "62M" else None


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
