"""How the command reaches payonce's HTTP API: which one, with which key, by the package's own client.

``payonce.client`` retries and says what is certain. The doctor alone talks HTTP by itself, because it has to work where
no package is installed.
"""

from __future__ import annotations

import http.client
import logging
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from payonce.cli import local_stack
from payonce.cli.stack import API_VARIABLE
from payonce.domain.errors import MisconfiguredError, UpstreamUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from payonce.client import Client
    from payonce.client.intents import IntentKeys

KEY_VARIABLE: Final = "PAYONCE_API_KEY"
REQUEST_TIMEOUT_SECONDS: Final = 35  # API Gateway gives up after 29
LEAST_PATIENCE_SECONDS: Final = 1.0  # an attempt that is cut off sooner would only turn "not sent" into "unknown"


@dataclass(frozen=True, slots=True)
class Api:
    """The API's base URL and a merchant's API key."""

    url: str
    api_key: str


@contextmanager
def client_of(api: Api, patience_seconds: float, keys: IntentKeys | None = None) -> Iterator[Client]:
    """Yield a client that goes on for ``patience_seconds`` with each call, and tells each repetition on standard error.

    Raises ``Misused`` where the API key would be sent in the clear, and ``PackageMissing`` without the extra.
    """
    from payonce.client import Client

    log, told = logging.getLogger("payonce.client"), logging.StreamHandler(sys.stderr)
    before, log.propagate = (log.level, log.propagate), False
    log.setLevel(logging.INFO)
    log.addHandler(told)
    timeout_seconds = max(patience_seconds, LEAST_PATIENCE_SECONDS)
    try:
        with Client(api.url, api.api_key, intents=keys, timeout_seconds=timeout_seconds) as client:
            yield client
    finally:
        log.removeHandler(told)
        log.setLevel(before[0])
        log.propagate = before[1]


class _NoRedirects(HTTPRedirectHandler):
    """The API never redirects, and a key must not follow to where somebody else says."""

    def redirect_request(self, *_: Any) -> None:
        return None


def status_of(api: Api, path: str) -> int:
    """Return the status of one read, with Python's own packages alone.

    Raises ``UpstreamUnavailable`` if there is no answer.
    """
    headers = {"Authorization": f"Bearer {api.api_key}"}
    request = Request(api.url + path, headers=headers)  # noqa: S310 - the stack's own URL, and `api_of` checks others
    try:
        with build_opener(_NoRedirects).open(request, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise UpstreamUnavailable(f"{api.url} gives no answer ({reason or type(error).__name__}).") from error


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
            f"Name the stack with --stack or PAYONCE_STACK ({local_stack.STACK} is that of `payonce up`), or its API "
            f"with --api or {API_VARIABLE} (the stack's output ApiUrl)."
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
