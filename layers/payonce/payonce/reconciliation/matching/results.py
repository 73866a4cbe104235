"""From the tables that the rules leave behind to a ``RunResult``, alike for every engine; the conservation proof.

The queries here are the few that every dialect spells alike.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.errors import ConservationViolated
from payonce.reconciliation.matching.bank_remarks import BankFact, bank_remarks
from payonce.reconciliation.matching.break_evidence import LINK, evidence_of
from payonce.reconciliation.matching.coverage import Coverage, coverage_notices, uncovered
from payonce.reconciliation.matching.digest import run_digest
from payonce.reconciliation.matching.manual_results import (
    difference_totals,
    differences,
    manual_digest,
    match_results,
)
from payonce.reconciliation.matching.open_items import largest_open_items, open_totals
from payonce.reconciliation.matching.roll_forward import roll_forwards
from payonce.reconciliation.matching.run_result import RunResult
from payonce.reconciliation.model import BalanceMovement, Break, Evidence, Outcome, Source, Tally
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Row = Sequence[Any]
    Query = Callable[[str], Iterable[Row]]

_LINK_TEXT: Final = " || '|' || ".join([*LINK.split(", "), "source", "row_key"])
_REPORTED_NAMES: Final = ("coalesce(reference, gateway_payment_id)", "gateway_row")


def read_result(query: Query, families: Sequence[str], made: Collection[str]) -> RunResult:
    """Read the families' tables; ``made`` are the names of all that there are.

    Raises ``ConservationViolated`` if counts, sums or keys of what came out differ from what went in.
    """
    counted, pairs = _counted(query, families, [family for family in families if f"{family}_bulk" in made])
    inputs = _inputs(query, families)
    prove_conservation(inputs, counted)
    for family in families:
        _prove_keys(query, family)
        _prove_links(query, family)
    tallies = tuple(
        Tally(source=source, currency=currency, outcome=outcome, rows=rows, amount_minor=amount)
        for (source, currency, outcome), (rows, amount) in sorted(counted.items())
        if rows
    )
    found = [row for family in families for row in query(_found(family))]
    links = sum(int(row[0] or 0) for family in families for row in query(_link_hash(family)))
    evidence = evidence_of(query, families)
    breaks = tuple(sorted((_break(row, evidence) for row in found), key=lambda found_break: found_break.break_id))
    rows_of: dict[Source, int] = defaultdict(int)
    for (source, _), (rows, _amount) in inputs.items():
        rows_of[source] += rows
    open_hash = sum(int(row[0] or 0) for family in families for row in query(_open_hash(family)))
    matches = match_results(query)
    manual = manual_digest(query, families, matches)
    digest = run_digest(tallies, found, links=links, pairs=pairs, open_items=open_hash, manual=manual)
    balance = _balance(query)
    return RunResult(
        breaks=breaks,
        tallies=tallies,
        digest=digest,
        rows=MappingProxyType(dict(rows_of)),
        open_items=largest_open_items(query, families),
        open_totals=open_totals(query, families),
        balance=balance,
        accounts=roll_forwards(query, balance),
        notices=coverage_notices(_coverage(query)),
        remarks=bank_remarks(_bank_facts(query)),
        matches=matches,
        differences=differences(query, families),
        difference_totals=difference_totals(query, families),
    )


def _balance(query: Query) -> tuple[BalanceMovement, ...]:
    rows = [
        BalanceMovement(
            gateway=row[0],
            kind=row[1],
            category=row[2],
            currency=row[3],
            rows=int(row[4]),
            amount_minor=int(row[5]),
            fee_minor=int(row[6]),
        )
        for row in query(
            "SELECT gateway, kind, category, currency, row_count, amount_minor, fee_minor FROM transactions_balance"
        )
    ]
    return tuple(sorted(rows, key=lambda row: (row.gateway, row.currency, row.kind, row.category)))


def _coverage(query: Query) -> tuple[Coverage, ...]:
    found = [
        Coverage(Source(row[0]), row[1], int(row[2]), int(row[3]), row[4], row[5])
        for row in query("SELECT source, gateway, row_count, paired, first_ms, last_ms FROM transactions_coverage")
    ]
    # An example of the names is looked for only where it is needed: it is a look at every row.
    lacking = uncovered(found)
    return tuple(replace(one, example=_example(query, one)) if one.gateway in lacking else one for one in found)


def _bank_facts(query: Query) -> tuple[BankFact, ...]:
    return tuple(
        BankFact(row[0], row[1], row[2], int(row[3]), int(row[4]))
        for row in query(
            "SELECT how, gateway, currency, row_count, amount_minor FROM bank_guessed UNION ALL "
            "SELECT 'memberless', gateway, currency, row_count, amount_minor FROM bank_memberless"
        )
    )


def _example(query: Query, one: Coverage) -> str | None:
    names, table = ("reference", "ledger") if one.source is Source.LEDGER else _REPORTED_NAMES
    found = query(f"SELECT gateway, min({names}) FROM {table} GROUP BY gateway")  # noqa: S608
    return next((row[1] for row in found if row[0] == one.gateway), None)


def _open_hash(family: str) -> str:
    return f"SELECT sum(row_hash(source || '|' || row_key || '|' || reason)) FROM {family}_open_item"  # noqa: S608


def prove_conservation(
    inputs: Mapping[tuple[Source, str], tuple[int, int]],
    counted: Mapping[tuple[Source, str, Outcome], tuple[int, int]],
) -> None:
    """Raise ``ConservationViolated`` unless rows and sums per (source, currency) are the same on both sides."""
    out: dict[tuple[Source, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (source, currency, _), (rows, amount) in counted.items():
        before = out[source, currency]
        out[source, currency] = (before[0] + rows, before[1] + amount)
    for key in sorted({*inputs, *out}):
        if inputs.get(key, (0, 0)) != out.get(key, (0, 0)):
            raise ConservationViolated(
                f"{key[0].value} rows in {key[1]}: {inputs.get(key, (0, 0))} went in as (rows, minor units) and "
                f"{out.get(key, (0, 0))} came out. The rules have a defect; the run has no result."
            )


def _inputs(query: Query, families: Sequence[str]) -> dict[tuple[Source, str], tuple[int, int]]:
    inputs: dict[tuple[Source, str], tuple[int, int]] = {}
    for family in families:
        for source, currency, rows, amount in query(
            f"SELECT source, currency, row_count, amount_minor FROM {family}_input"  # noqa: S608
        ):
            before = inputs.get((Source(source), currency), (0, 0))
            inputs[Source(source), currency] = (before[0] + int(rows), before[1] + int(amount))
    return inputs


def _counted(
    query: Query, families: Sequence[str], bulk: Sequence[str]
) -> tuple[dict[tuple[Source, str, Outcome], tuple[int, int]], int]:
    """Return rows and sums per outcome, and the sum of the pairs' hashes."""
    counted: dict[tuple[Source, str, Outcome], tuple[int, int]] = {}
    pairs = 0
    texts = [
        f"SELECT source, currency, outcome, count(*), sum(amount_minor), 0 FROM {family}_outcome "  # noqa: S608
        "GROUP BY source, currency, outcome"
        for family in families
    ]
    texts += [
        f"SELECT source, currency, outcome, row_count, amount_minor, pair_hash FROM {family}_bulk"  # noqa: S608
        for family in bulk
    ]
    for text in texts:
        for source, currency, outcome, rows, amount, pair_hash in query(text):
            key = (Source(source), currency, Outcome(outcome))
            before = counted.get(key, (0, 0))
            counted[key] = (before[0] + int(rows), before[1] + int(amount))
            pairs += int(pair_hash)
    return counted, pairs


