"""The configuration of proxy function and sidecar: which routes lead where, and what is kept of their answers.

docs/proxy.md is its reference. Every model is strict: an unknown member is an error, not a setting without effect.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from payonce.extras import needs
from payonce.idempotency.keys import DEFAULT_WAIT_SECONDS, IETF_KEY_HEADER, KEY_HEADER, MAX_WAIT_SECONDS
from payonce.idempotency.window import DEFAULT_GUARD_SECONDS, MAX_WINDOW_SECONDS, MIN_WINDOW_SECONDS
from payonce.proxy.config_process import (
    HeaderName,
    HeaderPattern,
    Method,
    Name,
    Overflow,
    Server,
    Statuses,
    Store,
    Strict,
)
from payonce.proxy.patterns import (
    MAX_ANSWER_BYTES,
    MAX_INLINE_BYTES,
    MAX_REQUEST_BYTES,
    SAFE_METHODS,
    UNSAFE_METHODS,
    path_regex,
)

with needs("sidecar"):
    from pydantic import Field, model_validator

MAX_TIMEOUT_SECONDS = 300  # a lease is longer than the timeout, and blocks a key's next owner that long
MAX_KEPT_BODY_BYTES = 64 * 1024  # a kept request body is stored in the claim, beside everything else
MAX_KEEP_ALIVE_SECONDS = 60  # servers close a connection after 2 to 75 s; ours must be over before
CLAIM_HEADROOM_SECONDS = 4  # in addition to the upstream's time: to claim before it and record after it


class Upstream(Strict):
    """A server to which requests are forwarded. ``url`` is its base: scheme, host, port, and a path prefix.

    ``headers`` are set on every request, replacing the client's. A value ``env:NAME`` is read from the environment:
    credentials do not belong in a file.
    """

    url: str
    preserve_host: bool = False
    trust_forwarded: bool = False
    unframed_answers: bool = False
    ca_file: str | None = None
    keep_alive_seconds: float = Field(default=1, ge=0, le=MAX_KEEP_ALIVE_SECONDS)
    headers: dict[HeaderName, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("url must be http:// or https:// with a host, such as http://127.0.0.1:9000")
        if parts.query or parts.fragment or parts.username or parts.password is not None:
            raise ValueError("url must have no query, no fragment and no user name")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("url has a port that is no number from 0 to 65535") from None
        return self


class Scope(Strict):
    """The tenant that owns a key, from exactly one source. A request without it is refused: it never shares a scope."""

    header: HeaderName | None = None
    claim: str | None = Field(default=None, min_length=1)
    fixed: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,64}$")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(source is not None for source in (self.header, self.claim, self.fixed)) != 1:
            raise ValueError("name one source: header, claim or fixed")
        return self


class Responses(Strict):
    """How the upstream's answers are treated.

    ``store``: the answer becomes the key's answer. ``release``: the upstream did nothing, so the claim is released and
    the answer passed on. Any other status is an unknown outcome. The more specific match counts: 429 before 4xx.
    """

    store: tuple[Statuses, ...] = ("2xx", "3xx", "4xx")
    release: tuple[Statuses, ...] = ("429",)
    headers: tuple[HeaderPattern, ...] = ("*",)
    max_inline_bytes: int = Field(default=64 * 1024, ge=1024, le=MAX_INLINE_BYTES)
    max_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=MAX_ANSWER_BYTES)

    @model_validator(mode="after")
    def _check(self) -> Self:
        both = set(self.store) & set(self.release)
        if both:
            raise ValueError(f"{', '.join(sorted(both))} is in store and in release; one of them is meant")
        if not any(statuses.startswith("2") for statuses in self.store):
            raise ValueError("store must hold 2xx or one of its statuses: what is done has to be replayed")
        return self


class Park(Strict):
    """The outcome stays unknown until an operator releases the key, or until the guard is over."""

    policy: Literal["park"] = "park"
    status: Literal[202, 409] = 409


class Ask(Strict):
    """The upstream has a status URL that tells the outcome of a request.

    ``url`` is a path below the upstream, with ``{downstream_key}``. ``found`` and ``not_found`` are statuses of its
    answer. With ``state_member``, an answer counts only once that member of its JSON has one of ``final_states``.
    ``authoritative_after_seconds``: how long after a request "not found" means that it was not and never will be
    executed; without it, "not found" never means that.
    """

    policy: Literal["ask"]
    status: Literal[202, 409] = 409
    url: str = Field(pattern=r"^/[!-~]*$")
    found: tuple[Statuses, ...] = ("200",)
    not_found: tuple[Statuses, ...] = ("404",)
    state_member: str | None = None
    final_states: tuple[str, ...] = ()
    answer_status: int = Field(default=200, ge=200, le=499)
    authoritative_after_seconds: int | None = Field(default=None, ge=0)
    timeout_seconds: float = Field(default=4, gt=0, le=60)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "{downstream_key}" not in self.url:
            raise ValueError("url must hold {downstream_key}: nothing else names the request at the upstream")
        if (self.state_member is None) != (not self.final_states):
            raise ValueError("state_member and final_states belong together")
        return self


class Resubmit(Strict):
    """The upstream honours the downstream key for ``honours_seconds``: a resend gets the first answer."""

    policy: Literal["resubmit"]
    status: Literal[202, 409] = 409
    honours_seconds: int = Field(gt=0)


class KeptRequest(Strict):
    """The request is stored in the claim, so that recovery can send it without the client. The store protects it.

    A body over ``max_bytes`` is not stored; its claim then waits for the client's own retry.
    """

    max_bytes: int = Field(default=16 * 1024, ge=0, le=MAX_KEPT_BODY_BYTES)
    headers: tuple[HeaderName, ...] = ("content-type", "accept")


class Route(Strict):
    """One kind of request. ``name`` is part of the stored key: renaming a route forgets its keys."""

    name: Name
    path: str = Field(pattern=r"^/[!-~]*$")
    methods: tuple[Method, ...] = ("POST",)
    pass_methods: tuple[Method, ...] = SAFE_METHODS
    upstream: Name
    scope: Scope
    key_headers: tuple[HeaderName, ...] = Field(default=(KEY_HEADER, IETF_KEY_HEADER), min_length=1)
    downstream_key_header: HeaderName = "Idempotency-Key"
    pass_client_key: bool = False
    window_seconds: int = Field(default=MIN_WINDOW_SECONDS, ge=MIN_WINDOW_SECONDS, le=MAX_WINDOW_SECONDS)
    guard_seconds: int = Field(default=DEFAULT_GUARD_SECONDS, ge=MIN_WINDOW_SECONDS)
    wait_seconds: int = Field(default=DEFAULT_WAIT_SECONDS, ge=0)
    max_wait_seconds: int = Field(default=MAX_WAIT_SECONDS, ge=0, le=MAX_TIMEOUT_SECONDS)
    timeout_seconds: float = Field(default=10, gt=0, le=MAX_TIMEOUT_SECONDS)
    max_request_bytes: int = Field(default=1024 * 1024, ge=0, le=MAX_REQUEST_BYTES)
    responses: Responses = Responses()
    unknown: Annotated[Park | Ask | Resubmit, Field(discriminator="policy")] = Park()
    keep_request: KeptRequest | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        safe = set(self.methods) - UNSAFE_METHODS
        if safe:
            raise ValueError(f"methods holds {', '.join(sorted(safe))}; keyed are {', '.join(sorted(UNSAFE_METHODS))}")
        if set(self.methods) & set(self.pass_methods):
            raise ValueError("a method is in methods and in pass_methods; one of them is meant")
        if self.guard_seconds < self.window_seconds:
            raise ValueError("guard_seconds is shorter than window_seconds: a late retry would be a second execution")
        if self.wait_seconds > self.max_wait_seconds:
            raise ValueError("wait_seconds is more than max_wait_seconds")
        if self.keep_request is not None and isinstance(self.unknown, Park):
            raise ValueError("keep_request needs the policy ask or resubmit: what is parked is never sent again")
        path_regex(self.path)
        return self

    def headers_read(self) -> tuple[str, ...]:
        """Return the headers that name the tenant and the key, for us or for the upstream."""
        scope = () if self.scope.header is None else (self.scope.header,)
        return (*scope, *self.key_headers, self.downstream_key_header)


class ProxyConfig(Strict):
    """The whole configuration."""

    upstreams: dict[Name, Upstream] = Field(min_length=1)
    routes: tuple[Route, ...] = Field(min_length=1)
    store: Store | None = None
    overflow: Overflow | None = None
    server: Server = Server()

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [route.name for route in self.routes]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ValueError(f"routes: the name {sorted(repeated)[0]!r} is given twice; keys of both would mix")
        for index, route in enumerate(self.routes):
            if route.upstream not in self.upstreams:
                raise ValueError(f"routes.{index}.upstream: there is no upstream {route.upstream!r}")
            if self.overflow is None and route.responses.max_bytes > route.responses.max_inline_bytes:
                self._check_no_overflow(index, route)
        return self

    def _check_no_overflow(self, index: int, route: Route) -> None:
        # The default asks for more than a record holds only where there is an overflow store.
        if "max_bytes" in route.responses.model_fields_set:
            raise ValueError(
                f"routes.{index}.responses.max_bytes: more than max_inline_bytes needs [overflow] to put it in"
            )

    def largest_answer_bytes(self, route: Route) -> int:
        """Return the size up to which an answer can be replayed, in bytes."""
        responses = route.responses
        return responses.max_bytes if self.overflow else responses.max_inline_bytes

    def find(self, method: str, path: str) -> tuple[Route | None, bool]:
        """Return the first route for ``method`` on ``path``, and whether any route has that path."""
        on_path = [route for route in self.routes if path_regex(route.path).fullmatch(path)]
        for route in on_path:
            if method in route.methods or method in route.pass_methods:
                return route, True
        return None, bool(on_path)
