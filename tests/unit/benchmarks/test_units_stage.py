"""The benchmark's reading of template.yaml, its stand-ins for AWS's services, and its bills."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.units.dollars import Prices, batch_at, streamed_units
from benchmarks.units.endpoint import Services, Waits
from benchmarks.units.meter import Meter
from benchmarks.units.tally import Tally
from benchmarks.units.template import Source, Template

QUEUES = "http://127.0.0.1:1"
RECORD = {"eventName": "INSERT", "dynamodb": {"NewImage": {"kind": {"S": "payment"}, "at": {"N": "1"}}}}


def template(**document: Any) -> Template:
    """Return a template of ``document``."""
    base: dict[str, Any] = {"Parameters": {}, "Conditions": {}, "Mappings": {}, "Resources": {}}
    return Template({"Mode": "on"}, QUEUES, {**base, **document})


@pytest.mark.parametrize(
    ("pattern", "accepted"),
    [
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["MODIFY", "REMOVE"]}, False),
        ({"dynamodb": {"NewImage": {"kind": {"S": ["payment"]}}}}, True),
        ({"dynamodb": {"OldImage": {"kind": {"S": ["payment"]}}}}, False),
        ({"dynamodb": {"NewImage": {"kind": {"S": [{"prefix": "pay"}]}}}}, True),
        ({"dynamodb": {"NewImage": {"gone": {"S": [{"exists": False}]}}}}, True),
        ({"dynamodb": {"NewImage": {"kind": {"S": [{"anything-but": ["payment"]}]}}}}, False),
        ({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["refund"]}}}}, False),
    ],
)
def test_filters_of_event_sources(pattern: dict[str, Any], *, accepted: bool) -> None:
    """Fails when a function gets records that Lambda keeps from it, or lacks some: its units are then wrong."""
    source = Source("DynamoDB", {"FilterCriteria": {"Filters": [{"Pattern": json.dumps(pattern)}]}})
    assert source.accepts(RECORD) is accepted
    assert Source("DynamoDB", {}).accepts(RECORD)


def test_an_unknown_filter_rule_is_not_ignored() -> None:
    """Fails when a rule that is not known here lets everything or nothing through."""
    source = Source("DynamoDB", {"FilterCriteria": {"Filters": [{"Pattern": '{"eventName":[{"numeric":["=",1]}]}'}]}})
    with pytest.raises(ValueError, match="numeric"):
        source.accepts(RECORD)


def test_intrinsic_functions() -> None:
    """Fails when a value of the template is not what CloudFormation makes of it."""
    made = template(
        Parameters={"Mode": {"Default": "off"}, "Name": {"Default": "n"}},
        Conditions={
            "IsOn": {"Equals": [{"Ref": "Mode"}, "on"]},
            "IsOff": {"Not": [{"Condition": "IsOn"}]},
            "Both": {"And": [{"Condition": "IsOn"}, {"Condition": "IsOff"}]},
            "Either": {"Or": [{"Condition": "IsOn"}, {"Condition": "IsOff"}]},
        },
        Mappings={"M": {"n": {"Max": 3}}},
        Resources={"Waiting": {"Type": "AWS::SQS::Queue"}, "Things": {"Type": "AWS::DynamoDB::Table"}},
    )
    assert made.resolve({"If": ["IsOn", {"Ref": "Waiting"}, "no"]}) == f"{QUEUES}/000000000000/Waiting"
    assert made.resolve([{"If": ["IsOff", 1, 2]}, {"If": ["Both", 1, 2]}, {"If": ["Either", 1, 2]}]) == [2, 2, 1]
    assert made.resolve({"Sub": "${Things}/${AWS::Region}/${Name}"}) == "Things/eu-central-1/n"
    assert made.resolve({"Sub": ["${Here}", {"Here": "there"}]}) == "there"
    assert made.resolve({"a": {"GetAtt": "Things.StreamArn"}, "b": {"FindInMap": ["M", {"Ref": "Name"}, "Max"]}}) == {
        "a": "Things.StreamArn",
        "b": 3,
    }


def test_the_templates_own_sources() -> None:
    """Fails when a stream or a queue of template.yaml starts no function here: what follows would not be counted."""
    made = Template({}, QUEUES)
    started = {
        str(source.properties[member]).partition(".")[0]
        for function in made.functions()
        for source in function.sources
        for kind, member in (("DynamoDB", "Stream"), ("SQS", "Queue"))
        if source.kind == kind
    }
    streams = {name for name, schema in made.schemas().items() if schema.stream}
    assert streams
    assert streams <= started
    assert {"DeliveryQueue", "RecoveryQueue"} <= started


def test_a_queue_gives_each_message_once() -> None:
    """Fails when a message is lost or taken twice, also of two that say the same."""
    services = Services(Meter({}, lambda _operation, _body: (200, b"{}")))
    entry = {"Id": "1", "MessageBody": "same", "DelaySeconds": 5}
    request = {"QueueUrl": "http://x/0/Waiting", "Entries": [entry, {**entry, "Id": "2"}]}
    services.answer("AmazonSQS.SendMessageBatch", json.dumps(request).encode())
    services.answer("AmazonSQS.SendMessage", json.dumps({"QueueUrl": "http://x/0/B", "MessageBody": "b"}).encode())
    assert [message.delay_seconds for message in services.take("Waiting", 1)] == [5]
    assert [message.body for message in services.take("Waiting", 9)] == ["same"]
    assert [message.queue for message in services.messages] == ["B"]
    assert services.calls == {"AmazonSQS.SendMessageBatch": 1, "AmazonSQS.SendMessage": 1}


def test_waits() -> None:
    """Fails when Lambda is billed for another wait than that of the service that was asked."""
    waits = Waits(dynamodb=5, dynamodb_transaction=10, other_services=20)
    services = [("DynamoDB_20120810", "PutItem"), ("DynamoDB_20120810", "TransactWriteItems"), ("AmazonSQS", "X")]
    assert [waits.of(*one) for one in services] == [5, 10, 20]


def test_a_bill_by_hand() -> None:
    """Fails when a part of a bill is not price times quantity, by a list of round prices."""
    prices = Prices(
        {
            "dynamodb": {"write_request_units_per_million": 0.5, "read_request_units_per_million": 0.1},
            "sqs": {"requests_per_million": 0.4},
            "lambda": {"requests_per_million": 0.2, "arm64_gb_second": 0.00001},
            "kms": {"requests_per_million": 3.0},
            "api_gateway": {"requests_per_million": 3.5},
        }
    )
    units = Tally()
    units.write["f", "Table"], units.write["f", "index"] = 6, 4
    units.read["f", "Table"] = 5
    units.calls.update({"AmazonSQS.SendMessage": 1, "Lambda.ReceiveMessage": 2, "TrentService.Decrypt": 0.5})
    units.invocations.update({"f": 1, "g": 0.5})
    units.gb_ms["f"] = 200  # 400 ms at half a GB
    assert prices.bill(units, requests=2, architecture="arm64") == pytest.approx(
        {
            "DynamoDB writes": 5.0,
            "DynamoDB reads": 0.5,
            "SQS": 1.2,
            "Lambda requests": 0.3,
            "Lambda duration": 2.0,
            "KMS": 1.5,
            "API Gateway": 7.0,
        }
    )


def test_the_price_list_is_whole() -> None:
    """Fails when benchmarks/prices.toml lacks a price, its day, its region, or a wait."""
    prices = Prices.read()
    assert prices.document["read_on"].year >= 2026
    assert "us-east-1" in prices.document["region"]
    assert all(amount > 0 for amount in (prices.waits.dynamodb, prices.waits.gateway, prices.waits.receiver))
    units = Tally()
    units.write["f", "Table"] = 1
    for architecture in ("x86_64", "arm64"):
        assert prices.bill(units, requests=0, architecture=architecture)["DynamoDB writes"] > 0


def test_batches_grow_with_the_rate() -> None:
    """Fails when a batch at a rate is not what each of a table's shards gathers in a quarter of a second."""
    assert batch_at(1, 3) == 1
    assert batch_at(100, 3) == 6  # four shards, four polls a second
    assert batch_at(10_000, 3) == 83  # 30,000 units a second need 30 partitions


def test_the_busiest_streamed_table_decides() -> None:
    """Fails when a table without a stream, or an index, is taken for the number of a stream's shards."""
    units = Tally()
    units.write["f", "IdempotencyTable"] = 3
    units.write["f", "open-leases"] = 50
    units.write["f", "MerchantsTable"] = 40
    assert streamed_units(Template({}, QUEUES).schemas(), units) == 3


def test_less_and_divided() -> None:
    """Fails when what is left out, or a share, is computed wrongly."""
    one, other = Tally(), Tally()
    one.write["f", "T"], one.read["f", "T"], other.write["f", "T"], other.write["g", "T"] = 6, 2, 4, 1
    left = one.less(other, 1.5).divided(2)
    assert (left.write, left.read) == ({("g", "T"): -0.75}, {("f", "T"): 1.0})
