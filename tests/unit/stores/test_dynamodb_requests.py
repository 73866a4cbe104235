"""What the DynamoDB adapter asks for, parameter by parameter, and what it makes of every error code.

Codes and their meaning: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and,
for transactions, https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import base64
from enum import IntEnum, StrEnum
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY, Stubber

from payonce.domain.errors import (
    OutcomeUnknown,
    PayonceError,
    StoreRequestInvalid,
    StoreThrottled,
    StoreUnavailable,
    WriteConflict,
)
from payonce.ports import Adjust, Delete, Insert, Table
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.dynamodb_errors import (
    code_of,
    is_busy,
    may_have_been_applied,
    met_at,
    watch_attempts,
    write_error,
)
from payonce.stores.dynamodb_requests import from_attributes, from_stream_image, to_attributes
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from payonce.ports import Write

NAMES = {table: f"t-{table.value}" for table in Table}
KEY = {"pk": "p", "sk": "s"}
STORED_KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
PUT = Insert(Table.PAYMENTS, {**KEY, "n": 1})
UPDATE = Adjust(table=Table.PAYMENTS, key={**KEY, "sk": "u"}, require={"n": 1}, set={"a": "b"})
DELETE = Delete(table=Table.PAYMENTS, key={**KEY, "sk": "d"}, require={"n": 1})
ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
STORED_PUT = {
    "TableName": "t-payments",
    "Item": {**STORED_KEY, "n": {"N": "1"}},
    "ConditionExpression": "attribute_not_exists(#k)",
    "ExpressionAttributeNames": {"#k": "pk"},
    **ALL_OLD,
}
STORED_UPDATE = {
    "TableName": "t-payments",
    "Key": {**STORED_KEY, "sk": {"S": "u"}},
    "UpdateExpression": "SET #n2 = :v1",
    "ConditionExpression": "attribute_exists(#n0) AND #n1 = :v0",
    "ExpressionAttributeNames": {"#n0": "pk", "#n1": "n", "#n2": "a"},
    "ExpressionAttributeValues": {":v0": {"N": "1"}, ":v1": {"S": "b"}},
    **ALL_OLD,
}
STORED_DELETE = {
    "TableName": "t-payments",
    "Key": {**STORED_KEY, "sk": {"S": "d"}},
    "ConditionExpression": "attribute_exists(#n0) AND #n1 = :v0",
    "ExpressionAttributeNames": {"#n0": "pk", "#n1": "n"},
    "ExpressionAttributeValues": {":v0": {"N": "1"}},
    **ALL_OLD,
}
SINGLE = {"put_item": PUT, "update_item": UPDATE, "delete_item": DELETE}


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[DynamoDatabase, Stubber, list[float]]]:
    """The adapter over a client that answers as the test says and refuses any other parameters."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("dynamodb", region_name=REGION)
    pauses: list[float] = []
    with Stubber(client) as stubber:
        yield DynamoDatabase(client, NAMES, sleep=pauses.append), stubber, pauses
        stubber.assert_no_pending_responses()


def test_every_read_of_a_table_is_strongly_consistent(stubbed: tuple[DynamoDatabase, Stubber, list[float]]) -> None:
    """Fails when one is eventually consistent: a claim would not see the claim before it."""
    database, stubber, _ = stubbed
    stubber.add_response("get_item", {}, {"TableName": "t-payments", "Key": STORED_KEY, "ConsistentRead": True})
    assert database.get(Table.PAYMENTS, KEY) is None
    asked = {"t-payments": {"Keys": [STORED_KEY], "ConsistentRead": True}}
    stubber.add_response(
        "batch_get_item",
        {"Responses": {}, "UnprocessedKeys": {"t-payments": {"Keys": [STORED_KEY], "ConsistentRead": True}}},
        {"RequestItems": asked},
    )
    stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": {}}, {"RequestItems": asked})
    assert database.get_many(Table.PAYMENTS, [KEY]) == []
    query = {
        "TableName": "t-payments",
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "pk"},
        "ExpressionAttributeValues": {":p": {"S": "p"}},
        "ScanIndexForward": True,
        "Limit": 5,
    }
    stubber.add_response("query", {"Items": []}, {**query, "ConsistentRead": True})
    assert database.query(Table.PAYMENTS, partition=("pk", "p"), limit=5).items == []
    # DynamoDB refuses a consistent read of a global index.
    stubber.add_response("query", {"Items": []}, {**query, "IndexName": "open-leases"})
    assert database.query(Table.PAYMENTS, index="open-leases", partition=("pk", "p"), limit=5).items == []


