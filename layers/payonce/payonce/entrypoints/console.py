"""Serves the console behind API Gateway: a proxy event becomes a request of the console, and its answer a response."""

from __future__ import annotations

import base64
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from payonce.console.answers import PROTECTION
from payonce.console.cookies import cookies_of
from payonce.console.parts import Parts
from payonce.console.requests import Incoming
from payonce.console.routes import ACTIONS, PAGES, navigation_of
from payonce.console.serving import Console
from payonce.domain.errors import BodyTooLarge, PayonceError
from payonce.entrypoints.api_requests import body_of, headers_of
from payonce.observability import get_logger
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.console.answers import Answer
    from payonce.console.page import Action, Page
    from payonce.wiring.application import Application

type Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]

ROOT = "/console"
# Lambda takes a request of 6 MB, in which a file is written in base64 (AWS Lambda quotas).
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
_PREFIX = re.compile(r"(/[A-Za-z0-9_-]+)*")
_TOO_LARGE = (
    b"<!doctype html><title>Too large</title><p>At most 4 MB can be sent. Go back, and send a smaller file.</p>"
)


def handlers_of(
    application: Application, pages: Sequence[Page] = PAGES, actions: Mapping[str, Sequence[Action]] = ACTIONS
) -> Callable[[str], Handler]:
    """Return a function from a name to a Lambda handler: pages, session_actions, or a family of ``actions``.

    It raises ``KeyError`` for another name, so that a misconfigured function does not start.
    """
    console = Console(Parts(application), pages, navigation_of(pages))

    def named(name: str) -> Handler:
        if name == "pages":
            answer: Callable[[Incoming], Answer] = console.get
        elif name == "session_actions":
            answer = console.post_session
        else:
            answer = partial(console.post, actions=actions[name])
        return partial(serve, application, answer)

    return named


def serve(
    application: Application, answer: Callable[[Incoming], Answer], event: Mapping[str, Any], context: Any
) -> dict[str, Any]:
    """Return the proxy response to ``event``. Raises nothing that a client can cause."""
    try:
        incoming = incoming_of(application, event, context)
    except BodyTooLarge:
        return _plain(413, _TOO_LARGE)
    except PayonceError as error:
        get_logger().info("refused", extra={"error": type(error).__name__})
        return _plain(400, b"<!doctype html><title>Not a request</title><p>The request can't be read.</p>")
    return proxy(answer(incoming))


def incoming_of(application: Application, event: Mapping[str, Any], context: Any) -> Incoming:
    """Return the request of a REST API proxy event. Raises ``BodyTooLarge`` and ``BodyMalformed``."""
    about = event.get("requestContext") or {}
    base, path = _placed(str(about.get("path") or event.get("path") or ""))
    if application.settings.allow_local_endpoints and about.get("apiId"):
        # The local cloud serves every API below one address, which it leaves out of the path.
        base = f"/_aws/execute-api/{about['apiId']}{base}"
    sent = headers_of(event)
    headers = {name: values[-1] for name, values in sent.items() if values}
    query = {name: values[-1] for name, values in (event.get("multiValueQueryStringParameters") or {}).items()}
    return Incoming(
        path=path,
        base=base,
        query=query,
        headers=headers,
        cookies=cookies_of("; ".join(sent.get("cookie", ()))),
        body=body_of(event, max_bytes=MAX_UPLOAD_BYTES),
        address=str((about.get("identity") or {}).get("sourceIp") or ""),
        deadline=Deadline(application.clock.now_ms() + context.get_remaining_time_in_millis()),
        request_id=str(about.get("requestId", "")),
    )


def _placed(path: str) -> tuple[str, str]:
    """Return what precedes every link, such as /production/console, and the path below it."""
    prefix, _, below = path.partition(ROOT)
    base = (prefix if _PREFIX.fullmatch(prefix) else "") + ROOT
    return base, unquote(below.rstrip("/"), errors="replace") or "/"


def proxy(answer: Answer) -> dict[str, Any]:
    """Return the proxy response: every answer with the headers that protect it, and bytes in base64."""
    headers = {name: [value] for name, value in {**PROTECTION, **answer.headers}.items()}
    if answer.cookies:
        headers["Set-Cookie"] = list(answer.cookies)
    coded = "Content-Encoding" in answer.headers
    text = not coded and answer.headers.get("Content-Type", "text/").startswith("text/")
    body = answer.body.decode() if text else base64.b64encode(answer.body).decode()
    return {"statusCode": answer.status, "multiValueHeaders": headers, "body": body, "isBase64Encoded": not text}


def _plain(status: int, body: bytes) -> dict[str, Any]:
    headers = {name: [value] for name, value in PROTECTION.items()}
    return {
        "statusCode": status,
        "multiValueHeaders": {**headers, "Content-Type": ["text/html; charset=utf-8"]},
        "body": body.decode(),
        "isBase64Encoded": False,
    }
