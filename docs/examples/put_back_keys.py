"""Put back what the table of idempotency records has lost: docs/how-to/restore-a-table.md.

The past (a restored copy) has the answers, and the audit trail has every claim that was ever made. What the trail
knows, and neither the table nor its past, is blocked: its key can then charge nobody again.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr

GUARD_SECONDS = 31 * 86_400  # as long as the stack remembers keys: window and guard
COMPLETED = "COMPLETED"  # the status of a record
OF_A_CLAIM = {"claimed", "taken_over", "parked", "completed", "released", "expired"}
dynamodb = boto3.resource("dynamodb")


def items(table_name: str) -> Iterator[dict[str, Any]]:
    """Yield every item of a table."""
    table, start = dynamodb.Table(table_name), {}
    while start is not None:
        page = table.scan(ConsistentRead=True, **start)
        yield from page["Items"]
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None


def last_transitions(audit_table: str) -> dict[str, dict[str, Any]]:
    """Return the last entry of each record: entries sort by claim, owner and transition."""
    last: dict[str, dict[str, Any]] = {}
    for entry in items(audit_table):
        if entry.get("transition") in OF_A_CLAIM:
            known = last.get(entry["record_id"])
            if known is None or known["entry_key"] < entry["entry_key"]:
                last[entry["record_id"]] = entry
    return last


def blocked(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose replay window is over: its key answers 409, with a link to what it has made."""
    kept = {name: entry[name] for name in ("claim_id", "fence")}
    times = {"created_at_ms": entry["at_ms"], "expires_at_ms": 0, "purge_at": int(time.time()) + GUARD_SECONDS}
    answer = {"response_status": 409, "response_headers": {}, "response_body": b"\x00"}  # empty, and replayed to nobody
    texts = {"fingerprint": entry.get("fingerprint", ""), "resource": entry.get("resource", "")}
    return {"id": entry["record_id"], "status": COMPLETED, **kept, **times, **texts, **answer}


def put_back(live_table: str, past_table: str, audit_table: str) -> Counter[str]:
    """Put back what is missing or was opened again, never over anything newer. Return how many of each."""
    live, done = dynamodb.Table(live_table), Counter[str]()
    past = {item["id"]: item for item in items(past_table)}
    for record_id, entry in last_transitions(audit_table).items():
        if entry["transition"] in {"released", "expired"}:
            continue  # nothing was executed, or its guard is over
        before, completed = past.get(record_id), entry["transition"] == "completed"
        same = before is not None and before["claim_id"] == entry["claim_id"]
        known = same and (before["status"] == COMPLETED) == completed
        reopened = Attr("claim_id").eq(entry["claim_id"]) & Attr("status").ne(COMPLETED)
        condition = Attr("id").not_exists() | reopened if completed else Attr("id").not_exists()
        try:
            live.put_item(Item=before if known else blocked(entry), ConditionExpression=condition)
        except live.meta.client.exceptions.ConditionalCheckFailedException:
            done["in place"] += 1
            continue
        done["put back" if known else "blocked"] += 1
        if not known and not completed:
            sys.stdout.write(f"look at the gateway for {entry.get('resource') or record_id}\n")
    return done


if __name__ == "__main__":
    sys.stdout.write(f"{dict(sorted(put_back(*sys.argv[1:4]).items()))}\n")
