"""What the composition root needs from its environment, and says when it is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import BodyMalformed, MisconfiguredError
from payonce.wiring.application import Application
from payonce.wiring.aws_clients import UNUSUAL_VARIABLES
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, REPOSITORY
from tests.support.events import call

if TYPE_CHECKING:
    from payonce.ports import Cipher, MessageQueue

LOCAL_URL = "http://127.0.0.1:8080/hooks"


@pytest.mark.parametrize("environment", ["sandbox", "production", "", "LOCAL", "localhost", None])
def test_webhooks_to_this_machine_are_for_local_runs_alone(environment: str | None) -> None:
    """Fails when a deployment takes a loopback URL: it would post into its own network."""
    settings = load_settings({} if environment is None else {"PAYONCE_ENVIRONMENT": environment})
    with pytest.raises(BodyMalformed):
        Application(settings).check_endpoint_url(LOCAL_URL)
    Application(load_settings({"PAYONCE_ENVIRONMENT": "local"})).check_endpoint_url(LOCAL_URL)


def test_a_missing_setting_is_named() -> None:
    application = Application(load_settings({}))

    def cipher() -> Cipher:
        return application.cipher

    def queue() -> MessageQueue:
        return application.delivery_queue

    for make, name in ((cipher, "PAYONCE_SECRETS_KEY_ARN"), (queue, "PAYONCE_DELIVERY_QUEUE_URL")):
        with pytest.raises(MisconfiguredError, match=name):
            make()


def test_without_its_key_a_deployment_makes_no_endpoint(application: Application) -> None:
    """Fails when a secret is stored in clear where none can be sealed."""
    bare = Application(load_settings({}), clock=application.clock, database=application.database)
    answer = call(bare, "create_webhook_endpoint", {"url": "https://hooks.example.com/"})
    assert answer["statusCode"] == 500
    assert "PAYONCE_SECRETS_KEY_ARN" in answer["body"]


# What a cold start may not load, by the function's folder. The SDK alone takes as long as all else together.
SDK_AND_ENGINES = (
    "boto3",
    "s3transfer",
    "botocore.session",
    "botocore.client",
    "stripe",
    "Adyen",
    "requests",
    "cryptography",
)
OTHER_ROOMS = ("payonce.webhooks", "payonce.corrections", "payonce.reconciliation", "payonce.recovery", "payonce.proxy")
FORBIDDEN = {
    "payments": OTHER_ROOMS,
    "payment_reads": (*OTHER_ROOMS, "pydantic", "aws_lambda_powertools", "payonce.idempotency.engine"),
    "authorize": (*OTHER_ROOMS, "pydantic", "aws_lambda_powertools", "payonce.payments", "payonce.entrypoints.http"),
}
PROXY_CONFIG = (
    '{"upstreams":{"shop":{"url":"http://127.0.0.1:9"}},'
    '"routes":[{"name":"orders","path":"/orders","upstream":"shop","scope":{"claim":"merchant_id"}}]}'
)
START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("app", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
from payonce.wiring.application import bootstrap
application = bootstrap()
application.database
if sys.argv[1].endswith("functions/payments/app.py"):
    application.engine
    application.router
print(*sys.modules)
"""


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in REPOSITORY.glob("functions/*/app.py")))
def test_a_cold_start_loads_what_its_function_needs(folder: str) -> None:
    """Fails when a function's start, its database included, imports what only others need, or the SDK."""
    environment = {**os.environ, **FAKE_CREDENTIALS, "PAYONCE_PROXY_CONFIG": PROXY_CONFIG}
    for name in UNUSUAL_VARIABLES:
        environment.pop(name, None)
    command = [sys.executable, "-c", START, str(REPOSITORY / "functions" / folder / "app.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "payonce.stores.dynamodb_client" in loaded
    forbidden = {*FORBIDDEN.get(folder, ()), *SDK_AND_ENGINES}
    assert [name for name in loaded if any(f"{name}.".startswith(f"{one}.") for one in forbidden)] == []


def test_a_payment_does_not_pay_for_the_forecast_when_it_starts() -> None:
    """Fails when the router imports what makes decisions: a payment only reads them."""
    program = (
        "import sys\n"
        "import payonce.entrypoints.payment_routes\n"
        "from payonce.wiring.application import bootstrap\n"
        "bootstrap().router\n"
        "print(' '.join(sorted(name[16:] for name in sys.modules if name.startswith('payonce.routing.'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    rooms = {name.split(".")[0] for name in done.stdout.split()}
    assert rooms == {"control"}


def test_a_read_that_loads_no_models_refuses_a_query(application: Application) -> None:
    """Fails when a misspelled or misplaced parameter is passed over, because no model was there to refuse it."""
    answer = call(application, "get_balances", None, key=None, query={"limt": "5"})
    assert (answer["statusCode"], json.loads(answer["body"])["errors"][0]["pointer"]) == (400, "/limt")
    assert call(application, "get_balances", None, key=None)["statusCode"] == 200
