"""How each kind of front is asked, and what its answers mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from histories.key_model import Asked, Outcome
from histories.upstream import ATTEMPT_HEADER
from histories.worker_kinds import WAIT_SECONDS
from payonce.domain.problems import PROBLEM_CONTENT_TYPE, TYPE_PREFIX
from tests.support.events import event
from tests.support.http import Answer, call
from tests.support.proxy import TENANT, function_answer, function_event

if TYPE_CHECKING:
    from collections.abc import Callable

    type Ask = Callable[[str, str, str, int], Asked]  # (worker's URL, key, body, attempt); raises what the network does

CLIENT_SECONDS = 12.0  # longer than every function's timeout
UNFORESEEN = "unforeseen"  # member of a worker's answer: its handler raised this
INVOKE = "/2015-03-31/functions/function/invocations"
OUTCOMES = {
    "key-reused": Outcome.REUSED,
    "key-in-progress": Outcome.BUSY,
    "gateway-unavailable": Outcome.NOT_EXECUTED,
    "upstream-unavailable": Outcome.NOT_EXECUTED,
    "store-unavailable": Outcome.NOT_EXECUTED,
    "overloaded": Outcome.NOT_EXECUTED,
    "throttled": Outcome.NOT_EXECUTED,
    "outcome-unknown": Outcome.UNKNOWN,
    "declined": Outcome.ANSWERED,
    "not-executed": Outcome.ANSWERED,
}
WITHOUT_EFFECT = frozenset({"declined", "not-executed"})
VOLATILE_HEADERS = frozenset(
    {"idempotency-replayed", "date", "connection", "retry-after"}
)  # a replay may differ in them


class UnexpectedAnswer(Exception):
    """An answer that no request of the workload can get: a defect of the front, or of the workload."""


def ask_api(url: str, key: str, body: str, attempt: int) -> Asked:
    """Ask the payments API to create the payment of this key and body."""
    payment = {"amount_minor": 1_000 + ord(body), "currency": "EUR", "payment_method": token_of(key, body)}
    headers = {"Prefer": f"wait={WAIT_SECONDS}"}
    payload = {"route": "POST /payments", "event": event(payment, key=key, headers=headers)}
    return told(body, attempt, _function_answer(_invoke(url, payload)))


def read_payment(url: str, location: str) -> int:
    """Return the status of reading the payment that an answer has named."""
    path = {"payment_id": location.rpartition("/")[2]}
    payload = {"route": "GET /payments/{payment_id}", "event": event(None, key=None, path=path)}
    return int(_invoke(url, payload)["statusCode"])


def ask_gateway(url: str, key: str, body: str, attempt: int) -> Asked:
    """Ask the upstream, through the idempotency gateway's handler."""
    payload = {"event": function_event("POST", "/orders", _order(key, body), _headers(key, attempt))}
    return told(body, attempt, function_answer(_invoke(url, payload)))


def ask_sidecar(url: str, key: str, body: str, attempt: int) -> Asked:
    """Ask the upstream, through the sidecar."""
    headers = {**_headers(key, attempt), TENANT: "shop"}
    return told(body, attempt, call(url, "POST", "/orders", _order(key, body), headers, timeout_seconds=CLIENT_SECONDS))


def ask_middleware(url: str, key: str, body: str, attempt: int) -> Asked:
    """Ask a service with the middleware. The 500 of an application that has failed says nothing of the outcome."""
    answer = call(url, "POST", "/orders", _order(key, body), _headers(key, attempt), timeout_seconds=CLIENT_SECONDS)
    if answer.status == 500 and answer.header("content-type") != PROBLEM_CONTENT_TYPE:
        return Asked(body, Outcome.UNKNOWN, "", attempt=attempt)
    return told(body, attempt, answer)


def ask_in_process(url: str, key: str, body: str, attempt: int) -> Asked:
    """Have the guarded function called."""
    answer = _invoke(url, {"key": key, "body": body, "attempt": attempt})
    return Asked(body, Outcome(answer["outcome"]), answer.get("answer", ""), attempt=attempt)


def token_of(key: str, body: str) -> str:
    """Return the payment method by which the bank's books tell keys and bodies apart."""
    return f"pm:{key}:{body}"


def told(body: str, attempt: int, answer: Answer) -> Asked:
    """Return what an HTTP answer means. Raises ``UnexpectedAnswer``."""
    slug = ""
    if answer.header("content-type") == PROBLEM_CONTENT_TYPE:
        slug = str(answer.json()["type"]).removeprefix(TYPE_PREFIX)
    if slug:
        if slug not in OUTCOMES:
            raise UnexpectedAnswer(f"{answer.status} {answer.body!r}")
        outcome = OUTCOMES[slug]
    elif answer.status == 202:  # a payment in doubt
        outcome = Outcome.UNKNOWN
    elif answer.status == 201:
        outcome = Outcome.ANSWERED
    else:
        raise UnexpectedAnswer(f"{answer.status} {answer.body!r}")
    text = text_of(answer) if outcome is Outcome.ANSWERED else ""
    return Asked(body, outcome, text, effects=0 if slug in WITHOUT_EFFECT else 1, attempt=attempt)


def text_of(answer: Answer) -> str:
    """Return all of an answer that a replay has to repeat."""
    lines = [f"{name}: {value}" for name, value in answer.lines if name not in VOLATILE_HEADERS]
    return "\n".join([answer.body.decode(), str(answer.status), *lines])


def header_of(text: str, name: str) -> str:
    """Return a header's value in such a text, "" without it."""
    found = [line.partition(": ")[2] for line in text.split("\n")[2:] if line.startswith(f"{name}: ")]
    return found[0] if found else ""


def _order(key: str, body: str) -> bytes:
    return json.dumps({"key": key, "body": body}).encode()


def _headers(key: str, attempt: int) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "Prefer": f"wait={WAIT_SECONDS}",
        ATTEMPT_HEADER: str(attempt),
    }


def _invoke(url: str, payload: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = call(
        url, "POST", INVOKE, json.dumps(payload).encode(), timeout_seconds=CLIENT_SECONDS
    ).json()
    return answer


def _function_answer(response: dict[str, Any]) -> Answer:
    lines = tuple((name.lower(), str(value)) for name, value in response["headers"].items())
    return Answer(response["statusCode"], lines, response["body"].encode())
