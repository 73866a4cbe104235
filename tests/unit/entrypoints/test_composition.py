"""What the composition root needs from its environment, and says when it is not there."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import BodyMalformed, MisconfiguredError
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
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


def test_a_payment_does_not_pay_for_webhooks_when_it_starts() -> None:
    """Fails when the routes of payments import what only other functions need: that is time in every cold start."""
    program = (
        "import sys\n"
        "import payonce.entrypoints.payment_routes\n"
        "import payonce.wiring.application\n"
        "print([name for name in sys.modules if name.startswith(('payonce.webhooks', 'payonce.network', 'stripe'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
