"""Requests of the command to payonce's HTTP API: one call, and a call that repeats itself with the same key.

A single function talks HTTP, so that another client can take its place.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from payonce.cli import local_stack
from payonce.cli.stack import API_VARIABLE
from payonce.domain.errors import MisconfiguredError, OutcomeUnknown, UpstreamUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

KEY_VARIABLE: Final = "PAYONCE_API_KEY"
REQUEST_TIMEOUT_SECONDS: Final = 35  # API Gateway gives up after 29
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 8.0
CONFLICT: Final = 409
REPEATED: Final = frozenset({429, 500, 502, 503, 504})
_MAX_ANSWER_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Api:
    """The API's base URL and a merchant's API key."""

    url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, its headers with names in lower case, and its body as parsed from JSON."""

    status: int
    headers: Mapping[str, str]
    document: Any

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may be sent again with the same key: the API says so itself in its problems."""
        said = self.document.get("retryable") if isinstance(self.document, dict) else None
        return self.status in REPEATED or (self.status == CONFLICT and said is True)


class _NoRedirects(HTTPRedirectHandler):
    """The API never redirects, and a key must not follow to where somebody else says."""

    def redirect_request(self, *_: Any) -> None:
        return None


def call(api: Api, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
    """Return the answer to one request, whatever its status.

    Raises ``UpstreamUnavailable`` if nothing was sent, and ``OutcomeUnknown`` if the answer was lost.
    """
    headers = {"Authorization": f"Bearer {api.api_key}", "Content-Type": "application/json"}
    if key:
        headers["X-Idempotency-Key"] = key
    data = None if body is None else json.dumps(body).encode()
    request = Request(api.url + path, data=data, headers=headers, method=method)  # noqa: S310 - checked in `api_of`
    try:
        with build_opener(_NoRedirects).open(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            return _answer(answer.status, answer.headers, answer.read(_MAX_ANSWER_BYTES))
    except HTTPError as refused:
        with refused:
            return _answer(refused.code, refused.headers, refused.read(_MAX_ANSWER_BYTES))
    except URLError as error:
        raise UpstreamUnavailable(f"{api.url} can't be reached ({error.reason}); nothing was sent.") from error
    except (OSError, http.client.HTTPException) as error:
        raise OutcomeUnknown(f"The answer of {api.url} was lost ({error or type(error).__name__}).") from error


def _answer(status: int, headers: Any, raw: bytes) -> Answer:
    try:
        document = json.loads(raw or b"null")
    except ValueError:
        document = None
    return Answer(status, {name.lower(): value for name, value in headers.items()}, document)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call goes on, and the clock, pauses and chance that it uses."""

    seconds: float
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def pauses(self) -> Callable[[Answer | None], bool]:
        """Return a function that waits before the next try, or returns ``False`` when the time is over.

        The pauses double, with full jitter, and are never shorter than the answer's ``Retry-After``.
        """
        end, pause = self.monotonic() + self.seconds, FIRST_PAUSE_SECONDS

        def wait(answer: Answer | None) -> bool:
            nonlocal pause
            asked = (answer.headers.get("retry-after") or "0") if answer else "0"
            span = max(float(asked) if asked.isdecimal() else 0.0, pause * (0.5 + self.chance() / 2))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            if self.monotonic() + span > end:
                return False
            self.sleep(span)
            return True

        return wait


def call_until_answered(api: Api, method: str, path: str, body: Any, key: str | None, patience: Patience) -> Answer:
    """Return the first answer that another try with the same key would not change, or the last one in time.

    Raises ``UpstreamUnavailable`` if nothing could be sent, and ``OutcomeUnknown`` if every answer was lost.
    """
    wait = patience.pauses()
    while True:
        answer = None
        try:
            answer = call(api, method, path, body, key)
            if not answer.is_retryable or not wait(answer):
                return answer
        except (UpstreamUnavailable, OutcomeUnknown):
            if not wait(None):
                raise


def needs_stack(options: argparse.Namespace) -> bool:
    """Return whether the stack has to be asked: not where both the API and an API key are named."""
    return not (options.api and os.environ.get(KEY_VARIABLE))


def api_of(options: argparse.Namespace, environment: Mapping[str, str]) -> Api:
    """Return the API of the stack, and the API key to use. Raises ``MisconfiguredError`` if one is not known.

    On the local cloud a merchant and a key are made on first use, and kept for the commands that follow.
    """
    url = (getattr(options, "api", None) or environment.get(API_VARIABLE, "")).rstrip("/")
    if not url:
        raise MisconfiguredError(
            "Name the stack with --stack or PAYONCE_STACK, or its API with --api or "
            f"{API_VARIABLE} (the stack's output ApiUrl)."
        )
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise MisconfiguredError(f"{url!r} is no address of an API, such as https://pay.example.com.")
    api_key = environment.get(KEY_VARIABLE) or _local_key(options, environment, url)
    if not api_key:
        raise MisconfiguredError(f"Set {KEY_VARIABLE} to an API key: `payonce merchants create NAME` makes one.")
    return Api(url, api_key)


def _local_key(options: argparse.Namespace, environment: Mapping[str, str], url: str) -> str:
    folder = local_stack.folder_of(environment)
    if options.stack != local_stack.STACK or folder is None:
        return ""
    if kept := local_stack.kept_api_key(folder, url):
        return kept
    from payonce.wiring.application import Application
    from payonce.wiring.settings import load_settings

    merchants = Application(load_settings(environment)).merchants
    _, made = merchants.create_api_key(merchants.create_merchant("The command's shop"))
    local_stack.keep_api_key(folder, url, made)
    return made


def add_api_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--api``, for an API whose stack is not at hand."""
    parser.add_argument("--api", metavar="URL", help=f"the API's base URL (default: the stack's, or ${API_VARIABLE})")
