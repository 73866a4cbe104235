"""What both clients are made of, and how they see HTTP. Needs httpx, the client's only third-party package."""

from __future__ import annotations

import ipaddress
import random
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from payonce.client import errors
from payonce.client.answers import Raw
from payonce.client.attempts import Attempts, Timing
from payonce.client.intents import IntentKey, checked_intent, checked_key, random_key
from payonce.extras import needs

with needs("client"):
    import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.client.backoff import Backoff
    from payonce.client.call import Call
    from payonce.client.intents import IntentKeys

DEFAULT_TIMEOUT_SECONDS = 120.0
DEFAULT_ATTEMPT_TIMEOUT_SECONDS = 35.0  # API Gateway answers within 29 s, whatever happens behind it
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # a page of 100 payments with all their metadata is below 1 MB
DEFAULT_TIMING = Timing(time.monotonic, time.time, random.SystemRandom().random)
# No byte of the request has left when one of these is raised.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_API_KEY = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a client, checked.

    ``own_http``: whether the httpx client is ours. One of the caller's may repeat requests by itself, so that a
    connection that failed at last does not prove that nothing was sent.
    """

    base_url: str
    authorization: str = field(repr=False)
    intents: IntentKeys | None
    timeout_seconds: float | None
    attempt_timeout_seconds: float
    backoff: Backoff
    timing: Timing
    own_http: bool

    def begin(self, call: Call, key: IntentKey, options: Mapping[str, Any]) -> Attempts:
        """Return the attempts of a call. Raises ``Misused``."""
        timeout_seconds = options.get("timeout_seconds", self.timeout_seconds)
        exempt = options.get("not_card_numbers")
        if exempt:
            call = replace(call, headers={**call.headers, "Payonce-Not-Card-Numbers": ", ".join(exempt)})
        return Attempts(
            call,
            timing=self.timing,
            backoff=self.backoff,
            timeout_seconds=_checked_timeout(timeout_seconds),
            attempt_timeout_seconds=self.attempt_timeout_seconds,
            key=key.key,
            intent=options.get("intent"),
            may_be_executed=key.may_be_executed,
        )

    def key_of(self, call: Call, options: Mapping[str, Any]) -> IntentKey:
        """Return the call's key; one of an intent is durably kept. Raises ``Misused`` and what ``begin`` raises."""
        _checked_timeout(options.get("timeout_seconds", self.timeout_seconds))  # before anything is recorded
        intent, key = options.get("intent"), options.get("idempotency_key")
        if intent is not None and key is not None:
            raise errors.Misused("A call has an intent or a key of your own, not both.", operation=call.operation.name)
        if key is not None:
            return IntentKey(checked_key(key), may_be_executed=True)  # by an earlier process: nobody knows here
        if intent is None:
            return IntentKey(random_key())
        if self.intents is None:
            raise errors.Misused(
                "An intent needs a client with intents=Journal(path) or intents=DerivedKeys(namespace): otherwise its"
                " key would be lost with this process.",
                operation=call.operation.name,
            )
        return self.intents.begin(call.operation.name, checked_intent(intent), call.digest)

    def end(self, attempts: Attempts, error: errors.ClientError | None) -> None:
        """Record how a call with an intent has ended. Raises ``JournalUnusable``; the intent then stays open."""
        if self.intents is None or attempts.intent is None:
            return
        name, intent = attempts.call.operation.name, attempts.intent
        if error is None or isinstance(error, errors.Declined | errors.NotExecuted | errors.AlreadyExecuted):
            resource = attempts.resource if error is None else getattr(error, "resource", None)
            self.intents.conclude(name, intent, attempts.key, resource)
        elif isinstance(error, errors.NothingExecuted):
            self.intents.without_effect(name, intent, attempts.key)

    def request(self, attempts: Attempts) -> dict[str, Any]:
        """Return the arguments of httpx's ``stream`` for the next attempt."""
        call = attempts.call
        return {
            "method": call.operation.method,
            "url": self.base_url + call.target,
            "content": call.body,
            "headers": {**attempts.headers(), "Authorization": self.authorization},
            "timeout": attempts.timeout_seconds(),
            "auth": None,  # neither the httpx client's nor a netrc file's
            # A redirect would repeat the request at an address that is not the API's, or turn it into a read.
            "follow_redirects": False,
        }

    def was_sent(self, error: Exception) -> bool:
        """Return whether the request may have arrived."""
        return not (self.own_http and isinstance(error, _NEVER_SENT))

    def is_over(self, began: float, timeout_seconds: float) -> bool:
        """Return whether an answer drips in for longer than its attempt may take: httpx limits each read alone."""
        return self.timing.monotonic() - began > timeout_seconds


def own_client[Http](make: Callable[[], Http]) -> Http:
    """Return an httpx client of ours, which uses the proxies of the environment. Raises ``Misused`` if it can't."""
    try:
        return make()
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        reason = str(error).rstrip(".")
    # Outside of the handler: a package that httpx lacks is httpx's to name, and is none of payonce's extras.
    raise errors.Misused(
        f"httpx can't use the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names: {reason}. Correct or unset the"
        " variable, or pass an httpx client of your own as http=."
    )


class BrokenAnswer(Exception):
    """The answer is too long, or came too slowly."""


def raw_answer(response: httpx.Response, body: bytes) -> Raw:
    """Return the answer."""
    return Raw(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def reason_of(error: Exception) -> str:
    """Return why an attempt had no answer. httpx's own text may hold an address, and no credentials."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def checked_base_url(url: str) -> str:
    """Return the address without a slash at its end.

    Raises ``Misused`` where the API key would be sent in the clear (``http``, other than to this machine), or where the
    address holds credentials, a query or a fragment.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise errors.Misused(f"base_url is no URL: {error}.") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise errors.Misused("base_url is an https:// address.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise errors.Misused("base_url holds an address only: no credentials, query or fragment.")
    if parsed.scheme == "http" and not _is_this_machine(parsed.host):
        raise errors.Misused("base_url must be https://: over http:// anybody on the way could read the API key.")
    return str(url).rstrip("/")


def checked_api_key(api_key: str) -> str:
    """Return the value of Authorization. Raises ``Misused``, without the key in its text."""
    if not isinstance(api_key, str) or not _API_KEY.fullmatch(api_key):
        raise errors.Misused("The API key is visible ASCII characters without spaces; it looks like po_...")
    return f"Bearer {api_key}"


def _checked_timeout(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise errors.Misused("timeout_seconds is a number above 0, or None for ever.")
    return float(seconds)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