def test_every_write_is_conditional_and_shows_what_refused_it(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]],
) -> None:
    """Fails without the condition, or when a refused write does not say what is stored: a replay would read it."""
    database, stubber, _ = stubbed
    stubber.add_response("put_item", {}, STORED_PUT)
    database.write([PUT])
    stubber.add_response("update_item", {}, STORED_UPDATE)
    database.write([UPDATE])
    stubber.add_response("delete_item", {}, STORED_DELETE)
    database.write([DELETE])
    whole = {
        "TransactItems": [{"Put": STORED_PUT}, {"Update": STORED_UPDATE}, {"Delete": STORED_DELETE}],
        "ClientRequestToken": ANY,
    }
    stubber.add_response("transact_write_items", {}, whole)
    database.write([PUT, UPDATE, DELETE])


MAYBE, NOTHING, BUSY, DEFECT = OutcomeUnknown, StoreUnavailable, StoreThrottled, StoreRequestInvalid
CODES: dict[str, type[PayonceError]] = {
    "InternalServerError": MAYBE,
    "InternalFailure": MAYBE,
    "ServiceUnavailable": MAYBE,
    "ServiceUnavailableException": MAYBE,
    "RequestTimeout": MAYBE,
    "RequestTimeoutException": MAYBE,
    "LimitExceededException": MAYBE,
    "TransactionInProgressException": MAYBE,
    "SomethingThatNobodyHasSeenYet": MAYBE,
    "": MAYBE,
    "AccessDeniedException": NOTHING,
    "ExpiredTokenException": NOTHING,
    "IncompleteSignatureException": NOTHING,
    "InvalidSignatureException": NOTHING,
    "MissingAuthenticationTokenException": NOTHING,
    "ProvisionedThroughputExceededException": BUSY,
    "ReplicatedWriteConflictException": NOTHING,
    "RequestLimitExceeded": BUSY,
    "ResourceNotFoundException": NOTHING,
    "Throttling": BUSY,
    "ThrottlingException": BUSY,
    "UnrecognizedClientException": NOTHING,
    "IdempotentParameterMismatchException": DEFECT,
    "ItemCollectionSizeLimitExceededException": DEFECT,
    "SerializationException": DEFECT,
    "UnknownOperationException": DEFECT,
    "ValidationException": DEFECT,
}


@pytest.mark.parametrize(("code", "meaning"), CODES.items())
def test_every_code_means_one_thing(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]], code: str, meaning: type[PayonceError]
) -> None:
    """Fails when what may have been written is called refused, or what is refused for ever is to be tried again."""
    database, stubber, _ = stubbed
    for method, write in SINGLE.items():
        stubber.add_client_error(method, service_error_code=code)
        with pytest.raises(meaning) as refused:
            database.write([write])
        assert type(refused.value) is meaning
    # A transaction is sent again after a doubt, under the same token: three times in all.
    for _ in range(3 if meaning is MAYBE else 1):
        stubber.add_client_error("transact_write_items", service_error_code=code)
    with pytest.raises(meaning):
        database.write([PUT, UPDATE])
    reads: dict[str, Callable[[], Any]] = {
        "get_item": lambda: database.get(Table.PAYMENTS, KEY),
        "batch_get_item": lambda: database.get_many(Table.PAYMENTS, [KEY]),
        "query": lambda: database.query(Table.PAYMENTS, partition=("pk", "p"), limit=1),
    }
    for method, read in reads.items():
        stubber.add_client_error(method, service_error_code=code)
        with pytest.raises(DEFECT if meaning is DEFECT else NOTHING):
            read()


def test_keys_that_a_busy_table_leaves_are_asked_for_nine_times(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]],
) -> None:
    """Fails when a busy table is asked without a pause, for ever, or is taken for one that has no such items."""
    database, stubber, pauses = stubbed
    left = {"t-payments": {"Keys": [STORED_KEY], "ConsistentRead": True}}
    for _ in range(9):
        stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left}, {"RequestItems": left})
    with pytest.raises(StoreUnavailable, match="busy"):
        database.get_many(Table.PAYMENTS, [KEY])
    assert pauses == [0.01 * 2**attempt for attempt in range(9)]


