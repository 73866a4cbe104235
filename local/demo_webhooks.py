"""The demo's webhooks: a receiver fails and recovers, an event is delivered twice, and the consumer deduplicates it."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from payonce.webhooks.dedupe import MemoryDedupeStore, Outcome
from payonce.webhooks.rejections import WebhookRejected
from payonce.webhooks.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from local.receiver import Received
    from local.shop import Shop
    from local.stack import Stack

PATH = "/shop"
FAILURES = (500, 503)  # the receiver's first answers
PATIENCE_SECONDS = 900  # an environment of the local cloud starts in seconds, on a busy machine in a minute


def show_webhooks(stack: Stack, shop: Shop, console: Console) -> str:
    """Show delivery, a retry and a redelivery; return the endpoint's path in the API."""
    console.rule("webhooks: a receiver that fails twice, and gets the same event until it takes it")
    created = shop.call("POST", "/webhook_endpoints", _endpoint(stack), str(uuid.uuid4())).json()
    endpoint = f"/webhook_endpoints/{created['id']}"
    console.print(f"  endpoint {created['id']}, secret {created['secret'][:12]}... (shown once)")
    stack.receiver.answer(PATH, *FAILURES)
    charge = {"amount_minor": 2500, "currency": "EUR", "payment_method": "pm_sandbox_visa", "reference": "order-5"}
    payment = shop.call("POST", "/payments", charge, str(uuid.uuid4())).json()

    def copies() -> list[Received]:
        return [one for one in stack.receiver.received(PATH) if payment["id"] in one.body.decode()]

    _wait(console, "the receiver answers 500, then 503; attempts after 5 and 30 seconds", lambda: len(copies()) >= 3)
    delivery = _wait(console, "its delivery is recorded", lambda: _delivered(shop, endpoint, copies()[0]))
    console.print("  one event is delivered again because somebody asked for it")
    shop.call("POST", f"{endpoint}/deliveries/{delivery}/redeliveries", {}, str(uuid.uuid4()))
    _wait(console, "the redelivery", lambda: len(copies()) >= 4)
    console.print(_seen(copies(), created["secret"]))
    forged = copies()[0]
    try:
        Verifier([created["secret"]]).verify(forged.headers, forged.body.replace(b"2500", b"9500"))
    except WebhookRejected as error:
        console.print(f"  the same webhook with another amount in it: [yellow]{type(error).__name__}[/]")
    return endpoint


def _endpoint(stack: Stack) -> dict[str, Any]:
    return {"url": stack.receiver.url + PATH, "event_types": ["payment.*"], "description": "the demo's receiver"}


def _seen(copies: list[Received], secret: str) -> Table:
    """Return a table of a consumer's steps for each copy: verify, deduplicate, handle once."""
    verifier, seen = Verifier([secret]), MemoryDedupeStore()
    table = Table("copy", "webhook-id", "bytes", "signature", "answer", "what the consumer does")
    for number, copy in enumerate(copies):
        verified = verifier.verify(copy.headers, copy.body)
        begun = seen.begin(verified.id)
        answer = FAILURES[number] if number < len(FAILURES) else 200
        if begun.outcome is not Outcome.NEW:
            told = "knows it: acknowledges only"
        elif answer == 200:
            seen.done(verified.id)
            told = "[green]handles it[/]"
        else:
            seen.forget(verified.id, begun.fence)
            told = "[yellow]fails, and forgets it[/]"
        valid = "[green]valid[/]"
        table.add_row(str(number + 1), f"{verified.id[:16]}...", str(len(copy.body)), valid, str(answer), told)
    return table


def _delivered(shop: Shop, endpoint: str, copy: Received) -> str | None:
    event_id = json.loads(copy.body)["id"]
    for delivery in shop.call("GET", f"{endpoint}/deliveries").json()["data"]:
        if (delivery["event_id"], delivery["status"]) == (event_id, "delivered"):
            found: str = delivery["id"]
            return found
    return None


def _wait[T](console: Console, what: str, look: Callable[[], T]) -> T:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    give_up = time.monotonic() + PATIENCE_SECONDS
    with Progress(*columns, console=console) as progress:
        progress.add_task(what)
        while not (found := look()):
            if time.monotonic() > give_up:
                raise TimeoutError(f"not within {PATIENCE_SECONDS} seconds: {what}")
            time.sleep(0.3)
    return found
