"""The breaks and open items as the page's tables read them: compact JSON that no text of a file can leave.

A break's rows stand in blocks of their own, which the page parses when somebody opens or searches them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.reconciliation.matching.comparison import compared, sides_of
from payonce.reconciliation.matching.summary import SEVERITIES
from payonce.reconciliation.model import Source
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.report.drawing import words
from payonce.reconciliation.report.shown import shown_fields
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS, TO_DO, BreakClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from payonce.reconciliation.model import Break, OpenItem, RunSettings
    from payonce.reconciliation.report.contents import Contents

BLOCK_BREAKS: Final = 500
_SOURCES: Final = tuple(Source)
_EXACT: Final = 2**53  # a browser's numbers are exact below it; a larger amount is a text
# Nothing may end the element or begin a comment in it; the two separators end a line of old scripts.
_ESCAPED: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


class _Numbered:
    """Texts that occur often, each once: a row names it by its number."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))


def embedded(value: Any) -> str:
    """Return the value as JSON for a ``script`` element of the type ``application/json``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for found, escaped in _ESCAPED:
        text = text.replace(found, escaped)
    return text


def data_blocks(contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield (element id, JSON): the table of breaks, the blocks of their rows, the table of open items."""
    breaks = contents.breaks
    currencies, labels = _Numbered(), _Numbered()
    table = _breaks(breaks, contents.settings, currencies)
    blocks = [
        [_details(found, contents.settings, labels) for found in breaks[start : start + BLOCK_BREAKS]]
        for start in range(0, len(breaks), BLOCK_BREAKS)
    ]
    items = _open_items(contents.result.open_items, currencies)
    table |= {
        "currencies": [[currency, MINOR_UNIT_EXPONENTS[currency]] for currency in currencies.texts],
        "labels": list(labels.texts),
        "block": BLOCK_BREAKS,
        "as_of": contents.settings.as_of_ms // 1000,
    }
    yield "data-breaks", embedded(table)
    yield "data-open", embedded(items)
    for number, block in enumerate(blocks):
        yield f"data-rows-{number}", embedded(block)


def _breaks(breaks: Sequence[Break], settings: RunSettings, currencies: _Numbered) -> dict[str, Any]:
    gateways, rows, apart = _Numbered(), [], dict[int, list[int]]()
    classes = tuple(BreakClass)
    for number, found in enumerate(breaks):
        comparison = compared(found, settings)
        sides = [currencies(comparison.expected_currency), currencies(comparison.actual_currency)]
        if sides != [currencies(found.currency)] * 2:
            apart[number] = sides
        amounts = (
            found.amount_minor, comparison.expected_minor, comparison.actual_minor, comparison.difference_minor
        )  # fmt: skip
        rows.append((
            classes.index(found.break_class), gateways(plain(found.gateway or "")), currencies(found.currency),
            " · ".join(map(plain, _about(found))), found.occurred_at_ms // 1000, *map(_number, amounts),
        ))  # fmt: skip
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 9
    names = ("class", "gateway", "currency", "subject", "time", "stake", "expected", "actual", "difference")
    return {
        "classes": [_class(name) for name in classes],
        "severities": [[one.value, SLA_HOURS[one]] for one in SEVERITIES],
        "gateways": list(gateways.texts),
        "apart": apart,
        **dict(zip(names, columns, strict=True)),
    }


def _about(found: Break) -> tuple[str, ...]:
    """Return the subject without the gateway, which stands beside it."""
    return found.subject[1:] if found.subject[:1] == (found.gateway,) and found.gateway else found.subject


def _class(name: BreakClass) -> list[Any]:
    rule = CLASSES[name]
    return [words(name.value), SEVERITIES.index(rule.severity), rule.meaning, TO_DO[name], *sides_of(name)]


def _number(value: int | None) -> int | str | None:
    return value if value is None or abs(value) < _EXACT else str(value)


def _details(found: Break, settings: RunSettings, labels: _Numbered) -> list[Any]:
    comparison = compared(found, settings)
    texts = (found.merchant_id, found.payment_id, found.surplus_gateway_payment_id, found.why)
    rows = []
    for row in sorted(found.evidence, key=lambda one: _SOURCES.index(one.source)):
        fields = shown_fields(row, found.currency) or [("id", plain(row.row_key))]
        rows.append([row.source.value, [part for label, text in fields for part in (labels(label), text)]])
    return [found.break_id, *(plain(text or "") for text in texts), comparison.note, rows]


def _open_items(items: Sequence[OpenItem], currencies: _Numbered) -> dict[str, Any]:
    sources, reasons, gateways = _Numbered(), _Numbered(), _Numbered()
    rows = [
        (
            sources(item.source.value),
            reasons(plain(words(item.reason))),
            gateways(plain(item.gateway or "")),
            currencies(item.currency),
            _number(item.amount_minor),
            item.at_ms // 1000,
            plain(item.label or ""),
            plain(item.row_key),
        )
        for item in items
    ]
    names = ("source", "reason", "gateway", "currency", "amount", "time", "label", "key")
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(names)
    return {
        "sources": list(sources.texts),
        "reasons": list(reasons.texts),
        "gateways": list(gateways.texts),
        **dict(zip(names, columns, strict=True)),
    }
