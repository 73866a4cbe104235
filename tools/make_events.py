"""Writes events/<function>/<case>.json: realistic events for ``sam local invoke`` and for tests/functional."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from payonce.domain.dispute import dispute_id_of
from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.outbox import event_item
from payonce.packing import pack
from payonce.stores.dynamodb_requests import to_attributes

EVENTS = Path(__file__).resolve().parents[1] / "events"
PAYMENT_ID = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
MERCHANT_ID = "mer_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
KEY = "7f9c24e8-3b12-4fef-91e0-5c1f0c2b7a55"
PAYMENT = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_sandbox_visa", "reference": "order-4711"}
SETUP = {"customer": "customer-7", "currency": "EUR", "payment_method": "pm_sandbox_visa"}
SCOPES = "payments:read payments:write refunds:write balances:read events:read webhooks:read webhooks:write"
PATH_IDS = {
    "payment_id": PAYMENT_ID,
    "setup_id": "setup_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
    "payment_method_id": "method_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
    "endpoint_id": "we_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
    "delivery_id": "whd_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
    "replay_id": "rpl_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
    "event_id": f"evt_{PAYMENT_ID}_1",
    "break_id": "brk_" + "b7" * 32,
    "idempotency_key": KEY,
    "gateway": "bank",
    "merchant_id": MERCHANT_ID,
    "dispute_id": dispute_id_of(PAYMENT_ID, "dp_at_the_gateway"),
}
ENDPOINTS = "/webhook_endpoints"
ENDPOINT = ENDPOINTS + "/{endpoint_id}"
DELIVERY = ENDPOINT + "/deliveries/{delivery_id}"

KEY_PATH = "/idempotency-keys/{idempotency_key}"

KEY_SCOPES = "idempotency:read"
BREAKS = "/breaks"
BREAK = BREAKS + "/{break_id}"
BREAK_SCOPES = "breaks:read breaks:write"
APPROVER_SCOPES = "breaks:read breaks:approve"
CORRECTION = BREAK + "/correction"
SEEN = {"proposal_version": 1}
PROPOSAL = {**SEEN, "amount_minor": 500}


def proxy(
    method: str,
    resource: str,
    *,
    body: Any = None,
    key: str | None = KEY,
    query: dict[str, str] | None = None,
    scopes: str = SCOPES,
) -> dict[str, Any]:
    """Return a REST API proxy event as API Gateway sends it."""
    named = {name: value for name, value in PATH_IDS.items() if f"{{{name}}}" in resource}
    path = resource.format(**named)
    headers = {
        "Accept": "application/json",
        "Authorization": "Bearer po_" + "x" * 43,
        "Content-Type": "application/json",
        "Host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
        "User-Agent": "shop/1.0",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **({"X-Idempotency-Key": key} if key and method != "GET" else {}),
    }
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": named or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": {
                "merchant_id": "mer_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
                "scopes": scopes,
                "gateway": "",
                "principalId": "key_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
                "integrationLatency": 12,
            },
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "shop/1.0"},
            "path": "/sandbox" + path,
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "requestTimeEpoch": 1795526278524,
            "resourceId": "r3s0rc",
            "resourcePath": resource,
            "stage": "sandbox",
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def authorizer(token: str) -> dict[str, Any]:
    """Return a TOKEN authorizer event."""
    arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/sandbox/POST/payments"
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": arn}


def gateway_event(gateway: str, *, signature: str, merchant_id: str = "") -> dict[str, Any]:
    """Return a gateway's post as an API of octets hands it on. No signature here is genuine: a time is part of one."""
    own = {"merchant_id": merchant_id} if merchant_id else {}
    event = proxy("POST", "/gateway_events/{gateway}" + ("/{merchant_id}" if own else ""), key=None)
    document = {"id": "evt_1", "type": "payment.succeeded", "created_at_ms": 1795526278524, "data": {}}
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "evt_1",
        "webhook-timestamp": "1795526278",
        **({"webhook-signature": signature} if signature else {}),
    }
    del event["requestContext"]["authorizer"]
    return {
        **event,
        "path": "/".join(("/gateway_events", gateway, *own.values())),
        "pathParameters": {"gateway": gateway, **own},
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": base64.b64encode(json.dumps(document).encode()).decode(),
        "isBase64Encoded": True,
    }


