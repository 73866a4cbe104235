"""The API as its users see it: real HTTP to the deployed stack."""

from __future__ import annotations

import re
import time
import unicodedata
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.conftest import Answer, Client, as_role
from tests.support.leaks import MARKED_PAYER

if TYPE_CHECKING:
    from local.stack import Stack

BURST_THREADS = 200
PATIENCE_SECONDS = 250
# The local cloud runs a few environments at once. What it throttles gets 429, or 500 if that was the authorizer.
RETRIED = {429, 500, 502, 503, 504}
# What it says of its payer is looked for where it must not be, after all tests (conftest.leaks_of).
PAYMENT = {
    "amount_minor": 1050,
    "currency": "EUR",
    "payment_method": "pm_sandbox_visa",
    "metadata": {"payer": MARKED_PAYER},
}


def new_key() -> str:
    return str(uuid.uuid4())


def token() -> str:
    return f"pm_{uuid.uuid4().hex}"


def test_a_payment_its_replay_and_a_changed_body(client: Client) -> None:
    key = new_key()
    first = client.call("POST", "/payments", PAYMENT, key=key)
    again = client.call("POST", "/payments", dict(reversed(PAYMENT.items())), key=key)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert (first.headers["idempotency-replayed"], again.headers["idempotency-replayed"]) == ("false", "true")
    assert first.headers["idempotency-expires"] == again.headers["idempotency-expires"]
    assert first.headers["location"] == again.headers["location"] == f"/payments/{first.json()['id']}"
    changed = client.call("POST", "/payments", {**PAYMENT, "amount_minor": 1}, key=key)
    assert (changed.status, changed.headers["content-type"]) == (422, "application/problem+json")
    assert client.call("GET", first.headers["location"]).json()["status"] == "captured"


def test_200_threads_with_one_key_make_one_charge(client: Client, stack: Stack) -> None:
    """A caller that is throttled before any claim retries with the same key, as clients do.

    Fails (many charges) when the claim's condition is dropped.
    """
    key, payment = new_key(), {**PAYMENT, "payment_method": token()}
    throttled = 0

    def go(_: int) -> Answer:
        nonlocal throttled
        for attempt in range(200):
            answer = client.call("POST", "/payments", payment, key=key, headers={"Prefer": "wait=5"})
            # 202 is provisional: on a machine that does other things too, the bank may have been too slow.
            if answer.status not in RETRIED | {202}:
                return answer
            throttled += 1
            time.sleep(min(0.05 * 2**attempt, 1.0))
        return answer

    with ThreadPoolExecutor(BURST_THREADS) as pool:
        answers = list(pool.map(go, range(BURST_THREADS)))
    created = [answer for answer in answers if answer.status == 201]
    conflicts = [answer for answer in answers if answer.status == 409]
    assert len(created) + len(conflicts) == BURST_THREADS, Counter(answer.status for answer in answers)
    assert len({answer.body for answer in created}) == 1
    assert all(answer.json()["retryable"] for answer in conflicts)
    assert len(stack.bank.charges(payment_method=payment["payment_method"])) == 1
    location = created[0].headers["location"]
    history = client.call("GET", f"{location}/history").json()["data"]
    assert [entry["type"] for entry in history] == ["payment.captured"]
    listed = [
        item
        for item in client.call("GET", "/payments?limit=100").json()["data"]
        if item["payment_method"] == payment["payment_method"]
    ]
    assert len(listed) == 1


def test_a_bank_that_books_and_never_answers_is_resolved(client: Client, stack: Stack) -> None:
    payment = {**PAYMENT, "payment_method": token()}
    with stack.bank.misbehaving("forgetful", "drop_after_booking", times=1, kinds=["payment"]):
        answer = client.call("POST", "/payments", payment, key=new_key())
    assert (answer.status, answer.json()["status"]) == (201, "captured")
    assert len(stack.bank.charges(payment_method=payment["payment_method"])) == 1


