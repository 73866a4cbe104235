"""Counterexamples in words, files of histories, and what the model lets a key say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histories.asking import UnexpectedAnswer, header_of, text_of, told
from histories.counterexample import contradiction, describe, headline, is_linearizable
from histories.findings import judge
from histories.history import Execution, History, read_history
from histories.key_model import Action, Asked, Counted, Outcome, excuse
from histories.operation import Operation
from tests.support.http import Answer

if TYPE_CHECKING:
    from pathlib import Path

ANSWERED, REUSED, BUSY, UNKNOWN = Outcome.ANSWERED, Outcome.REUSED, Outcome.BUSY, Outcome.UNKNOWN
NOT_EXECUTED = Outcome.NOT_EXECUTED
MS = 1_000_000


def asked(began: int, ended: int | None, body: str, outcome: Outcome, answer: str = "r") -> Operation[Action]:
    """A request, in milliseconds."""
    action = Asked(body, outcome, answer if outcome is ANSWERED else "")
    return Operation("client", began * MS, None if ended is None else ended * MS, action)


def counted(*bodies: str) -> Operation[Action]:
    """The count at the end."""
    return Operation("the count", 1_000 * MS, 1_000 * MS, Counted(bodies))


LEGAL = {
    "a first answer, and its replay": [asked(0, 1, "a", ANSWERED), asked(2, 3, "a", ANSWERED), counted("a")],
    "another body is refused": [asked(0, 1, "a", ANSWERED), asked(2, 3, "b", REUSED), counted("a")],
    "an execution whose answer was lost": [asked(0, None, "a", UNKNOWN), asked(5, 6, "a", ANSWERED), counted("a")],
    "one that was lost with its execution": [asked(0, None, "a", UNKNOWN), counted()],
    "one that was lost, and then the key goes to another": [
        asked(0, None, "a", UNKNOWN),
        asked(5, 6, "b", ANSWERED),
        counted("b"),
    ],
    "a refusal beside a claim that was given back": [
        asked(0, 10, "a", NOT_EXECUTED),
        asked(1, 2, "b", REUSED),
        asked(20, 21, "b", ANSWERED),
        counted("b"),
    ],
    "a duplicate that did not want to wait": [asked(0, 10, "a", ANSWERED), asked(1, 2, "a", BUSY), counted("a")],
    "a duplicate that was told late what it had seen early": [
        asked(0, 75, "a", ANSWERED),
        asked(10, 12, "b", REUSED),
        asked(53, 2_000, "a", BUSY),
        counted("a"),
    ],
    "a store that is down": [asked(0, 1, "a", NOT_EXECUTED), counted()],
}
ILLEGAL = {
    "it was executed 2 times.": [asked(0, 1, "a", ANSWERED), counted("a", "a")],
    "the same request got two different answers.": [
        asked(0, 1, "a", ANSWERED, "r"),
        asked(2, 3, "a", ANSWERED, "s"),
        counted("a"),
    ],
    "two different bodies were both accepted.": [asked(0, 9, "a", ANSWERED), asked(1, 8, "b", ANSWERED), counted("a")],
    "it was acknowledged, and never executed.": [asked(0, 1, "a", ANSWERED), counted()],
    "what was executed is not what was acknowledged.": [
        asked(0, 1, "a", ANSWERED),
        asked(2, None, "b", UNKNOWN),
        counted("b"),
    ],
    "it was executed, and nobody can have asked for it.": [asked(0, 1, "a", NOT_EXECUTED), counted("a")],
    "it was said to be still under way, when it was not.": [
        asked(0, 1, "a", ANSWERED),
        asked(2, 3, "a", BUSY),
        counted("a"),
    ],
    "a body was refused for another one, which the key did not belong to.": [
        asked(0, 1, "a", NOT_EXECUTED),
        asked(2, 3, "b", REUSED),
        counted(),
    ],
}


@pytest.mark.parametrize("name", LEGAL)
def test_what_a_key_may_say(name: str) -> None:
    assert is_linearizable(excuse(LEGAL[name]))


@pytest.mark.parametrize("name", ILLEGAL)
def test_what_a_key_may_not_say_has_a_sentence(name: str) -> None:
    operations = excuse(ILLEGAL[name])
    assert not is_linearizable(operations)
    assert headline(contradiction(operations)) == name


def test_nothing_is_under_way_once_somebody_was_answered() -> None:
    """Whatever became of a request that was sent before, and never answered. Fails when that one explains the 409."""
    lost = asked(0, None, "a", UNKNOWN)
    assert is_linearizable(excuse([lost, asked(5, 20, "a", ANSWERED), asked(10, 30, "a", BUSY), counted("a")]))
    assert not is_linearizable(excuse([lost, asked(5, 6, "a", ANSWERED), asked(10, 30, "a", BUSY), counted("a")]))


def test_a_counterexample_names_what_contradicts_each_other_and_no_more() -> None:
    noise = [asked(10 * number, 10 * number + 5, "a", NOT_EXECUTED) for number in range(30)]
    wrong = [asked(400, 410, "a", ANSWERED, "one\nanswer"), asked(420, 430, "a", ANSWERED, "another")]
    operations = excuse([*noise, *wrong, asked(500, None, "a", UNKNOWN), counted("a")])
    assert describe("k", operations, contradiction(operations)).splitlines()[:5] == [
        "Key k: the same request got two different answers.",
        "2 of 34 operations contradict each other, whatever became of the others:",
        "       400.0 to      410.0 ms  client     body a - answered: one | answer",
        "       420.0 to      430.0 ms  client     body a - answered: another",
        "The first 12 of the others:",
    ]


def test_a_history_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    history = History()
    first = history.invoke("one", "k", "a")
    second = history.invoke("two", "k", "b")
    history.note("killed the store")
    history.complete("two", second, Asked("b", REUSED))
    history.complete("one", first, Asked("a", ANSWERED, "r"))
    history.invoke("three", "k", "a")  # nobody was there any more to record its end
    history.executions = {"k": [Execution("a", first)], "stranger": [Execution("z")]}
    history.write(tmp_path / "history.jsonl")
    with (tmp_path / "history.jsonl").open() as lines:
        again = read_history(lines)
    assert again.events == history.events
    assert again.operations() == history.operations()
    findings = judge(again)
    assert (findings.keys, findings.outcomes[ANSWERED], findings.outcomes[UNKNOWN]) == (2, 1, 1)
    assert list(findings.problems) == ["stranger"]


def test_who_was_told_that_nothing_was_executed_did_not_execute() -> None:
    """One execution, one answer: only who caused it says that the 503 was wrong."""
    history = History()
    refused, answered = history.invoke("one", "k", "a"), history.invoke("two", "k", "a")
    history.complete("one", refused, Asked("a", NOT_EXECUTED))
    history.complete("two", answered, Asked("a", ANSWERED, "r"))
    history.executions = {"k": [Execution("a", answered)]}
    assert judge(history).problems == {}
    history.executions = {"k": [Execution("a", refused)]}
    assert "nothing was executed" in judge(history).problems["k"]


PROBLEM = (("content-type", "application/problem+json"),)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(201, (), b"{}"), ANSWERED),
        (Answer(202, (), b"{}"), UNKNOWN),
        (Answer(422, PROBLEM, b'{"type":"urn:payonce:problem:key-reused"}'), REUSED),
        (Answer(409, PROBLEM, b'{"type":"urn:payonce:problem:key-in-progress"}'), BUSY),
        (Answer(409, PROBLEM, b'{"type":"urn:payonce:problem:outcome-unknown"}'), UNKNOWN),
        (Answer(503, PROBLEM, b'{"type":"urn:payonce:problem:store-unavailable"}'), NOT_EXECUTED),
    ],
)
def test_answers_mean_what_the_contract_says(answer: Answer, outcome: Outcome) -> None:
    assert told("a", 1, answer).outcome is outcome


@pytest.mark.parametrize("answer", [Answer(200, (), b""), Answer(409, PROBLEM, b'{"type":"urn:payonce:problem:x"}')])
def test_an_answer_that_nobody_foresaw_ends_the_run(answer: Answer) -> None:
    with pytest.raises(UnexpectedAnswer):
        told("a", 1, answer)


def test_a_replay_differs_in_nothing_but_what_says_that_it_is_one() -> None:
    first = Answer(201, (("location", "/x/1"), ("idempotency-replayed", "false")), b"body")
    again = Answer(201, (("location", "/x/1"), ("idempotency-replayed", "true")), b"body")
    other = Answer(201, (("location", "/x/2"), ("idempotency-replayed", "true")), b"body")
    assert text_of(first) == text_of(again) != text_of(other)
    assert header_of(text_of(first), "location") == "/x/1"
    assert header_of(text_of(first), "etag") == ""
