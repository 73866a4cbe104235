"""``pay``, ``refund``, ``events tail`` and ``webhooks`` as processes, against the API on loopback."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from local.receiver import running_receiver
from payonce.webhooks.signing import HmacKey, parse_verifying_key, signature_header
from tests.support.aws import REPOSITORY
from tests.support.loopback_stack import LoopbackStack, loopback_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of https://www.standardwebhooks.com
COMMAND = (sys.executable, "-m", "payonce.cli")


@pytest.fixture
def stack() -> Iterator[LoopbackStack]:
    with loopback_stack() as running:
        running.deploy()
        yield running
        shutil.rmtree(REPOSITORY / ".local" / f"stack-{running.port}", ignore_errors=True)


def environment_of(stack: LoopbackStack, **variables: str) -> dict[str, str]:
    return {**stack.environment(), "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"), **variables}


def run(stack: LoopbackStack, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of(stack, **variables)
    return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def payments(stack: LoopbackStack) -> list[tuple[str, int]]:
    return [(path, status) for method, path, status, _ in stack.asked if method == "POST" and "/payments" in path]


def test_a_payment_is_repeated_with_its_key_and_refunded(stack: LoopbackStack) -> None:
    """Fails when a retry makes a second payment, or the key is told only when it is too late."""
    stack.api_statuses = [503, 429]
    first = run(stack, "pay", "1050", "EUR", "--reference", "order 1", "--json")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert [status for _, status in payments(stack)] == [503, 429, 201]
    assert first.stderr.startswith(f"idempotency key {made['idempotency_key']}\n")
    again = run(stack, "pay", "1050", "EUR", "--reference", "order 1", "--json", "--key", made["idempotency_key"])
    replayed = json.loads(again.stdout)
    assert (replayed["replayed"], replayed["answer"]["id"]) == (True, made["answer"]["id"])
    assert len(stack.gateway.bookings) == 1
    refund = run(stack, "refund", made["answer"]["id"], "--amount", "50")
    assert (refund.returncode, "50 EUR" in refund.stdout) == (0, True), refund
    other = run(stack, "pay", "99", "EUR", "--key", made["idempotency_key"])
    assert other.returncode == 2
    assert other.stderr.splitlines()[1].startswith("422: ")
    short = run(stack, "pay", "99", "EUR", "--key", "17", "--json")
    assert (short.returncode, json.loads(short.stderr)["error"]["problem"]) == (2, "misused"), short


def test_a_payment_that_is_not_known_says_how_to_go_on(stack: LoopbackStack) -> None:
    """Fails when the line that repeats the request makes another request: its words must be the same."""
    stack.api_statuses = [500] * 50
    lost = run(stack, "pay", "1050", "EUR", "--reference", "it's order 1", "--patience", "1")
    assert (lost.returncode, lost.stdout) == (4, "")
    following = lost.stderr.splitlines()[-1]
    assert following.startswith("next: payonce pay 1050 EUR ")
    stack.api_statuses = []
    words = shlex.split(following.removeprefix("next: payonce "))
    done = run(stack, *words, "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["idempotency_key"] == lost.stderr.split()[2]
    assert answer["answer"]["reference"] == "it's order 1"


def test_a_decline_and_a_payment_in_doubt_have_codes_of_their_own(stack: LoopbackStack) -> None:
    stack.gateway.script = ["decline"]
    declined = run(stack, "pay", "1050", "EUR")
    assert (declined.returncode, declined.stderr.splitlines()[1][:5]) == (1, "402: ")
    assert "next:" not in declined.stderr
    stack.gateway.script = ["lost"]
    stack.gateway.visible_after_ms = 3_600_000
    doubtful = run(stack, "pay", "1050", "EUR", "--patience", "1")
    assert "in doubt" in doubtful.stderr
    assert (doubtful.returncode, "next: payonce pay" in doubtful.stderr) == (4, True)


def test_a_payment_that_waits_for_its_payer_says_what_to_do(stack: LoopbackStack) -> None:
    """Fails when a script takes a payment for done that nobody has authorized, or the repeated line pays again."""
    words = ("--method", "pm_3ds_visa", "--return-url", "https://shop.example/back")
    waits = run(stack, "pay", "1050", "EUR", *words, "--json")
    made = json.loads(waits.stdout)
    assert (waits.returncode, made["status"], made["answer"]["status"]) == (1, "requires_action", "requires_action")
    url = made["answer"]["next_action"]["url"]
    assert made["payer"].startswith(f"send the payer to {url}, until ")
    assert f"the payer has to act: send the payer to {url}" in waits.stderr
    again = run(stack, *shlex.split(made["next"].removeprefix("payonce ")))
    assert (again.returncode, "requires_action" in again.stdout, "(replayed)" in again.stdout) == (1, True, True), again
    stack.gateway.pay()
    stack.settle()
    done = run(stack, *shlex.split(made["next"].removeprefix("payonce ")), "--json")
    ended = json.loads(done.stdout)
    assert (done.returncode, ended["status"], ended["replayed"], ended["next"]) == (0, "captured", True, None), done
    assert len(stack.gateway.bookings) == 1


def test_a_refusal_of_a_key_of_an_earlier_try_proves_nothing(stack: LoopbackStack) -> None:
    """Fails when a payment that may have been made is called refused: its line has to be kept."""
    refused = run(stack, "pay", "1", "EUR", "--key", "a" * 16, PAYONCE_API_KEY="po_of_another_stack")
    assert (refused.returncode, "next: set PAYONCE_API_KEY" in refused.stderr) == (4, True), refused
    assert f"--key {'a' * 16}" in refused.stderr


def test_nothing_listens_and_no_key_is_named(stack: LoopbackStack) -> None:
    away = {"PAYONCE_STACK": "nowhere", "PAYONCE_API_KEY": "po_x"}
    dead = run(stack, "pay", "1", "EUR", "--api", "http://127.0.0.1:9", "--patience", "1", **away)
    assert (dead.returncode, "nothing was executed" in dead.stderr) == (3, True), dead
    assert "next: payonce pay 1 EUR" in dead.stderr
    nowhere = {"PAYONCE_STACK": "", "PAYONCE_API_URL": ""}
    unnamed = run(stack, "pay", "1", "EUR", **nowhere)
    assert (unnamed.returncode, "--stack or PAYONCE_STACK" in unnamed.stderr) == (2, True)
    for words in (("pay", "10.50", "EUR"), ("refund", "pay_1", "--amount", "10.50")):
        in_euros = run(stack, *words)
        assert (in_euros.returncode, "write 1050 for 10.50 EUR" in in_euros.stderr) == (2, True), in_euros
    for proxy in ("socks5://127.0.0.1:9", "foo://bar", "http://[::"):  # the first needs a package that httpx may lack
        behind = run(stack, "pay", "1", "EUR", "--api", "http://127.0.0.1:9", ALL_PROXY=proxy, **away)
        assert (behind.returncode, "unset the variable" in behind.stderr) == (2, True), behind.stderr
    forgotten = run(stack, "pay", "1", "EUR", PAYONCE_API_KEY="po_of_another_stack")
    assert (forgotten.returncode, "next: set PAYONCE_API_KEY" in forgotten.stderr) == (2, True), forgotten
    without = run(stack, "pay", "1", "EUR", "--api", stack.api_url, **nowhere)
    assert (without.returncode, "Set PAYONCE_API_KEY" in without.stderr) == (2, True)


def test_the_local_key_is_made_once_and_only_its_owner_reads_it(stack: LoopbackStack) -> None:
    """Fails when each payment makes a merchant, or another cloud on the port is asked with an old key."""
    kept = REPOSITORY / ".local" / f"stack-{stack.port}" / "api-key.json"
    run(stack, "pay", "1", "EUR")
    key = json.loads(kept.read_text())["api_key"]
    assert kept.stat().st_mode & 0o077 == 0
    run(stack, "pay", "1", "EUR")
    assert json.loads(kept.read_text())["api_key"] == key
    kept.write_text(json.dumps({"api_url": "http://127.0.0.1:1/of/an/earlier/cloud", "api_key": key}))
    run(stack, "pay", "1", "EUR")
    assert json.loads(kept.read_text())["api_key"] != key


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """What is started in the background of a shell ignores an interruption, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_events_are_followed_and_gone_on_from(stack: LoopbackStack) -> None:
    """Fails when an event is left out or told twice between two tails."""
    for reference in ("one", "two"):
        run(stack, "pay", "1050", "EUR", "--reference", reference)
    stack.clock.offset_ms += 20_000  # a young event is not listed yet
    ended = run(stack, "events", "tail", "--no-follow", "--json")
    types = [json.loads(line)["type"] for line in ended.stdout.splitlines()]
    assert types == ["payment.captured"] * 2
    assert len(run(stack, "events", "tail", "--no-follow", "--last", "1").stdout.splitlines()) == 1
    after = ended.stderr.split()[-1]
    following = subprocess.Popen(
        [*COMMAND, "events", "tail", "--after", after, "--every", "0.2"],
        env=environment_of(stack),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run(stack, "pay", "7", "EUR")
    stack.clock.offset_ms += 20_000
    assert following.stdout is not None
    assert "payment.captured" in following.stdout.readline()
    following.send_signal(signal.SIGINT)
    out, error = following.communicate(timeout=30)
    assert (following.returncode, out, error.startswith("next: payonce events tail --after ")) == (0, "", True)


def post(url: str, body: bytes, *, secret: str = SECRET, at: float | None = None) -> int:
    """Post a webhook as payonce signs it, and return the status."""
    headers = headers_of(body, secret, int(time.time() if at is None else at))
    try:
        with urlopen(Request(url, data=body, headers={**headers, "x-shop": "1"}), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


def headers_of(body: bytes, secret: str, at: int) -> dict[str, str]:
    key = parse_verifying_key(secret)
    assert isinstance(key, HmacKey)
    signature = signature_header("evt_1", at, body, [key])
    return {"webhook-id": "evt_1", "webhook-timestamp": str(at), "webhook-signature": signature}


def listening(stack: LoopbackStack, *arguments: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
    """Start a listener; return it and its URL, as it says it."""
    process = subprocess.Popen(
        [*COMMAND, "webhooks", "listen", "--port", "0", *arguments],
        env=environment_of(stack, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    while "listening on " not in said:
        said = process.stderr.readline()
        assert said, "it ended"
    return process, re.search(r"http://\S+?/", said)[0]  # type: ignore[index]


BODY = json.dumps({"id": "evt_1", "type": "payment.captured", "data": {"id": "pay_1"}}).encode()


def test_a_webhook_is_verified_printed_and_forwarded(stack: LoopbackStack) -> None:
    """Fails when a forged webhook reaches the service, or the bytes that it gets are others."""
    with running_receiver() as service:
        port = service.url.rpartition(":")[2]
        process, url = listening(
            stack, "--forward-to", f"{port}/hooks", "--count", "4", "--json", PAYONCE_WEBHOOK_SECRET=SECRET
        )
        service.statuses["/hooks"] = [200, 503]
        assert [post(url, BODY), post(url, BODY)] == [200, 503]
        assert post(url, BODY, secret="whsec_" + "A" * 32) == 400
        assert post(url, BODY, at=time.time() - 600) == 400
        out, _ = process.communicate(timeout=30)
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["forwarded_status"] for line in lines] == [200, 503, None, None]
        assert [line["reason"] for line in lines] == [None, None, "SignatureMismatch", "TimestampOutsideTolerance"]
        assert [(one.body, one.headers["x-shop"]) for one in service.received] == [(BODY, "1")] * 2
        assert {"webhook-id", "webhook-signature", "webhook-timestamp"} <= service.received[0].headers.keys()
    process, url = listening(
        stack, "--forward-to", f"http://127.0.0.1:{port}/", "--count", "1", PAYONCE_WEBHOOK_SECRET=SECRET
    )
    assert post(url, BODY) == 502  # the service has gone: the sender shall try again
    assert "payment.captured" in process.communicate(timeout=30)[0]


def test_an_endpoint_is_registered_and_deleted_at_the_end(stack: LoopbackStack) -> None:
    """Fails when an endpoint is left behind, which payonce would send to for days."""
    process, url = listening(stack, "--register", "--type", "payment.*")
    [(_, _, status, made)] = [asked for asked in stack.asked if asked[:2] == ("POST", "/webhook_endpoints")]
    assert (status, made["url"], made["event_types"]) == (201, url, ["payment.*"])
    assert post(url, BODY, secret=made["secret"]) == 200
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert stack.asked[-1][:3] in {("DELETE", f"/webhook_endpoints/{made['id']}", code) for code in (200, 204)}


def test_a_listener_needs_a_secret_and_a_port(stack: LoopbackStack) -> None:
    without = run(stack, "webhooks", "listen")
    assert (without.returncode, "--register" in without.stderr) == (2, True)
    taken = run(stack, "webhooks", "listen", "--port", str(stack.port), PAYONCE_WEBHOOK_SECRET=SECRET)
    assert (taken.returncode, "Name another with --port" in taken.stderr) == (2, True)
    nowhere = run(stack, "webhooks", "listen", "--forward-to", "http://:x/", PAYONCE_WEBHOOK_SECRET=SECRET)
    assert (nowhere.returncode, "Write 3000" in nowhere.stderr) == (2, True)
    for port in ("65536", "-1"):
        none = run(stack, "webhooks", "listen", "--port", port, PAYONCE_WEBHOOK_SECRET=SECRET)
        assert (none.returncode, "a port is from 0 to 65535" in none.stderr) == (2, True), none.stderr


def test_a_body_that_is_too_large_is_refused_unread(stack: LoopbackStack) -> None:
    process, url = listening(stack, PAYONCE_WEBHOOK_SECRET=SECRET)
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=30)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", str(2**40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_one_webhook_is_verified_from_a_file(stack: LoopbackStack, tmp_path: Path) -> None:
    body, secret = tmp_path / "body.json", tmp_path / "secret"
    body.write_bytes(BODY)
    secret.write_text(SECRET + "\n")
    headers = headers_of(BODY, SECRET, int(time.time()))
    words = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    # No stack is asked, although one is named that is not there.
    away = {"PAYONCE_STACK": "nowhere", "AWS_REGION": "eu-central-1"}
    good = run(stack, "webhooks", "verify", str(body), "--secret-file", str(secret), *words, "--json", **away)
    assert (good.returncode, json.loads(good.stdout)["event"]["type"]) == (0, "payment.captured")
    piped = subprocess.run(
        [*COMMAND, "webhooks", "verify", "-", "--secret-file", str(secret), *words],
        env=environment_of(stack),
        input=BODY,
        capture_output=True,
        timeout=120,
    )
    assert piped.returncode == 0, piped.stderr
    body.write_bytes(BODY.replace(b"pay_1", b"pay_2"))
    forged = run(stack, "webhooks", "verify", str(body), "--secret-file", str(secret), *words, "--json")
    assert (forged.returncode, json.loads(forged.stdout)["reason"]) == (1, "SignatureMismatch")
    secret.write_text("this is another file than the one with the secrets")
    other = run(stack, "webhooks", "verify", str(body), "--secret-file", str(secret), *words)
    assert (other.returncode, f"{secret} has to hold 1 to 8 secrets, whsec_..." in other.stderr) == (2, True), other
