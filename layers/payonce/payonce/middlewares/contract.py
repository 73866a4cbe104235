"""What a middleware promises its clients: which requests are keyed, which answers conclude a key, and the limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.clock import SystemClock
from payonce.idempotency.attempt import check_resolve
from payonce.idempotency.keys import DEFAULT_WAIT_SECONDS, IETF_KEY_HEADER, KEY_HEADER, MAX_WAIT_SECONDS
from payonce.idempotency.nested import check_releases_on
from payonce.idempotency.operation import MAX_TIMEOUT_SECONDS, OPERATION, never_known
from payonce.idempotency.window import IdempotencySettings
from payonce.proxy.headers import normal_path
from payonce.proxy.patterns import MAX_ANSWER_BYTES, MAX_INLINE_BYTES, MAX_REQUEST_BYTES, UNSAFE_METHODS, path_regex

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from payonce.idempotency.attempt import Attempt, Verdict
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.ports import Blobs, Clock

_STATUSES = re.compile(r"[1-5](?:xx|[0-9][0-9])")
KEY_HEADERS = (KEY_HEADER, IETF_KEY_HEADER)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The settings of a middleware. They mean the same in all of them.

    ``store``: see docs/in-process.md. ``timeout_seconds``: the longest that a request may take, including everything
    that it starts; after a crash its key is blocked for as long. ``operation``: a stable name, part of the stored key:
    renaming it forgets all keys. ``routes``: ``"METHOD /path/{parameter}"``, where ``*`` is every unsafe method and
    ``{rest+}`` the rest of a path; () is every path. ``required``: refuse a request of these routes without a key,
    which is otherwise passed on as it is. ``keep`` and ``release``: the statuses that conclude a key, and those by
    which the application says that it did nothing; any other leaves the key in doubt, and the more specific match
    counts. ``resolve`` and ``releases_on``: see ``idempotent_operation``; a ``WasExecuted`` has an ``Answer``,
    and ``resolve`` is no coroutine function, under ASGI either.
    ``max_inline_bytes`` of an answer's body fit into its record, and up to ``max_bytes`` into ``blobs``.
    ``max_in_flight``: keyed requests that one process works on or lets wait; more are refused before any claim.
    ``documentation_url``: the page of problem types that problems link to.

    Raises ``ValueError`` for a setting out of range, ``MisconfiguredError`` for one of ``settings``.
    """

    store: IdempotencyStore
    timeout_seconds: float
    operation: str = "http"
    routes: Sequence[str] = ()
    required: bool = False
    keep: Sequence[str] = ("2xx", "3xx", "4xx")
    release: Sequence[str] = ("429",)
    resolve: Callable[[Attempt], Verdict] = never_known
    releases_on: tuple[type[Exception], ...] = ()
    wait_seconds: int = DEFAULT_WAIT_SECONDS
    max_wait_seconds: int = MAX_WAIT_SECONDS
    max_request_bytes: int = 1024 * 1024
    max_inline_bytes: int = 64 * 1024
    max_bytes: int = 4 * 1024 * 1024
    blobs: Blobs | None = None
    max_in_flight: int = 256
    documentation_url: str = ""
    settings: IdempotencySettings = field(default_factory=IdempotencySettings)
    clock: Clock = field(default_factory=SystemClock)
    _patterns: tuple[tuple[str, re.Pattern[str]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_patterns", tuple(map(_pattern, self.routes)))
        check_releases_on(self.releases_on)
        check_resolve(self.resolve)
        if not OPERATION.fullmatch(self.operation):
            raise ValueError("operation is a stable name of 1 to 100 letters, digits, '_', '.' and '-'.")
        _check_range("timeout_seconds", self.timeout_seconds, 0.1, MAX_TIMEOUT_SECONDS)
        _check_range("wait_seconds", self.wait_seconds, 0, self.max_wait_seconds)
        _check_range("max_request_bytes", self.max_request_bytes, 0, MAX_REQUEST_BYTES)
        _check_range("max_inline_bytes", self.max_inline_bytes, 1024, MAX_INLINE_BYTES)
        _check_range("max_bytes", self.max_bytes, self.max_inline_bytes, MAX_ANSWER_BYTES)
        _check_range("max_in_flight", self.max_in_flight, 1, 100_000)
        for statuses in (*self.keep, *self.release):
            if not _STATUSES.fullmatch(statuses):
                raise ValueError(f"{statuses!r} is no status: write 404 or 4xx.")
        if set(self.keep) & set(self.release):
            raise ValueError("A status is in keep and in release; one of them is meant.")
        if not any(statuses.startswith("2") for statuses in self.keep):
            raise ValueError("keep must hold 2xx or one of its statuses: what is done has to be replayed.")

    @property
    def largest_answer_bytes(self) -> int:
        """Return the size up to which an answer can be replayed, in bytes."""
        return self.max_inline_bytes if self.blobs is None else self.max_bytes

    def takes(self, method: str, path: str, headers: Container[str]) -> bool:
        """Return whether a request is keyed. ``headers`` are the lower-case names of its headers."""
        if method not in UNSAFE_METHODS:
            return False
        if not self.required and not any(name in headers for name in KEY_HEADERS):
            return False
        normal = normal_path(path)
        return not self._patterns or any(
            methods in {"*", method} and pattern.fullmatch(normal) for methods, pattern in self._patterns
        )


def _pattern(route: str) -> tuple[str, re.Pattern[str]]:
    method, _, path = route.partition(" ")
    if method not in {"*", *UNSAFE_METHODS} or not path.startswith("/"):
        raise ValueError(f"{route!r} is no route: write 'POST /orders/{{order_id}}', or '*' for every unsafe method.")
    return method, path_regex(path)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is from {least} to {most}.")