def test_a_single_write_in_the_way_of_others_is_tried_nine_times_and_then_certainly_not_made(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]],
) -> None:
    """Fails when it is given up sooner or later, or is taken for made once the tries are used up."""
    database, stubber, pauses = stubbed
    for method, write in SINGLE.items():
        for _ in range(9):
            stubber.add_client_error(method, service_error_code="TransactionConflictException")
        with pytest.raises(StoreUnavailable, match="TransactionConflictException"):
            database.write([write])
        stubber.assert_no_pending_responses()
        assert pauses == [0.01 * 2**attempt for attempt in range(8)]
        pauses.clear()


def test_a_transaction_in_doubt_is_sent_three_times(stubbed: tuple[DynamoDatabase, Stubber, list[float]]) -> None:
    """Fails when a client that waits is kept for all the tries that a conflict has."""
    database, stubber, pauses = stubbed
    for _ in range(3):
        stubber.add_client_error("transact_write_items", service_error_code="InternalServerError")
    with pytest.raises(OutcomeUnknown):
        database.write([PUT, UPDATE])
    assert len(pauses) == 2


def test_a_request_that_is_invalid_is_a_defect_after_a_doubt_too(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]],
) -> None:
    """Fails when it is put down to the doubt, so that a request which never succeeds is repeated by clients."""
    database, stubber, _ = stubbed
    stubber.add_client_error("transact_write_items", service_error_code="InternalServerError")
    stubber.add_client_error("transact_write_items", service_error_code="ValidationException")
    with pytest.raises(StoreRequestInvalid):
        database.write([PUT, UPDATE])


def test_pauses_are_shortened_by_the_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when writers that have met once meet again at each try."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client, pauses = boto3.client("dynamodb", region_name=REGION), list[float]()
    with Stubber(client) as stubber:
        for _ in range(2):
            stubber.add_client_error("put_item", service_error_code="TransactionConflictException")
        stubber.add_response("put_item", {})
        DynamoDatabase(client, NAMES, sleep=pauses.append, jitter=lambda: 0.25).write([PUT])
    assert pauses == [0.0025, 0.005]


def test_two_writes_of_one_item_are_no_transaction(stubbed: tuple[DynamoDatabase, Stubber, list[float]]) -> None:
    """DynamoDB refuses it as a whole. Fails when it is found out there, and not before anything is sent."""
    database, _, _ = stubbed
    with pytest.raises(StoreRequestInvalid):
        database.write([PUT, Adjust(table=Table.PAYMENTS, key=KEY, set={"a": "b"})])


def test_a_failed_condition_shows_what_is_stored(stubbed: tuple[DynamoDatabase, Stubber, list[float]]) -> None:
    database, stubber, _ = stubbed
    found = {"Item": {**STORED_KEY, "n": {"N": "7"}}}
    for method, write in SINGLE.items():
        stubber.add_client_error(method, service_error_code="ConditionalCheckFailedException", modeled_fields=found)
        with pytest.raises(WriteConflict) as refused:
            database.write([write])
        assert (refused.value.index, refused.value.current) == (0, {**KEY, "n": 7})


def reason(code: str, **more: Any) -> dict[str, Any]:
    return {"Code": code, "Message": "m", **more}