def console(method: str, resource: str, place: str = "", *, origin: str = "") -> dict[str, Any]:
    """Return a request for the console as an API of octets hands it on. It has no session: a key opens one."""
    path = resource.replace("{proxy+}", place)
    event = proxy(method, path, key=None)
    host = event["headers"]["Host"]
    headers = {
        "Accept": "text/html,application/xhtml+xml",
        "Host": host,
        "Sec-Fetch-Site": "cross-site" if origin else "same-origin",
        "User-Agent": "Mozilla/5.0",
        **({"Content-Type": "application/x-www-form-urlencoded"} if method == "POST" else {}),
        **({"Origin": origin or f"https://{host}"} if method == "POST" else {}),
    }
    del event["requestContext"]["authorizer"]
    return {
        **event,
        "resource": resource,
        "pathParameters": {"proxy": place} if place else None,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {**event["requestContext"], "resourcePath": resource},
        **({"body": base64.b64encode(b"csrf=x").decode(), "isBase64Encoded": True} if method == "POST" else {}),
    }


def console_actions(resource: str, place: str = "") -> dict[str, dict[str, Any]]:
    """Return the events of a function of the console's actions."""
    return {
        "no_session": console("POST", resource, place),
        "other_site": console("POST", resource, place, origin="https://elsewhere.example"),
    }


def stream_record(number: int, event_name: str, image: dict[str, Any]) -> dict[str, Any]:
    """Return a record of the outbox's stream as a function receives it: binaries are base64 text."""
    table = "arn:aws:dynamodb:eu-central-1:123456789012:table/payonce-OutboxTable-1A2B3C"
    keys = {name: image[name] for name in ("pk", "sk")}
    return {
        "eventID": f"{number:032x}",
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1795576000,
            "Keys": keys,
            "NewImage": image,
            "SequenceNumber": f"{100000 + number:021d}",
            "SizeBytes": 900,
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": f"{table}/stream/2026-11-25T00:00:00.000",
    }


def outbox_image(number: int) -> dict[str, Any]:
    """Return a stored event as a stream's image shows it: binaries are base64 text."""
    made = build_event(
        Change.CHARGED,
        merchant_id=MERCHANT_ID,
        resource_id=f"pay_{number:026d}",
        version=1,
        created_at_ms=1795576000000 + number,
        data={"id": PAYMENT_ID, "note": "ö☃"},
    )
    image: dict[str, Any] = to_attributes(event_item(made))
    for value in image.values():
        if "B" in value:
            value["B"] = base64.b64encode(value["B"]).decode()
    return image


def queue_records(queue: str, *bodies: Any) -> dict[str, Any]:
    """Return an SQS batch. A body that is not a text is written as JSON."""
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-{number:012d}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body if isinstance(body, str) else json.dumps(body, separators=(",", ":")),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795576000000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1795576000100",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:payonce-{queue}",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def custom_event(**more: Any) -> dict[str, Any]:
    """Return a message of the event inbox."""
    return {"merchant_id": MERCHANT_ID, "type": "custom.order.shipped", "data": {"order": "4711", "parcels": 2}, **more}


DELIVERY_MESSAGE = {
    "merchant_id": MERCHANT_ID,
    "endpoint_id": PATH_IDS["endpoint_id"],
    "delivery_id": PATH_IDS["delivery_id"],
    "fence": 1,
}
WAKE_MESSAGE = {"merchant_id": MERCHANT_ID, "endpoint_id": PATH_IDS["endpoint_id"], "lane": 0}
ASK_MESSAGE = {
    "lane": "sandbox_bank",
    "claims": [f"{MERCHANT_ID}#create_payment#{number:064x}" for number in range(2)],
    "silent": [],
    "answering_since_ms": {"sandbox_bank": 1795575000000},
}


