"""The decorator for Lambda handlers: each format of events, what handlers return, and functions that time out."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from payonce.middlewares.lambda_handler import idempotent_handler
from tests.support.events import Context
from tests.support.middlewares.direct import KEY, LEASE_MS, contract
from tests.support.world import RealClock


def first(body: str = "{}", **changes: Any) -> dict[str, Any]:
    """Return an event of format 1.0, as REST APIs send it."""
    headers = {"Idempotency-Key": KEY}
    return {
        "httpMethod": "POST",
        "path": "/orders",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {"authorizer": {"sub": "ann"}},
        **changes,
    }


def second(body: str = "{}", **changes: Any) -> dict[str, Any]:
    """Return an event of format 2.0, as HTTP APIs and function URLs send it."""
    return {
        "version": "2.0",
        "rawPath": "/orders",
        "rawQueryString": "",
        "headers": {"idempotency-key": KEY},
        "cookies": ["session=1"],
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {"http": {"method": "POST", "path": "/orders"}, "authorizer": {"sub": "ann"}},
        **changes,
    }


class Shop:
    """A handler that counts its executions, behind the decorator."""

    def __init__(self, returned: Any, **changes: Any) -> None:
        self.executed = 0

        @idempotent_handler(contract(**changes), scope=lambda event: event["requestContext"]["authorizer"]["sub"])
        def handler(event: Any, context: Any) -> Any:
            self.executed += 1
            return returned(event, context) if callable(returned) else returned

        self.handler = handler

    def ask(self, event: Any, context: Any = None) -> Any:
        """Return what API Gateway gets."""
        return self.handler(event, context or Context())


def body_of(returned: Any) -> bytes:
    """Return the body that a client gets."""
    return base64.b64decode(returned["body"]) if returned["isBase64Encoded"] else returned["body"].encode()


@pytest.mark.parametrize(
    ("returned", "status", "body"),
    [
        ({"statusCode": 201, "headers": {"X-A": 1}, "body": "é"}, 201, "é".encode()),
        ({"statusCode": "202"}, 202, b""),
        ({"statusCode": 200, "body": None}, 200, b""),
        (
            {"statusCode": 200, "body": base64.b64encode(b"\xff\x00").decode(), "isBase64Encoded": True},
            200,
            b"\xff\x00",
        ),
    ],
)
@pytest.mark.parametrize("event", [first, second], ids=["1.0", "2.0"])
def test_what_a_handler_returns_is_replayed(event: Any, returned: Any, status: int, body: bytes) -> None:
    """The same status, lines and octets, in the format of the event."""
    shop = Shop(returned)
    one, again = shop.ask(event()), shop.ask(event())
    assert (again["statusCode"], body_of(again)) == (status, body)
    kept = "headers" if event is second else "multiValueHeaders"
    marks = [made[kept].pop("Idempotency-Replayed") for made in (one, again)]
    assert marks == (["false", "true"] if event is second else [["false"], ["true"]])
    assert one == again
    assert shop.executed == 1


def test_format_2_makes_an_answer_of_anything() -> None:
    """Without a ``statusCode``, what is returned is the body of a 200 with JSON, as API Gateway has it."""
    for returned, body in (({"order": 1}, b'{"order": 1}'), ("text", b"text"), ([1], b"[1]")):
        made = Shop(returned).ask(second())
        assert (made["statusCode"], body_of(made)) == (200, body)
        assert made["headers"]["Content-Type"] == "application/json"


def test_numbers_of_dynamodb_are_json_as_lambdas_runtime_writes_them() -> None:
    """An item of boto3's holds ``Decimal``, which the runtime takes: ``awslambdaric/lambda_runtime_marshaller.py`` of
    https://github.com/aws/aws-lambda-python-runtime-interface-client. Other types are refused there as here.
    """
    shop = Shop({"price": Decimal("1.50"), "weight": [Decimal("1E+2"), Decimal("NaN")]})
    assert body_of(shop.ask(second())) == body_of(shop.ask(second())) == b'{"price": 1.5, "weight": [100, NaN]}'
    with pytest.raises(TypeError, match="not JSON serializable"):
        Shop({"at": object()}).ask(second())


def test_format_1_without_a_status_is_a_doubt() -> None:
    """API Gateway answers 502 to it, after the effect."""
    shop = Shop({"order": 1})
    with pytest.raises(TypeError, match="statusCode"):
        shop.ask(first())
    assert (shop.ask(first())["statusCode"], shop.executed) == (409, 1)


def test_cookies_are_lines_of_their_own() -> None:
    """Format 2.0 has a list for them, format 1.0 values of one name; both are stored as they are sent."""
    cookies = ["a=1; Path=/", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"]
    shop = Shop({"statusCode": 200, "body": "", "cookies": cookies})
    assert [shop.ask(second())["cookies"] for _ in range(2)] == [cookies] * 2
    shop = Shop({"statusCode": 200, "body": "", "multiValueHeaders": {"Set-Cookie": cookies}})
    assert [shop.ask(first())["multiValueHeaders"]["Set-Cookie"] for _ in range(2)] == [cookies] * 2


def test_a_load_balancers_event_is_answered_with_single_headers() -> None:
    """A target group without multi-value headers reads only ``headers``."""
    event = first()
    for name in ("multiValueHeaders", "multiValueQueryStringParameters"):
        del event[name]
    made = Shop({"statusCode": 200, "headers": {"X-A": "1"}, "body": ""}).ask(event)
    assert made["headers"]["X-A"] == "1"
    assert "multiValueHeaders" not in made


def test_another_query_or_method_is_another_request() -> None:
    """In both formats."""
    shop = Shop({"statusCode": 200, "body": ""})
    shop.ask(first())
    assert shop.ask(first(multiValueQueryStringParameters={"a": ["b"]}))["statusCode"] == 422
    assert shop.ask(first(httpMethod="PUT"))["statusCode"] == 422
    shop = Shop({"statusCode": 200, "body": ""})
    shop.ask(second())
    assert shop.ask(second(rawQueryString="a=b"))["statusCode"] == 422


def test_an_answer_that_is_too_large() -> None:
    """502, the first time too: it was executed, and can't be replayed."""
    shop = Shop({"statusCode": 200, "body": "x" * 2000}, max_inline_bytes=1024)
    made = [shop.ask(first()) for _ in range(2)]
    assert [(one["statusCode"], json.loads(one["body"])["upstream_status"]) for one in made] == [(502, 200)] * 2
    assert shop.executed == 1


