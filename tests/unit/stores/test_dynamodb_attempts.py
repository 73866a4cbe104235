"""A client repeats a request by itself, ours and the SDK's: what its attempts did, whatever retries it was made with.

A timeout says nothing of the server: https://github.com/aws/aws-sdk-java/issues/2667 is a put that was applied,
timed out, and was then refused by its own first attempt.
"""

from __future__ import annotations

import json
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.endpoint import Endpoint
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.hooks import first_non_none_response

from payonce.domain.errors import OutcomeUnknown, StoreRequestInvalid, StoreUnavailable, WriteConflict
from payonce.network.aws_signature import Credentials, Signer
from payonce.network.kept_connections import Answer, Lost, NotSent
from payonce.ports import Insert, Table
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.dynamodb_client import HttpDynamoDB
from tests.support.aws import REGION
from tests.unit.stores.test_dynamodb_requests import DELETE, KEY, NAMES, PUT, UPDATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from payonce.ports import Write

URL = "https://dynamodb"
ATTEMPTS = 3


class Raw:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """Yield it."""
        yield self.body


def answered(status: int, document: dict[str, Any] | bytes, **headers: str) -> AWSResponse:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return AWSResponse(URL, status, headers, Raw(body))  # type: ignore[arg-type]


def refused(code: str, status: int = 400, **more: Any) -> AWSResponse:
    return answered(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "m", **more})


OK = answered(200, {})
THROTTLED = refused("ThrottlingException")
UNREACHED = EndpointConnectionError(endpoint_url=URL)
OWN_ITEM = refused("ConditionalCheckFailedException", Item={"pk": {"S": "p"}, "sk": {"S": "s"}, "n": {"N": "1"}})
CANCELLED = refused(
    "TransactionCanceledException", CancellationReasons=[{"Code": "ConditionalCheckFailed"}, {"Code": "None"}]
)
DOUBTS: dict[str, Any] = {
    "500": refused("InternalServerError", 500),
    "503": refused("ServiceUnavailable", 503),
    "502 of a proxy": answered(502, b"<html>bad gateway</html>"),
    "reset": ConnectionClosedError(endpoint_url=URL),
    "no answer": ReadTimeoutError(endpoint_url=URL),
    "half an answer": answered(200, b'{"ConsumedCapa'),
    "an empty answer": answered(200, b""),
    "a changed answer": answered(200, b"{}", **{"x-amz-crc32": str(zlib.crc32(b"[]"))}),
    "half a refusal": answered(400, b'{"__type":"com.amazonaws.dynamo'),
    "in progress": refused("TransactionInProgressException"),
}
REFUSALS = {
    "throttled": THROTTLED,
    "not reached": UNREACHED,
    "timed out connecting": ConnectTimeoutError(endpoint_url=URL),
}


class Line:
    """Where the client sends; ``script`` holds the answers to come, and the last one stays."""

    def __init__(self, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
        # Adaptive retries also wait for their rate, by the real clock.
        monkeypatch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_args, **_options: True)
        config = Config(retries={"mode": mode, "total_max_attempts": ATTEMPTS})  # type: ignore[typeddict-item]
        client = boto3.client("dynamodb", region_name=REGION, config=config)
        client.meta.events.register("before-send.dynamodb", self._send)
        self.script: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self.database = DynamoDatabase(client, NAMES, sleep=lambda _seconds: None)
        DynamoDatabase(client, NAMES)  # a second adapter on the same client changes nothing

    def _send(self, request: Any, **_: Any) -> Any:
        self.sent.append(json.loads(request.body))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class OwnLine(Line):
    """Where a client of ours sends, which has no hook: its connections are replaced."""

    host = "dynamodb"

    def __init__(self) -> None:
        signer = Signer("dynamodb", REGION, lambda: Credentials("testing", "testing"))
        client = HttpDynamoDB(self, signer, max_attempts=ATTEMPTS, sleep=lambda _seconds: None)  # type: ignore[arg-type]
        self.script = []
        self.sent = []
        self.database = DynamoDatabase(client, NAMES, sleep=lambda _seconds: None)

    def post(self, headers: dict[str, str], body: bytes) -> Answer:
        """See ``Connections``."""
        try:
            answer = self._send(SimpleNamespace(body=body))
        except (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError, ConnectionClosedError) as error:
            cause = TimeoutError() if "Timeout" in type(error).__name__ else ConnectionError()
            before = isinstance(error, EndpointConnectionError | ConnectTimeoutError)
            raise (NotSent if before else Lost)(cause) from error
        return Answer(answer.status_code, dict(answer.headers), answer.raw.body)


def needs_retry_of_older_sdks(
    endpoint: Any,
    attempts: int,
    operation_model: Any,
    request_dict: Any,
    response: Any = None,
    caught_exception: Any = None,
) -> bool:
    """Decide as botocore did until May 2026, and does in functions that leave it to Lambda's runtime: a handler's
    ``False`` is an answer too, and every answer means "repeat".
    https://github.com/boto/botocore/commit/b8db53912 changed it (``Endpoint._needs_retry``).
    """
    answers = endpoint._event_emitter.emit(
        f"needs-retry.dynamodb.{operation_model.name}",
        response=response,
        endpoint=endpoint,
        operation=operation_model,
        attempts=attempts,
        caught_exception=caught_exception,
        request_dict=request_dict,
    )
    return first_non_none_response(answers) is not None


