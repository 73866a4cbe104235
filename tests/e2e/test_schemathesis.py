"""Schemathesis throws what openapi.json allows, and what it does not, at the deployed API."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from tests.e2e.conftest import Client

EXAMPLES = os.environ.get("PAYONCE_SCHEMATHESIS_EXAMPLES", "12")


def test_the_api_does_what_its_document_says(client: Client, tmp_path: Path) -> None:
    """No 5xx, no undocumented status, content type or header, bodies as their schemas say."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        str(REPOSITORY / "openapi.json"),
        "--url",
        client.url,
        "--header",
        f"Authorization: Bearer {client.api_key}",
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
        "response_schema_conformance,negative_data_rejection",
        "--max-examples",
        EXAMPLES,
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "1",
        "--no-color",
        "--workers",
        "1",
        # The first request to each function starts it, which a busy machine does in more than the usual ten seconds.
        "--request-timeout",
        "60",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout[-60_000:] + done.stderr[-2000:]
