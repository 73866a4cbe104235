"""What an event of a gateway's is about: ids of ours that it names, what they are, and the claims open for it.

A gateway hands back what was stored with a charge, by whomever. So the ids are only where to look: whose a payment is,
and which gateway it is at, is read from what we have stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.gateway import ChargeState, Unknown
from payonce.domain.gateway_address import PLATFORM
from payonce.domain.ids import operation_of
from payonce.domain.setup import SETUP_PREFIX
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus
from payonce.outbox import event_key, partition_of
from payonce.payments.corrective_plan import APPROVED, OPERATION
from payonce.payments.payment_items import BY_REFERENCE_INDEX
from payonce.payments.setup_items import find_method, find_setup, methods_at_gateway
from payonce.payments.stored_payments import FIRST_VERSION, find_first, find_head
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.payment import Payment
    from payonce.domain.setup import SavedMethod, Setup
    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.notices.kept import KeptNotice
    from payonce.ports import Database, Deadline, Gateway, NoticeBook

PAYMENT_PREFIX = "pay_"
CORRECTIONS = "CORRECTION#"  # what their sort keys begin with
CORRECTIONS_LOOKED_AT = 20


class NotAnswered(Exception):
    """The gateway did not say whose its charge is. The argument says why."""


@dataclass(frozen=True, slots=True)
class About:
    """``names``: our ids of operations, payments, set-ups and saved methods. ``claims``: the open ones of these.

    All of it is as it is stored now. ``methods`` are the saved payment methods that the gateway's token names, which
    are several where merchants share the gateway's account.
    """

    names: tuple[str, ...] = ()
    payment: Payment | None = None
    claims: tuple[IdempotencyRecord, ...] = ()
    setup: Setup | None = None
    methods: tuple[SavedMethod, ...] = ()

    @property
    def is_stored(self) -> bool:
        """Whether anything of it is stored beside claims."""
        return self.payment is not None or self.setup is not None or bool(self.methods)

    def is_within(self, kept: KeptNotice) -> bool:
        """Return whether nothing of it is beyond what the event's signature can speak of.

        That is one gateway, there one account, and, if a merchant's own secret has signed it, that merchant's payments.
        """
        lanes = {claim.lane for claim in self.claims if claim.lane}
        if not lanes <= {kept.gateway}:
            return False
        # An event can name several things, by its reference, its payment and its saved method: none proves another.
        stored = [each for each in (self.payment, self.setup) if each is not None]
        places = [(each.gateway, each.account, each.merchant_id) for each in stored]
        for claim in self.claims:
            place = _place_of(claim)
            # Whatever follows a payment or set-up is where that is, and its claim names no account.
            follows = "account" not in claim.plan and any(place[2] == each.merchant_id for each in stored)
            places += [] if follows else [place]
        account = kept.notice.account or PLATFORM
        return all(
            (gateway, at) == (kept.gateway, account) and kept.signed_by in {"", merchant_id}
            for gateway, at, merchant_id in places
        )


class Finder:
    """Finds what events are about."""

    def __init__(self, database: Database, store: DatabaseIdempotencyStore) -> None:
        self._database = database
        self._store = store

    def find(self, kept: KeptNotice, gateway: Callable[[], Gateway], book: NoticeBook, deadline: Deadline) -> About:
        """Return what the event is about. The gateway is asked only about a charge of which no id of ours is named.

        ``gateway`` and ``book`` are those of the account that the event is about.

        Raises ``NotAnswered``, ``GatewayUnavailable`` and the errors of ``Database``.
        """
        notice = kept.notice
        reference = notice.gateway_reference
        names = _names(reference, notice.payment_id)
        if not names and notice.gateway_charge_id is not None:
            reference = _reference_of(gateway(), book, notice.gateway_charge_id, deadline)
            names = _names(reference, None)
        methods = self._methods(kept, names)
        names += [each for method in methods for each in (method.method_id, method.revocation_id) if each is not None]
        claims = [claim for claim in map(self._open_claim, names) if claim is not None]
        ids = [*names, *(str(claim.plan.get("payment_id", "")) for claim in claims)]
        payment_id = next((each for each in ids if each.startswith(PAYMENT_PREFIX)), None)
        if payment_id is None and names and reference is not None:
            payment_id = self._payment_of_operation(reference)
        setup_id = next((each for each in names if each.startswith(f"{SETUP_PREFIX}_")), None)
        payment = self._payment(payment_id)
        if payment is not None and payment.captured_minor:
            claims += self._corrections(payment)
        return About(tuple(names), payment, tuple(claims), self._setup(setup_id), tuple(methods))

    def payment_now(self, payment: Payment) -> Payment:
        """Return the payment as it is stored now."""
        return self._payment(payment.payment_id) or payment

    def _open_claim(self, claim_id: str) -> IdempotencyRecord | None:
        record_id = self._store.open_claim(claim_id)
        record = None if record_id is None else self._store.get(record_id)
        # The index is a little behind: by now it may be concluded, or another claim may hold the record.
        if record is None or record.claim_id != claim_id or record.status is RecordStatus.COMPLETED:
            return None
        return record

    def _corrections(self, payment: Payment) -> list[IdempotencyRecord]:
        """Return the open claims of the payment's corrections.

        The gateway knows a correction's refund by its break, and its claim has an id of its own, so that no event names
        it. What an event tells of the payment is a hint about its corrections, too.
        """
        page = self._database.query(
            Table.PAYMENTS,
            partition=("pk", partition_of(payment.merchant_id, payment.payment_id)),
            sort_prefix=("sk", CORRECTIONS),
            limit=CORRECTIONS_LOOKED_AT,
        )
        begun = [item for item in page.items if item["correction_status"] == APPROVED and "claimed_attempt" in item]
        keys = [f"{item['sk'].removeprefix(CORRECTIONS)}-{item['claimed_attempt']}" for item in begun]
        found = [self._store.get(record_id(payment.merchant_id, OPERATION, key)) for key in keys]
        return [each for each in found if each is not None and each.status is not RecordStatus.COMPLETED]

    def _methods(self, kept: KeptNotice, names: Sequence[str]) -> list[SavedMethod]:
        """Return the saved methods that the event names by the gateway's token, or by the set-up that saved them."""
        found: list[SavedMethod] = []
        account = kept.notice.account or PLATFORM
        if kept.notice.saved_method is not None:
            found = methods_at_gateway(self._database, kept.gateway, account, kept.notice.saved_method)
        for setup_id in (each for each in names if each.startswith(f"{SETUP_PREFIX}_")):
            setup = self._setup(setup_id)
            if setup is not None and setup.saved_method_id not in (None, *(method.method_id for method in found)):
                saved = find_method(self._database, setup.merchant_id, str(setup.saved_method_id))
                found += [] if saved is None else [saved]
        return [
            method
            for method in found
            if (method.gateway, method.account) == (kept.gateway, account)
            and kept.signed_by in {"", method.merchant_id}
        ]

    def _setup(self, setup_id: str | None) -> Setup | None:
        """Return the set-up, whoever's it is: its first event names its merchant."""
        item = None if setup_id is None else self._database.get(Table.OUTBOX, event_key(setup_id, FIRST_VERSION))
        return None if item is None or setup_id is None else find_setup(self._database, item["merchant_id"], setup_id)

    def _payment_of_operation(self, reference: str) -> str | None:
        page = self._database.query(
            Table.PAYMENTS, index=BY_REFERENCE_INDEX, partition=("operation_reference", reference), limit=1
        )
        return str(page.items[0]["pk"]).rpartition("#")[2] if page.items else None

    def _payment(self, payment_id: str | None) -> Payment | None:
        first = None if payment_id is None else find_first(self._database, None, payment_id)
        return None if first is None else find_head(self._database, first.merchant_id, first.payment_id) or first


def _reference_of(gateway: Gateway, book: NoticeBook, charge_id: str, deadline: Deadline) -> str | None:
    """Return the payment's reference that the gateway keeps with a charge, or has told with it."""
    if not gateway.capabilities.reads_charges:
        return book.charge(gateway.name, charge_id).gateway_reference
    state = gateway.read_charge(charge_id, deadline)
    if isinstance(state, Unknown):
        raise NotAnswered(state.reason)
    return state.gateway_reference if isinstance(state, ChargeState) else None


def _place_of(claim: IdempotencyRecord) -> tuple[str, str, str]:
    plan = claim.plan
    return claim.lane or "", str(plan.get("account", PLATFORM)), str(plan.get("merchant_id", ""))


def _names(reference: str | None, payment_id: str | None) -> list[str]:
    named = [operation_of(reference), operation_of(f"{payment_id}-1")]
    return list(dict.fromkeys(name for name in named if name is not None))