def test_a_payment_in_doubt_is_resolved_by_the_recovery_function(client: Client, stack: Stack) -> None:
    """The bank loses the request and the lookup: 202 in doubt; then recovery asks again, on its schedule or invoked."""
    payment, key = {**PAYMENT, "payment_method": token()}, new_key()
    with stack.bank.misbehaving("forgetful", "drop_before_booking", times=1, kinds=["payment"]):
        doubtful = client.call("POST", "/payments", payment, key=key)
    assert (doubtful.status, doubtful.json()["status"]) == (202, "in_doubt")
    assert doubtful.headers["retry-after"]
    assert client.call("GET", doubtful.headers["location"]).json()["status"] == "in_doubt"
    give_up = time.monotonic() + PATIENCE_SECONDS
    while client.call("GET", doubtful.headers["location"]).json()["status"] == "in_doubt":
        assert time.monotonic() < give_up
        stack.client("lambda").invoke(FunctionName=stack.outputs["RecoverPaymentsFunctionName"], Payload=b"{}")
        time.sleep(1)
    final = client.call("POST", "/payments", payment, key=key)
    assert (final.status, final.json()["status"]) == (201, "captured")
    assert final.json()["id"] == doubtful.json()["id"]
    assert len(stack.bank.charges(payment_method=payment["payment_method"])) == 1


def test_authorize_capture_refund_and_the_books(stack: Stack) -> None:
    client = Client(stack, stack.create_merchant("Books", gateway="honouring_bank")[1])
    created = client.call("POST", "/payments", {**PAYMENT, "capture": "manual", "reference": "ödr ☃"}, key=new_key())
    assert created.json()["status"] == "authorized"
    path = created.headers["location"]
    assert client.call("POST", f"{path}/captures", {"amount_minor": 50}, key=new_key()).status == 201
    assert client.call("POST", f"{path}/captures", key=new_key()).json()["amount_minor"] == 1000
    refund = client.call("POST", f"{path}/refunds", {"amount_minor": 100}, key=new_key())
    assert (refund.status, refund.json()["payment"]["status"]) == (201, "partially_refunded")
    too_much = client.call("POST", f"{path}/refunds", {"amount_minor": 951}, key=new_key())
    assert (too_much.status, too_much.json()["available_minor"]) == (409, 950)
    assert client.call("POST", f"{path}/cancellations", key=new_key()).status == 409
    balances = {line["account"]: line["balance_minor"] for line in client.call("GET", "/balances").json()["data"]}
    assert balances["gateway_receivable:honouring_bank"] == 950
    assert balances["merchant_payable"] == -950
    assert sum(balances.values()) == 0
    history = client.call("GET", f"{path}/history").json()["data"]
    assert [entry["sequence"] for entry in history] == [1, 2, 3, 4]


def test_two_merchants_with_the_same_key_do_not_meet(client: Client, stack: Stack) -> None:
    """Fails when the merchant is left out of the record's id or of an item's key."""
    other = Client(stack, stack.create_merchant("Other")[1])
    key = new_key()
    mine = client.call("POST", "/payments", PAYMENT, key=key)
    theirs = other.call("POST", "/payments", {**PAYMENT, "amount_minor": 7}, key=key)
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    path = mine.headers["location"]
    for method, suffix in (
        ("GET", ""),
        ("GET", "/history"),
        ("POST", "/refunds"),
        ("POST", "/captures"),
        ("POST", "/cancellations"),
    ):
        assert other.call(method, path + suffix, key=new_key() if method == "POST" else None).status == 404
    assert [item["id"] for item in other.call("GET", "/payments").json()["data"]] == [theirs.json()["id"]]
    cursor = client.call("GET", "/payments?limit=1").json()["next_cursor"]
    assert other.call("GET", f"/payments?cursor={cursor}").status == 400


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Bearer po_" + "a" * 43, "Basic abc"])
def test_without_a_key_nothing_is_had(client: Client, authorization: str) -> None:
    for method, path in (("GET", "/payments"), ("POST", "/payments"), ("GET", "/balances")):
        headers = {"Authorization": authorization}
        answer = client.call(method, path, PAYMENT if method == "POST" else None, key=new_key(), headers=headers)
        assert answer.status in {401, 403}
        assert b"pay_" not in answer.body


def test_a_scope_opens_what_it_names_and_no_more(stack: Stack) -> None:
    reader = Client(stack, stack.create_merchant("Reader", scopes=["payments:read"])[1])
    assert reader.call("GET", "/payments").status == 200
    assert reader.call("POST", "/payments", PAYMENT, key=new_key()).status == 403
    assert reader.call("GET", "/balances").status == 403