@pytest.mark.parametrize(
    ("reasons", "meaning"),
    [
        (["None", "ConditionalCheckFailed"], WriteConflict),
        (["TransactionConflict", "ConditionalCheckFailed"], WriteConflict),
        (["None", "ValidationError"], DEFECT),
        (["ItemCollectionSizeLimitExceeded", "None"], DEFECT),
        (["None", "AccessDenied"], NOTHING),
        (["None", "None"], NOTHING),
    ],
)
def test_a_cancelled_transaction_is_what_its_reasons_say(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]], reasons: list[str], meaning: type[PayonceError]
) -> None:
    database, stubber, pauses = stubbed
    stubber.add_client_error(
        "transact_write_items",
        service_error_code="TransactionCanceledException",
        modeled_fields={"CancellationReasons": [reason(code) for code in reasons]},
    )
    with pytest.raises(meaning) as refused:
        database.write([PUT, UPDATE])
    assert pauses == []
    if isinstance(refused.value, WriteConflict):
        assert refused.value.index == 1


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_busy_transaction_is_tried_again_and_then_certainly_not_written(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]], code: str
) -> None:
    database, stubber, pauses = stubbed

    def busy(times: int) -> None:
        for _ in range(times):
            stubber.add_client_error(
                "transact_write_items",
                service_error_code="TransactionCanceledException",
                modeled_fields={"CancellationReasons": [reason(code), reason("None")]},
                expected_params={"TransactItems": ANY, "ClientRequestToken": ANY},
            )

    busy(2)
    stubber.add_response("transact_write_items", {})
    database.write([PUT, UPDATE])
    assert len(pauses) == 2
    busy(9)
    with pytest.raises(NOTHING):
        database.write([PUT, UPDATE])


def test_a_counter_is_spread_once_transactions_have_met_at_it(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]],
) -> None:
    """Fails when every commit of a busy merchant meets others at the few counters, or a quiet one's has many to read.

    What met is sent again as it was, under its token: the first try may have been the one that arrives.
    """
    database, stubber, _ = stubbed
    counter = Adjust(
        table=Table.LEDGER,
        key={"pk": "b", "sk": "few"},
        spread_key={"pk": "b", "sk": "many"},
        add={"n": 1},
        upsert=True,
    )

    def sent(key: str) -> dict[str, Any]:
        update = {
            "TableName": NAMES[Table.LEDGER],
            "Key": {"pk": {"S": "b"}, "sk": {"S": key}},
            "UpdateExpression": ANY,
            "ExpressionAttributeNames": ANY,
            "ExpressionAttributeValues": ANY,
            **ALL_OLD,
        }
        return {"TransactItems": [ANY, {"Update": update}], "ClientRequestToken": ANY}

    def met(*codes: str) -> None:
        stubber.add_client_error(
            "transact_write_items",
            service_error_code="TransactionCanceledException",
            modeled_fields={"CancellationReasons": [reason(code) for code in codes]},
            expected_params=sent("few"),
        )

    met("TransactionConflict", "None")
    met("None", "ThrottlingError")
    stubber.add_response("transact_write_items", {}, sent("few"))
    database.write([PUT, counter])
    met("None", "TransactionConflict")
    stubber.add_response("transact_write_items", {}, sent("few"))
    database.write([PUT, counter])
    for _ in range(2):
        stubber.add_response("transact_write_items", {}, sent("many"))
        database.write([PUT, counter])
    stubber.add_client_error("transact_write_items", service_error_code="ThrottlingException")
    with pytest.raises(StoreUnavailable):
        database.write([PUT, counter])
    stubber.add_response("transact_write_items", {}, sent("many"))  # what has met stays spread
    database.write([PUT, counter])
    plain = {"TransactItems": [{"Put": STORED_PUT}, {"Update": STORED_UPDATE}], "ClientRequestToken": ANY}
    stubber.add_response("transact_write_items", {}, plain)  # and all else is where it was
    database.write([PUT, UPDATE])


def test_what_met_where_it_is_spread_already_spreads_nothing(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]],
) -> None:
    """Fails when a quiet merchant's counters are spread because of one that has but one place."""
    database, stubber, _ = stubbed
    many = Adjust(
        table=Table.LEDGER,
        key={"pk": "b", "sk": "many"},
        spread_key={"pk": "b", "sk": "many"},
        add={"n": 1},
        upsert=True,
    )
    stubber.add_client_error(
        "transact_write_items",
        service_error_code="TransactionCanceledException",
        modeled_fields={"CancellationReasons": [reason("None"), reason("TransactionConflict")]},
    )
    stubber.add_response("transact_write_items", {})
    database.write([PUT, many])
    assert not database._spreads


@pytest.mark.parametrize("writes", [[PUT], [UPDATE], [DELETE]])
def test_a_single_write_waits_for_a_transaction_in_its_way(
    stubbed: tuple[DynamoDatabase, Stubber, list[float]], writes: Sequence[Write]
) -> None:
    database, stubber, pauses = stubbed
    method = next(name for name, write in SINGLE.items() if write is writes[0])
    stubber.add_client_error(method, service_error_code="TransactionConflictException")
    stubber.add_response(method, {})
    database.write(writes)
    assert len(pauses) == 1