def arrived(key: str) -> dict[str, Any]:
    """Return a bucket's notification of a new object. Its key is form-encoded, as S3 does it."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-11-25T06:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": "payonce-reconciliation", "arn": "arn:aws:s3:::payonce-reconciliation"},
                    "object": {"key": quote_plus(key, safe="/"), "size": 1024, "sequencer": "0A1B2C3D4E5F678901"},
                },
            }
        ]
    }


def scheduled(rule: str) -> dict[str, Any]:
    """Return an event of a schedule named ``rule``."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-11-24T12:44:00Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:events:eu-central-1:123456789012:rule/{rule}"],
        "detail": {},
    }


def claim_change(number: int, before: Any, after: Any, *, by_ttl: bool = False) -> dict[str, Any]:
    """Return the stream record of one change of a claim."""
    name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    images = {image: item for image, item in (("OldImage", before), ("NewImage", after)) if item is not None}
    return {
        "eventID": f"{number:032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1795526278 + number,
            "Keys": {"id": CLAIM["id"]},
            **images,
            "SequenceNumber": f"{4421584500000000017450000 + number}",
            "SizeBytes": 500,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/payonce/stream/2026-11-24T00:00",
        **({"userIdentity": {"principalId": "dynamodb.amazonaws.com", "type": "Service"}} if by_ttl else {}),
    }


def stream(*records: dict[str, Any]) -> dict[str, Any]:
    """Return a batch of a DynamoDB stream."""
    return {"Records": list(records)}


CLAIM: dict[str, Any] = {
    "id": {"S": f"{MERCHANT_ID}#create_payment#{hashlib.sha256(KEY.encode()).hexdigest()}"},
    "status": {"S": "INPROGRESS"},
    "claim_id": {"S": PAYMENT_ID},
    "fence": {"N": "1"},
    "fingerprint": {"S": "7e" * 32},
    "created_at_ms": {"N": "1795526278524"},
    "expires_at_ms": {"N": "1795612678524"},
    "lease_expires_at_ms": {"N": "1795526308524"},
    "submit_horizon_ms": {"N": "0"},
    "open_shard": {"S": "3"},
    "resource": {"S": f"/payments/{PAYMENT_ID}"},
    "plan": {"M": {"kind": {"S": "payment"}, "amount_minor": {"N": "1050"}}},
}
DONE: dict[str, Any] = {
    **{name: CLAIM[name] for name in CLAIM if name not in ("plan", "open_shard", "lease_expires_at_ms")},
    "status": {"S": "COMPLETED"},
    "purge_at": {"N": "1798118278"},
    "response_status": {"N": "201"},
    "response_headers": {"M": {"content-type": {"S": "application/json"}}},
    "response_body": {"B": base64.b64encode(pack(b"{}")).decode()},
}
PAID: dict[str, Any] = {
    **CLAIM,
    "plan": {
        "M": {
            **CLAIM["plan"]["M"],
            "merchant_id": {"S": MERCHANT_ID},
            "payment_id": {"S": PAYMENT_ID},
            "gateway": {"S": "bank"},
            "payment_method_type": {"S": "card"},
            "priority": {"S": "authorization"},
        }
    },
}
ANSWERED = {**DONE, "ended_at_ms": {"N": "1795526278911"}}
PARKED = {**PAID, "status": {"S": "IN_DOUBT"}, "ended_at_ms": {"N": "1795526288524"}}
REFUSAL = {
    "level": "INFO",
    "message": "throttled",
    "merchant_id": MERCHANT_ID,
    "priority": "batch",
    "payment_method_type": "card",
    "gateway": "bank",
}


def subscription(*lines: Any, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """Return the event of a log group's subscription. A line that is not a text is written as JSON."""
    message = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "/aws/lambda/payonce",
        "logStream": "2026/11/25/CreatePayment[$LATEST]5f1c",
        "subscriptionFilters": ["payonce-Refusals-1A2B3C"],
        "logEvents": [
            {
                "id": f"{39000000000000000000 + number}",
                "timestamp": 1795526278000 + number,
                "message": line if isinstance(line, str) else json.dumps(line),
            }
            for number, line in enumerate(lines)
        ],
    }
    packed = gzip.compress(json.dumps(message).encode(), mtime=0)
    return {"awslogs": {"data": base64.b64encode(packed).decode()}}


