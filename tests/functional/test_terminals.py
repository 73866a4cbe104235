"""The command in terminals and pipes that are not the usual one: what it prints there, and that it never breaks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from payonce.cli.output import Exit
from tests.support.aws import REPOSITORY

COMMAND = (sys.executable, "-m", "payonce.cli")
KEY = b"0" * 32
BODY = '{"type": "größe€😀"}'.encode()


def run(*words: str, stdout: int = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with nothing but these variables."""
    known = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
        "PAYONCE_API_KEY": "po_x",
    }
    environment = {**known, **variables}
    return subprocess.run([*COMMAND, *words], env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=60)


def unread(*words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command before a pipe whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    try:
        return run(*words, stdout=write, **variables)
    finally:
        os.close(write)


def verified(tmp_path: Path, *words: str, encoding: str) -> bytes:
    """Return what is printed of a webhook whose event holds letters of every width."""
    (tmp_path / "body").write_bytes(BODY)
    at = str(int(time.time()))
    signed = hmac.new(KEY, b".".join((b"evt_1", at.encode(), BODY)), hashlib.sha256).digest()
    headers = {"id": "evt_1", "timestamp": at, "signature": f"v1,{base64.b64encode(signed).decode()}"}
    given = [word for name, value in headers.items() for word in ("--header", f"webhook-{name}: {value}")]
    secret = f"whsec_{base64.b64encode(KEY).decode()}"
    done = run(
        *("webhooks", "verify", *given, str(tmp_path / "body"), *words),
        PAYONCE_WEBHOOK_SECRET=secret,
        PYTHONIOENCODING=encoding,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_terminal_without_utf_8_gets_the_text_escaped_and_the_json_whole(tmp_path: Path, encoding: str) -> None:
    """Fails when a letter that the terminal lacks is a traceback, after the thing was done; or no JSON."""
    text = verified(tmp_path, encoding=encoding).decode(encoding)
    assert text == "valid: evt_1 größe€😀\n".encode(encoding, "backslashreplace").decode(encoding)
    document = json.loads(verified(tmp_path, "--json", encoding=encoding).decode(encoding))
    assert document["event"] == {"type": "größe€😀"}


def test_an_error_is_json_in_every_encoding() -> None:
    """Fails when a name is written as Python writes it, which is no JSON."""
    done = run("verify-manifests", "größe€😀", "--json", PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert json.loads(done.stderr)["error"]["detail"].startswith("größe€😀 can't be read")


def test_a_closed_pipe_hides_no_outcome() -> None:
    """Fails when the reader's end decides the exit code of a payment, or the line that repeats it is lost with it."""
    done = unread("pay", "1", "EUR", "--json", "--patience", "1", PAYONCE_API_URL="http://127.0.0.1:9")
    assert (done.returncode, b"next: payonce pay 1 EUR" in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("completion", "bash"), ("doctor",)])
def test_a_reader_that_has_seen_enough(words: tuple[str, ...]) -> None:
    """Fails when a pipe that is closed, as `| true` closes it, is a traceback."""
    done = unread(*words)
    assert (done.returncode, done.stderr) == (run(*words).returncode, b"")


@pytest.mark.parametrize("words", [("--version",), ("routing", "--help"), ("doctor",), ("doctor", "--json")])
def test_a_full_disk_is_named(words: tuple[str, ...]) -> None:
    """Fails when what could not be written is a traceback, or is called done: its reader knows nothing of it."""
    with Path("/dev/full").open("w") as full:
        done = run(*words, stdout=full.fileno())
    assert done.returncode == Exit.UNKNOWN, done.stderr.decode()
    assert b"Standard output can't be written: No space left on device." in done.stderr
    assert b"Traceback" not in done.stderr


def test_without_standard_output_a_command_does_its_work() -> None:
    """Fails when a service manager that closes standard output gets a traceback."""
    shell = ["sh", "-c", f"exec {sys.executable} -m payonce.cli --version >&-"]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "layers" / "payonce")}
    done = subprocess.run(shell, env=variables, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