def cancelled(*codes: str) -> ClientError:
    """Return the error of a transaction that was cancelled for these reasons."""
    found: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [*map(reason, codes)]}
    return ClientError(found, "TransactWriteItems")


def test_only_what_other_writers_caused_is_busy() -> None:
    """Fails when a refusal that stays is tried again, or one that passes is given up."""
    for codes, busy in (
        (("TransactionConflict", "None"), True),
        (("None", "ThrottlingError"), True),
        (("ProvisionedThroughputExceeded", "TransactionConflict"), True),
        (("TransactionConflict", "ConditionalCheckFailed"), False),
        (("TransactionConflict", "ValidationError"), False),
        (("ItemCollectionSizeLimitExceeded", "ThrottlingError"), False),
        (("None", "None"), False),
        ((), False),
    ):
        assert is_busy(cancelled(*codes)) == busy, codes
    assert met_at(cancelled("TransactionConflict", "ThrottlingError", "TransactionConflict")) == {0, 2}
    assert is_busy(ClientError({"Error": {"Code": "TransactionConflictException"}}, "PutItem"))
    assert not is_busy(ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"))
    # Reasons belong to a cancelled transaction alone, and a reason may lack its code.
    stray: Any = {"Error": {"Code": "InternalServerError"}, "CancellationReasons": [reason("TransactionConflict")]}
    assert not is_busy(ClientError(stray, "TransactWriteItems"))
    for reasons in ({"CancellationReasons": [{}]}, dict[str, Any]()):
        nameless: Any = {"Error": {"Code": "TransactionCanceledException"}, **reasons}
        assert (is_busy(ClientError(nameless, "x")), met_at(ClientError(nameless, "x"))) == (False, set())


def test_an_answer_that_names_no_error_is_a_doubt() -> None:
    """Fails, or breaks, when what is not understood counts as refused."""
    nameless = ClientError({}, "PutItem")
    assert (code_of(nameless), may_have_been_applied(nameless)) == ("", True)
    assert code_of(ClientError({"Error": {}}, "PutItem")) == ""
    assert isinstance(write_error(nameless), OutcomeUnknown)


def test_a_refusal_says_whether_the_database_was_reached() -> None:
    """For whoever reads the log. Fails when a broken network looks like a refusal, or the other way round."""
    refused = write_error(ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "PutItem"))
    assert "refused the request (ResourceNotFoundException)" in str(refused)
    unreached = write_error(EndpointConnectionError(endpoint_url="https://dynamodb"))
    assert "could not be reached" in str(unreached)
    assert {type(refused), type(unreached)} == {StoreUnavailable}