BAD: list[tuple[str, Any, str | None, int]] = [
    ("malformed JSON", b'{"amount_minor": 1,', "k", 400),
    ("not an object", b"[1]", "k", 400),
    ("a float", {**PAYMENT, "amount_minor": 10.5}, "k", 400),
    ("a whole float", b'{"amount_minor": 10.0, "currency": "EUR", "payment_method": "pm_x"}', "k", 400),
    ("a number in exponent form", b'{"amount_minor": 1e3, "currency": "EUR", "payment_method": "pm_x"}', "k", 400),
    ("a number as text", {**PAYMENT, "amount_minor": "10"}, "k", 400),
    ("true as a number", {**PAYMENT, "amount_minor": True}, "k", 400),
    ("a negative amount", {**PAYMENT, "amount_minor": -1}, "k", 400),
    ("zero", {**PAYMENT, "amount_minor": 0}, "k", 400),
    ("a huge amount", {**PAYMENT, "amount_minor": 10**12}, "k", 400),
    ("an absurd amount", b'{"amount_minor": ' + b"9" * 5000 + b"}", "k", 400),
    ("NaN", b'{"amount_minor": NaN}', "k", 400),
    ("an unknown currency", {**PAYMENT, "currency": "EUX"}, "k", 400),
    ("a currency in lower case", {**PAYMENT, "currency": "eur"}, "k", 400),
    ("a missing member", {"amount_minor": 1, "currency": "EUR"}, "k", 400),
    ("an unknown member", {**PAYMENT, "amount": 1}, "k", 400),
    (
        "a repeated member",
        b'{"amount_minor": 1, "amount_minor": 2, "currency": "EUR", "payment_method": "pm_x"}',
        "k",
        400,
    ),
    ("a card number as token", {**PAYMENT, "payment_method": "4111111111111111"}, "k", 400),
    ("a grouped card number", {**PAYMENT, "reference": "card 4111-1111-1111-1111"}, "k", 400),
    ("a card number in metadata", {**PAYMENT, "metadata": {"n": "5500 0000 0000 0004"}}, "k", 400),
    ("a card number in other digits", {**PAYMENT, "reference": "４１１１１１１１１１１１１１１１"}, "k", 400),
    ("control characters", {**PAYMENT, "reference": "a\u0000b"}, "k", 400),
    (
        "half a surrogate pair",
        b'{"amount_minor": 1, "currency": "EUR", "payment_method": "pm_x", "reference": "\\ud800"}',
        "k",
        400,
    ),
    ("invalid UTF-8", b'{"reference": "\xff\xfe"}', "k", 400),
    ("deep nesting", b'{"a":' * 2000 + b"1" + b"}" * 2000, "k", 400),
    ("much metadata", {**PAYMENT, "metadata": {f"k{n}": "v" * 499 for n in range(20)}}, "k", 400),
    ("1 MB", {**PAYMENT, "reference": "x" * 1_000_000}, "k", 413),
    ("no key", PAYMENT, None, 400),
    ("an empty key", PAYMENT, "", 400),
    ("a short key", PAYMENT, "short", 400),
    ("a long key", PAYMENT, "x" * 256, 400),
    ("a key with a space", PAYMENT, "x" * 16 + " y", 400),
]


