"""The how-tos of docs/how-to that need files, or a fake of Stripe, and no cloud: followed as they stand there."""

from __future__ import annotations

import importlib
import json
import shlex
import shutil
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.localstripe_server import (
    DECLINED_CARD,
    TEST_KEY,
    all_refunds,
    charges_of,
    make_payment_method,
    running_localstripe,
)
from payonce.cli.local_stack import CREDENTIALS, STACK
from payonce.client import Client
from payonce.domain.errors import Unauthenticated
from payonce.gateways.stripe_gateway import KEYLESS_STRIPE_CAPABILITIES, StripeGateway
from payonce.idempotency.audit_items import entry_item
from payonce.idempotency.audit_stream import entry_of
from payonce.idempotency.records import RecordStatus
from payonce.ports import Insert, Table
from payonce.webhooks.signing import HmacKey, parse_verifying_key, webhook_headers
from tests.support.api_in_memory import Api, in_memory, serving
from tests.support.aws import REPOSITORY
from tests.support.loopback_stack import LoopbackStack, loopback_stack
from tests.support.pages import Reader, clean_environment, sections
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOPS = ("shop_before", "shop_after", "switch")


def test_reading_a_break(tmp_path: Path) -> None:
    """Fails when the page's command, its program or what they print is no longer what the example gives."""
    shutil.copytree(REPOSITORY / "docs" / "examples", tmp_path / "docs" / "examples")
    environment = clean_environment(tmp_path, Path(sys.prefix, "bin"))
    reader = Reader(tmp_path, environment | {"PYTHONPATH": str(REPOSITORY / "layers" / "payonce"), "COLUMNS": "100"})
    for blocks in sections("how-to/read-a-break.md").values():
        reader.follow(blocks)
    assert len(reader.ran) == 4


class Trail:
    """Writes the audit trail of a stack's table of records, as the function behind its stream does."""

    def __init__(self, stack: LoopbackStack) -> None:
        self.stack = stack
        self.seen: dict[str, Any] = {}

    def catch_up(self) -> dict[str, Any]:
        """Write the entries of what has changed since, and return the table's items."""
        database, at_ms = self.stack.application.database, self.stack.clock.now_ms()
        items = {item["id"]: item for item in items_of("shop-idempotency")}
        for record_id, item in items.items():
            if item != self.seen.get(record_id):
                claimed = {**item, "status": RecordStatus.IN_PROGRESS.value}  # what the stream has shown before
                entry = entry_of(record_id, claimed, item, at_ms=at_ms, sequence="1")
                database.write([Insert(Table.AUDIT, entry_item(entry, 100 * 86_400))])
        self.seen = items
        return items


def items_of(table: str) -> list[dict[str, Any]]:
    """Return the items of a table of the stack in this process."""
    items = boto3.resource("dynamodb", "eu-central-1").Table(table).scan()["Items"]
    whole = (int, Decimal)
    return [{name: int(value) if isinstance(value, whole) else value for name, value in item.items()} for item in items]


def test_a_table_is_restored_and_nothing_is_charged_twice(tmp_path: Path) -> None:
    """Fails when a key of before the copy, or of the gap after it, charges again; and the damage does charge again."""
    with loopback_stack() as stack:
        stack.deploy()
        key_of = dict.fromkeys(("BEFORE", "SINCE", "LOST"), "")
        trail, client = Trail(stack), boto3.client("dynamodb", "eu-central-1")
        named = {"PAYONCE_CLOUD_PORT": str(stack.port), "PAYONCE_STACK": STACK}
        environment = clean_environment(tmp_path, Path(sys.prefix, "bin")) | named
        reader = Reader(tmp_path, environment | {"PYTHONPATH": str(REPOSITORY / "layers" / "payonce")})

        def pay(amount: int, reference: str, key: str = "") -> str:
            again = f"--key {key}" if key else ""
            return reader.run(f"payonce pay {amount} EUR --reference {reference} {again} --json")

        for name, amount in (("BEFORE", 1050), ("SINCE", 2050), ("LOST", 3050)):
            key_of[name] = json.loads(pay(amount, name.lower()))["idempotency_key"]
            trail.catch_up()
            if name == "BEFORE":
                made = client.create_backup(TableName="shop-idempotency", BackupName="past")["BackupDetails"]
                client.restore_table_from_backup(TargetTableName="past", BackupArn=made["BackupArn"])
        for record_id in trail.seen:
            client.delete_item(TableName="shop-idempotency", Key={"id": {"S": record_id}})
        assert json.loads(pay(3050, "lost", key_of["LOST"]))["replayed"] is False
        assert len(stack.gateway.bookings) == 4  # the damage is real: this one was charged twice
        trail.catch_up()
        (tmp_path / "put_back_keys.py").write_text((REPOSITORY / "docs/examples/put_back_keys.py").read_text())
        names = {"LIVE": "shop-idempotency", "PAST": "past", "AUDIT": "shop-audit"}
        keys = {f"KEY_{name}": key for name, key in key_of.items()}
        cloud = {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.url}
        reader.run(exports(names | keys | cloud))
        blocks = sections("how-to/restore-a-table.md")
        reader.follow(blocks["3. Put back what is missing"])
        reader.follow(blocks["4. Look, then open"])
        assert reader.run('python put_back_keys.py "$LIVE" "$PAST" "$AUDIT"') == "{'in place': 3}\n"
        assert len(stack.gateway.bookings) == 4
        shutil.rmtree(REPOSITORY / ".local" / f"stack-{stack.port}", ignore_errors=True)


