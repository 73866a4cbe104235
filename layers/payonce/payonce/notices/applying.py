"""Applies a kept event: it is a hint to ask the gateway, and never the truth.

::

    what is it about? ── nothing we know ──────────────────────▶ unknown, listed
          │
          ▼ 1. a claim is open        in doubt: recovered now, not when its turn comes
          │                           being worked on: left to its owner, looked at again
          ▼ 2. a settlement waits     the same
          ▼ 3. the charge is read     what was done at the gateway is booked
          │
          ├── not (all) answered, or something of ours is in flight ──▶ the event again later, for some hours
          └── applied

Each step reads the gateway after the event has arrived, commits through the same conditions as every other writer, and
does nothing where nothing has changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from payonce.domain.errors import GatewayUnavailable, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.domain.gateway_address import PLATFORM, address_of
from payonce.domain.payment import NOT_EXECUTED, WAITING, PaymentStatus
from payonce.domain.setup import NOTHING_SAVED
from payonce.idempotency.records import RecordStatus
from payonce.notices.about import NotAnswered
from payonce.notices.kept import NoticeState, ended_notice, find_notice
from payonce.notices.message import ApplyMessage, parse_apply
from payonce.notices.verdicts import Again, Ended, foreign_currency, payment_not_executed, setup_not_executed, unread
from payonce.observability import get_logger
from payonce.payments.at_gateway import catch_up
from payonce.payments.settlement import settlement_id
from payonce.payments.setups.revoked_elsewhere import end_revoked
from payonce.payments.told_charge import state_told
from payonce.recovery.asker import Tally
from payonce.recovery.messages import AskMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from payonce.domain.gateway import ChargeState, Notice
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.payment import Payment
    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.notices.about import About, Finder
    from payonce.notices.kept import KeptNotice
    from payonce.payments.payment_work import Services
    from payonce.ports import Deadline, Gateway, MessageQueue, NoticeBook

FIRST_PAUSE_SECONDS = 5
MAX_PAUSE_SECONDS = 900  # the longest delay of a queue's message
MAX_TRIES = 32  # 6 to 7 hours: an outage of the gateway; the schedule and reconciliation go on after it
# What an event names may not be in the index yet, which is behind by less than a second: asked again after 5 and 10 s.
UNSEEN_TRIES = 2
TIMEOUT_PER_CLAIM_MS = 25_000


class RecoverEarly(Protocol):
    """Settles one open claim, also before it is due: see ``payments.recovery_run.Recovery.recover``."""

    def __call__(
        self, open_id: str, deadline: Deadline, message: AskMessage, tally: Tally, *, early: bool
    ) -> bool | None:
        """See the class."""
        ...


class Applier:
    """Applies events. Idempotent, in any order, and safe to run in parallel."""

    def __init__(
        self,
        *,
        services: Services,
        store: DatabaseIdempotencyStore,
        finder: Finder,
        recover: RecoverEarly,
        gateway_named: Callable[[GatewayAddress], Gateway],
        queue: MessageQueue,
        book_at: Callable[[GatewayAddress], NoticeBook],
    ) -> None:
        self._services = services
        self._store = store
        self._finder = finder
        self._recover = recover
        self._gateway_named = gateway_named
        self._queue = queue
        self._book_at = book_at

    def handle(self, body: str, deadline: Deadline) -> str:
        """Apply the event that a message names, and return what has become of it.

        Raises ``BodyMalformed``, and ``StoreUnavailable`` or ``OutcomeUnknown`` when it could not be written down what
        has become of it: then the message has to come again.
        """
        message = parse_apply(body)
        kept = find_notice(self._services.database, message.notice_key)
        if kept is None or kept.state is NoticeState.APPLIED:
            return "nothing to do"
        try:
            verdict = self._apply(kept, message.tries, deadline)
        except NotAnswered as error:
            verdict = Again(str(error))
        except (GatewayUnavailable, StoreUnavailable, OutcomeUnknown) as error:
            verdict = Again(type(error).__name__)
        if isinstance(verdict, Again):
            if message.tries < MAX_TRIES:
                return self._later(message, verdict)
            verdict = Ended(NoticeState.FAILED, verdict.reason)
        self._end(kept, verdict)
        return verdict.state.value

    def _apply(self, kept: KeptNotice, tries: int, deadline: Deadline) -> Again | Ended:
        notice = kept.notice
        about = self._about(kept, deadline)
        if not about.names:
            return Ended(NoticeState.UNKNOWN, "it names nothing of ours")
        if not about.is_within(kept):
            return Ended(NoticeState.UNKNOWN, "what it names is at another gateway or account")
        if not about.is_stored and not about.claims:
            if tries < UNSEEN_TRIES:
                return Again("what it names is not stored, or not yet")
            return Ended(NoticeState.UNKNOWN, "what it names is not stored")
        for claim in about.claims:
            if (again := self._settle(claim, deadline)) is not None:
                return again
        if about.claims:
            # The claims are concluded; the payment may be stored only since then.
            about = self._about(kept, deadline)
            if not about.is_within(kept):
                return Ended(NoticeState.UNKNOWN, "what it names is at another gateway or account")
        return self._ask_about(notice, about, deadline)

    def _ask_about(self, notice: Notice, about: About, deadline: Deadline) -> Again | Ended:
        """Let the gateway say what has become of the set-up, the saved methods and the payment."""
        if about.setup is not None:
            settled = self._settle_held(about.setup.merchant_id, about.names, deadline)
            if isinstance(settled, Again):
                return settled
            if not settled and about.setup.status in NOTHING_SAVED:
                late = setup_not_executed(self._gateway_named(about.setup.address), about.setup, deadline)
                if late is not None:
                    return late
        ended = end_revoked(self._services, self._gateway_named, about.methods, deadline)
        if ended is None:
            return Again("the gateway did not say whether a method is revoked, or it has changed meanwhile")
        if about.payment is not None:
            return self._bring_in(notice, about, about.payment, deadline)
        return Ended(NoticeState.APPLIED, ended or "the claim was given back, or nothing is open")

    def _about(self, kept: KeptNotice, deadline: Deadline) -> About:
        """Return what the event is about, by what its account at the gateway says."""
        at = address_of(kept.gateway, kept.signed_by, kept.notice.account or PLATFORM)
        return self._finder.find(kept, lambda: self._gateway_named(at), self._book_at(at), deadline)

    def _settle_held(self, merchant_id: str, names: Iterable[str], deadline: Deadline) -> Again | bool:
        """Let the settlements of ``names`` look now; return whether there are any, or when to come again."""
        found = [self._store.get(settlement_id(merchant_id, name)) for name in dict.fromkeys(names)]
        waiting = [each for each in found if each is not None and each.status is not RecordStatus.COMPLETED]
        for settlement in waiting:
            if (again := self._settle(settlement, deadline, waits=True)) is not None:
                return again
        return bool(waiting)

    def _bring_in(self, notice: Notice, about: About, payment: Payment, deadline: Deadline) -> Again | Ended:
        waited = self._settle_held(payment.merchant_id, (*about.names, payment.payment_id), deadline)
        if isinstance(waited, Again):
            return waited
        if waited:
            payment = self._finder.payment_now(payment)
        if payment.status is PaymentStatus.IN_DOUBT:
            return Again("the payment is in doubt")
        if payment.status in WAITING:
            return Ended(NoticeState.APPLIED, "the gateway was asked and holds it")
        gateway = self._gateway_named(payment.address)
        if payment.status in NOT_EXECUTED:
            return payment_not_executed(gateway, payment, notice, deadline)
        asked = gateway.capabilities.reads_charges
        caught = catch_up(self._services, gateway, payment, deadline, told=None if asked else self._told)
        if caught.open_reason:
            return Again(caught.open_reason)
        if not asked and (foreign := foreign_currency(notice, payment)) is not None:
            return foreign
        if not asked and not caught.changes:
            return unread(notice, settled=bool(about.claims or waited), explained=caught.explained)
        return Ended(NoticeState.APPLIED, " ".join(caught.changes))

    def _told(self, payment: Payment) -> ChargeState:
        return state_told(
            payment, self._book_at(payment.address).charge(payment.gateway, payment.gateway_charge_id or "")
        )

    def _settle(self, claim: IdempotencyRecord, deadline: Deadline, *, waits: bool = False) -> Again | None:
        """Recover a claim now; return when to come again, ``None`` when the gateway was asked and has answered.

        ``waits``: it may stay open although the gateway has answered.
        """
        now_ms = self._services.clock.now_ms()
        if claim.status is RecordStatus.IN_PROGRESS and claim.lease_expires_at_ms >= now_ms:
            return Again("somebody is at work on it", (claim.lease_expires_at_ms - now_ms) // 1000 + 1)
        tally = Tally()
        own = deadline.earlier(now_ms + TIMEOUT_PER_CLAIM_MS)
        concluded = self._recover(claim.record_id, own, AskMessage(lane="", claims=()), tally, early=True)
        if concluded:
            return None
        if waits and tally.requests and not tally.unanswered.total():
            return None
        return Again("its claim is still open")

    def _later(self, message: ApplyMessage, again: Again) -> str:
        pause = again.delay_seconds
        if pause is None:
            pause = FIRST_PAUSE_SECONDS << min(message.tries, 16)
        following = replace(message, tries=message.tries + 1)
        self._queue.send([following.to_queue(delay_seconds=min(pause, MAX_PAUSE_SECONDS))])
        return f"later: {again.reason}"

    def _end(self, kept: KeptNotice, ended: Ended) -> None:
        try:
            self._services.database.write(
                [ended_notice(kept, ended.state, ended.reason, now_ms=self._services.clock.now_ms())]
            )
        except WriteConflict:
            return  # a copy of the message was faster
        said = {"gateway": kept.gateway, "notice_id": kept.notice.notice_id, "type": kept.notice.type}
        if ended.state is NoticeState.UNKNOWN:
            get_logger().warning("gateway event about nothing known", extra={**said, "reason": ended.reason})
        elif ended.state is NoticeState.FAILED:
            get_logger().error("gateway event not applied", extra={**said, "reason": ended.reason})
