"""Who is on the other side is proven before a byte of the webhook goes out."""

from __future__ import annotations

import os
import socket
import ssl
import time
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.domain.errors import MisconfiguredError
from payonce.network.webhook_sender import WebhookSender
from tests.contract.webhooks.courier import (
    BUDGET_SECONDS,
    HOST,
    OK,
    PATIENCE_SECONDS,
    Courier,
    Handler,
    answering,
    deaf,
    endless,
    recording,
    resetting,
    silent,
)
from tests.contract.webhooks.tls import behind_tls, server_context
from tests.support.certificates import Authority
from tests.support.tcp_faults import read_request, serving
from tests.support.world import RealClock

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.domain.delivery import Exchanged


def reason(outcome: Exchanged) -> NoAnswerReason:
    """Return why there is no answer."""
    assert isinstance(outcome, NoAnswer)
    return outcome.reason


@pytest.mark.parametrize("host", [HOST, "xn--bcher-kva.example"])
def test_a_proven_receiver_is_asked_for_by_its_name(tls_courier: Courier, authority: Authority, host: str) -> None:
    """Fails when TLS does not work, or the name is not sent: shared hosts would show another's certificate."""
    names: list[str | None] = []
    context = server_context(authority.issue(host))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    seen: list[bytes] = []
    with serving(behind_tls(context, recording(seen))) as port:
        outcome = tls_courier.post(f"https://{host}:{port}/")
    assert isinstance(outcome, Answer)
    assert outcome.excerpt == "{}"
    assert names == [host]
    assert f"\r\nHost: {host}:{port}\r\n".encode() in seen[0]


def test_an_address_can_be_proven_too(tls_courier: Courier, authority: Authority) -> None:
    """Fails when a URL with an IP address can't have TLS."""
    with serving(behind_tls(authority.issue("127.0.0.1"), answering(OK))) as port:
        assert isinstance(tls_courier.post(f"https://127.0.0.1:{port}/"), Answer)


