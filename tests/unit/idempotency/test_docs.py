"""The examples of docs/in-process.md are run as they stand there, in order. Each asserts what the text says."""

from __future__ import annotations

import re
import sys
import types
from typing import Any

from tests.support.aws import REPOSITORY, create_tables, dynamodb_client

DOCUMENT = (REPOSITORY / "docs/in-process.md").read_text()


def examples() -> dict[str, Any]:
    """Run every Python block in one module and return its names; time passes where the text says that one waits."""
    from payonce.clock import SystemClock

    module = types.ModuleType("in_process_examples")
    names = module.__dict__
    offset_ms = 0
    now_ms = SystemClock.now_ms

    def later(self: SystemClock) -> int:
        return now_ms(self) + offset_ms

    def wait_for_the_next_inquiry() -> None:
        nonlocal offset_ms
        offset_ms += 6_000

    names["wait_for_the_next_inquiry"] = wait_for_the_next_inquiry
    sys.modules[module.__name__] = module
    SystemClock.now_ms = later  # type: ignore[method-assign]
    try:
        blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
        assert len(blocks) == 7
        for block in blocks:
            exec(compile(block, "docs/in-process.md", "exec"), names)  # noqa: S102
    finally:
        SystemClock.now_ms = now_ms  # type: ignore[method-assign]
        del sys.modules[module.__name__]
    return names


def test_the_examples_run() -> None:
    """Fails when an example does not do what the document says: the assertions are in it."""
    assert examples()["sent"].count("notified") == 1


def test_the_store_on_dynamodb(monkeypatch: Any) -> None:
    """The last example, on a table of the template."""
    from moto import mock_aws

    names = examples()
    with mock_aws():
        client = dynamodb_client()
        create_tables(client)
        monkeypatch.setattr(names["boto3"], "client", lambda _service: client)
        store = names["dynamodb_store"]("idempotency")
        shipped: list[str] = []

        @names["idempotent_operation"](
            store=store, operation="ship", scope="shop_id", key="order_id", timeout_seconds=30
        )
        def ship(shop_id: str, order_id: str) -> int:
            shipped.append(order_id)
            return len(shipped)

        assert [ship("s", "o"), ship("s", "o"), ship("t", "o")] == [1, 1, 2]