CASES: dict[str, dict[str, dict[str, Any]]] = {
    "authorize": {
        "unknown_key": authorizer("Bearer po_" + "x" * 43),
        "no_bearer": authorizer("Basic Zm9vOmJhcg=="),
    },
    "create_payment": {
        # Each has its own key: on one table, a used key with another request would be refused.
        "captured": proxy("POST", "/payments", body=PAYMENT),
        "authorized": proxy("POST", "/payments", body={**PAYMENT, "capture": "manual"}, key=f"{KEY}-authorized"),
        "declined": proxy(
            "POST", "/payments", body={**PAYMENT, "payment_method": "pm_sandbox_declined"}, key=f"{KEY}-declined"
        ),
        "no_key": proxy("POST", "/payments", body=PAYMENT, key=None),
        "short_key": proxy("POST", "/payments", body=PAYMENT, key="short"),
        "float_amount": proxy("POST", "/payments", body={**PAYMENT, "amount_minor": 10.5}),
        "card_number": proxy("POST", "/payments", body={**PAYMENT, "reference": "4111 1111 1111 1111"}),
        "malformed": proxy("POST", "/payments", body='{"amount_minor": '),
        "no_scope": proxy("POST", "/payments", body=PAYMENT, scopes="payments:read"),
    },
    "capture_payment": {
        "part": proxy("POST", "/payments/{payment_id}/captures", body={"amount_minor": 400}),
        "rest": proxy("POST", "/payments/{payment_id}/captures"),
        "no_key": proxy("POST", "/payments/{payment_id}/captures", key=None),
    },
    "confirm_payment": {
        "came_back": proxy("POST", "/payments/{payment_id}/confirmations", body={"payment_result": "res_1"}),
        "no_result": proxy("POST", "/payments/{payment_id}/confirmations", body={}),
        "no_key": proxy("POST", "/payments/{payment_id}/confirmations", body={"payment_result": "res_1"}, key=None),
    },
    "cancel_payment": {
        "whole": proxy("POST", "/payments/{payment_id}/cancellations", body={}),
        "no_key": proxy("POST", "/payments/{payment_id}/cancellations", key=None),
    },
    "refund_payment": {
        "part": proxy("POST", "/payments/{payment_id}/refunds", body={"amount_minor": 50}),
        "rest": proxy("POST", "/payments/{payment_id}/refunds"),
        "no_key": proxy("POST", "/payments/{payment_id}/refunds", key=None),
    },
    "get_payment": {"by_id": proxy("GET", "/payments/{payment_id}")},
    "get_payment_history": {"by_id": proxy("GET", "/payments/{payment_id}/history")},
    "list_payments": {
        "first_page": proxy("GET", "/payments", query={"limit": "10"}),
        "by_reference": proxy("GET", "/payments", query={"reference": "order-1", "status": "captured"}),
        "by_customer": proxy("GET", "/payments", query={"customer": "customer-7"}),
        "bad_cursor": proxy("GET", "/payments", query={"cursor": "nonsense"}),
    },
    "create_setup": {
        "succeeded": proxy("POST", "/setups", body=SETUP),
        "declined": proxy(
            "POST", "/setups", body={**SETUP, "payment_method": "pm_sandbox_declined"}, key=f"{KEY}-declined"
        ),
        "no_customer": proxy("POST", "/setups", body={**SETUP, "customer": "c"}),
        "no_key": proxy("POST", "/setups", body=SETUP, key=None),
    },
    "confirm_setup": {
        "came_back": proxy("POST", "/setups/{setup_id}/confirmations", body={"payment_result": "res_1"}),
        "no_key": proxy("POST", "/setups/{setup_id}/confirmations", body={"payment_result": "res_1"}, key=None),
    },
    "cancel_setup": {
        "whole": proxy("POST", "/setups/{setup_id}/cancellations", body={}),
        "no_key": proxy("POST", "/setups/{setup_id}/cancellations", key=None),
    },
    "revoke_payment_method": {
        "by_id": proxy("POST", "/payment_methods/{payment_method_id}/revocations", body={}),
        "no_key": proxy("POST", "/payment_methods/{payment_method_id}/revocations", key=None),
    },
    "list_setups": {
        "first_page": proxy("GET", "/setups", query={"customer": "customer-7", "limit": "10"}),
        "nobody": proxy("GET", "/setups"),
    },
    "get_setup": {"by_id": proxy("GET", "/setups/{setup_id}")},
    "list_payment_methods": {
        "first_page": proxy("GET", "/payment_methods", query={"customer": "customer-7"}),
        "bad_cursor": proxy("GET", "/payment_methods", query={"customer": "customer-7", "cursor": "nonsense"}),
    },
    "get_payment_method": {"by_id": proxy("GET", "/payment_methods/{payment_method_id}")},
    "list_disputes": {
        "first_page": proxy("GET", "/disputes", query={"limit": "10"}),
        "lost": proxy("GET", "/disputes", query={"status": "lost"}),
        "bad_cursor": proxy("GET", "/disputes", query={"cursor": "nonsense"}),
    },
    "get_dispute": {"by_id": proxy("GET", "/disputes/{dispute_id}")},
    "list_payment_disputes": {"by_id": proxy("GET", "/payments/{payment_id}/disputes")},
    "get_balances": {"all": proxy("GET", "/balances")},
    "create_webhook_endpoint": {
        "all_events": proxy("POST", ENDPOINTS, body={"url": "https://hooks.example.com/payonce"}),
        "ed25519": proxy(
            "POST",
            ENDPOINTS,
            body={"url": "https://hooks.example.com/payonce", "event_types": ["payment.*"], "key_kind": "v1a"},
            key=f"{KEY}-ed25519",
        ),
        "unknown_event_type": proxy(
            "POST", ENDPOINTS, body={"url": "https://hooks.example.com/", "event_types": ["payment.paid"]}
        ),
        "private_address": proxy("POST", ENDPOINTS, body={"url": "https://169.254.169.254/latest/meta-data/"}),
        "no_key": proxy("POST", ENDPOINTS, body={"url": "https://hooks.example.com/payonce"}, key=None),
    },
    "list_webhook_endpoints": {"all": proxy("GET", ENDPOINTS)},
    "get_webhook_endpoint": {"by_id": proxy("GET", ENDPOINT)},
    "update_webhook_endpoint": {
        "disable": proxy("PATCH", ENDPOINT, body={"status": "disabled"}),
        "nothing": proxy("PATCH", ENDPOINT, body={}),
        "no_key": proxy("PATCH", ENDPOINT, body={"status": "disabled"}, key=None),
    },
    "delete_webhook_endpoint": {
        "by_id": proxy("DELETE", ENDPOINT),
        "no_key": proxy("DELETE", ENDPOINT, key=None),
    },
    "rotate_webhook_secret": {
        "overlap": proxy("POST", ENDPOINT + "/secret_rotations", body={"overlap_seconds": 3600}),
        "too_long": proxy("POST", ENDPOINT + "/secret_rotations", body={"overlap_seconds": 604801}),
        "no_key": proxy("POST", ENDPOINT + "/secret_rotations", key=None),
    },
    "test_webhook_endpoint": {
        "test": proxy("POST", ENDPOINT + "/test_events"),
        "no_key": proxy("POST", ENDPOINT + "/test_events", key=None),
    },
    "list_webhook_deliveries": {
        "failed": proxy("GET", ENDPOINT + "/deliveries", query={"limit": "10", "status": "failed"}),
        "bad_cursor": proxy("GET", ENDPOINT + "/deliveries", query={"cursor": "nonsense"}),
    },
    "get_webhook_delivery": {"by_id": proxy("GET", DELIVERY)},
    "redeliver_webhook": {
        "failed": proxy("POST", DELIVERY + "/redeliveries"),
        "no_key": proxy("POST", DELIVERY + "/redeliveries", key=None),
    },
    "replay_webhooks": {
        "an_hour": proxy("POST", ENDPOINT + "/replays", body={"from_ms": 1763985600000, "until_ms": 1763989200000}),
        "backwards": proxy("POST", ENDPOINT + "/replays", body={"from_ms": 2, "until_ms": 1}),
        "no_key": proxy("POST", ENDPOINT + "/replays", body={"from_ms": 1, "until_ms": 2}, key=None),
    },
    "get_webhook_replay": {"by_id": proxy("GET", ENDPOINT + "/replays/{replay_id}")},
    "list_events": {
        "first_page": proxy("GET", "/events", query={"limit": "10", "type": "payment.captured"}),
        "bad_cursor": proxy("GET", "/events", query={"after": "nonsense"}),
    },
    "get_event": {"by_id": proxy("GET", "/events/{event_id}")},
    "idempotency_proxy": {
        "upstream_down": proxy("POST", "/proxy/orders", body={"sku": "4711"}, scopes="proxy:use"),
        "no_key": proxy("POST", "/proxy/orders", body={"sku": "4711"}, key=None, scopes="proxy:use"),
        "no_scope": proxy("POST", "/proxy/orders", body={"sku": "4711"}),
        "no_route": proxy("POST", "/proxy/nothing", body={}, scopes="proxy:use"),
    },
    "get_idempotency_key": {
        "any_operation": proxy("GET", KEY_PATH, scopes=KEY_SCOPES),
        "one_operation": proxy("GET", KEY_PATH, query={"operation": "create_payment"}, scopes=KEY_SCOPES),
        "bad_operation": proxy("GET", KEY_PATH, query={"operation": "create_payment#other"}, scopes=KEY_SCOPES),
        "no_scope": proxy("GET", KEY_PATH, scopes="payments:read"),
    },
    "list_breaks": {
        "first_page": proxy("GET", BREAKS, query={"limit": "10", "status": "open"}, scopes=BREAK_SCOPES),
        "one_class": proxy("GET", BREAKS, query={"class": "duplicate_capture"}, scopes=BREAK_SCOPES),
        "unknown_status": proxy("GET", BREAKS, query={"status": "forgotten"}, scopes=BREAK_SCOPES),
        "bad_cursor": proxy("GET", BREAKS, query={"cursor": "nonsense"}, scopes=BREAK_SCOPES),
        "no_scope": proxy("GET", BREAKS),
    },
    "get_break": {
        "by_id": proxy("GET", BREAK, scopes=BREAK_SCOPES),
        "no_scope": proxy("GET", BREAK),
    },
    "get_break_history": {"by_id": proxy("GET", BREAK + "/history", scopes=BREAK_SCOPES)},
    "comment_on_break": {
        "comment": proxy("POST", BREAK + "/comments", body={"text": "Order 4711 was paid once."}, scopes=BREAK_SCOPES),
        "empty": proxy("POST", BREAK + "/comments", body={"text": ""}, scopes=BREAK_SCOPES),
        "no_key": proxy("POST", BREAK + "/comments", body={"text": "x"}, key=None, scopes=BREAK_SCOPES),
        "no_scope": proxy("POST", BREAK + "/comments", body={"text": "x"}, scopes="breaks:read"),
    },
    "assign_break": {
        "somebody": proxy("POST", BREAK + "/assignments", body={"assignee": "anna"}, scopes=BREAK_SCOPES),
        "nobody": proxy("POST", BREAK + "/assignments", body={"assignee": None}, scopes=BREAK_SCOPES),
        "no_key": proxy("POST", BREAK + "/assignments", body={"assignee": "anna"}, key=None, scopes=BREAK_SCOPES),
    },
    "get_correction": {"by_id": proxy("GET", CORRECTION, scopes=BREAK_SCOPES)},
    "propose_correction": {
        "half": proxy("POST", CORRECTION + "/proposals", body=PROPOSAL, scopes=BREAK_SCOPES),
        "old_version": proxy(
            "POST", CORRECTION + "/proposals", body={**PROPOSAL, "proposal_version": 9}, scopes=BREAK_SCOPES
        ),
        "no_key": proxy("POST", CORRECTION + "/proposals", body=PROPOSAL, key=None, scopes=BREAK_SCOPES),
    },
    "approve_correction": {
        "first_version": proxy("POST", CORRECTION + "/approvals", body=SEEN, scopes=APPROVER_SCOPES),
        "old_version": proxy("POST", CORRECTION + "/approvals", body={"proposal_version": 9}, scopes=APPROVER_SCOPES),
        "no_key": proxy("POST", CORRECTION + "/approvals", body=SEEN, key=None, scopes=APPROVER_SCOPES),
        "no_scope": proxy("POST", CORRECTION + "/approvals", body=SEEN, scopes=BREAK_SCOPES),
    },
    "reject_correction": {
        "first_version": proxy("POST", CORRECTION + "/rejections", body=SEEN, scopes=APPROVER_SCOPES),
        "no_key": proxy("POST", CORRECTION + "/rejections", body=SEEN, key=None, scopes=APPROVER_SCOPES),
        "no_scope": proxy("POST", CORRECTION + "/rejections", body=SEEN, scopes=BREAK_SCOPES),
    },
    "audit_idempotency": {
        "life_of_a_claim": stream(
            claim_change(1, None, CLAIM),
            claim_change(2, CLAIM, {**CLAIM, "fence": {"N": "2"}, "lease_expires_at_ms": {"N": "1795526338524"}}),
            claim_change(3, {**CLAIM, "fence": {"N": "2"}}, {**DONE, "fence": {"N": "2"}}),
            claim_change(4, {**DONE, "fence": {"N": "2"}}, None, by_ttl=True),
        ),
        "released": stream(claim_change(1, None, CLAIM), claim_change(2, CLAIM, None)),
        "changed_by_hand": stream(claim_change(1, DONE, {**DONE, "fingerprint": {"S": "00" * 32}})),
    },
    "observe_claims": {
        # Like a tumbling window's event, it names the shard.
        "answered": {**stream(claim_change(0, None, PAID), claim_change(0, PAID, ANSWERED)), "shardId": "shard-1"},
        "parked": stream(claim_change(0, None, PAID), claim_change(10, PAID, PARKED)),
        "released": stream(claim_change(0, None, PAID), claim_change(1, PAID, None)),
        "one_is_unreadable": stream(
            claim_change(0, None, {**PAID, "created_at_ms": {"S": "x"}}), claim_change(0, None, PAID)
        ),
        "refusals": subscription(REFUSAL, {**REFUSAL, "message": "signals skipped"}, "START RequestId: 5f1c"),
        "subscription_tried_out": subscription("CWL CONTROL MESSAGE", kind="CONTROL_MESSAGE"),
    },
    "keep_overview": {
        # Like a tumbling window's event, it names the shard.
        "two_payments": {
            "Records": [stream_record(n, "INSERT", outbox_image(n)) for n in (1, 2)],
            "shardId": "shardId-00000001414576573621-f55eea83",
        },
        "one_is_no_event": {
            "Records": [
                stream_record(1, "INSERT", {"pk": {"S": "x"}, "sk": {"S": "1"}, "packed": {"B": "eA=="}}),
                stream_record(2, "INSERT", outbox_image(2)),
            ],
        },
        "a_break_was_opened": {
            "Records": [
                stream_record(
                    1,
                    "INSERT",
                    {
                        "pk": {"S": "BREAK#" + PATH_IDS["break_id"]},
                        "sk": {"S": "CASE"},
                        "break_id": {"S": PATH_IDS["break_id"]},
                        "break_class": {"S": "double_charge"},
                        "case_status": {"S": "open"},
                        "version": {"N": "1"},
                        "merchant_id": {"S": MERCHANT_ID},
                        "opened_at_ms": {"N": "1795526278000"},
                    },
                )
            ]
        },
        "replays": subscription(
            {"level": "INFO", "message": "requests counted", "counts": {MERCHANT_ID: {"replayed": 3}}},
            {"level": "INFO", "message": "requests counted", "counts": {MERCHANT_ID: {"of another version": 1}}},
            "START RequestId: requests counted",
        ),
    },
    "predict_routes": {"scheduled": scheduled("payonce-predict")},
    "recover_payments": {"scheduled": scheduled("payonce-recover")},
    "ask_gateways": {
        "unknown_claims": queue_records("RecoveryQueue", ASK_MESSAGE),
        "one_is_no_message": queue_records("RecoveryQueue", "not JSON", ASK_MESSAGE),
    },
    "relay_events": {
        "two_events": {"Records": [stream_record(n, "INSERT", outbox_image(n)) for n in (1, 2)]},
        "one_is_no_event": {
            "Records": [
                stream_record(1, "INSERT", outbox_image(1)),
                stream_record(2, "INSERT", {"pk": {"S": "x"}, "sk": {"S": "y"}}),
            ]
        },
        "a_changed_item": {"Records": [stream_record(1, "MODIFY", outbox_image(1))]},
    },
    "dispatch_deliveries": {
        "unknown_delivery": queue_records("DeliveryQueue", DELIVERY_MESSAGE),
        "unknown_endpoint": queue_records("DeliveryQueue", WAKE_MESSAGE),
        "one_is_no_message": queue_records("DeliveryQueue", DELIVERY_MESSAGE, "not JSON", {"fence": "1"}),
    },
    "schedule_deliveries": {"scheduled": scheduled("payonce-schedule")},
    "correct_break": {
        "start": {"step": "start", "break_id": PATH_IDS["break_id"], "attempt": 1},
        "reread": {"step": "reread", "break_id": PATH_IDS["break_id"], "tries": 0},
        "wait": {"step": "wait", "break_id": PATH_IDS["break_id"], "task_token": "a-task-token"},
        "execute": {"step": "execute", "break_id": PATH_IDS["break_id"], "tries": 3},
    },
    "reconcile": {
        "scheduled": scheduled("payonce-reconcile"),
        "report": arrived("incoming/gateway/bank/24 November.csv"),
        "wrong_folder": arrived("incoming/notes.txt"),
        "policy": arrived("policy/run.toml"),
    },
    "accept_gateway_events": {
        "forged": gateway_event("bank", signature="v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        "unsigned": gateway_event("bank", signature=""),
        "unknown_gateway": gateway_event("nobody", signature="v1,AAAA"),
        "no_own_account": gateway_event("bank", signature="v1,AAAA", merchant_id=MERCHANT_ID),
    },
    "pages": {
        "sign_in": console("GET", "/console/{proxy+}", "sign-in"),
        "no_session": console("GET", "/console/{proxy+}", "audit"),
        "no_asset": console("GET", "/console/{proxy+}", "static/nothing.css"),
    },
    "session_actions": {
        "no_session": console("POST", "/console/{proxy+}", "theme"),
        "other_site": console("POST", "/console/{proxy+}", "sign-in", origin="https://elsewhere.example"),
        "no_action": console("POST", "/console/{proxy+}", "nothing"),
    },
    "key_actions": console_actions("/console/keys/{proxy+}", "record/release"),
    "webhook_actions": console_actions("/console/webhooks/{proxy+}", "endpoint/replay"),
    "routing_actions": console_actions("/console/gateways/{proxy+}", "bank/drain"),
    "case_actions": console_actions("/console/breaks/{proxy+}", "break/assign"),
    "file_actions": console_actions("/console/files"),
    "apply_gateway_events": {
        "unknown_event": queue_records("GatewayEventQueue", '{"notice_key":"bank#evt_1","tries":0}'),
        "one_is_no_message": queue_records("GatewayEventQueue", "not JSON", '{"notice_key":"bank#evt_1","tries":0}'),
    },
    "accept_events": {
        "copies": queue_records("EventInbox", custom_event(), custom_event(), custom_event(id="order-4711")),
        "some_are_refused": queue_records(
            "EventInbox",
            custom_event(),
            custom_event(type="payment.captured"),
            custom_event(data={"price": 10.5}),
            custom_event(data={"card": "4111 1111 1111 1111"}),
            "not JSON",
        ),
    },
}


def main() -> None:
    """Write every case."""
    for function, cases in CASES.items():
        folder = EVENTS / function
        folder.mkdir(parents=True, exist_ok=True)
        for case, event in cases.items():
            (folder / f"{case}.json").write_text(json.dumps(event, indent=2) + "\n")


if __name__ == "__main__":
    main()
