"""``make demo``: deploys to the local cloud and shows the main use case over real HTTP. It leaves the stack running."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import urllib3
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.degradation import ROUTING
from local.demo_console import show_console
from local.demo_payers import GATEWAY, show_payers
from local.demo_reconciliation import Audit
from local.demo_routing import show_routing
from local.demo_webhooks import show_webhooks
from local.shop import PATIENCE_SECONDS, Shop
from local.traffic import MAX_WAITING

if TYPE_CHECKING:
    from local.cloud import LocalCloud
    from local.stack import Stack

BURST = 20
console = Console()


def deploy(cloud: LocalCloud) -> Stack:
    """Start the cloud and the bank, build and deploy, with a progress line. Raises ``CannotStart``."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting the local cloud (IAM enforced) and the sandbox bank")
        cloud.start()
        progress.update(task, description="sam build and sam deploy of template.yaml (half a minute the first time)")
        stack = cloud.deploy(routing_mode="on", routing=ROUTING)
        progress.update(task, description="deployed")
    return stack


def show(title: str, answer: urllib3.BaseHTTPResponse) -> None:
    """Print one answer in a line or two."""
    document = answer.json()
    replayed = answer.headers.get("idempotency-replayed", "-")
    status = document.get("status") if answer.status < 400 else document.get("type")
    colour = "green" if answer.status < 300 else "yellow"
    console.print(f"  [{colour}]{answer.status}[/] {title}: {document.get('id', '')} {status}  (replayed: {replayed})")


def walk(stack: Stack, shop: Shop) -> None:
    """Show the main use case step by step."""
    charge = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_sandbox_visa", "reference": "order-1"}
    key = str(uuid.uuid4())
    console.rule("a payment, and its retries")
    show("a payment of 10.50 EUR", shop.call("POST", "/payments", charge, key))
    show("the same request again, byte for byte", shop.call("POST", "/payments", charge, key))
    show("the same key with another body", shop.call("POST", "/payments", {**charge, "amount_minor": 9999}, key))
    show("no key at all", shop.call("POST", "/payments", charge))

    console.rule(f"{BURST} copies of one request at the same time")
    burst, burst_key = {**charge, "amount_minor": 1150, "reference": "order-2"}, str(uuid.uuid4())
    pool = ThreadPoolExecutor(BURST)
    try:
        answers = list(pool.map(lambda _: shop.call("POST", "/payments", burst, burst_key), range(BURST)))
    finally:
        pool.shutdown(wait=False)  # Ctrl-C must not wait for answers
    counted = Counter(answer.status for answer in answers)
    bodies = {answer.data for answer in answers if answer.status == 201}
    console.print(f"  answers: {dict(counted)}, {len(bodies)} different body")

    console.rule("a bank that books and then drops the connection")
    lost = {**charge, "payment_method": "pm_sandbox_drop_after_booking", "reference": "order-3"}
    show("asked by reference, found, committed", shop.call("POST", "/payments", lost, str(uuid.uuid4())))

    console.rule("a bank that drops the connection before booking: unknown, so in doubt")
    doubt = {**charge, "amount_minor": 1250, "reference": "order-4"}
    doubt_key = str(uuid.uuid4())
    stack.bank.scenario("forgetful", "drop_before_booking", times=1, kinds=["payment"])
    first = shop.call("POST", "/payments", doubt, doubt_key)
    show("not a failure and not a success yet", first)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        progress.add_task("recovery asks the bank until it can be sure that nothing is on its way")
        give_up = time.monotonic() + PATIENCE_SECONDS
        while shop.call("GET", first.headers["location"]).json()["status"] == "in_doubt":
            if time.monotonic() > give_up:
                raise TimeoutError(f"The payment is in doubt after {PATIENCE_SECONDS} seconds.")
            stack.client("lambda").invoke(FunctionName=stack.outputs["RecoverPaymentsFunctionName"], Payload=b"{}")
            time.sleep(1)
    show("the client's retry, same key", shop.call("POST", "/payments", doubt, doubt_key))


def books(stack: Stack, shop: Shop) -> None:
    """Print the bank's own books beside our payments, and our ledger."""
    console.rule("the bank's own books: one charge each")
    booked = Counter(row["reference"].rsplit("-", 1)[0] for row in stack.bank.charges(bank="forgetful"))
    table = Table("payment", "reference", "amount", "our status", "charges at the bank")
    for payment in shop.call("GET", "/payments").json()["data"]:
        count = booked[payment["id"]]
        amount = f"{payment['amount_minor']} {payment['currency']}"
        colour = "green" if count == 1 else "red"
        table.add_row(payment["id"], payment["reference"], amount, payment["status"], f"[{colour}]{count}[/]")
    console.print(table)
    ledger = Table("account", "currency", "balance (minor units)")
    for line in shop.call("GET", "/balances").json()["data"]:
        ledger.add_row(line["account"], line["currency"], str(line["balance_minor"]))
    console.print(ledger)


def demonstrate(cloud: LocalCloud) -> None:
    """Deploy and run the demo. Raises ``CannotStart`` and ``TimeoutError``."""
    stack = deploy(cloud)
    # Only the last shop is routed: the others demonstrate a single bank.
    merchant_id, api_key = stack.create_merchant("Demo shop", gateway="sandbox_bank", holder="ann")
    console.print(f"created merchant {merchant_id} (payonce merchants create)")
    shop = Shop(stack.api_url, api_key, urllib3.PoolManager(maxsize=BURST, retries=False))
    walk(stack, shop)
    books(stack, shop)
    payers_key = stack.create_merchant("Shop with payers", gateway=GATEWAY)[1]
    show_payers(stack, replace(shop, api_key=payers_key), console)
    endpoint = show_webhooks(stack, shop, console)
    approvers_key = stack.create_key(merchant_id, scopes=("breaks:read", "breaks:approve"), holder="ben")
    checker = replace(shop, api_key=approvers_key)
    Audit(stack, shop, checker, console).show()
    pool = urllib3.PoolManager(maxsize=MAX_WAITING, retries=False)
    show_routing(stack, replace(shop, api_key=stack.create_merchant("Routed shop")[1], pool=pool), console)
    show_console(stack, console)
    console.rule("go on by hand")
    console.print(to_go_on(stack, api_key, endpoint), soft_wrap=True, markup=False, highlight=False)


def to_go_on(stack: Stack, api_key: str, endpoint: str) -> str:
    """Return the shell lines with which a person goes on. They have no comments, which zsh would take for words."""
    authorization = '-H "Authorization: Bearer $PAYONCE_API_KEY"'
    body = json.dumps({"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_sandbox_visa"})
    return "\n".join(
        (
            stack.how_to_operate(),
            f"export PAYONCE_API_URL={stack.api_url} PAYONCE_API_KEY={api_key}",
            "payonce pay 1050 EUR --reference my-first-payment",
            "payonce events tail --no-follow",
            f"curl -i $PAYONCE_API_URL/payments {authorization} -H 'Content-Type: application/json' "
            f"-H 'X-Idempotency-Key: my-first-payment-01' -d '{body}'",
            f"curl $PAYONCE_API_URL/payments {authorization}",
            f"curl {stack.bank.url}/books",
            f"curl '{stack.receiver.url}/_received'",
            f"curl $PAYONCE_API_URL{endpoint}/deliveries {authorization}",
            "payonce down",
        )
    )
