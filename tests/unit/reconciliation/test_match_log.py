"""The file of people's decisions: what it holds is taken, what is wrong with it is said with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import BodyMalformed, MatchConflict, NotFound
from payonce.reconciliation.cases.manual_match import new_match, row_ref, rows_of_break
from payonce.reconciliation.manual import MAX_MATCH_ROWS, RowRef
from payonce.reconciliation.runs import match_log
from payonce.reconciliation.runs.manifest import matches_digest
from payonce.reconciliation.runs.match_log import (
    add_to_match_log,
    match_line,
    parse_match_log,
    read_match_log,
    unmatch_line,
)
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.manual import Match

A, B, C = RowRef("ledger", "e1"), RowRef("gateway", "acquirer|t|1"), RowRef("bank", "f0" * 32)


def made(*rows: RowRef, matched: dict[RowRef, str] | None = None, at_ms: int = 7, **changes: Any) -> Match:
    values: dict[str, Any] = {"reason": "the same order", "by": "operator:anna", "accept_difference": False}
    return new_match(rows or (A, B), at_ms=at_ms, matched=matched or {}, **(values | changes))


def test_what_is_written_is_read_and_taking_back_is_a_record_of_its_own(tmp_path: Path) -> None:
    """Fails when a decision changes on its way through the file, or taking one back removes what was decided."""
    file = tmp_path / "decisions.jsonl"
    first, second = made(), made(C, RowRef("bank", "0f" * 32), at_ms=8, accept_difference=True, reason="ü 'x' \"y\"")
    for match in (first, second):
        add_to_match_log(file, match_line(match))
    assert read_match_log(file).in_force == (first, second)
    assert read_match_log(file).rows[B] == first.match_id
    line = unmatch_line(read_match_log(file), first.match_id, reason="another", by="operator:ben", at_ms=9)
    add_to_match_log(file, line)
    log = read_match_log(file)
    assert (log.in_force, log.taken_back) == ((second,), {first.match_id})
    assert len(file.read_bytes().splitlines()) == 3
    for match_id in (first.match_id, "mat_" + "0" * 64):
        with pytest.raises(NotFound):
            unmatch_line(log, match_id, reason="again", by="operator:ben", at_ms=9)


def test_a_missing_file_is_empty_only_for_whoever_begins_it(tmp_path: Path) -> None:
    """Fails when a run with a misspelt file goes on without the decisions."""
    assert read_match_log(tmp_path / "none", may_lack=True).in_force == ()
    with pytest.raises(BodyMalformed, match="can't be read"):
        read_match_log(tmp_path / "none")
    with pytest.raises(BodyMalformed, match="can't be read"):
        read_match_log(tmp_path, may_lack=True)
    with pytest.raises(BodyMalformed, match="can't be written"):
        add_to_match_log(tmp_path, b"")


def spoiled(**changes: Any) -> bytes:
    document = json.loads(match_line(made())) | changes
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "the last line is not complete"),
        (b"{\n", "line 1: it is not JSON"),
        (b"[]\n", "line 1: "),
        (b"[" * 100_000 + b"\n", "line 1: it is not JSON"),
        (spoiled(record="guess"), "line 1: "),
        (spoiled(match_id="mat_1"), "line 1: match_id"),
        (spoiled(at_ms=-1), "line 1: at_ms"),
        (spoiled(at_ms=253_402_300_800_000), "line 1: at_ms"),
        (spoiled(at_ms="7"), "line 1: at_ms"),
        (spoiled(by=""), "line 1: by"),
        (spoiled(reason=" "), "line 1: reason: A reason is a visible text"),
        (spoiled(reason="a\u202eb"), "line 1: reason: A reason is a visible text"),
        (spoiled(reason="x" * 1_001), "line 1: reason: A reason is a visible text"),
        (spoiled(rows=["ledger:e1"]), "line 1: rows"),
        (spoiled(rows=["ledger:e1", "e2"]), "line 1: rows: 'e2' is no row"),
        (spoiled(rows=["ledger:e1", "statement:x"]), "line 1: rows: 'statement:x' is no row"),
        (spoiled(rows=["ledger:e1", "ledger:\ud800"]), "line 1: rows"),
        (spoiled(rows=["ledger:e1", "ledger:e1"]), "line 1: rows: 'ledger:e1' is there twice"),
        (spoiled(rows=[f"ledger:{number}" for number in range(MAX_MATCH_ROWS + 1)]), "line 1: rows"),
        (spoiled(sure=True), "line 1: sure"),
        (spoiled(record="unmatch", rows=None, accept_difference=None), "line 1: there is no match mat_"),
        (spoiled() + spoiled(reason="other"), "line 2: mat_"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(line: bytes, says: str) -> None:
    """Fails for each check that is removed."""
    with pytest.raises(BodyMalformed) as caught:
        parse_match_log(line, "d.jsonl")
    assert caught.value.detail.startswith(f"d.jsonl: {says}")


def test_the_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a file of any size, or any number of decisions, is taken."""
    line = match_line(made())
    monkeypatch.setattr(match_log, "MAX_MATCHES", 0)
    with pytest.raises(BodyMalformed, match="1 matches in force"):
        parse_match_log(line, "d")
    monkeypatch.setattr(match_log, "MAX_LOG_BYTES", 10)
    with pytest.raises(BodyMalformed, match="larger than 10 bytes"):
        parse_match_log(line, "d")


