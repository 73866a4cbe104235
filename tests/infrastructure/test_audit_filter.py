"""Which records of the claims' stream the audit trail gets: all but new claims, as the filters of template.yaml say."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from benchmarks.units.template import Source
from payonce.idempotency.audit import Transition
from payonce.idempotency.audit_stream import entry_of
from payonce.idempotency.records import RecordStatus
from payonce.stores.dynamodb_requests import from_stream_image
from tests.support.aws import load_template

AUDIT = load_template()["Resources"]["AuditIdempotencyFunction"]["Properties"]["Events"]["Claims"]["Properties"]
CLAIM_IDS = (None, {"S": ""}, {"S": "clm_1"}, {"N": "1"}, {"NULL": True})
FENCES = (None, {"N": "1"}, {"N": "2"}, {"N": "0"}, {"S": "1"})
STATUSES = (None, *({"S": status.value} for status in RecordStatus), {"S": ""}, {"BOOL": True})
IMAGES = [
    {"id": {"S": "rec"}}
    | {name: value for name, value in zip(("claim_id", "fence", "status"), values, strict=True) if value is not None}
    for values in product(CLAIM_IDS, FENCES, STATUSES)
]


def is_told(before: dict[str, Any] | None, after: dict[str, Any] | None) -> tuple[bool, bool]:
    """Return whether a change's record passes the filters, and whether it makes an entry of its own."""
    images = {"OldImage": before, "NewImage": after}
    change = {name: image for name, image in images.items() if image is not None}
    name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    passes = Source("DynamoDB", AUDIT).accepts({"eventName": name, "dynamodb": change})
    plain = [None if image is None else from_stream_image(image) for image in images.values()]
    entry = entry_of("rec", *plain, at_ms=1, sequence="1")
    return passes, entry.transition is not Transition.CLAIMED


def test_the_audit_trail_gets_all_but_new_claims() -> None:
    """Fails when a change makes an entry and its record does not pass the filters, or a claim costs an invocation.

    The rules are those of https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html.
    """
    kept_back = [image for image in IMAGES if is_told(None, image) == (False, False)]
    assert kept_back == [
        {"id": {"S": "rec"}, "claim_id": {"S": "clm_1"}, "fence": {"N": "1"}, "status": {"S": "INPROGRESS"}}
    ]
    assert all(is_told(None, image) == (True, True) for image in IMAGES if image not in kept_back)
    for image, other in product(IMAGES, (*kept_back, IMAGES[0])):
        assert is_told(image, other) == is_told(other, image) == is_told(image, None) == (True, True)


def test_the_filters_are_what_lambda_documents() -> None:
    """Fails when a filter asks for what Lambda may not know, or there are more than an account may have.

    Of a stream's record a filter may name ``dynamodb`` alone, says
    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html, although examples of AWS's name ``eventName``
    too. A record that no filter lets through is gone, and nothing else brings its transition into the trail. Five
    filters are the default quota. What was there before has its key in the old image, whatever else it has.
    """
    [key] = load_template()["Resources"]["IdempotencyTable"]["Properties"]["KeySchema"]
    filters = [json.loads(one["Pattern"]) for one in AUDIT["FilterCriteria"]["Filters"]]
    assert len(filters) <= 5
    assert {name for one in filters for name in one} == {"dynamodb"}
    assert {"dynamodb": {"OldImage": {key["AttributeName"]: {"S": [{"exists": True}]}}}} in filters
