"""A shop whose merchant, payers, gateway and bank fill every field that they can with scripts and formulas."""

from __future__ import annotations

import csv
import io
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.console.payloads import FORMULAS, as_key, cut, every
from tests.e2e.console.world import BANK, GATEWAY, Shop, wait_for
from tests.e2e.test_reconciliation import HEADER

if TYPE_CHECKING:
    from local.stack import Stack

REFERENCE, DESCRIPTION, NAME, VALUE = 100, 200, 40, 400  # the API's limits, metadata's below 4096 bytes in all
FILE_NAME = "\"><img src=x onerror=alert()>' onx=.csv"
BANK_HEADER = "record,account,currency,booking_date,value_date,amount,reference,end_to_end_id,counterparty,description"


@dataclass
class Hostile:
    """What has been planted, and where it is to be seen."""

    shop: Shop
    payments: dict[str, str] = field(default_factory=dict)  # by the text that it carries
    keys: dict[str, str] = field(default_factory=dict)
    endpoint_id: str = ""
    in_doubt: str = ""
    disputed: str = ""


def storable(text: str) -> bool:
    """Return whether the API takes the text: it refuses control characters."""
    return text.isprintable() or not any(ord(character) < 32 for character in text)


def plant(stack: Stack, shop: Shop, texts: list[str]) -> Hostile:
    """Plant the texts in every field of a merchant, a payer and a gateway."""
    hostile = Hostile(shop)
    hostile.endpoint_id = _endpoint(stack, shop, texts)
    for number, text in enumerate(texts):
        if not storable(text):
            continue
        key = as_key(text, number)
        payment = shop.pay(
            1000 + number,
            key=key,
            reference=cut(text, REFERENCE),
            description=cut(text, DESCRIPTION),
            metadata={cut(text, NAME): cut(text, VALUE)},
        )
        hostile.payments[text], hostile.keys[text] = payment["id"], key
    _declines(stack, shop, hostile, texts)
    hostile.in_doubt = shop.doubtful(key=as_key(texts[1], 9_999), reference=cut(texts[1], REFERENCE))
    _disputes(stack, hostile, texts)
    _events(stack, shop, texts)
    return hostile


def _endpoint(stack: Stack, shop: Shop, texts: list[str]) -> str:
    """Register an endpoint with a script in address, description and answer."""
    path = f'/{uuid.uuid4().hex}?"onfocus=alert()//<script>alert()</script>'.replace(" ", "").replace('"', "'")
    made = shop.endpoint(path, description=cut(texts[0], 200))
    return str(made["id"])


def _declines(stack: Stack, shop: Shop, hostile: Hostile, texts: list[str]) -> None:
    """Let the bank decline with its words."""
    for text in texts[:3]:
        with stack.bank.misbehaving(BANK, "decline", times=1, kinds=["payment"], code=text):
            hostile.payments[f"declined {text}"] = shop.pay(900)["id"]


def _disputes(stack: Stack, hostile: Hostile, texts: list[str]) -> None:
    """Let the payers' bank dispute with its words, and tell of it by an event."""
    stack.take_gateway_events(GATEWAY, BANK)
    hostile.disputed = hostile.shop.pay(2100, reference="disputed")["id"]
    stack.bank.dashboard(BANK, "dispute", reference=f"{hostile.disputed}-1", reason=texts[0])


def _events(stack: Stack, shop: Shop, texts: list[str]) -> None:
    """Let another system of the merchant hand in events about anything."""
    for text in texts[:3]:
        message = {"merchant_id": shop.merchant_id, "type": "custom.hostile", "data": {text: text, "id": text}}
        stack.client("sqs").send_message(QueueUrl=stack.outputs["EventInboxUrl"], MessageBody=json.dumps(message))


def gateway_file(texts: list[str]) -> bytes:
    """Return a gateway's report, every column of text of which is a script. It is proved, so that it is loaded."""
    at = datetime.now(UTC).replace(microsecond=0).isoformat()
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(HEADER.split(","))
    usable = [text for text in texts if storable(text)]
    for number, text in enumerate(usable):
        amount = f"{10 + number}.00"
        rows.writerow(
            ["charge", f"{number}{text}"[:120], text[:120], amount, "0.00", amount, "EUR", at, "", text[:100]]
        )
    total = f"{sum(10 + number for number in range(len(usable)))}.00"
    rows.writerow(["total", len(usable), "", total, "0.00", total, "EUR", "", "", ""])
    return out.getvalue().encode()


def bank_file(texts: list[str]) -> bytes:
    """Return a bank's statement, every column of text of which is a script. Its balances prove it."""
    day = datetime.now(UTC).date().isoformat()
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(BANK_HEADER.split(","))
    usable = [text for text in texts if storable(text)]
    account = "NL26BANK0417164300"
    rows.writerow(["opening", account, "EUR", "", "", "0.00", usable[0][:35], "", "", ""])
    for number, text in enumerate(usable):
        rows.writerow(
            ["line", account, "EUR", day, day, f"{20 + number}.00", f"{number}{text}"[:60], text[:60], text[:70], text]
        )
    total = sum(20 + number for number in range(len(usable)))
    rows.writerow(["closing", account, "EUR", "", "", f"{total}.00", "", "", "", ""])
    return out.getvalue().encode()


def bad_file(line: int, rows: int = 6) -> bytes:
    """Return a gateway's report whose line ``line`` (the header is the first) has an amount that is none."""
    at = datetime.now(UTC).replace(microsecond=0).isoformat()
    lines = [HEADER]
    for number in range(rows):
        amount = "12,50x<img src=x onerror=alert()>" if number + 2 == line else "12.50"
        lines.append(f'charge,bad-{uuid.uuid4().hex},ref-{number},"{amount}",0.00,12.50,EUR,{at},,')
    lines.append(f"total,{rows},,{12.5 * rows:.2f},0.00,{12.5 * rows:.2f},EUR,,,")
    return ("\n".join(lines) + "\n").encode()


def deliveries_failed(shop: Shop, endpoint_id: str) -> None:
    """Wait until a delivery of the hostile endpoint has an attempt."""
    wait_for(lambda: [one for one in shop.deliveries(endpoint_id) if one["attempt_count"]], "an attempt")


def formulas() -> list[str]:
    """Return the formulas that the API stores."""
    return [text for text in FORMULAS if storable(text)]


def all_texts() -> list[str]:
    """Return everything that the API stores."""
    return [text for text in every() if storable(text)]
