"""The server of ``webhooks listen``: on loopback; it verifies, prints, forwards, and answers as the service does."""

from __future__ import annotations

import http.client
import signal
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from payonce.cli.http_api import api_of, client_of
from payonce.cli.output import Exit, json_text, wants_json
from payonce.cli.support import shown
from payonce.domain.errors import BodyMalformed, MisconfiguredError, OutcomeUnknown, UpstreamUnavailable
from payonce.webhooks.rejections import WebhookRejected
from payonce.webhooks.verify import DEFAULT_MAX_BODY_BYTES, Verifier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from payonce.client import Client

FORWARD_TIMEOUT_SECONDS: Final = 10  # a consumer has fifteen to answer in all
PATIENCE_SECONDS: Final = 60.0
REFUSED, BAD_GATEWAY = 400, 502
DEFAULT_TYPES: Final = ("*",)
# What belongs to one connection, and is not handed on: RFC 9110, section 7.6.1.
_OF_THE_CONNECTION: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})


def forward_url(text: str) -> str:
    """Return the URL of ``3000``, ``3000/hooks``, ``localhost:3000/hooks`` or a whole one. Raises ``BodyMalformed``."""
    port, slash, path = text.partition("/")
    url = f"http://127.0.0.1:{port}{slash}{path}" if port.isdecimal() else text
    url = url if "://" in url else f"http://{url}"
    parts = urlsplit(url)
    try:
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise BodyMalformed(f"{text!r} is no port and no URL. Write 3000, 3000/hooks or http://127.0.0.1:3000/hooks.")
    return url


class Listener(ThreadingHTTPServer):
    """Receives webhooks on loopback. ``done`` is set after ``count`` of them."""

    daemon_threads = True

    def __init__(self, options: argparse.Namespace) -> None:
        try:
            super().__init__(("127.0.0.1", options.port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "a port is from 0 to 65535"
            raise MisconfiguredError(
                f"Port {options.port} can't be listened on: {why}. Name another with --port; 0 takes any."
            ) from error
        self.verifier: Verifier | None = None
        self.forward_to = forward_url(options.forward_to) if options.forward_to else None
        self.as_json = wants_json(options)
        self.left = options.count
        self.done = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Return the URL to post to."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def took(self, document: Mapping[str, Any]) -> None:
        """Print one webhook in a line."""
        with self._lock:
            sys.stdout.write(json_text(document, sys.stdout) + "\n" if self.as_json else line_of(document))
            sys.stdout.flush()
            if self.left is not None:
                self.left -= 1
                if self.left <= 0:
                    self.done.set()


def line_of(document: Mapping[str, Any]) -> str:
    """Return the line of one webhook: when, what, whether it is genuine, and what the service answered."""
    verdict = "verified" if document["valid"] else f"REFUSED {document['reason']}"
    forwarded = f"  -> {document['forwarded_status'] or document['forward_problem']}" if document["forwarded"] else ""
    return f"{shown(document['at_ms'])}  {document['type'] or '-':<28}  {document['id'] or '-'}  {verdict}{forwarded}\n"


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = 30  # seconds; a sender that stops in the middle holds no thread for ever

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > DEFAULT_MAX_BODY_BYTES:
            self._answer(413 if length.isdecimal() else 411, b"")
            return
        body = self.rfile.read(int(length))
        document: dict[str, Any] = {"at_ms": int(time.time() * 1000), "valid": False, "reason": None, "id": None}
        document |= {"type": None, "event": None, "forwarded": False, "forwarded_status": None, "forward_problem": None}
        status, answer = REFUSED, b""
        try:
            if self.server.verifier is None:
                raise MisconfiguredError("not ready")
            webhook = self.server.verifier.verify(self.headers.items(), body)
            document |= {"valid": True, "id": webhook.id, "type": webhook.event.get("type"), "event": webhook.event}
            status = 200
            if self.server.forward_to:
                status, answer = self._forwarded(body, document)
        except WebhookRejected as refused:
            document["reason"] = type(refused).__name__
        except MisconfiguredError:
            status = 503  # the endpoint's secret is not here yet: the sender tries again
            document["reason"] = "NotReady"
        self._answer(status, answer)
        self.server.took(document)

    def _forwarded(self, body: bytes, document: dict[str, Any]) -> tuple[int, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        request = Request(self.server.forward_to or "", data=body, headers=headers, method="POST")  # noqa: S310
        document["forwarded"] = True
        try:
            # `forward_url` has checked the scheme.
            with urlopen(request, timeout=FORWARD_TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310
                status, raw = answer.status, answer.read(DEFAULT_MAX_BODY_BYTES)
        except HTTPError as refused:
            with refused:
                status, raw = refused.code, refused.read(DEFAULT_MAX_BODY_BYTES)
        except (URLError, OSError, http.client.HTTPException) as error:
            document["forward_problem"] = str(getattr(error, "reason", error))
            return BAD_GATEWAY, b""
        document["forwarded_status"] = status
        return status, raw

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return  # the sender has gone

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: each webhook has its line."""


def listen(options: argparse.Namespace, environment: Mapping[str, str], verifier: Verifier | None) -> int:
    """Serve until interrupted, or until ``--count`` webhooks came; an endpoint that was registered is deleted then.

    Raises ``PayonceError`` before it serves.
    """
    with Listener(options) as server, _ended_by_sigterm():
        if verifier is not None:
            server.verifier = verifier
            return _serve(server, None)
        with client_of(api_of(options, environment), PATIENCE_SECONDS) as client:
            registered = _Registered(client, options.url or server.url, options.type)
            server.verifier = Verifier([registered.secret], options.tolerance)
            return _serve(server, registered)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let a registered endpoint be deleted also when the terminal or a supervisor ends the command."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(server: Listener, registered: _Registered | None) -> int:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    try:
        thread.start()
        if registered is not None:
            sys.stderr.write(f"registered {registered.endpoint_id}; it is deleted at the end\n")
        sys.stderr.write(f"listening on {server.url}{f', to {server.forward_to}' if server.forward_to else ''}\n")
        server.done.wait()
    except KeyboardInterrupt:
        pass
    finally:
        if registered is not None:
            registered.delete()
        server.shutdown()
    return Exit.DONE


class _Registered:
    """An endpoint of the stack that lives as long as the command."""

    def __init__(self, client: Client, url: str, types: list[str] | None) -> None:
        from payonce.client import errors

        self._client = client
        try:
            made = client.create_webhook_endpoint(
                url=url, event_types=types or list(DEFAULT_TYPES), description="payonce webhooks listen"
            ).data
        except errors.OutcomeUnknown as unknown:
            raise OutcomeUnknown(f"The endpoint for {url} may have been made: {unknown.reason}.") from unknown
        except errors.NotBegun as error:
            raise UpstreamUnavailable(f"The endpoint was not made: {error.reason}.") from error
        except errors.KeyedError as refused:
            raise BodyMalformed(
                f"The endpoint was not made: {refused.reason} A stack on AWS reaches this machine only by a tunnel: "
                "name its address with --url."
            ) from refused
        self.endpoint_id = made["id"]
        self.secret = made["secret"]

    def delete(self) -> None:
        """Delete the endpoint; say so if that fails."""
        from payonce.client import errors

        try:
            self._client.delete_webhook_endpoint(self.endpoint_id, timeout_seconds=FORWARD_TIMEOUT_SECONDS)
        except errors.NotFound:
            pass
        except errors.ClientError as error:
            path = f"/webhook_endpoints/{self.endpoint_id}"
            sys.stderr.write(f"{self.endpoint_id} was not deleted ({error.reason}). next: DELETE {path}\n")