@pytest.mark.parametrize(("body", "key", "status"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_gets_a_clear_4xx_and_nothing_is_stored(
    client: Client, stack: Stack, body: Any, key: str | None, status: int
) -> None:
    """Fails when something is claimed before it is validated."""
    dynamodb = stack.client("dynamodb")

    def count() -> int:
        names = (stack.outputs["IdempotencyTableName"], stack.outputs["PaymentsTableName"])
        return sum(dynamodb.scan(TableName=name, Select="COUNT")["Count"] for name in names)

    before = count()
    answer = client.call("POST", "/payments", body, key=new_key() if key == "k" else key)
    assert answer.status == status, answer.body
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"].startswith("urn:payonce:problem:")
    assert len(problem["detail"]) > 20
    assert b"4111" not in answer.body
    assert count() == before


def test_odd_unicode_is_kept_as_it_was(client: Client) -> None:
    odd = "Ω≈ç√ \U0001f468\u200d\U0001f469\u200d\U0001f467 \u202eevil\u202c e\u0301 日本"
    answer = client.call("POST", "/payments", {**PAYMENT, "reference": odd, "metadata": {odd[:40]: odd}}, key=new_key())
    assert answer.status == 201
    assert answer.json()["reference"] == odd
    assert client.call("GET", answer.headers["location"]).json()["metadata"] == {odd[:40]: odd}


def test_each_functions_role_allows_only_what_it_needs(stack: Stack) -> None:
    """IAM is enforced by the local cloud: with the credentials of a role, what its function does not do is refused."""
    payments, ledger = stack.outputs["PaymentsTableName"], stack.outputs["LedgerTableName"]
    merchants, outbox = stack.outputs["MerchantsTableName"], stack.outputs["OutboxTableName"]
    key = {"pk": {"S": "x"}, "sk": {"S": "x"}}
    assert "Item" not in as_role(stack, "GetPaymentFunction").get_item(TableName=payments, Key=key)  # allowed
    refused = [
        ("GetPaymentFunction", "put_item", {"TableName": payments, "Item": key}),
        ("GetPaymentFunction", "get_item", {"TableName": merchants, "Key": key}),
        ("ListPaymentsFunction", "scan", {"TableName": payments}),
        ("GetBalancesFunction", "update_item", {"TableName": ledger, "Key": key}),
        ("CreatePaymentFunction", "get_item", {"TableName": merchants, "Key": key}),
        ("CreatePaymentFunction", "delete_item", {"TableName": payments, "Key": key}),
        ("CreatePaymentFunction", "update_item", {"TableName": outbox, "Key": key}),
        ("CreatePaymentFunction", "delete_item", {"TableName": ledger, "Key": key}),
        ("RefundPaymentFunction", "scan", {"TableName": payments}),
        ("AuthorizeFunction", "put_item", {"TableName": merchants, "Item": key}),
        ("AuthorizeFunction", "get_item", {"TableName": payments, "Key": key}),
        ("RecoverPaymentsFunction", "get_item", {"TableName": merchants, "Key": key}),
    ]
    for role, action, request in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(as_role(stack, role), action)(**request)


def test_a_secret_is_never_logged(client: Client, stack: Stack) -> None:
    """Fails when a body, a token or a header is handed to a log call.

    Whole numbers and keys are looked for: four digits alone turn up in timestamps and ids by chance.
    """
    card_number = "4111 1111 1111 1111"
    client.call("POST", "/payments", {**PAYMENT, "reference": card_number}, key=new_key())
    logs = stack.client("logs")
    messages = [
        event["message"]
        for group in logs.describe_log_groups()["logGroups"]
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
    ]
    text = "\n".join(messages)
    assert '"error":"CardNumberRefused"' in text  # the refusal is logged, and what was refused is not
    for secret in (client.api_key, "4111111111111111", "5500000000000004", "pm_sandbox_visa"):
        assert secret not in text
        assert secret not in re.sub(r"[ -]", "", unicodedata.normalize("NFKC", text))


def test_what_api_gateway_refuses_is_a_problem_document(client: Client) -> None:
    """A wrong key, no key, a route and a method that are not there. Fails when the API has no gateway responses."""
    asked = [
        ("GET", "/payments", {"Authorization": "Bearer po_" + "a" * 43}, 401, "unauthenticated"),
        ("GET", "/payments", {"Authorization": ""}, 401, "unauthenticated"),
        ("GET", "/nothing", {}, 404, "not-found"),
        ("PUT", "/payments", {}, 404, "not-found"),
    ]
    for method, path, headers, status, slug in asked:
        answer = client.call(method, path, headers=headers)
        problem = answer.json()
        assert (answer.status, problem["type"]) == (status, f"urn:payonce:problem:{slug}"), (path, answer.body)
        assert (answer.headers["content-type"], problem["status"]) == ("application/problem+json", status)


def test_the_documentation_of_a_problem_is_there(client: Client) -> None:
    """The link of a real answer is followed. Fails when the local cloud names no page, or it lacks the section."""
    link = client.call("POST", "/payments", PAYMENT).json()["documentation"]
    address, _, fragment = link.partition("#")
    shown = client.pool.request("GET", address)
    assert (shown.status, fragment) == (200, "key-missing")
    assert f'id="{fragment}"'.encode() in shown.data
