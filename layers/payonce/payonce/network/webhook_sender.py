"""The webhook transport: one POST to a URL chosen by a merchant, which may be hostile.

::

    check URL ─ resolve ─ check every address ─ connect to a checked one ─ TLS ─ send ─ read head ─┊─ read body
    ◀───────────────────────── one deadline; a failure is a NoAnswer ────────────────────────────▶ ┊  an Answer

The name is resolved once. The connection uses the checked addresses, so a DNS server that gives another answer the
second time (DNS rebinding) is never asked a second time. See docs/adr/0006-webhook-transport.md.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, cast

from payonce.domain.delivery import Answer, Exchanged, NoAnswer, NoAnswerReason
from payonce.domain.errors import BodyMalformed, MisconfiguredError
from payonce.network.addresses import Address, is_loopback, refusal
from payonce.network.connect import ask_in_time, connect_to_any, start_tls
from payonce.network.timed_socket import Budget, ReceivedTooMuch, TimedSocket
from payonce.network.webhook_answers import MAX_HEAD_BYTES, read_answer
from payonce.network.webhook_urls import WebhookUrl, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from payonce.ports import Clock, Deadline

USER_AGENT = "payonce-webhooks/1"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")  # visible ASCII without line ends, which could smuggle headers
# Headers that frame the request or control the connection are set by the sender alone.
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)


def system_addresses(host: str) -> list[str]:
    """Return the addresses of ``host`` as text. Raises ``OSError``, or ``ValueError`` for an unencodable name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class WebhookSender:
    """``WebhookTransport`` with a connection per request. It ignores the environment's proxy settings.

    ``allow_local`` (local runs only) additionally admits loopback addresses, and ``http:`` to them. ``ca_file``
    replaces the system's certificate authorities; raises ``MisconfiguredError`` when it can't be read. ``resolve``
    returns a host's addresses as text and raises ``OSError`` or ``ValueError``; it may block.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        allow_local: bool,
        ca_file: str | None = None,
        resolve: Callable[[str], Sequence[str]] = system_addresses,
    ) -> None:
        self._clock = clock
        self._allow_local = allow_local
        self._tls = _tls_context(ca_file)
        self._resolve = resolve

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """See ``WebhookTransport``. Raises ``ValueError`` for invalid headers and for those the sender sets itself.

        A redirect is an ``Answer`` like any other. So is a status without its body: the receiver has answered.
        """
        check_headers(headers)
        began_ms = self._clock.now_ms()
        try:
            return self._exchange(url, headers, body, Budget(self._clock, deadline), began_ms)
        except _NoAnswerError as failure:
            latency_ms = max(0, self._clock.now_ms() - began_ms)
            return NoAnswer(reason=failure.reason, latency_ms=latency_ms, detail=failure.detail)

    def _exchange(self, url: str, headers: Mapping[str, str], body: bytes, budget: Budget, began_ms: int) -> Answer:
        try:
            target = parse_url(url, allow_local=self._allow_local)
        except BodyMalformed as error:
            raise _NoAnswerError(NoAnswerReason.URL_REFUSED, error.detail) from None
        with _failing_as(NoAnswerReason.NAME_NOT_RESOLVED, "The host's name could not be resolved"):
            addresses = self._addresses(target, budget)
        self._check_addresses(addresses, target)
        with _failing_as(NoAnswerReason.CONNECTION_FAILED, "No connection to the host"):
            sock = connect_to_any((_socket_address(address, target.port) for address in addresses), budget)
        if target.scheme == "https":
            with _failing_as(NoAnswerReason.TLS_FAILED, "No TLS with the host"):
                sock = start_tls(sock, self._tls, target.host, budget)
        with sock, _failing_as(NoAnswerReason.CONNECTION_LOST, "There was no answer"):
            timed = TimedSocket(sock, budget, max_bytes=MAX_HEAD_BYTES)
            _send(timed, target, headers, body)
            return read_answer(timed, budget, began_ms)

    def _addresses(self, target: WebhookUrl, budget: Budget) -> list[Address]:
        if target.address is not None:
            return [target.address]
        found = ask_in_time(lambda: self._resolve(target.host), budget)
        if not found:
            raise OSError("it has no address")
        return [ip_address(text) for text in dict.fromkeys(found)]

    def _check_addresses(self, addresses: list[Address], target: WebhookUrl) -> None:
        """Refuse a host that has any non-public address: the host chooses their order, and an honest one has none."""
        for address in addresses:
            local = self._allow_local and is_loopback(address)
            if not local and (refusal(address) is not None or target.scheme == "http"):
                # Do not say which address: our resolver may know names that the merchant must not learn.
                detail = "The host has an address that is not public. Nothing was sent."
                raise _NoAnswerError(NoAnswerReason.ADDRESS_REFUSED, detail)


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise MisconfiguredError(f"The file of certificate authorities can't be read: {ca_file}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    return context


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ``ValueError`` when a header's name or value is invalid, or when the sender sets that header itself."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name!r} is not a header that can be set on a webhook")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name} must be visible ASCII characters on one line")


def _socket_address(address: Address, port: int) -> tuple[socket.AddressFamily, tuple[str | int, ...]]:
    """Return the arguments for ``connect``, made from the very object that was checked."""
    if isinstance(address, IPv6Address):
        return socket.AF_INET6, (str(address), port, 0, 0)
    return socket.AF_INET, (str(address), port)


def _send(sock: TimedSocket, target: WebhookUrl, headers: Mapping[str, str], body: bytes) -> None:
    connection = HTTPConnection(target.host, target.port)
    connection.sock = cast("socket.socket", sock)
    own = {
        "Host": target.host_header,
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    # A receiver may refuse and close before it has read everything; its answer can then still be read.
    with suppress(ConnectionError):
        connection.request("POST", target.path, body=body, headers={**headers, **own})


class _NoAnswerError(Exception):
    def __init__(self, reason: NoAnswerReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@contextmanager
def _failing_as(reason: NoAnswerReason, what: str) -> Iterator[None]:
    """Map a step's error to the step's reason. The step decides, not the error's class, except for a timeout."""
    try:
        yield
    except TimeoutError:
        raise _NoAnswerError(NoAnswerReason.TIMED_OUT, f"{what} in time.") from None
    except ReceivedTooMuch:
        detail = f"The answer's headers are over {MAX_HEAD_BYTES} bytes."
        raise _NoAnswerError(NoAnswerReason.ANSWER_MALFORMED, detail) from None
    except (OSError, ValueError) as error:
        raise _NoAnswerError(reason, f"{what}: {_cause(error)}.") from error
    except HTTPException as error:
        detail = f"The answer is not HTTP/1.1: {type(error).__name__}."
        raise _NoAnswerError(NoAnswerReason.ANSWER_MALFORMED, detail) from error


def _cause(error: OSError | ValueError) -> str:
    """Return a short text of our own for ``error``. It contains nothing that the receiver controls."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return type(error).__name__