def test_a_function_that_timed_out_is_not_executed_again() -> None:
    """Its process is gone with the effect, perhaps, behind it: the retry is told that, however late it comes.

    https://github.com/aws-powertools/powertools-lambda-python/issues/8049: there the retry executes a second time.
    """

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> Any:
        raise Killed

    clock = RealClock()
    shop = Shop(killed, clock=clock)
    with pytest.raises(Killed):
        shop.ask(first())
    assert json.loads(shop.ask(first(), Context(2_000))["body"])["type"].endswith("key-in-progress")
    clock.offset_ms += LEASE_MS
    again = shop.ask(first())
    assert (again["statusCode"], json.loads(again["body"])["type"]) == (409, "urn:payonce:problem:outcome-unknown")
    assert shop.executed == 1


def test_with_no_time_left_nothing_is_begun() -> None:
    """503, and the key is free: the function would be ended while it executes.

    https://github.com/aws-powertools/powertools-lambda-python/issues/4759: with no time left, a record was made that
    never ends.
    """
    shop = Shop({"statusCode": 200, "body": ""})
    made = shop.ask(first(), Context(0))
    assert (made["statusCode"], shop.executed) == (503, 0)
    assert (shop.ask(first())["statusCode"], shop.executed) == (200, 1)


def test_a_test_may_pass_any_context() -> None:
    """Only the contract's own time counts then."""
    shop = Shop({"statusCode": 200, "body": ""})
    assert [shop.handler(first(), context)["statusCode"] for context in (None, {})] == [200, 200]
    assert shop.executed == 1


def test_a_body_that_is_no_base64_and_nobody() -> None:
    """400 and 401, before any claim."""
    shop = Shop({"statusCode": 200, "body": ""})
    assert shop.ask(first("%%%", isBase64Encoded=True))["statusCode"] == 400
    assert shop.ask(first(requestContext={"authorizer": {"sub": None}}))["statusCode"] == 401
    assert shop.executed == 0


def test_what_is_no_request_passes() -> None:
    """A scheduled event, and a read."""
    shop = Shop("as it is")
    assert [shop.ask(event) for event in ({"source": "aws.events"}, first(httpMethod="GET"))] == ["as it is"] * 2
