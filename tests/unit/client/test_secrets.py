"""The API key goes to payonce alone: not into logs, errors or texts, not to another address, and not in the clear."""

from __future__ import annotations

import ast
import copy
import logging
import pickle
import subprocess
import sys
import traceback
from typing import Any

import httpx
import pytest

from payonce.client import AsyncClient, Client, ClientError, Misused, OutcomeUnknown
from payonce.client.settings import checked_base_url
from tests.support.aws import REPOSITORY
from tests.support.client import API_KEY, URL, Stage, answer, created, pay, problem

PACKAGE = REPOSITORY / "layers" / "payonce" / "payonce"


@pytest.mark.parametrize(
    "steps",
    [[httpx.ReadTimeout("x"), created()], [httpx.Response(400, text="<")], [problem("internal", 500, retryable=True)]],
    ids=["201", "400", "500"],
)
def test_nothing_that_is_said_holds_the_api_key(steps: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stage = Stage(steps)
    client = stage.client()
    said = [repr(client), str(client), repr(client._settings), repr(stage.async_client())]
    try:
        said.append(repr(pay(client, timeout_seconds=5)))
    except ClientError as error:
        said += [repr(error), str(vars(error)), "".join(traceback.format_exception(error)), str(error.problem)]
    assert stage.sent[0].headers["Authorization"] == f"Bearer {API_KEY}"
    assert caplog.messages
    assert not [text for text in (*said, caplog.text) if API_KEY in text]


def test_an_answer_shows_neither_a_webhooks_secret_nor_a_payers_data() -> None:
    document = {"object": "webhook_endpoint", "id": "we_1", "secret": "whsec_x", "status": "enabled"}
    answered = Stage([answer(201, document)]).client().create_webhook_endpoint(url="https://shop.example/hooks")
    assert answered.data["secret"] == "whsec_x"
    assert "whsec" not in repr(answered)


@pytest.mark.parametrize("bad", ["", "po key", "po_key\n", "po_ключ", "po\r\nX-Evil: 1", None])
def test_a_malformed_api_key_is_refused_and_not_repeated(bad: Any) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(Misused) as caught:
            client(URL, bad)
        assert not bad or bad not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "ftp://api.example.com",
        "api.example.com",
        "https://somebody:secret@api.example.com",
        "https://api.example.com?x=1",
        "https://api.example.com#x",
        "https://",
        "",
    ],
)
def test_where_the_key_would_be_read_by_others(url: str) -> None:
    with pytest.raises(Misused):
        Client(url, API_KEY)


@pytest.mark.parametrize(
    "url", ["https://api.example.com/prod/", "http://127.0.0.1:4566", "http://[::1]:1", "http://localhost"]
)
def test_where_it_would_not(url: str) -> None:
    assert checked_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_neither_key_nor_payment_elsewhere(status: int) -> None:
    """Fails when the caller's httpx client, which follows redirects, decides."""
    stage = Stage([httpx.Response(status, headers={"Location": "https://elsewhere.example/payments"})])
    client = stage.client()
    client._http.follow_redirects = True
    with pytest.raises(OutcomeUnknown) as caught:
        pay(client, timeout_seconds=5)
    assert {request.url.host for request in stage.sent} == {"api.example.com"}
    assert caught.value.resource is None


def test_credentials_of_the_callers_httpx_client_do_not_replace_the_api_key() -> None:
    stage = Stage([created()])
    client = stage.client()
    client._http.auth = ("somebody", "else")  # type: ignore[assignment]
    client._http.headers["Authorization"] = "Basic abc"
    pay(client)
    assert stage.sent[0].headers.get_list("Authorization") == [f"Bearer {API_KEY}"]


def test_errors_can_be_copied_and_pickled_with_what_one_needs_to_go_on() -> None:
    """Task queues carry errors between processes."""
    with pytest.raises(OutcomeUnknown) as caught:
        pay(Stage([httpx.ReadTimeout("x")]).client(), timeout_seconds=5)
    for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):  # noqa: S301
        assert (type(again), again.idempotency_key) == (OutcomeUnknown, caught.value.idempotency_key)
        assert str(again) == str(caught.value)


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocked())
import payonce.client, payonce.client.webhooks
payonce.client.Client("https://api.example.com", "po_key").close()
rooms = {{name for name in sys.modules if name.startswith("payonce.") and name.count(".") == 1}}
assert rooms == {{"payonce.client", "payonce.domain", "payonce.extras", "payonce.webhooks"}}, rooms
"""


def test_the_client_needs_httpx_and_nothing_else() -> None:
    blocked = {"pydantic", "boto3", "botocore", "aws_lambda_powertools", "cryptography", "stripe", "Adyen", "jmespath"}
    command = [sys.executable, "-W", "error", "-c", BLOCKED.format(blocked=sorted(blocked))]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_its_syntax_is_python_3_12s() -> None:
    """pip installs the client on 3.12; the functions run on a later Python."""
    files = [
        *(PACKAGE / "client").rglob("*.py"),
        *(PACKAGE / "webhooks").glob("*.py"),
        *(PACKAGE / "domain").glob("*.py"),
    ]
    assert len(files) > 30
    for file in files:
        ast.parse(file.read_text(), filename=str(file), feature_version=(3, 12))
