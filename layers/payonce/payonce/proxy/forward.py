"""Forwarding as the engine's ``Work``: once per key, where an upstream's silence is an unknown outcome.

::

    start   SEND ─ answered ─ store ───────────────────────────▶ Completed
              │        ├───── release ─────────────────────────▶ Released, the answer is passed on
              │        └───── neither ─┐
              ├─ never sent ───────────┼───────────────────────▶ Released (503)
              └─ lost ─────────────────┴─ the route's policy ──▶ Completed, or InDoubt
    resume  (somebody may have sent before)
              park ────────────────────────────────────────────▶ InDoubt, until an operator releases the key
              ask ─ found ─────────────────────────────────────▶ Completed
                └── not found, and that is final ── SEND anew, or Released without a request to send
              resubmit ─ SEND the same downstream key, as long as the upstream honours it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import UpstreamRefused, UpstreamUnavailable
from payonce.domain.exchange import Answered, Lost, NotSent, Oversized
from payonce.idempotency.records import Completed, Draft, InDoubt, Plan, Released, StoredResponse
from payonce.proxy.answers import in_doubt, too_large
from payonce.proxy.ask import Found, Missing, ask
from payonce.proxy.config import Ask, Resubmit
from payonce.proxy.headers import answer_lines, upstream_lines
from payonce.proxy.patterns import status_in
from payonce.proxy.plan import PROXY, ForwardPlan, Lane, kept_request

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.proxy.messages import ProxyRequest

COMMIT_RESERVE_MS = 2_000  # kept free at the end of a claim's time, to record the outcome
MIN_SEND_MS = 100  # with less time left, it is better not to send at all
FIRST_INQUIRY_DELAY_MS = 5_000
# Statuses that may concern a copy and not the request: the first one may be in progress, or may have been accepted.
OF_A_COPY = frozenset({401, 403, 407, 408, 409, 425, 429})
# Statuses that may be due to sending without the client, and so without the client's credentials.
OF_THE_SENDER = frozenset({401, 403, 407})
MAX_INQUIRY_DELAY_MS = 15 * 60_000


class ForwardWork:
    """One request to one upstream. ``request`` is the client's, or ``None`` when only its claim is left."""

    def __init__(self, lane: Lane, plan: ForwardPlan, request: ProxyRequest | None) -> None:
        self._lane = lane
        self._plan = plan
        self._request = request or kept_request(plan)
        self._client_is_there = request is not None
        self._started = False

    def plan(self) -> Plan:
        """See ``Work``."""
        lane = f"{PROXY}:{self._lane.route.upstream}"
        return Plan(claim_id=self._plan.downstream_key, resource="", data=self._plan.to_data(), lane=lane)

    def largest_response(self) -> StoredResponse:
        """See ``Work``. A larger response is stored elsewhere or replaced by a short one."""
        return StoredResponse(200, {}, bytes(self._lane.route.responses.max_inline_bytes))

    def adopt(self, record: IdempotencyRecord) -> ForwardWork:
        """See ``Work``. The fingerprint is equal, so this request's body equals the first one's."""
        request = self._request if self._client_is_there else None
        return ForwardWork(self._lane, ForwardPlan.from_data(record.plan), request)

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``. Sends once. When started a second time, its claim was released meanwhile: it sends nothing."""
        if self._started:
            return self._doubted(claim, submitted=True)
        self._started = True
        outcome = self._send(claim)
        concluded = self._concluded(outcome, claim, only_sender=True)
        if concluded is not None:
            return concluded
        policy = self._lane.route.unknown
        if isinstance(policy, Ask):
            # "Not found" proves nothing yet: the request may still arrive.
            found = ask(self._lane, policy, self._plan.downstream_key, claim)
            if isinstance(found, Found):
                return self._completed(found.status, found.lines, found.body, claim)
        if isinstance(policy, Resubmit) and self._still_honoured(policy, claim):
            again = self._concluded(self._send(claim), claim, only_sender=False)
            if again is not None:
                return again
        return self._doubted(claim, submitted=True)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Follows the route's policy, and never sends on a guess."""
        policy = self._lane.route.unknown
        if isinstance(policy, Ask):
            return self._resume_asking(policy, claim)
        if isinstance(policy, Resubmit) and self._request is not None and self._still_honoured(policy, claim):
            concluded = self._concluded(self._send(claim), claim, only_sender=False)
            return concluded or self._doubted(claim, submitted=True)
        return self._doubted(claim, submitted=False)

    def _resume_asking(self, policy: Ask, claim: Claim) -> Conclusion:
        found = ask(self._lane, policy, self._plan.downstream_key, claim)
        if isinstance(found, Found):
            return self._completed(found.status, found.lines, found.body, claim)
        final_after = policy.authoritative_after_seconds
        final = (
            isinstance(found, Missing)
            and final_after is not None
            and self._lane.clock.now_ms() > claim.record.submit_horizon_ms + final_after * 1000
        )
        if not final:
            return self._doubted(claim, submitted=False)
        if self._request is None:
            return Released(UpstreamUnavailable("The upstream never executed the request. Retry with the same key."))
        concluded = self._concluded(self._send(claim), claim, only_sender=True)
        return concluded or self._doubted(claim, submitted=True)

    def _still_honoured(self, policy: Resubmit, claim: Claim) -> bool:
        age_ms = self._lane.clock.now_ms() - claim.record.created_at_ms
        return age_ms + self._lane.route.timeout_seconds * 1000 < policy.honours_seconds * 1000

    def _send(self, claim: Claim) -> Exchange | Oversized:
        lane, request = self._lane, self._request
        now_ms = lane.clock.now_ms()
        deadline = claim.deadline.earlier(claim.deadline.at_ms - COMMIT_RESERVE_MS).earlier(
            now_ms + int(lane.route.timeout_seconds * 1000)
        )
        if request is None or deadline.at_ms - now_ms < MIN_SEND_MS:
            return NotSent("too little time was left to wait for an answer")
        return lane.transport.forward(
            self._plan.method,
            lane.url(self._plan.target),
            lines=self._lines(request),
            body=request.body,
            deadline=deadline,
            max_answer_bytes=lane.max_answer_bytes,
            unframed=lane.upstream.unframed_answers,
        )

    def _lines(self, request: ProxyRequest) -> tuple[tuple[str, str], ...]:
        return (
            *upstream_lines(
                request,
                host=self._lane.host,
                preserve_host=self._lane.upstream.preserve_host,
                trust_forwarded=self._lane.upstream.trust_forwarded,
                without=self._lane.remade,
            ),
            # A retry may accept other codings than the first request did, but gets the same bytes.
            ("Accept-Encoding", "identity"),
            *self._lane.upstream.headers.items(),
            (self._lane.route.downstream_key_header, self._plan.downstream_key),
        )

    def _concluded(
        self, outcome: Exchange | Oversized, claim: Claim, *, only_sender: bool
    ) -> Completed | Released | None:
        """Return the conclusion of an outcome, or ``None`` when it leaves the effect in doubt.

        ``only_sender``: nobody else can have sent the request, so "did nothing" is about the request and not just about
        one of its copies.
        """
        match outcome:
            case NotSent(reason) if only_sender:
                return Released(
                    UpstreamUnavailable(f"The upstream took no request ({reason}). Nothing was executed; retry.")
                )
            case NotSent() | Lost():
                return None
        if not only_sender and outcome.status in OF_A_COPY:
            return None
        if not self._client_is_there and outcome.status in OF_THE_SENDER:
            return None
        responses = self._lane.route.responses
        stored, released = (status_in(outcome.status, statuses) for statuses in (responses.store, responses.release))
        if stored > released:
            body = outcome.body if isinstance(outcome, Answered) else None
            return self._completed(outcome.status, outcome.lines, body, claim)
        if released and only_sender:
            answer = outcome if isinstance(outcome, Answered) else Answered(outcome.status, {}, b"")
            return Released(UpstreamRefused("The upstream did nothing.", answer=answer))
        return None

    def _completed(
        self, status: int, lines: tuple[tuple[str, str], ...], body: bytes | None, claim: Claim
    ) -> Completed:
        allowed = answer_lines(lines, self._lane.route.responses.headers)
        owner = f"{claim.record.claim_id}-{claim.record.fence}"

        def response() -> StoredResponse:
            if body is None:
                location = next((value for name, value in allowed if name.lower() == "location"), "")
                return too_large(status, location)
            return self._lane.keeper.keep(status, allowed, body, owner=owner)

        return Completed(lambda: Draft(response(), ()))

    def _doubted(self, claim: Claim, *, submitted: bool) -> InDoubt:
        provisional = claim.record.response or in_doubt(self._lane.route.unknown.status)
        return InDoubt(lambda: Draft(provisional, ()), self._lane.clock.now_ms() + self._delay_ms(claim), submitted)

    def _delay_ms(self, claim: Claim) -> int:
        policy = self._lane.route.unknown
        if isinstance(policy, Resubmit) and self._request is None:
            return FIRST_INQUIRY_DELAY_MS  # only the client's retry can continue it, and must not be blocked
        if not isinstance(policy, Ask | Resubmit):
            return MAX_INQUIRY_DELAY_MS
        return min(FIRST_INQUIRY_DELAY_MS << min(claim.record.fence - 1, 16), MAX_INQUIRY_DELAY_MS)
