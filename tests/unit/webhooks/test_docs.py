"""The examples of docs/webhooks-verify.md are run as they stand there."""

from __future__ import annotations

import ast
import io
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from payonce.webhooks.rejections import WebhookRejected
from payonce.webhooks.signing import Ed25519SigningKey, HmacKey, public_key_of, webhook_headers
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = (REPOSITORY / "docs/webhooks-verify.md").read_text()
SECRET = HmacKey(bytes(range(32)))
PRIVATE = Ed25519SigningKey(bytes(range(32)))
BODY = b'{"type":"payment.captured"}'


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the document's Python blocks define, run in order in a folder of their own."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET.text())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/webhooks-verify.md", "exec"), names)  # noqa: S102
    return names


def headers(*keys: HmacKey | Ed25519SigningKey, message_id: str = "evt_1") -> dict[str, str]:
    return webhook_headers(message_id, int(time.time()), BODY, keys or [SECRET])


def test_verifying(examples: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert examples["verify_only"](headers(), BODY) == {"type": "payment.captured"}
    assert examples["verify_only"](headers(), BODY + b" ") is None
    assert capsys.readouterr().out.startswith("401 ")


def test_handling_once(examples: dict[str, Any]) -> None:
    receive = examples["receive"]
    assert [receive(headers(), BODY) for _ in range(3)] == [204, 200, 200]
    assert receive(headers(message_id="evt_2"), BODY) == 204
    assert receive({}, BODY) == 400
    assert examples["ledger"] == ["payment.captured"] * 2


def test_the_wsgi_application(examples: dict[str, Any]) -> None:
    answers = []
    for body in (BODY, BODY + b" "):
        environ: dict[str, Any] = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers(message_id="evt_3").items()
        }
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "REQUEST_METHOD": "POST"}
        examples["application"](environ, lambda status, _: answers.append(status))
    assert answers == ["204 OK", "401 Rejected"]


def test_a_key_pair(examples: dict[str, Any]) -> None:
    verifier = examples["key_pair_verifier"](public_key_of(PRIVATE).text())
    assert verifier.verify(headers(PRIVATE), BODY).id == "evt_1"
    assert verifier.verify(headers(SECRET), BODY).id == "evt_1"


def test_the_reference_library(examples: dict[str, Any]) -> None:
    assert examples["verify_with_the_reference_library"](headers(), BODY) == {"type": "payment.captured"}


def test_the_table_of_rejections_is_the_truth() -> None:
    """Fails when a rejection, or its status, is missing in the document or differs."""
    rows = re.findall(r"^\| (`[^|]*) \| (\d{3}) \|", DOCUMENT, re.MULTILINE)
    documented = {name: int(status) for names, status in rows for name in re.findall(r"`(\w+)`", names)}
    assert documented == {cls.__name__: cls.status for cls in WebhookRejected.__subclasses__()}


def test_every_block_is_python_that_compiles() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        ast.parse(block)
