"""The demo's payers: 3-D Secure on the bank's page, a debit that fails two days later, a doubt that an event ends."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from local.shop import Shop
    from local.stack import Stack

GATEWAY, BANK = "late_bank", "late"
RETURN_URL = "https://shop.example/thanks"
DEBIT_DAYS = 2
PATIENCE_SECONDS = 900  # an environment of the local cloud starts in seconds, on a busy machine in a minute


def show_payers(stack: Stack, shop: Shop, console: Console) -> None:
    """Show all three. Raises ``TimeoutError``."""
    stack.take_gateway_events(GATEWAY, BANK)
    _authenticated(shop, console)
    _debited(stack, shop, console)
    _doubted(stack, shop, console)


def _authenticated(shop: Shop, console: Console) -> None:
    console.rule("3-D Secure: a payer who has to act, and a retry in between")
    charge = {
        "amount_minor": 4200,
        "currency": "EUR",
        "payment_method": "tok_3ds_confirm",
        "return_url": RETURN_URL,
        "reference": "order-6",
    }
    key = str(uuid.uuid4())
    first = shop.call("POST", "/payments", charge, key)
    payment = first.json()
    page_url = payment["next_action"]["url"]
    console.print(
        f"  [green]{first.status}[/] {payment['id']} {payment['status']}: the payer is sent to the bank's page"
    )
    console.print(f"  {page_url}", soft_wrap=True, highlight=False)
    page = shop.pool.request("GET", page_url)
    console.print(f"  the page ({len(page.data)} bytes of HTML, no script): the payer presses *approve*")
    back = shop.pool.request("POST", page_url, fields={"answer": "approve"}, encode_multipart=False, redirect=False)
    result = parse_qs(urlsplit(back.headers["location"]).query)["payment_result"][0]
    console.print(f"  the payer is back at {RETURN_URL}?payment_result={result[:12]}...", highlight=False)
    path = f"/payments/{payment['id']}/confirmations"
    confirmed = shop.call("POST", path, {"payment_result": result}, str(uuid.uuid4()))
    console.print(f"  [green]{confirmed.status}[/] confirmed: {confirmed.json()['status']}")
    again = shop.call("POST", "/payments", charge, key)
    same = "the same bytes" if again.data == first.data else "[red]other bytes[/]"
    now = again.headers["payment-status"]
    console.print(f"  [green]{again.status}[/] the first request again: {same}, and the header Payment-Status: {now}")


def _debited(stack: Stack, shop: Shop, console: Console) -> None:
    console.rule(f"a bank debit that fails {DEBIT_DAYS} days later")
    debit = {
        "amount_minor": 9900,
        "currency": "EUR",
        "payment_method": "tok_debit_fails",
        "payment_method_type": "bank_debit",
        "reference": "order-7",
    }
    payment = shop.call("POST", "/payments", debit, str(uuid.uuid4())).json()
    console.print(f"  {payment['id']} {payment['status']}")
    stack.bank.advance(BANK, days=DEBIT_DAYS)
    _wait(console, "the bank's clock is moved; it posts an event, and payonce asks", shop, payment["id"], "declined")
    console.print(_history(shop, payment["id"]))


def _doubted(stack: Stack, shop: Shop, console: Console) -> None:
    console.rule("a doubt that the gateway's own event ends, with no schedule in between")
    doubt = {"amount_minor": 1350, "currency": "EUR", "payment_method": "pm_sandbox_visa", "reference": "order-8"}
    # The bank books and hangs up, shows what it has booked only later, and sends its event later still.
    stack.bank.configure(BANK, visible_after_ms=8_000)
    stack.bank.scenario(BANK, "drop_after_booking", times=1, kinds=["payment"])
    first = shop.call("POST", "/payments", doubt, str(uuid.uuid4()))
    payment = first.json()
    console.print(f"  [green]{first.status}[/] {payment['id']} {payment['status']}")
    began = time.monotonic()
    _wait(console, "the bank's event is on its way", shop, payment["id"], "captured")
    console.print(f"  {payment['id']} captured after {time.monotonic() - began:.0f} s")
    stack.bank.configure(BANK, visible_after_ms=0)


def _history(shop: Shop, payment_id: str) -> Table:
    table = Table("sequence", "event", "status", "journal entry")
    for change in shop.call("GET", f"/payments/{payment_id}/history").json()["data"]:
        booked = "none: no money moved" if change["journal_entry"] is None else change["journal_entry"]["id"]
        table.add_row(str(change["sequence"]), change["type"], change["data"]["status"], booked)
    return table


def _wait(console: Console, what: str, shop: Shop, payment_id: str, status: str) -> dict[str, Any]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    give_up = time.monotonic() + PATIENCE_SECONDS
    with Progress(*columns, console=console) as progress:
        progress.add_task(what)
        while True:
            payment: dict[str, Any] = shop.call("GET", f"/payments/{payment_id}").json()
            if payment["status"] == status:
                return payment
            if time.monotonic() > give_up:
                raise TimeoutError(f"The payment {payment_id} is not {status} within {PATIENCE_SECONDS} seconds.")
            time.sleep(0.5)
