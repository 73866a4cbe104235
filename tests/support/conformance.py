"""What every way in promises its clients, as checks over one small interface: proxy, sidecar and payments API alike.

A ``Subject`` says how to call a service and how to count what it executed; each check is a plain function that fails
with what is wrong. A check that needs a path which a subject lacks does not apply to it: ``checks_of`` leaves it out.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.support.http import until
from tests.support.upstreams.counter import ALL_OCTETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.http import Answer

    type Call = Callable[[str, str, bytes | None, Mapping[str, str]], Answer]

DUPLICATES = 8
SLOW_MS = 2_000  # for another request to come meanwhile, also on a busy machine


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A service under test.

    ``call`` sends (method, path, body, headers). ``body`` makes the body of a request that is counted under its
    reference, and ``executions`` counts. ``paths`` has "create" and, where the service has them, "slow" (takes
    ``SLOW_MS``), "binary" (answers ``ALL_OCTETS``), "empty" (204), "nothing" (200 with no bytes), "refuse" (400),
    "read" (GET) and "bare" (a service's own marks on what passes untouched are named there).
    """

    name: str
    call: Call
    body: Callable[[str], bytes]
    executions: Callable[[str], int]
    paths: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    repeated_header: str = ""

    def post(
        self,
        path: str,
        reference: str,
        key: str | None,
        *,
        spelling: str = "Idempotency-Key",
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send the request of ``reference`` under ``key``."""
        headers = {**self.headers, "Content-Type": "application/json", **(more or {})}
        if key is not None:
            headers[spelling] = key
        return self.call("POST", self.paths[path], self.body(reference) if body is None else body, headers)


def fresh() -> str:
    """Return a reference, or a key, that nobody has used."""
    return str(uuid4())


def _is_problem(answer: Answer, status: int, slug: str) -> None:
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/problem+json", answer
    assert answer.json()["type"] == f"urn:payonce:problem:{slug}", answer


def check_a_key_is_required(subject: Subject) -> None:
    """Without a key nothing is executed."""
    reference = fresh()
    _is_problem(subject.post("create", reference, None), 400, "key-missing")
    assert subject.executions(reference) == 0


def check_a_malformed_key_is_refused(subject: Subject) -> None:
    """Too short, not ASCII-visible, or two that differ."""
    reference = fresh()
    for key in ("short", "with a space in it", "x" * 256):
        _is_problem(subject.post("create", reference, key), 400, "key-malformed")
    two = subject.post("create", reference, fresh(), more={"X-Idempotency-Key": fresh()})
    _is_problem(two, 400, "key-malformed")
    assert subject.executions(reference) == 0


def check_a_retry_is_replayed(subject: Subject) -> None:
    """One execution, the same answer byte for byte, and a mark that says which it was."""
    reference, key = fresh(), fresh()
    first, again = (subject.post("create", reference, key) for _ in range(2))
    assert first.status in {200, 201}, first
    assert first.same() == again.same()
    assert [answer.header("idempotency-replayed") for answer in (first, again)] == ["false", "true"]
    assert first.header("idempotency-expires") == again.header("idempotency-expires") != ""
    assert subject.executions(reference) == 1


def check_spellings_of_a_key_are_one_key(subject: Subject) -> None:
    """Either header, any case, bare or as a quoted string."""
    reference, key = fresh(), fresh()
    subject.post("create", reference, key)
    for spelling, text in (("X-Idempotency-Key", key), ("IDEMPOTENCY-KEY", key), ("Idempotency-Key", f'"{key}"')):
        assert subject.post("create", reference, text, spelling=spelling).header("idempotency-replayed") == "true"
    assert subject.executions(reference) == 1


def check_another_request_under_a_used_key_is_refused(subject: Subject) -> None:
    """422, and neither is executed again."""
    reference, other, key = fresh(), fresh(), fresh()
    subject.post("create", reference, key)
    _is_problem(subject.post("create", other, key), 422, "key-reused")
    assert (subject.executions(reference), subject.executions(other)) == (1, 0)


def check_json_in_another_spelling_is_the_same_request(subject: Subject) -> None:
    """White space in a body is not another request."""
    reference, key = fresh(), fresh()
    subject.post("create", reference, key)
    again = subject.post("create", reference, key, body=b" " + subject.body(reference) + b"\n")
    assert again.header("idempotency-replayed") == "true", again
    assert subject.executions(reference) == 1


def check_duplicates_in_flight_wait_for_one_execution(subject: Subject) -> None:
    """All at once: one is executed, the others get its answer."""
    reference, key = fresh(), fresh()
    with ThreadPoolExecutor(DUPLICATES) as pool:
        answers = list(
            pool.map(lambda _: subject.post("slow", reference, key, more={"Prefer": "wait=15"}), range(DUPLICATES))
        )
    assert len({answer.same() for answer in answers}) == 1, answers
    assert answers[0].status in {200, 201}
    assert sorted(a.header("idempotency-replayed") for a in answers) == ["false"] + ["true"] * (DUPLICATES - 1)
    assert subject.executions(reference) == 1


def check_a_duplicate_that_may_not_wait_is_told_to_retry(subject: Subject) -> None:
    """409 with Retry-After while the first is under way; afterwards its answer."""
    reference, key = fresh(), fresh()
    first = threading.Thread(target=subject.post, args=["slow", reference, key])
    first.start()
    until(lambda: subject.executions(reference) == 1)
    early = subject.post("slow", reference, key, more={"Prefer": "wait=0"})
    first.join()
    _is_problem(early, 409, "key-in-progress")
    assert int(early.header("retry-after")) > 0
    assert subject.post("slow", reference, key).header("idempotency-replayed") == "true"
    assert subject.executions(reference) == 1


def check_binary_is_replayed_as_it_is(subject: Subject) -> None:
    """Every octet, both times."""
    reference, key = fresh(), fresh()
    first, again = (subject.post("binary", reference, key) for _ in range(2))
    assert first.body == again.body == ALL_OCTETS
    assert first.same() == again.same()
    assert subject.executions(reference) == 1


def check_an_empty_answer_is_replayed_as_it_is(subject: Subject) -> None:
    """204, and 200 with no bytes: an empty body is an answer, not the lack of one."""
    for path, status in (("empty", 204), ("nothing", 200)):
        reference, key = fresh(), fresh()
        first, again = (subject.post(path, reference, key) for _ in range(2))
        assert (first.status, first.body) == (status, b"")
        assert first.same() == again.same()
        assert again.header("idempotency-replayed") == "true"
        assert subject.executions(reference) == 1


def check_a_refusal_is_replayed_too(subject: Subject) -> None:
    """A 400 of the service's own is the key's answer."""
    reference, key = fresh(), fresh()
    first, again = (subject.post("refuse", reference, key) for _ in range(2))
    assert first.status == 400
    assert first.same() == again.same()
    assert subject.executions(reference) == 1


def check_repeated_headers_survive(subject: Subject) -> None:
    """Every line of a repeated header, in its order, in the replay too."""
    reference, key = fresh(), fresh()
    first, again = (subject.post("create", reference, key) for _ in range(2))
    assert len(first.all(subject.repeated_header)) > 1, first
    assert first.all(subject.repeated_header) == again.all(subject.repeated_header)


def check_reads_need_no_key_and_pass(subject: Subject) -> None:
    """GET and HEAD take no key, are never replayed, and bear no mark of idempotency."""
    path = subject.paths["read"]
    read = subject.call("GET", path, None, {**subject.headers, "Idempotency-Key": fresh()})
    head = subject.call("HEAD", path, None, subject.headers)
    assert (read.status, head.status, head.body) == (200, 200, b"")
    assert "idempotency-replayed" not in dict(read.lines)


def check_keys_of_another_tenant_are_other_keys(subject: Subject) -> None:
    """The same key under another scope is another execution; without a scope there is none."""
    reference, other, key = fresh(), fresh(), fresh()
    subject.post("create", reference, key)
    answer = subject.post("create", other, key, more={subject.paths["tenant_header"]: "another"})
    assert answer.header("idempotency-replayed") == "false"
    assert subject.executions(other) == 1


CHECKS: Mapping[Callable[[Subject], None], frozenset[str]] = {
    check_a_key_is_required: frozenset(),
    check_a_malformed_key_is_refused: frozenset(),
    check_a_retry_is_replayed: frozenset(),
    check_spellings_of_a_key_are_one_key: frozenset(),
    check_another_request_under_a_used_key_is_refused: frozenset(),
    check_json_in_another_spelling_is_the_same_request: frozenset(),
    check_duplicates_in_flight_wait_for_one_execution: frozenset({"slow"}),
    check_a_duplicate_that_may_not_wait_is_told_to_retry: frozenset({"slow"}),
    check_binary_is_replayed_as_it_is: frozenset({"binary"}),
    check_an_empty_answer_is_replayed_as_it_is: frozenset({"empty", "nothing"}),
    check_a_refusal_is_replayed_too: frozenset({"refuse"}),
    check_repeated_headers_survive: frozenset({"repeated"}),
    check_reads_need_no_key_and_pass: frozenset({"read"}),
    check_keys_of_another_tenant_are_other_keys: frozenset({"tenant_header"}),
}


def checks_of(paths: set[str]) -> list[Callable[[Subject], None]]:
    """Return the checks that apply to a subject with these paths."""
    return [check for check, needed in CHECKS.items() if needed <= paths]
