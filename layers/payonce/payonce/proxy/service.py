"""The proxy: finds a request's route, executes the request once per key, and recovers open claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    PayonceError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from payonce.domain.exchange import Answered, NotSent, Oversized
from payonce.idempotency.claim_recovery import RUN_INTERVAL_MS, Sweep, carried_on_by
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.keys import parse_key, parse_wait_seconds, record_id
from payonce.idempotency.records import KeyedRequest
from payonce.idempotency.window import IdempotencySettings
from payonce.observability import get_logger
from payonce.ports import Deadline
from payonce.proxy import answers
from payonce.proxy.config import CLAIM_HEADROOM_SECONDS, Ask
from payonce.proxy.forward import ForwardWork
from payonce.proxy.headers import answer_lines, check_connection, check_request, normal_path, upstream_lines
from payonce.proxy.identity import fingerprint_of, operation_of, scope_of
from payonce.proxy.messages import ProxyResponse
from payonce.proxy.overflow import Keeper, Limits
from payonce.proxy.patterns import MAX_ANSWER_BYTES, MAX_INLINE_BYTES, SAFE_METHODS
from payonce.proxy.plan import PROXY, ForwardPlan, Lane, plan_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.idempotency.claim_recovery import RecoveryReport
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Blobs, Clock, IdSource, UpstreamTransport
    from payonce.proxy.config import ProxyConfig, Route
    from payonce.proxy.messages import ProxyRequest

LARGE_BODY_BYTES = 64 * 1024  # its meaning is computed in about a millisecond; that of a megabyte of JSON in 20


class ProxyService:
    """Serves requests. Blocking and thread-safe.

    ``transports`` are by upstream. ``blobs`` stores answers too large for a record; ``None`` if there is no such store.
    ``documentation_url`` is the page of problem types to which the service's own problems link, "" for none.
    ``elsewhere`` runs what takes long to compute, for a caller whose thread others need.
    """

    def __init__(
        self,
        config: ProxyConfig,
        *,
        store: IdempotencyStore,
        transports: Mapping[str, UpstreamTransport],
        clock: Clock,
        ids: IdSource,
        sleep: Callable[[float], None],
        blobs: Blobs | None = None,
        documentation_url: str = "",
        elsewhere: Callable[[Callable[[], str]], str] = lambda work: work(),
    ) -> None:
        self.config = config
        self._elsewhere = elsewhere
        self._store = store
        self._documentation_url = documentation_url
        self._clock = clock
        self._ids = ids
        self._lanes: dict[str, Lane] = {}
        self._engines: dict[str, IdempotencyEngine] = {}
        for route in config.routes:
            total_bytes = config.largest_answer_bytes(route)
            self._lanes[route.name] = Lane(
                route=route,
                upstream=config.upstreams[route.upstream],
                transport=transports[route.upstream],
                keeper=Keeper(Limits(route.responses.max_inline_bytes, total_bytes), blobs),
                max_answer_bytes=total_bytes,
                clock=clock,
            )
            self._engines[route.name] = IdempotencyEngine(
                store=store,
                settings=IdempotencySettings(route.window_seconds, route.guard_seconds),
                clock=clock,
                sleep=sleep,
                max_response_bytes=MAX_INLINE_BYTES,
            )

    def handle(self, request: ProxyRequest, deadline: Deadline | None = None) -> ProxyResponse:
        """Return the response. Never raises: an unforeseen error is logged and becomes a 500.

        ``deadline`` is the process's own hard end; without it the route's times are added up.
        """
        name, keyed = "", False
        try:
            if not request.is_checked:
                check_request(request.method, request.target, request.lines)
            route = self._route(request)
            name, keyed = route.name, request.method in route.methods
            check_connection(request.lines, route.headers_read())
            if len(request.body) > route.max_request_bytes:
                raise BodyTooLarge(f"The body is over the {route.max_request_bytes} bytes that this route takes.")
            return self._keyed(route, request, deadline) if keyed else self._passed(route, request, deadline)
        except UpstreamRefused as refused:
            return self._refused(refused, name)
        except PayonceError as error:
            get_logger().info("refused", extra={"route": name, "error": type(error).__name__})
            return answers.problem(error, keyed=keyed, route=name, documentation_url=self._documentation_url)
        except Exception:
            get_logger().exception("unforeseen error", extra={"route": name})
            return answers.internal_error(name, documentation_url=self._documentation_url)

    def body_limit(self, method: str, target: str) -> int:
        """Return the limit of the body in bytes: 0 where no route matches, which then answers by itself."""
        route, _ = self.config.find(method, normal_path(target))
        return route.max_request_bytes if route else 0

    def ready(self) -> None:
        """Return if the store accepts claims. Raises the store's error otherwise."""
        self._store.check()

    def recover_all(
        self, report_error: Callable[[str, Exception], None], deadline: Deadline | None = None
    ) -> RecoveryReport:
        """Finish every open claim of this proxy, until done or until ``deadline`` (by default a minute)."""
        longest_ms = max(self._budget_ms(lane.route) for lane in self._lanes.values())
        sweep = Sweep(
            store=self._store,
            clock=self._clock,
            recover=self.recover,
            report_error=report_error,
            timeout_per_claim_ms=longest_ms,
        )
        return sweep.run(deadline or Deadline(self._clock.now_ms() + longest_ms + RUN_INTERVAL_MS))

    def recover(self, open_id: str, deadline: Deadline) -> bool | None:
        """Finish one open claim. ``None`` when it is not this proxy's, or when none of its routes matches it."""
        record = self._store.get(open_id)
        if record is None or carried_on_by(record) != PROXY:
            return None
        lane = self._lanes.get(ForwardPlan.from_data(record.plan).route)
        if lane is None:
            return None

        def work_for(taken: IdempotencyRecord) -> ForwardWork:
            return ForwardWork(lane, ForwardPlan.from_data(taken.plan), None)

        return self._engines[lane.route.name].recover(
            open_id, work_for, deadline, concerns=lambda observed: carried_on_by(observed) == PROXY
        )

    def _route(self, request: ProxyRequest) -> Route:
        route, known = self.config.find(request.method, normal_path(request.target))
        if route is not None:
            return route
        if known:
            raise MethodNotAllowed("The route of this path is not configured for this method.")
        raise NotFound("There is no route with this path.")

    def _keyed(self, route: Route, request: ProxyRequest, hard: Deadline | None) -> ProxyResponse:
        headers = request.headers()
        scope = scope_of(route.scope, request)
        key = parse_key(headers, tuple(name.lower() for name in route.key_headers))
        wait_seconds = parse_wait_seconds(
            headers, default_seconds=route.wait_seconds, max_seconds=route.max_wait_seconds
        )
        lane = self._lanes[route.name]
        own = Deadline(self._clock.now_ms() + self._budget_ms(route) + wait_seconds * 1000)
        keyed_request = KeyedRequest(
            scope=scope,
            operation=operation_of(route),
            key=key,
            fingerprint=self._fingerprint(request, route),
            deadline=own if hard is None else own.earlier(hard.at_ms),
            wait_seconds=wait_seconds,
        )
        work = ForwardWork(lane, plan_forward(lane, request, self._ids.new("fwd")), request)
        outcome = self._engines[route.name].execute(keyed_request, work)
        response = lane.keeper.open(outcome.response)
        answer = answers.keyed(outcome, response, route=route.name)
        if answer.outcome == "unknown":
            # What an operator needs to find the claim. It contains no key, and no scope in clear but a merchant's id.
            stored_id = record_id(scope, keyed_request.operation, key)
            get_logger().warning("outcome unknown", extra={"route": route.name, "record_id": stored_id})
        return answer

    def _fingerprint(self, request: ProxyRequest, route: Route) -> str:
        if len(request.body) <= LARGE_BODY_BYTES:
            return fingerprint_of(request, route)
        return self._elsewhere(lambda: fingerprint_of(request, route))

    def _budget_ms(self, route: Route) -> int:
        """Return the time for one execution: send, perhaps resend or ask, and the headroom to claim and record."""
        extra = route.unknown.timeout_seconds if isinstance(route.unknown, Ask) else 0
        return int((route.timeout_seconds + extra + CLAIM_HEADROOM_SECONDS) * 1000)

    def _passed(self, route: Route, request: ProxyRequest, hard: Deadline | None) -> ProxyResponse:
        """Pass on a request whose route takes no key, once and unchanged."""
        lane = self._lanes[route.name]
        deadline = Deadline(self._clock.now_ms() + int(route.timeout_seconds * 1000))
        outcome = lane.transport.forward(
            request.method,
            lane.url(request.target),
            lines=(
                *upstream_lines(
                    request,
                    host=lane.host,
                    preserve_host=lane.upstream.preserve_host,
                    trust_forwarded=lane.upstream.trust_forwarded,
                    without=frozenset(map(str.lower, lane.upstream.headers)),
                ),
                *lane.upstream.headers.items(),
            ),
            body=request.body if request.body or request.method not in SAFE_METHODS else None,
            deadline=deadline if hard is None else deadline.earlier(hard.at_ms),
            max_answer_bytes=MAX_ANSWER_BYTES,
            unframed=lane.upstream.unframed_answers,
        )
        if isinstance(outcome, Answered):
            keep_length = request.method == "HEAD" or outcome.status == 304
            lines = answer_lines(outcome.lines, ("*",), keep_length=keep_length)
            return ProxyResponse(outcome.status, lines, outcome.body, route.name, "passed")
        if isinstance(outcome, Oversized):
            raise UpstreamUnavailable(f"The upstream's answer is over {MAX_ANSWER_BYTES} bytes.")
        if isinstance(outcome, NotSent) or request.method in SAFE_METHODS:
            raise UpstreamUnavailable(f"The upstream gave no answer ({outcome.reason}).")
        raise OutcomeUnknown("The upstream's answer was lost, and this method is passed on without a key.")

    def _refused(self, refused: UpstreamRefused, route: str) -> ProxyResponse:
        answer = refused.answer
        lines = (*answer_lines(answer.lines, ("*",)), ("Idempotency-Replayed", "false"))
        return ProxyResponse(answer.status, lines, answer.body, route, "released")
