"""What is sent again and what is not, and what each end of a call proves.

What other payment clients do, or did wrong:

- gocardless-pro-python made a new key in each attempt (https://github.com/gocardless/gocardless-pro-python/issues/12),
  stripe-php overwrote the caller's (https://github.com/stripe/stripe-php/issues/637), woocommerce-square sends a new
  one after 429 and 5xx (https://github.com/woocommerce/woocommerce-square/issues/106).
- stripe-ruby took "in progress" for a failure (https://github.com/stripe/stripe-ruby/issues/431), stripity-stripe
  returned it at the end as an invalid request (https://github.com/beam-community/stripity-stripe/issues/564).
- stripe-python repeats every 409, reads Retry-After as a number only, and ignores one above 60 s
  (stripe/_http_client.py).
- google-cloud-python began its last attempt after the deadline
  (https://github.com/googleapis/google-cloud-python/issues/9872), and python-api-core sent requests with a timeout of
  zero (https://github.com/googleapis/python-api-core/pull/776).
- dataxid-python failed on an error that is no JSON object (https://github.com/dataxid/dataxid-python/issues/181).
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from payonce.client import (
    AlreadyExecuted,
    ClientError,
    Declined,
    DerivedKeys,
    KeyReused,
    Misused,
    NotBegun,
    NotExecuted,
    NotFound,
    NothingExecuted,
    OutcomeUnknown,
    ReadFailed,
    Refused,
)
from tests.support.client import IN_DOUBT, PAYMENT, Stage, answer, created, pay, problem

LOST = httpx.ReadTimeout("no answer")
IN_PROGRESS = problem("key-in-progress", 409, retryable=True)
STORE_DOWN = problem("store-unavailable", 503, retryable=True)
UNKNOWN = problem("outcome-unknown", 504, retryable=True)
INTERNAL = problem("internal", 500, retryable=True)
FORBIDDEN = problem("forbidden", 403, retryable=False)
THROTTLED = problem("throttled", 429, retryable=True)

WORTH_ANOTHER_ATTEMPT: list[Any] = [
    LOST,
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.WriteError("broken pipe"),
    httpx.ReadError("reset"),
    IN_PROGRESS,
    STORE_DOWN,
    UNKNOWN,
    INTERNAL,
    THROTTLED,
    problem("a-type-of-tomorrow", 503, retryable=True),
    answer(202, IN_DOUBT),
    answer(429, {"message": "Too Many Requests"}),
    answer(500, {"message": "Internal server error"}),
    answer(504, {"message": "Endpoint request timed out"}),
    httpx.Response(502, text="<html>Bad gateway</html>"),
    httpx.Response(503, json="a text"),
    httpx.Response(503, content=b"[" * 100_000),
    httpx.Response(201, text="<html>Log in to the hotel's network</html>"),
    httpx.Response(201, json={}),
    httpx.Response(201, json=[1]),
    httpx.Response(201, json={"object": "refund", "id": "re_1"}),  # the answer to another request
    httpx.Response(201, content=b'{"object":"pay'),
    httpx.Response(307, headers={"Location": "https://elsewhere.example"}),
    httpx.Response(408),
]


@pytest.mark.parametrize("first", WORTH_ANOTHER_ATTEMPT, ids=lambda step: repr(step)[:60])
def test_every_attempt_has_the_same_key_and_bytes(first: Any) -> None:
    stage = Stage([first, first, created(replayed=True)])
    answered = pay(stage.client(), reference="order-17")
    assert (answered.data, answered.replayed, answered.resource) == (PAYMENT, True, "/payments/pay_1")
    assert stage.sent_keys() == [answered.idempotency_key] * 3
    assert len({request.content for request in stage.sent}) == 1
    assert len({str(request.url) for request in stage.sent}) == 1
    assert len(stage.sleeps) == 2


NO_EFFECT: list[tuple[Any, type[ClientError]]] = [
    (problem("invalid-request", 400, retryable=False), Refused),
    (problem("card-number-refused", 400, retryable=False), Refused),
    (problem("body-too-large", 413, retryable=False), Refused),
    (problem("unauthenticated", 401, retryable=False), Refused),
    (problem("forbidden", 403, retryable=False), Refused),
    (problem("not-found", 404, retryable=False), NotFound),
    (problem("payment-state", 409, retryable=False), Refused),  # a 409 that stripe-python would repeat
    (problem("a-type-of-tomorrow", 451, retryable=False), Refused),
    (answer(401, {"message": "Unauthorized"}), Refused),
    (answer(403, {"Message": "User is not authorized"}), Refused),
]


@pytest.mark.parametrize(("only", "error"), NO_EFFECT, ids=lambda value: repr(value)[:60])
def test_a_refusal_is_not_repeated_and_proves_that_nothing_was_executed(only: Any, error: type[ClientError]) -> None:
    stage = Stage([only])
    with pytest.raises(error) as caught:
        pay(stage.client())
    assert type(caught.value) is error
    assert isinstance(caught.value, NothingExecuted)
    assert len(stage.sent) == 1
    assert stage.sleeps == []


@pytest.mark.parametrize(("refusal", "_error"), NO_EFFECT, ids=lambda value: repr(value)[:60])
@pytest.mark.parametrize("lost", [LOST, INTERNAL, IN_PROGRESS, answer(202, IN_DOUBT)], ids=lambda s: repr(s)[:30])
def test_a_refusal_says_nothing_about_an_earlier_attempt_whose_answer_was_lost(
    lost: Any, refusal: Any, _error: type[ClientError]
) -> None:
    """The API key was revoked between two attempts: fails ("nothing was executed") when only the last answer counts."""
    stage = Stage([lost, refusal])
    with pytest.raises(OutcomeUnknown) as caught:
        pay(stage.client())
    assert caught.value.idempotency_key == stage.sent_keys()[0]
    assert len(stage.sent) == 2


@pytest.mark.parametrize("harmless", [STORE_DOWN, THROTTLED, httpx.ConnectError("refused")], ids=lambda s: repr(s)[:30])
def test_a_refusal_after_attempts_without_effect_is_certain(harmless: Any) -> None:
    with pytest.raises(Refused):
        pay(Stage([harmless, harmless, problem("forbidden", 403, retryable=False)]).client())


@pytest.mark.parametrize(
    ("slug", "status", "error"),
    [("declined", 402, Declined), ("not-executed", 402, NotExecuted), ("key-expired", 409, AlreadyExecuted)],
)
@pytest.mark.parametrize("before", [[], [LOST], [UNKNOWN, IN_PROGRESS]], ids=len)
def test_the_keys_own_end_is_final_whatever_was_lost_before(
    before: list[Any], slug: str, status: int, error: type[ClientError]
) -> None:
    more = {"code": "insufficient_funds", "resource": "/payments/pay_1"}
    stage = Stage([*before, problem(slug, status, retryable=False, **more)])
    with pytest.raises(error) as caught:
        pay(stage.client())
    assert (caught.value.type, getattr(caught.value, "resource", "")) == (slug, "/payments/pay_1")
    assert getattr(caught.value, "code", "insufficient_funds") == "insufficient_funds"
    assert isinstance(caught.value, NothingExecuted) is (slug != "key-expired")
    assert len(stage.sent) == len(before) + 1


@pytest.mark.parametrize(
    "only", [httpx.Response(400, text="<html>"), httpx.Response(404, text="nginx"), httpx.Response(405)]
)
def test_a_strangers_refusal_proves_nothing(only: httpx.Response) -> None:
    """A proxy on the way, or a wrong address: no other answer will come, and none says what happened."""
    stage = Stage([only])
    with pytest.raises(OutcomeUnknown):
        pay(stage.client())
    assert len(stage.sent) == 1


def test_an_executed_request_whose_answer_can_never_be_had_is_not_repeated_as_if_it_were_nothing() -> None:
    stage = Stage([problem("response-too-large", 502, retryable=False, resource="/payments/pay_9")])
    with pytest.raises(OutcomeUnknown) as caught:
        pay(stage.client())
    assert (len(stage.sent), caught.value.resource) == (1, "/payments/pay_9")


@pytest.mark.parametrize("step", [STORE_DOWN, THROTTLED, httpx.ConnectError("no"), answer(429, {"message": "Slow"})])
def test_without_any_attempt_that_had_an_effect_the_end_is_certain(step: Any) -> None:
    stage = Stage([step])
    with pytest.raises(NotBegun):
        pay(stage.client(), timeout_seconds=30)
    assert len(stage.sent) > 3


@pytest.mark.parametrize("step", [FORBIDDEN, STORE_DOWN, httpx.ConnectError("refused")], ids=lambda s: repr(s)[:30])
@pytest.mark.parametrize("own", [{"idempotency_key": "a-key-of-mine-000"}, {"intent": "order-17"}], ids=str)
def test_what_other_processes_did_with_a_key_is_not_known_here(own: dict[str, str], step: Any) -> None:
    """Fails ("nothing was executed") when only this process counts: the one before it may have been killed."""
    client = Stage([step]).client(intents=DerivedKeys("shop"))
    with pytest.raises(OutcomeUnknown):
        pay(client, timeout_seconds=5, **own)


@pytest.mark.parametrize("before", [[], [LOST]], ids=len)
def test_a_key_of_another_request_is_no_proof_that_nothing_was_executed(before: list[Any]) -> None:
    """A page was loaded again and has a new token: who takes this for "not executed" and names a new key pays twice."""
    stage = Stage([*before, problem("key-reused", 422, retryable=False, resource="/payments/pay_1")])
    with pytest.raises(KeyReused) as caught:
        pay(stage.client())
    assert not isinstance(caught.value, NothingExecuted)
    assert caught.value.resource == "/payments/pay_1"


@pytest.mark.parametrize("step", [LOST, IN_PROGRESS, INTERNAL, UNKNOWN, answer(202, IN_DOUBT, Location="/payments/p")])
def test_one_lost_answer_makes_the_end_unknown_and_says_how_to_go_on(step: Any) -> None:
    stage = Stage([STORE_DOWN, step, STORE_DOWN])
    with pytest.raises(OutcomeUnknown, match="another key could execute it twice") as caught:
        pay(stage.client(), timeout_seconds=30)
    assert caught.value.idempotency_key == stage.sent_keys()[0]
    stage.steps = [created(replayed=True)]
    pay(stage.client(), idempotency_key=caught.value.idempotency_key)
    assert len(set(stage.sent_keys())) == 1
    assert len({request.content for request in stage.sent}) == 1


def test_a_payment_in_doubt_is_asked_for_again_with_its_key_and_named_at_the_end() -> None:
    stage = Stage([answer(202, IN_DOUBT, Location="/payments/pay_1", Retry_After="5")], random=0.0)
    with pytest.raises(OutcomeUnknown) as caught:
        pay(stage.client(), timeout_seconds=21)
    assert (caught.value.resource, stage.sleeps) == ("/payments/pay_1", [5, 5, 5, 5])


def test_what_is_accepted_with_202_and_in_no_doubt_is_an_end() -> None:
    stage = Stage([answer(202, {"object": "webhook_replay", "status": "running"})])
    assert stage.client().replay_webhooks("we_1", from_ms=0, until_ms=1).data["status"] == "running"
    assert len(stage.sent) == 1


def test_a_connection_that_failed_in_the_callers_own_httpx_client_proves_nothing() -> None:
    """Such a client may repeat requests by itself: that the last repetition did not connect says little."""
    stage = Stage([httpx.ConnectError("refused")])
    client = stage.client(http=httpx.Client())
    with pytest.raises(OutcomeUnknown):
        pay(client, timeout_seconds=5)


def test_no_attempt_begins_when_the_deadline_is_near_and_none_outlasts_it() -> None:
    stage = Stage([LOST], takes_seconds=9.0, random=1.0)
    with pytest.raises(OutcomeUnknown):
        pay(stage.client(attempt_timeout_seconds=10), timeout_seconds=30)
    limits = [request.extensions["timeout"]["read"] for request in stage.sent]
    # 0, 9.5, 19.5: 10 s each, then 10 s are left; after 28.5 s and a wait of up to 2 s nothing is begun.
    assert limits == pytest.approx([10, 10, 10])
    assert stage.now < 30


def test_a_wait_beyond_the_deadline_is_not_waited() -> None:
    stage = Stage([problem("throttled", 429, retryable=True, headers={"Retry-After": "300"})])
    with pytest.raises(NotBegun):
        pay(stage.client(), timeout_seconds=60)
    assert (stage.sleeps, len(stage.sent)) == ([], 1)


def test_a_long_retry_after_is_honoured_where_there_is_time() -> None:
    """stripe-python ignores what is above 60 s, and comes back too early."""
    stage = Stage([problem("throttled", 429, retryable=True, headers={"Retry-After": "300"}), created()])
    pay(stage.client(), timeout_seconds=None)
    assert 300 <= stage.sleeps[0] <= 300.5


def test_without_a_deadline_a_call_goes_on_until_it_has_an_answer() -> None:
    stage = Stage([*[LOST] * 2_000, created()])
    pay(stage.client(timeout_seconds=None))
    assert len(stage.sent) == 2_001
    assert max(stage.sleeps) <= 20
    assert len(set(stage.sent_keys())) == 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "10", True])
def test_a_deadline_that_is_none_is_refused_before_sending(seconds: Any) -> None:
    stage = Stage([created()])
    with pytest.raises(Misused):
        pay(stage.client(), timeout_seconds=seconds)
    assert stage.sent == []


def test_a_replay_says_where_the_payment_stands_now() -> None:
    stage = Stage([created(replayed=True, Payment_Status="refunded", Idempotency_Expires="2026-11-30T21:53:42.038Z")])
    answered = pay(stage.client())
    assert (answered.standing, answered.expires_at) == ("refunded", "2026-11-30T21:53:42.038Z")


def test_each_call_has_a_key_of_its_own() -> None:
    stage = Stage([created()])
    client = stage.client()
    assert len({pay(client).idempotency_key for _ in range(100)}) == 100
    assert all(16 <= len(key) <= 255 for key in stage.sent_keys())


@pytest.mark.parametrize("key", ["short", "with a space 123456", "x" * 256, "ключ-ключ-ключ-ключ", 7])
def test_a_key_that_the_api_would_refuse_is_not_sent(key: Any) -> None:
    stage = Stage([created()])
    with pytest.raises(Misused):
        pay(stage.client(), idempotency_key=key)
    assert stage.sent == []


@pytest.mark.parametrize("step", [LOST, httpx.ConnectError("no"), STORE_DOWN, INTERNAL, httpx.Response(502, text="<")])
def test_reads_are_repeated_too_and_have_no_key(step: Any) -> None:
    stage = Stage([step, answer(200, PAYMENT)])
    assert stage.client().get_payment("pay_1") == PAYMENT
    assert len(stage.sent) == 2
    assert all("X-Idempotency-Key" not in request.headers for request in stage.sent)
    with pytest.raises(ReadFailed):
        Stage([step]).client().get_payment("pay_1", timeout_seconds=10)


def test_a_read_of_what_is_not_there() -> None:
    with pytest.raises(NotFound):
        Stage([LOST, problem("not-found", 404, retryable=False)]).client().get_payment("pay_1")


@pytest.mark.parametrize("bad", ["", ".", "..", None, 7])
def test_a_part_of_the_path_that_leads_elsewhere_is_refused(bad: Any) -> None:
    stage = Stage([created()])
    with pytest.raises(Misused):
        stage.client().refund_payment(bad)
    assert stage.sent == []


def test_a_part_of_the_path_stays_one_part() -> None:
    stage = Stage([answer(200, {"object": "list", "data": []})])
    stage.client().get_idempotency_key("../payments?x=1#/%2e%2e")
    assert stage.sent[0].url.raw_path == b"/v1/idempotency-keys/..%2Fpayments%3Fx%3D1%23%2F%252e%252e"


def test_what_is_no_json_is_refused_before_sending() -> None:
    stage = Stage([created()])
    for amount in (float("nan"), object()):
        with pytest.raises(Misused):
            stage.client().create_payment(amount_minor=amount, currency="EUR", payment_method="pm")  # type: ignore[arg-type]
    assert stage.sent == []


def test_options_are_headers_and_no_part_of_the_body() -> None:
    stage = Stage([created()])
    pay(stage.client(), priority="u=5", not_card_numbers=["reference", "metadata.order"], metadata={"order": "1"})
    headers = stage.sent[0].headers
    assert (headers["Priority"], headers["Payonce-Not-Card-Numbers"]) == ("u=5", "reference, metadata.order")
    assert headers["Prefer"] == "wait=17"
    assert json.loads(stage.sent[0].content) == {
        "amount_minor": 1050,
        "currency": "EUR",
        "payment_method": "pm_visa",
        "metadata": {"order": "1"},
    }
