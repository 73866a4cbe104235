"""Signatures of requests to AWS, beside the SDK's own."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials

from payonce.network.aws_signature import Credentials, Signer

AT = 1_798_761_599  # 2026-12-31T23:59:59Z
HEADERS = {"host": "dynamodb.eu-central-1.amazonaws.com", "content-type": "application/x-amz-json-1.0"}


def signed_by_the_sdk(
    monkeypatch: pytest.MonkeyPatch, credentials: Credentials, headers: dict[str, str], body: bytes, at: int
) -> dict[str, Any]:
    """Return the headers of the SDK's request, by lower-case name."""
    now = dt.datetime.fromtimestamp(at, dt.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_args, **_options: now.replace(tzinfo=None))
    request = AWSRequest("POST", f"https://{headers['host']}/", dict(headers), body)
    SigV4Auth(
        SdkCredentials(credentials.access_key, credentials.secret_key, credentials.token), "dynamodb", "eu-central-1"
    ).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("body", [b"", b"{}", '{"TableName":"größer"}'.encode()])
def test_a_request_is_signed_as_the_sdk_signs_it(
    monkeypatch: pytest.MonkeyPatch, token: str | None, body: bytes
) -> None:
    """Fails when a header, the body, the day or the session's token is left out of what is signed."""
    credentials = Credentials("AKIAEXAMPLE", "secret/of+the key", token)
    signer = Signer("dynamodb", "eu-central-1", lambda: credentials)
    for at in (AT, AT + 1, AT + 2):  # the day changes, and with it the key that is kept
        headers = {**HEADERS, "x-amz-target": f"DynamoDB_20120810.PutItem{at}"}
        assert signer.sign(headers, body, at) == signed_by_the_sdk(monkeypatch, credentials, headers, body, at)


def test_new_credentials_are_used_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the key of a role's earlier credentials is kept: each request would be refused once they expire."""
    both = [Credentials("A1", "one"), Credentials("A2", "two", "t")]
    signer = Signer("dynamodb", "eu-central-1", lambda: both[0])
    signer.sign(HEADERS, b"", AT)
    del both[0]
    assert signer.sign(HEADERS, b"", AT) == signed_by_the_sdk(monkeypatch, both[0], HEADERS, b"", AT)


def test_credentials_are_not_shown() -> None:
    """Fails when a log line or a traceback that names the credentials tells the secret."""
    assert "secret" not in repr(Credentials("A", "secret", "secret token"))
