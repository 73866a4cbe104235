"""An order function behind API Gateway that charges every order once, whatever ends it (docs/how-to/lambda.md)."""

import json
import os
from typing import Any

import httpx

from payonce import dynamodb_store
from payonce.domain.errors import NotExecuted
from payonce.idempotency.attempt import Attempt, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.operation import current_attempt
from payonce.middlewares.answer import Answer
from payonce.middlewares.contract import Contract
from payonce.middlewares.lambda_handler import idempotent_handler

BANK_URL = os.environ.get("BANK_URL", "http://127.0.0.1:4790")
BANK_TIMEOUT_SECONDS = 2  # for each of connecting, sending and receiving: together less than the function's Timeout


def user_of(event: dict[str, Any]) -> str | None:
    """Return whom the authorizer of the API has found."""
    claims: dict[str, str] = event["requestContext"].get("authorizer", {}).get("claims", {})
    return claims.get("sub")


def ask_bank(attempt: Attempt) -> Verdict:
    """Find out what a function that ended has done: the bank knows our reference, or it was not charged."""
    found = httpx.get(f"{BANK_URL}/charges/{attempt.reference}", timeout=BANK_TIMEOUT_SECONDS)
    if found.status_code == 404:
        return WasNotExecuted()
    return WasExecuted(Answer.json(201, found.raise_for_status().json()))


store = dynamodb_store(os.environ["RECORDS_TABLE"])
contract = Contract(store=store, operation="orders", timeout_seconds=10, resolve=ask_bank, required=True)


@idempotent_handler(contract, scope=user_of)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    order = json.loads(event["body"])
    charge = {"reference": current_attempt().reference, "order": order["order"], "amount_minor": order["amount_minor"]}
    try:
        charged = httpx.post(f"{BANK_URL}/charges", json=charge, timeout=BANK_TIMEOUT_SECONDS)
    except httpx.ConnectError as error:
        raise NotExecuted("the bank was not reached") from error
    return {"statusCode": 201, "body": charged.raise_for_status().text}