def test_the_same_record_twice_is_one_and_contradictions_are_for_the_run() -> None:
    """Fails when a file that was put together from two copies is refused, or a contradiction is decided here."""
    one, other = made(), made(A, C)
    log = parse_match_log(match_line(one) * 2 + match_line(other), "d")
    assert log.in_force == (one, other)
    assert matches_digest((one, other)) == matches_digest((other, one)) != matches_digest((one,))
    assert matches_digest(()) == ""


def test_a_decision_that_can_not_be_is_refused_when_it_is_made() -> None:
    """Fails when a person learns only from a run that a row is in another match, or that one row matches nothing."""
    with pytest.raises(MatchConflict, match="ledger:e1 belongs to the match mat_x"):
        made(matched={A: "mat_x"})
    with pytest.raises(BodyMalformed, match="2 to 50 rows; these are 1"):
        made(A, A)
    with pytest.raises(BodyMalformed, match="A reason is"):
        made(reason="")
    with pytest.raises(BodyMalformed, match="2000 characters"):
        made(A, RowRef("gateway", "x" * 2_001))
    assert made().match_id != made(at_ms=8).match_id


def test_what_names_a_row() -> None:
    assert row_ref("gateway:acquirer|t|1") == B
    assert [row_ref(text) for text in ("brk_1", "ledger:", "statement:x", ":x", "e1")] == [None] * 5


def test_the_rows_of_a_break_are_its_own() -> None:
    """Fails when a surplus stands for what it is too many of, too, or rows that the evidence lacks are left out."""
    shown = [("ledger", "e1"), ("gateway", "acquirer|t1"), ("gateway", "acquirer|t2"), ("statement", "s")]
    of = BreakClass.DUPLICATE_CAPTURE
    assert rows_of_break("brk_1", of, ("acquirer", "r1", "t2"), shown) == (RowRef("gateway", "acquirer|t2"),)
    assert rows_of_break("brk_1", BreakClass.DUPLICATE_POSTING, ("a", "r1", "e1"), shown) == (A,)
    assert len(rows_of_break("brk_1", BreakClass.AMOUNT_MISMATCH, ("acquirer", "r1"), shown)) == 3
    for name, evidence in (
        (BreakClass.FEE_MISMATCH, shown),
        (BreakClass.DOUBLE_CHARGE, shown),
        (BreakClass.STATEMENT_GAP, shown),
        (BreakClass.AMBIGUOUS, [("ledger", str(number)) for number in range(8)]),
        (BreakClass.AMBIGUOUS, [("statement", "s")]),
    ):
        with pytest.raises(BodyMalformed, match="brk_1"):
            rows_of_break("brk_1", name, ("acquirer", "r1"), evidence)
