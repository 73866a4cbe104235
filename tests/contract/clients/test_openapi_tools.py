"""openapi.json before tools that are not ours: linters find nothing, and a generated client is typed and works.

What was met, and is kept away from: openapi-typescript makes ``never`` of some discriminated unions
(https://github.com/openapi-ts/openapi-typescript/issues/2775 and 1879), so that problems and events are told apart by a
constant ``type`` and have no ``discriminator``; openapi-python-client refuses ``null`` in a header or a path
(https://github.com/openapi-generators/openapi-python-client/pull/856), so that parameters are omitted, never null, and
it leaves ``webhooks`` out, so that ``Event`` is reached from ``GET /events``.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate

from local import node
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api_in_memory import Api

DOCUMENT = REPOSITORY / "openapi.json"
PACKAGE = "generated_payonce"


def test_it_is_openapi() -> None:
    validate(json.loads(DOCUMENT.read_text()))


def test_redocly_finds_nothing(tools: Path, tmp_path: Path) -> None:
    """Every rule of its recommended set, warnings counted as errors: examples, tags, licence, servers and all."""
    lint = [str(tools / "redocly"), "lint", str(DOCUMENT), "--extends", "recommended-strict", "--format", "json"]
    said = node.run(lint, tmp_path, REDOCLY_TELEMETRY="off", REDOCLY_SUPPRESS_UPDATE_NOTICE="true")
    report = json.loads(said[said.index("{\n") : said.rindex("}") + 1])
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A client that openapi-python-client has made, without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    binaries = Path(sys.executable).parent
    command = [str(binaries / "openapi-python-client"), "generate", "--path", str(DOCUMENT), "--meta", "none"]
    settings = folder / "settings.yaml"
    settings.write_text("post_hooks: []\n")  # it would format what it has made
    node.run([*command, "--config", str(settings), "--fail-on-warning", "--output-path", str(folder / PACKAGE)], folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def test_the_python_client_has_every_operation_and_is_strictly_typed(generated: Path) -> None:
    """Fails when a list, a problem or an event is untyped: its member would be ``Any``."""
    document = json.loads(DOCUMENT.read_text())
    operations = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    made = {path.stem for path in (generated / PACKAGE / "api").glob("*/*.py")} - {"__init__"}
    assert made == set(operations)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(generated / "mypy"), PACKAGE],
        cwd=generated,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
    untyped = [
        f"{path.name}: {line.strip()}"
        for path in (generated / PACKAGE / "models").glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith("    ") and line.endswith((": Any", ": Any | Unset = UNSET", "list[Any]"))
    ]
    assert untyped == []


def test_the_python_client_works(generated: Path, api: Api, url: str) -> None:
    """A payment, its list, a refusal and a decline, each of them of its own type."""
    assert generated.exists()

    def module(name: str) -> Any:
        return importlib.import_module(f"{PACKAGE}.{name}")

    models = module("models")
    with module("client").AuthenticatedClient(base_url=url, token=api.api_key) as client:
        body = models.PaymentBody(amount_minor=1050, currency=models.PaymentBodyCurrency.EUR, payment_method="pm_visa")
        create, listed, capture = (
            module(f"api.payments.{name}") for name in ("create_payment", "list_payments", "capture_payment")
        )
        payment = create.sync(client=client, body=body, x_idempotency_key=str(uuid.uuid4()))
        assert isinstance(payment, models.Payment)
        assert payment.status is models.PaymentStatus.CAPTURED
        page = listed.sync(client=client, limit=1)
        assert isinstance(page, models.PaymentList)
        assert [each.id for each in page.data] == [payment.id]
        refused = capture.sync(payment.id, client=client, body=models.AmountBody(), x_idempotency_key=str(uuid.uuid4()))
        assert isinstance(refused, models.PaymentStateProblem)
        assert refused.payment_status is models.PaymentStatus.CAPTURED
        assert isinstance(create.sync(client=client, body=body, x_idempotency_key="short"), models.KeyMalformedProblem)
        api.gateway.script = ["decline"]
        declined = create.sync(client=client, body=body, x_idempotency_key=str(uuid.uuid4()))
        assert isinstance(declined, models.DeclinedProblem)
        assert declined.payment.status is models.PaymentStatus.DECLINED