def old_tls(certificate: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a context that speaks one old version only."""
    context = server_context(certificate)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = version
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("self-signed", "self-signed certificate"),
        ("another name", "Hostname mismatch"),
        ("expired", "expired"),
        ("not yet valid", "not yet valid"),
        ("unknown authority", "unable to get local issuer certificate"),
        ("TLS 1.0", "VERSION"),
        ("TLS 1.1", "VERSION"),
    ],
)
def test_a_receiver_that_is_not_proven_gets_nothing(
    tls_courier: Courier, authority: Authority, tmp_path: Path, flaw: str, said: str
) -> None:
    """Fails when the certificate, its name or its time is not checked, or an old version is spoken."""
    context = {
        "self-signed": lambda: server_context(authority.issue(HOST, signs_itself=True)),
        "another name": lambda: server_context(authority.issue("other.example")),
        "expired": lambda: server_context(authority.issue(HOST, shifted=timedelta(days=-3))),
        "not yet valid": lambda: server_context(authority.issue(HOST, shifted=timedelta(days=3))),
        "unknown authority": lambda: server_context(Authority(tmp_path).issue(HOST)),
        "TLS 1.0": lambda: old_tls(authority.issue(HOST), ssl.TLSVersion.TLSv1),
        "TLS 1.1": lambda: old_tls(authority.issue(HOST), ssl.TLSVersion.TLSv1_1),
    }[flaw]()
    seen: list[bytes] = []
    with serving(behind_tls(context, recording(seen))) as port:
        outcome = tls_courier.post(f"https://{HOST}:{port}/")
    assert reason(outcome) is NoAnswerReason.TLS_FAILED
    assert isinstance(outcome, NoAnswer)
    assert said in outcome.detail
    assert not any(seen)


def test_the_system_s_authorities_are_the_default(courier: Courier, authority: Authority) -> None:
    """Fails when a sender without a file of its own trusts anybody."""
    with serving(behind_tls(authority.issue(HOST), answering(OK))) as port:
        assert reason(courier.post(f"https://{HOST}:{port}/")) is NoAnswerReason.TLS_FAILED


def plain_http(client: socket.socket) -> None:
    """Answer what is no request with HTTP in the clear."""
    client.recv(65_536)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def closing(client: socket.socket) -> None:
    """Close in the middle of the handshake."""
    client.recv(65_536)


def drip_handshake(client: socket.socket) -> None:
    """Announce a long record, and send it a byte at a time."""
    client.recv(65_536)
    client.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        client.sendall(b"\x02")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        (plain_http, NoAnswerReason.TLS_FAILED),
        (closing, NoAnswerReason.TLS_FAILED),
        (silent, NoAnswerReason.TIMED_OUT),
        (drip_handshake, NoAnswerReason.TIMED_OUT),
    ],
)
def test_a_handshake_that_comes_to_nothing(tls_courier: Courier, handle: Handler, expected: NoAnswerReason) -> None:
    """Fails when the handshake is outside the deadline, or its failure counts as a lost connection."""
    with serving(handle) as port:
        assert reason(tls_courier.post(f"https://{HOST}:{port}/", seconds=budget(expected))) is expected


def budget(expected: NoAnswerReason) -> float:
    """Return what is certainly used up, or certainly enough."""
    return BUDGET_SECONDS if expected is NoAnswerReason.TIMED_OUT else PATIENCE_SECONDS


def beside(client: socket.socket) -> socket.socket:
    """Return the connection below the TLS library."""
    return socket.socket(fileno=os.dup(client.fileno()))


def drip_record(client: socket.socket) -> None:
    """Send the answer's first record a byte at a time, beside the TLS library."""
    with beside(client) as raw:
        read_request(client)
        raw.sendall(b"\x17\x03\x03\x40\x00")
        while True:
            raw.sendall(b"\x02")
            time.sleep(0.05)


def break_record(client: socket.socket) -> None:
    """Send what is no record."""
    with beside(client) as raw:
        read_request(client)
        raw.sendall(b"this is no TLS record")


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        (drip_record, NoAnswerReason.TIMED_OUT),
        (silent, NoAnswerReason.TIMED_OUT),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X", pause_seconds=0.05), NoAnswerReason.TIMED_OUT),
        (break_record, NoAnswerReason.CONNECTION_LOST),
        (resetting(), NoAnswerReason.CONNECTION_LOST),
        (answering(b"HTTP/1.1 200 OK\r\n"), NoAnswerReason.CONNECTION_LOST),
    ],
    ids=["dripping record", "silent", "dripping head", "broken record", "reset", "closed within the head"],
)
def test_a_secured_connection_stalls_and_breaks_like_any_other(
    tls_courier: Courier, authority: Authority, handle: Handler, expected: NoAnswerReason
) -> None:
    """Fails when a read through TLS has a timeout of its own, or a break after sending counts as a handshake's."""
    with serving(behind_tls(authority.issue(HOST), handle)) as port:
        assert reason(tls_courier.post(f"https://{HOST}:{port}/", seconds=budget(expected))) is expected


def sipping(client: socket.socket) -> None:
    """Take the request slowly enough that each part of it is sent in time, and all of it is not."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    while client.recv(16_384):
        time.sleep(0.02)


@pytest.mark.parametrize("handle", [sipping, deaf])
def test_whoever_reads_slowly_is_left_at_the_deadline(
    tls_courier: Courier, authority: Authority, handle: Handler
) -> None:
    """Fails when sending through TLS is outside the deadline, or each part of it has a timeout of its own."""
    with serving(behind_tls(authority.issue(HOST), handle)) as port:
        outcome = tls_courier.post(f"https://{HOST}:{port}/", seconds=BUDGET_SECONDS, body=b"x" * 32_000_000)
    assert reason(outcome) is NoAnswerReason.TIMED_OUT


def test_a_file_of_authorities_that_is_not_there_is_found_at_start_up(tmp_path: Path) -> None:
    """Fails when a wrong setting shows up as every receiver's TLS failing."""
    with pytest.raises(MisconfiguredError):
        WebhookSender(RealClock(), allow_local=False, ca_file=str(tmp_path / "missing.pem"))
