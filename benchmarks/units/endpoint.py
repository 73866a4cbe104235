"""One address for every AWS service that a payment needs: DynamoDB behind the meter, SQS, KMS and Secrets Manager.

SQS keeps messages until they are taken, as Lambda's poller would; KMS wraps nothing, since only its requests count.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.units.meter import Meter

_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=testing/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits in a queue; ``delay_seconds`` is what its sender asked for."""

    queue: str
    body: str
    delay_seconds: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How long AWS, the gateway and a receiver of webhooks take to answer, in milliseconds (benchmarks/prices.toml)."""

    dynamodb: int = 0
    dynamodb_transaction: int = 0
    other_services: int = 0
    gateway: int = 0
    receiver: int = 0

    def of(self, service: str, operation: str) -> int:
        """Return the milliseconds that one request takes."""
        if not service.startswith("DynamoDB_"):
            return self.other_services
        return self.dynamodb_transaction if operation.startswith("Transact") else self.dynamodb


@dataclass
class Services:
    """What answers. ``calls`` counts the requests to services other than DynamoDB, by service and operation.

    ``waits_ms`` is how long each of a client's connections would have waited for AWS: on different ones, at the same
    time.
    """

    meter: Meter
    secrets: str = "{}"
    messages: list[Message] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    waits: Waits = field(default_factory=Waits)
    waits_ms: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body for one request; ``target`` is its ``X-Amz-Target``."""
        service, _, operation = target.partition(".")
        with self._lock:  # the images before and after a write are of that write alone
            self.waits_ms[threading.get_ident()] += self.waits.of(service, operation)
            if service.startswith("DynamoDB_"):
                return self.meter.handle(operation, body)
            self.calls[f"{service}.{operation}"] += 1
            request = json.loads(body)
            made: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, f"_{operation}")
            return 200, json.dumps(made(request)).encode()

    def take(self, queue: str, at_most: int) -> list[Message]:
        """Return and remove up to ``at_most`` messages of ``queue``, oldest first."""
        with self._lock:
            taken = [message for message in self.messages if message.queue == queue][:at_most]
            kept = {id(message) for message in taken}  # equal texts are different messages
            self.messages = [message for message in self.messages if id(message) not in kept]
        return taken

    def _SendMessage(self, request: dict[str, Any]) -> dict[str, Any]:
        self._queue(request["QueueUrl"], request)
        digest = hashlib.md5(request["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}

    def _SendMessageBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        sent = [{"Id": entry["Id"], **self._SendMessage({**request, **entry})} for entry in request["Entries"]]
        return {"Successful": sent, "Failed": []}

    def _queue(self, url: str, entry: dict[str, Any]) -> None:
        self.messages.append(Message(url.rpartition("/")[2], entry["MessageBody"], int(entry.get("DelaySeconds", 0))))

    def _GenerateDataKey(self, request: dict[str, Any]) -> dict[str, Any]:
        plain = base64.b64encode(bytes(request.get("NumberOfBytes", 32))).decode()
        return {"KeyId": request["KeyId"], "Plaintext": plain, "CiphertextBlob": plain}

    def _Decrypt(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"KeyId": request.get("KeyId", ""), "Plaintext": request["CiphertextBlob"]}

    def _GetSecretValue(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ARN": request["SecretId"], "Name": request["SecretId"], "SecretString": self.secrets}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    services: Services

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, answer = self.services.answer(self.headers["X-Amz-Target"], body)
        except Exception as error:  # said to the client, which does not try it again
            status, answer = 400, json.dumps({"__type": "x#ValidationException", "message": repr(error)}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("x-amz-crc32", str(zlib.crc32(answer)))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """Serve ``services`` on loopback and yield the address."""
    handler = type("Handler", (_Handler,), {"services": services})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sender(endpoint_url: str) -> Callable[[str, bytes], tuple[int, bytes]]:
    """Return what passes a request on to the DynamoDB at ``endpoint_url``, over one connection."""
    address = urlsplit(endpoint_url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_SECONDS)

    def send(operation: str, body: bytes) -> tuple[int, bytes]:
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": _SIGNED,
        }
        connection.request("POST", "/", body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()

    return send
