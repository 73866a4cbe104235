"""An order service on FastAPI that charges every order once, whatever is killed (docs/how-to/fastapi.md)."""

import os
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Scope

from payonce import redis_store
from payonce.domain.errors import NotExecuted
from payonce.idempotency.attempt import Attempt, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.operation import current_attempt
from payonce.middlewares.answer import Answer
from payonce.middlewares.asgi import AsgiIdempotency
from payonce.middlewares.contract import Contract

BANK_URL = os.environ.get("BANK_URL", "http://127.0.0.1:4790")
USERS = {b"Bearer ann-s-token": "ann", b"Bearer bob-s-token": "bob"}  # stands for your way to authenticate
BANK_TIMEOUT_SECONDS = 0.5  # for each of connecting, sending and receiving: together less than the contract's 2 s


def user_of(scope: Scope) -> str | None:
    return USERS.get(dict(scope["headers"]).get(b"authorization", b""))


def ask_bank(attempt: Attempt) -> Verdict:
    """Find out what a killed worker has done: the bank knows our reference, or it was not charged."""
    found = httpx.get(f"{BANK_URL}/charges/{attempt.reference}", timeout=BANK_TIMEOUT_SECONDS)
    if found.status_code == 404:
        return WasNotExecuted()
    return WasExecuted(Answer.json(201, found.raise_for_status().json()))


store = redis_store(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), prefix="orders")
contract = Contract(store=store, operation="orders", timeout_seconds=2, wait_seconds=1, resolve=ask_bank, required=True)
app = FastAPI()
app.add_middleware(AsgiIdempotency, contract=contract, scope=user_of)


class Order(BaseModel):
    order: str
    amount_minor: int


@app.post("/orders", status_code=201)
async def create_order(order: Order) -> dict[str, Any]:
    charge = {"reference": current_attempt().reference, **order.model_dump()}
    async with httpx.AsyncClient(timeout=BANK_TIMEOUT_SECONDS) as bank:
        try:
            charged = await bank.post(f"{BANK_URL}/charges", json=charge)
        except httpx.ConnectError as error:
            raise NotExecuted("the bank was not reached") from error
    answer: dict[str, Any] = charged.raise_for_status().json()
    return answer