def _prove_keys(query: Query, family: str) -> None:
    """Raise ``ConservationViolated`` unless the outcomes are those of the very rows that went in, each once.

    The keys' hashes add up to the same on both sides. With equal counts (see ``prove_conservation``) that is a proof of
    equal multisets but for a chance of 1 in 2^31: a row that ended twice while another one got lost shows.
    """
    for source, taken, given in query(f"SELECT source, taken, given FROM {family}_keys"):  # noqa: S608
        if int(taken) != int(given):
            raise ConservationViolated(
                f"{source} rows: their keys are other ones in the outcomes of {family} (hashes add up to {taken} "
                f"before and {given} after). The rules have a defect; the run has no result."
            )


def _prove_links(query: Query, family: str) -> None:
    """Raise ``ConservationViolated`` if a break has no row or a found row is there twice."""
    [[found, distinct]] = query(
        f"SELECT (SELECT count(*) FROM {family}_found), "  # noqa: S608
        f"(SELECT count(*) FROM (SELECT DISTINCT {LINK} FROM {family}_link) AS links)"
    )
    if found != distinct:
        raise ConservationViolated(f"{family}: {found} breaks, but rows are linked to {distinct}.")


def _found(family: str) -> str:
    return (
        f"SELECT {LINK}, amount_minor, currency, occurred_at_ms, merchant_id, payment_id, gateway, "  # noqa: S608
        f"surplus_gateway_payment_id FROM {family}_found"
    )


def _link_hash(family: str) -> str:
    return f"SELECT sum(row_hash({_LINK_TEXT})) FROM {family}_link"  # noqa: S608


def _break(row: Row, evidence: Mapping[tuple[str, ...], tuple[Evidence, ...]]) -> Break:
    subject = tuple(part for part in row[1:5] if part)
    return Break(
        break_class=BreakClass(row[0]),
        subject=subject,
        amount_minor=int(row[5]),
        currency=row[6],
        occurred_at_ms=int(row[7]),
        merchant_id=row[8],
        payment_id=row[9],
        gateway=row[10],
        surplus_gateway_payment_id=row[11],
        evidence=evidence.get(tuple(row[:5]), ()),
    )