SDK_MODES = ["standard", "legacy", "adaptive", "older standard"]


@pytest.fixture(params=["ours", *SDK_MODES])
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Line:
    """A client of ours, and one with each kind of the SDK's retries."""
    if request.param == "ours":
        return OwnLine()
    older, _, mode = str(request.param).rpartition(" ")
    if older:
        monkeypatch.setattr(Endpoint, "_needs_retry", needs_retry_of_older_sdks)
    return Line(mode, monkeypatch)


@pytest.mark.parametrize("then", [*REFUSALS, "own item"])
@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_refusal_after_a_lost_answer_proves_nothing(line: Line, doubt: str, then: str) -> None:
    """Fails when the last attempt decides: "nothing was written" of what was written."""
    later = {**REFUSALS, "own item": OWN_ITEM}[then]
    for write in (PUT, UPDATE, DELETE):
        line.script = [DOUBTS[doubt], later]
        with pytest.raises(OutcomeUnknown):
            line.database.write([write])
    assert len(line.sent) == 3  # none was sent again


@pytest.mark.parametrize("then", [*REFUSALS, "cancelled"])
@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_refusal_after_a_lost_transaction_proves_nothing(line: Line, doubt: str, then: str) -> None:
    line.script = [DOUBTS[doubt], {**REFUSALS, "cancelled": CANCELLED}[then]]
    with pytest.raises(OutcomeUnknown):
        line.database.write([PUT, UPDATE])


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_transaction_is_sent_again_under_its_token(line: Line, doubt: str) -> None:
    """DynamoDB applies one token once within 10 minutes. Fails when the token, or the request, is another."""
    line.script = [DOUBTS[doubt], DOUBTS[doubt], OK]
    line.database.write([PUT, UPDATE])
    assert line.sent[0] == line.sent[1] == line.sent[2]
    line.script = [OK]
    line.database.write([PUT, UPDATE])
    assert line.sent[3]["ClientRequestToken"] != line.sent[0]["ClientRequestToken"]


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_after_refusals_is_a_doubt(line: Line, doubt: str) -> None:
    for writes in ([PUT], [PUT, UPDATE]):
        line.script = [THROTTLED, DOUBTS[doubt]]
        with pytest.raises(OutcomeUnknown):
            line.database.write(writes)


@pytest.mark.parametrize("writes", [[PUT], [UPDATE], [DELETE], [PUT, UPDATE]])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_was_refused_each_time_was_certainly_not_written(
    line: Line, refusal: str, writes: Sequence[Write]
) -> None:
    """Fails when every error is a doubt, or when the SDK no longer tries a throttled write again."""
    line.script = [REFUSALS[refusal]]
    with pytest.raises(StoreUnavailable):
        line.database.write(writes)
    assert len(line.sent) == ATTEMPTS


def test_a_conflict_at_the_first_attempt_is_one(line: Line) -> None:
    line.script = [THROTTLED, OWN_ITEM]
    with pytest.raises(WriteConflict):
        line.database.write([PUT])


@pytest.mark.parametrize("doubt", ["half an answer", "an empty answer", "a changed answer"])
def test_half_an_answer_is_not_an_empty_one(line: Line, doubt: str) -> None:
    """botocore reads a body that it can't parse as an empty document, and does not enforce its length. Fails when a
    truncated answer means "nothing is stored": a second claim would be a second charge.
    """
    for read in (
        lambda: line.database.get(Table.PAYMENTS, KEY),
        lambda: line.database.get_many(Table.PAYMENTS, [KEY]),
        lambda: line.database.query(Table.PAYMENTS, partition=("pk", "p"), limit=1),
    ):
        line.script = [DOUBTS[doubt]]
        with pytest.raises(StoreUnavailable):
            read()


@pytest.mark.parametrize("line", ["standard"], indirect=True)
def test_a_read_is_made_again_twice_after_half_an_answer(line: Line) -> None:
    """The SDK knows no such fault, and tries no more. Fails when one broken connection costs a request, or all wait."""
    half = DOUBTS["half an answer"]
    line.script = [half, half, answered(200, b'{"Item":{"pk":{"S":"p"}}}')]
    assert line.database.get(Table.PAYMENTS, KEY) == {"pk": "p"}
    assert len(line.sent) == 3
    line.script = [half, half, half, OK]
    with pytest.raises(StoreUnavailable):
        line.database.get(Table.PAYMENTS, KEY)
    assert len(line.sent) == 6


@pytest.mark.parametrize("line", SDK_MODES, indirect=True)
def test_a_request_that_the_sdk_refuses_is_a_defect(line: Line) -> None:
    """Fails when the SDK's own validation, before anything is sent, is taken for a lost answer."""
    line.script = [OK]
    with pytest.raises(StoreRequestInvalid):
        line.database.query(Table.PAYMENTS, partition=("pk", "p"), limit="many")  # type: ignore[arg-type]
    assert line.sent == []


def test_a_whole_answer_is_taken(line: Line) -> None:
    body = b'{"Item":{"pk":{"S":"p"}}}'
    line.script = [answered(200, body, **{"x-amz-crc32": str(zlib.crc32(body))})]
    assert line.database.get(Table.PAYMENTS, KEY) == {"pk": "p"}
    line.script = [OK]
    assert line.database.get(Table.PAYMENTS, KEY) is None
    line.database.write([Insert(Table.PAYMENTS, dict(KEY))])
