"""The conditions, changes and ranges that the DynamoDB adapter writes down, word for word.

A condition that is left out refuses nothing: the database then does what it was to be kept from.
"""

from __future__ import annotations

from typing import Any

import pytest

from payonce.ports import Adjust, Delete, Table
from payonce.stores.dynamodb_requests import key_condition, write_request

KEY = {"pk": "p", "sk": "s"}
ALWAYS = {
    "TableName": "t",
    "Key": {"pk": {"S": "p"}, "sk": {"S": "s"}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}


def adjust(**change: Any) -> dict[str, Any]:
    """Return what an ``Adjust`` asks for beside what each of them does."""
    action, request = write_request(Adjust(table=Table.PAYMENTS, key=KEY, **change), "t")
    assert action == "Update"
    assert {name: request.pop(name) for name in ALWAYS} == ALWAYS
    return request


def test_an_amount_is_reserved_while_enough_of_it_is_left() -> None:
    """Fails when the least value is no condition: two captures would reserve one amount."""
    assert adjust(minimum={"capturable_minor": 500}, add={"capturable_minor": -500, "reserved_minor": 500}) == {
        "ConditionExpression": "attribute_exists(#n0) AND #n1 >= :v0",
        "UpdateExpression": "ADD #n1 :v1, #n2 :v2",
        "ExpressionAttributeNames": {"#n0": "pk", "#n1": "capturable_minor", "#n2": "reserved_minor"},
        "ExpressionAttributeValues": {":v0": {"N": "500"}, ":v1": {"N": "-500"}, ":v2": {"N": "500"}},
    }


def test_all_conditions_of_a_change_hold_together() -> None:
    """Fails when one of them is enough, or a name has two placeholders."""
    change = adjust(require={"version": 3, "status": "a"}, minimum={"n": 1}, set={"version": 4}, remove=["x", "y"])
    assert change == {
        "ConditionExpression": "attribute_exists(#n0) AND #n1 = :v0 AND #n2 = :v1 AND #n3 >= :v2",
        "UpdateExpression": "SET #n1 = :v3 REMOVE #n4, #n5",
        "ExpressionAttributeNames": {
            "#n0": "pk",
            "#n1": "version",
            "#n2": "status",
            "#n3": "n",
            "#n4": "x",
            "#n5": "y",
        },
        "ExpressionAttributeValues": {":v0": {"N": "3"}, ":v1": {"S": "a"}, ":v2": {"N": "1"}, ":v3": {"N": "4"}},
    }


def test_an_empty_part_is_left_out() -> None:
    """Fails when a request has a part without anything in it, which DynamoDB refuses as not valid."""
    assert adjust(remove=["x"]) == {
        "ConditionExpression": "attribute_exists(#n0)",
        "UpdateExpression": "REMOVE #n1",
        "ExpressionAttributeNames": {"#n0": "pk", "#n1": "x"},
    }
    assert adjust(add={"n": 1}, upsert=True) == {
        "UpdateExpression": "ADD #n0 :v0",
        "ExpressionAttributeNames": {"#n0": "n"},
        "ExpressionAttributeValues": {":v0": {"N": "1"}},
    }
    action, request = write_request(Delete(table=Table.PAYMENTS, key=KEY, require={}), "t")
    assert action == "Delete"
    assert request == {
        **ALWAYS,
        "ConditionExpression": "attribute_exists(#n0)",
        "ExpressionAttributeNames": {"#n0": "pk"},
    }


RANGES: list[tuple[dict[str, Any], str, dict[str, dict[str, str]]]] = [
    ({}, "", {}),
    ({"prefix": ("sk", "OP#")}, " AND begins_with(#s, :s)", {":s": {"S": "OP#"}}),
    ({"at_least": ("sk", 3)}, " AND #s >= :l", {":l": {"N": "3"}}),
    ({"at_most": ("sk", "z")}, " AND #s <= :m", {":m": {"S": "z"}}),
    (
        {"at_least": ("sk", 3), "at_most": ("sk", 9)},
        " AND #s BETWEEN :l AND :m",
        {":l": {"N": "3"}, ":m": {"N": "9"}},
    ),
]


@pytest.mark.parametrize(("asked", "condition", "values"), RANGES)
def test_a_range_has_the_bounds_that_are_asked_for(
    asked: dict[str, Any], condition: str, values: dict[str, dict[str, str]]
) -> None:
    """Fails when a bound is left out: a lookup would read what it does not mean, or not all that it means."""
    bounds = {"prefix": None, "at_least": None, "at_most": None, **asked}
    assert key_condition(("pk", "p"), **bounds) == {
        "KeyConditionExpression": f"#p = :p{condition}",
        "ExpressionAttributeNames": {"#p": "pk", **({"#s": "sk"} if asked else {})},
        "ExpressionAttributeValues": {":p": {"S": "p"}, **values},
    }