def test_secrets_are_rotated(tmp_path: Path) -> None:
    """Fails when a key or a secret stops before the other one is good, or a retry under a new key charges again."""
    blocks = sections("how-to/rotate-a-secret.md")
    with loopback_stack() as stack:
        application = stack.deploy()
        merchant = application.merchants.create_merchant("Shop")
        old_id, old_key = application.merchants.create_api_key(merchant)
        cloud = {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.url, "PAYONCE_CLOUD_PORT": str(stack.port)}
        environment = clean_environment(tmp_path, Path(sys.prefix, "bin")) | cloud
        reader = Reader(tmp_path, environment | {"PYTHONPATH": str(REPOSITORY / "layers" / "payonce")})
        named = {"PAYONCE_STACK": STACK, "PAYONCE_API_URL": stack.api_url, "PAYONCE_API_KEY": old_key}
        reader.run(exports({**named, "MERCHANT": merchant, "OLD_KEY_ID": old_id}))
        paid = json.loads(reader.run("payonce pay 1050 EUR --reference order-1 --json"))
        reader.run(exports({"KEY_OF_BEFORE": paid["idempotency_key"]}))
        reader.follow(blocks["An API key"])
        assert len(stack.gateway.bookings) == 1
        with pytest.raises(Unauthenticated):
            application.merchants.authenticate(f"Bearer {old_key}")
        with Client(stack.api_url, reader.run('printf %s "$PAYONCE_API_KEY"')) as client:
            made = client.create_webhook_endpoint(url="https://shop.example/hooks", event_types=["*"]).data
        body, at_seconds = b'{"type": "payment.captured"}', int(time.time())
        (tmp_path / "body.json").write_bytes(body)
        signing = parse_verifying_key(made["secret"])
        assert isinstance(signing, HmacKey)
        headers = webhook_headers("evt_1", at_seconds, body, [signing])
        lines = {name.rpartition("-")[2].upper(): f"{name}: {value}" for name, value in headers.items()}
        reader.run(exports({"ENDPOINT": made["id"], "OLD_SECRET": made["secret"], **lines}))
        reader.follow(blocks["A webhook secret"])
        new_secret = reader.run('printf %s "$NEW_SECRET"')
        assert new_secret.startswith("whsec_")
        assert new_secret != made["secret"]


def exports(variables: dict[str, str]) -> str:
    """Return the lines of a shell that set variables."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


@pytest.fixture
def stripe_url() -> Iterator[str]:
    """A fake of Stripe that ignores idempotency keys."""
    with running_localstripe() as url:
        yield url


@pytest.fixture
def api(stripe_url: str) -> Api:
    """The API with the Stripe adapter on the fake."""
    clock = RealClock()
    return in_memory(StripeGateway("bank", TEST_KEY, stripe_url, KEYLESS_STRIPE_CAPABILITIES, clock=clock), clock)


@pytest.fixture
def shops(stripe_url: str, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The page's programs by name, imported from files."""
    for blocks in sections("how-to/move-from-stripe.md").values():
        for block in blocks:
            (tmp_path / block.title).write_text(block.text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", TEST_KEY)
    monkeypatch.setenv("STRIPE_URL", stripe_url)
    monkeypatch.setenv("PAYONCE_API_KEY", api.api_key)
    with serving(api) as url:
        monkeypatch.setenv("PAYONCE_API_URL", url)
        modules = {name: importlib.import_module(name) for name in SHOPS}
        yield modules
        modules["shop_after"].client.close()
        modules["shop_before"].client._requestor._get_http_client().close()  # the SDK has no other way
    for name in SHOPS:
        del sys.modules[name]


def test_the_move_from_stripe(shops: dict[str, Any], api: Api, stripe_url: str) -> None:
    """Fails when a program of the page does not run, or the new one charges or refunds twice as the old one does."""
    before, after = shops["shop_before"], shops["shop_after"]
    old, new, declined = (make_payment_method(stripe_url, *number) for number in ((), (), (DECLINED_CARD,)))
    assert before.charge("order-1", 1050, old) != before.charge("order-1", 1050, old)
    assert len(charges_of(stripe_url, old)) == 2  # what the page says of a repeated call
    api.faults.append("lose-answer")
    payment_id = after.charge("order-2", 1050, new)
    assert after.charge("order-2", 1050, new) == payment_id
    [charged] = charges_of(stripe_url, new)
    assert charged["amount"] == 1050
    for _ in range(2):
        after.give_back(payment_id, 300, "return-1")
    assert [refund["amount"] for refund in all_refunds(stripe_url)] == [300]
    assert [shop.charge("order-3", 1050, declined) for shop in (before, after)] == [None, None]


def test_an_order_stays_on_its_path(shops: dict[str, Any], stripe_url: str) -> None:
    """Fails when an order that may have been sent to Stripe before the move is charged by payonce."""
    token = make_payment_method(stripe_url)
    switch = shops["switch"].charge
    assert str(switch({"id": "order-4", "payments_by": "stripe"}, 1050, token)).startswith("pi_")
    assert str(switch({"id": "order-5", "payments_by": "payonce"}, 1050, token)).startswith("pay_")
