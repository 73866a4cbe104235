"""An order service on Django that charges every order once, whatever is killed (docs/how-to/django.md)."""

import json
import os

import httpx
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from payonce import redis_store
from payonce.domain.errors import NotExecuted
from payonce.idempotency.attempt import Attempt, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.operation import current_attempt
from payonce.middlewares.answer import Answer
from payonce.middlewares.contract import Contract
from payonce.middlewares.django import django_idempotency

BANK_URL = os.environ.get("BANK_URL", "http://127.0.0.1:4790")
USERS = {"Bearer ann-s-token": "ann", "Bearer bob-s-token": "bob"}  # stands for your way to authenticate
BANK_TIMEOUT_SECONDS = 0.5  # for each of connecting, sending and receiving: together less than the contract's 2 s


def ask_bank(attempt: Attempt) -> Verdict:
    """Find out what a killed worker has done: the bank knows our reference, or it was not charged."""
    found = httpx.get(f"{BANK_URL}/charges/{attempt.reference}", timeout=BANK_TIMEOUT_SECONDS)
    if found.status_code == 404:
        return WasNotExecuted()
    return WasExecuted(Answer.json(201, found.raise_for_status().json()))


store = redis_store(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), prefix="orders")
contract = Contract(store=store, operation="orders", timeout_seconds=2, wait_seconds=1, resolve=ask_bank, required=True)
idempotency = django_idempotency(contract, scope=lambda request: USERS.get(request.headers.get("Authorization")))


def create_order(request: HttpRequest) -> JsonResponse:
    order = json.loads(request.body)
    charge = {"reference": current_attempt().reference, "order": order["order"], "amount_minor": order["amount_minor"]}
    try:
        charged = httpx.post(f"{BANK_URL}/charges", json=charge, timeout=BANK_TIMEOUT_SECONDS)
    except httpx.ConnectError as error:
        raise NotExecuted("the bank was not reached") from error
    return JsonResponse(charged.raise_for_status().json(), status=201)


urlpatterns = [path("orders", create_order)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[f"{__name__}.idempotency"])
application = get_asgi_application()