@pytest.mark.parametrize("status", [300, 302, 500])
def test_what_is_no_success_is_a_doubt_and_not_half_an_answer(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A proxy's redirect is none of DynamoDB's answers. Fails when it is read as one, or its page as a broken one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("dynamodb", region_name=REGION)
    watch_attempts(client)
    operation = client.meta.service_model.operation_model("PutItem")
    client.meta.events.emit(
        "before-parse.dynamodb.PutItem",
        operation_model=operation,
        response_dict={"status_code": status, "headers": {}, "body": b"<html>"},
    )
    with pytest.raises(ClientError):
        client.meta.events.emit(
            "needs-retry.dynamodb.PutItem",
            response=(SimpleNamespace(status_code=status, headers={}), {"Error": {"Code": str(status)}}),
            endpoint=None,
            operation=operation,
            attempts=1,
            caught_exception=None,
            request_dict={"context": {}},
        )


def test_a_client_is_watched_once_however_many_adapters_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when each adapter of a process adds to what every answer of all of them costs."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("dynamodb", region_name=REGION)
    for _ in range(3):
        watch_attempts(client)
    operation = client.meta.service_model.operation_model("PutItem")
    whole = client.meta.events.emit(
        "before-parse.dynamodb.PutItem",
        operation_model=operation,
        response_dict={"status_code": 200, "headers": {}, "body": b"{}"},
    )
    tried = client.meta.events.emit(
        "needs-retry.dynamodb.PutItem",
        response=(SimpleNamespace(status_code=200, headers={}), {}),
        endpoint=None,
        operation=operation,
        attempts=1,
        caught_exception=None,
        request_dict={"context": {}},
    )
    watching = [handler.__name__ for handler, _ in [*whole, *tried] if handler.__module__.startswith("payonce")]
    assert sorted(watching) == ["_require_whole", "_stop_at_a_doubt"]


class Word(StrEnum):
    """A text with a name."""

    A = "a"


class Figure(IntEnum):
    """A number with a name."""

    ONE = 1


# (value, its attribute, what is read back)
VALUES: list[tuple[Any, dict[str, Any], Any]] = [
    ("a", {"S": "a"}, "a"),
    ("ö", {"S": "ö"}, "ö"),
    ("", {"S": ""}, ""),
    (Word.A, {"S": "a"}, "a"),
    (-7, {"N": "-7"}, -7),
    (10**38 - 1, {"N": "9" * 38}, 10**38 - 1),
    (Figure.ONE, {"N": "1"}, 1),
    (True, {"BOOL": True}, True),
    (False, {"BOOL": False}, False),
    (b"\x00\xff", {"B": b"\x00\xff"}, b"\x00\xff"),
    (None, {"NULL": True}, None),
    ([1, ["a"]], {"L": [{"N": "1"}, {"L": [{"S": "a"}]}]}, [1, ["a"]]),
    ((1, (b"b",)), {"L": [{"N": "1"}, {"L": [{"B": b"b"}]}]}, [1, [b"b"]]),
    ({"a": {"b": None}}, {"M": {"a": {"M": {"b": {"NULL": True}}}}}, {"a": {"b": None}}),
    (MappingProxyType({Word.A: Figure.ONE}), {"M": {"a": {"N": "1"}}}, {"a": 1}),
    ({Word.A: (Word.A,)}, {"M": {"a": {"L": [{"S": "a"}]}}}, {"a": ["a"]}),
]


def test_each_value_is_stored_as_one_attribute_and_read_as_it_was() -> None:
    """Fails when a type is stored as another one, or a member of an enumeration as itself."""
    for value, attribute, plain in VALUES:
        assert to_attributes({"x": value}) == {"x": attribute}
        assert type(next(iter(attribute.values()))) in {str, bool, bytes, list, dict}
        read = from_attributes({"x": attribute})
        assert (read, type(read["x"])) == ({"x": plain}, type(plain))


def test_a_binary_comes_through_a_stream_as_base64() -> None:
    """Wherever it stands. Fails when a packed response is unpacked from its base64 text."""
    text = base64.b64encode(b"\x00\xff").decode()
    image = {"x": {"B": text}, "y": {"L": [{"B": text}]}, "z": {"M": {"a": {"B": text}}}, "n": {"N": "1"}}
    found = from_stream_image(image)
    assert found == {"x": b"\x00\xff", "y": [b"\x00\xff"], "z": {"a": b"\x00\xff"}, "n": 1}


def test_what_dynamodb_does_not_store_is_refused_before_it_is_sent() -> None:
    """Fails when the first merchant's request finds it out."""
    for value in (
        1.0,
        {1, 2},
        object(),
        "\ud800",
        10**38,
        -(10**38),
        {1: "a"},
        {"a": 1, 2: "b"},
        {"a": [0.5]},
        MappingProxyType({2: 3}),
    ):
        with pytest.raises(StoreRequestInvalid):
            to_attributes({"x": value})
    with pytest.raises(TypeError, match="SS"):
        from_attributes({"x": {"SS": ["a"]}})
    wraps: tuple[Callable[[Any], Any], ...] = (
        lambda inner: [inner],
        lambda inner: (inner,),
        lambda inner: {"a": inner},
        lambda inner: MappingProxyType({"a": inner}),
    )
    for wrap in wraps:
        nested: Any = "a"
        for _ in range(31):
            nested = wrap(nested)
        to_attributes({"x": nested})
        with pytest.raises(StoreRequestInvalid, match="31 levels"):
            to_attributes({"x": wrap(nested)})
        # What is converted on the way down stands as deep as it stands.
        within: Any = wrap("a")
        for _ in range(30):
            within = [within]
        to_attributes({"x": within})
        with pytest.raises(StoreRequestInvalid, match="31 levels"):
            to_attributes({"x": [within]})
