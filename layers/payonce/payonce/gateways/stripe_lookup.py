"""Finds an operation at Stripe by our reference, with bounded work. docs/adr/0004 explains the method.

::

    payment   held as pending ─▶ retrieve it by its id
              list by creation time, likely times first ── complete ─▶ found / not found
                     └── too many ─▶ search ─ found ─▶ retrieve ─▶ found, else unknown
    set-up    the same, among the customer's setup intents
    capture, void    retrieve the payment intent: its state is the answer
    refund           list the payment intent's refunds ── none ─▶ by the amount left: not found, or overtaken
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    AwaitsPayer,
    Declined,
    NotFound,
    OperationKind,
    Succeeded,
    Unknown,
)
from payonce.gateways.declines import ALREADY_REFUNDED, DECLINED, overtaken
from payonce.gateways.stripe_charge import refunded_amount
from payonce.gateways.stripe_money import stripe_amount
from payonce.gateways.stripe_objects import REFERENCE_KEY, choose, metadata_value, read_object
from payonce.gateways.stripe_setups import find_held_setup, find_revocation, read_setup
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import stripe

    from payonce.domain.gateway import Instruction, LookupOutcome
    from payonce.gateways.stripe_objects import StripeDocument

PAGE_SIZE = 100  # Stripe's maximum
MAX_PAGES = 8  # 0.2-0.4 s each: they fit into an inquiry of 4 s and leave time to search
MAX_SEARCH_RESULTS = 10  # one is expected
CLOCK_SKEW_SECONDS = 300  # between our clock and Stripe's; minutes more than any synchronised clock is off
# The last moment at which a submission can create the intent: payonce resubmits for an hour (payments.rules), the
# submission takes seconds, and Stripe may process it for minutes. A test in tests/unit/gateways ties this to the rules.
SUBMISSION_WINDOW_SECONDS = 2 * 3600
# Seconds after the first submission, from-to, in the order of the search. Nearly every intent is created during the
# request, so the common case costs one page however many payments the account makes in an hour.
_SLICES = (
    (-30, 60),
    (60, SUBMISSION_WINDOW_SECONDS + CLOCK_SKEW_SECONDS),
    (-CLOCK_SKEW_SECONDS, -30),
)


class _TooManyError(Exception):
    """The listing has more pages than an inquiry may read."""


class StripeLookup:
    """One inquiry. Raises the SDK's errors, which the adapter maps to ``Unknown``."""

    def __init__(self, client: stripe.StripeClient, *, gateway: str, keys_are_honoured: bool) -> None:
        self._client = client
        self._gateway = gateway
        self._keys_are_honoured = keys_are_honoured
        self._pages_left = MAX_PAGES

    def find(self, instruction: Instruction) -> LookupOutcome:
        """Return the outcome of ``instruction``."""
        charge_id = instruction.gateway_charge_id
        if instruction.kind is OperationKind.REVOCATION:
            return find_revocation(self._client, instruction)
        if instruction.kind is OperationKind.SETUP:
            return self._find_setup(instruction)
        if instruction.kind is OperationKind.PAYMENT:
            return self._find_payment(instruction) if charge_id is None else self._find_held(instruction, charge_id)
        if charge_id is None:
            return Unknown("the instruction names no charge")
        if instruction.kind is OperationKind.REFUND:
            return self._find_refund(instruction, charge_id)
        return read_object(instruction, self._client.v1.payment_intents.retrieve(charge_id).to_dict())

    def _find_setup(self, instruction: Instruction) -> LookupOutcome:
        """List the customer's setup intents of the time in which it can have been made: a customer has a few."""
        if instruction.gateway_charge_id is not None:
            return find_held_setup(self._client, instruction, instruction.gateway_charge_id)
        try:
            found: list[StripeDocument] = []
            for slice_filter in self._slices(instruction):
                filters = {"customer": instruction.customer, "created": slice_filter}
                found += _marked(instruction, self._scan(self._list_setups, filters))
        except _TooManyError:
            return Unknown(f"more than {MAX_PAGES} pages of the customer's setup intents")
        return self._judge(instruction, found)

    def _find_held(self, instruction: Instruction, intent_id: str) -> LookupOutcome:
        """Read the intent that Stripe held as pending. It was confirmed, so one that awaits another method has failed.

        Whoever was asked to act may have its client secret, and could still pay with another method. So such an intent
        awaits the payer, with the decline's code as its reason, and the adapter closes it.
        """
        intent = self._client.v1.payment_intents.retrieve(intent_id).to_dict()
        outcome = read_object(instruction, intent)
        if intent.get("status") != "requires_payment_method" or isinstance(outcome, Unknown):
            return outcome
        return AwaitsPayer(intent_id, outcome.code if isinstance(outcome, Declined) else DECLINED)

    def _find_payment(self, instruction: Instruction) -> LookupOutcome:
        found: list[StripeDocument] = []
        try:
            for slice_filter in self._slices(instruction):
                found += _marked(instruction, self._scan(self._list_intents, {"created": slice_filter}))
                outcome = self._judge(instruction, found)
                if isinstance(outcome, Succeeded):
                    return outcome
        except _TooManyError:
            return self._search_payment(instruction)
        return self._judge(instruction, found)

    def _slices(self, instruction: Instruction) -> list[dict[str, int]]:
        """Return the slices as filters."""
        first_seconds = instruction.first_submitted_at_ms // 1000
        return [{"gte": first_seconds + start, "lt": first_seconds + end} for start, end in _SLICES]

    def _search_payment(self, instruction: Instruction) -> LookupOutcome:
        """Use the search index. It lags, so a hit is evidence and a miss is not."""
        hits = self._client.v1.payment_intents.search(
            {
                "query": f"metadata['{REFERENCE_KEY}']:'{instruction.gateway_reference}'",
                "limit": MAX_SEARCH_RESULTS,
            }
        )
        # The indexed copy may be stale: read the state from the object itself.
        found: list[StripeDocument] = [self._client.v1.payment_intents.retrieve(hit.id).to_dict() for hit in hits.data]
        outcome = self._judge(instruction, found)
        # Where keys are honoured there is one intent per reference, so its state is final. Elsewhere there may be
        # another one that is not indexed yet, and only money that moved is beyond doubt.
        if isinstance(outcome, Succeeded) or (found and self._keys_are_honoured):
            return outcome
        return Unknown(f"more than {MAX_PAGES} pages to look through, and the search does not know it")

    def _find_refund(self, instruction: Instruction, charge_id: str) -> LookupOutcome:
        try:
            refunds = self._scan(self._list_refunds, {"payment_intent": charge_id})
        except _TooManyError:
            return Unknown(f"more than {MAX_PAGES} pages of refunds")
        found = _marked(instruction, refunds)
        if found:
            return self._judge(instruction, found)
        # Another refund may have used up the amount. Only the listing without ours may decide that: a later one could
        # count ours as well.
        intent = self._client.v1.payment_intents.retrieve(charge_id).to_dict()
        left = int(intent.get("amount_received") or 0) - refunded_amount(intent, refunds)
        return NotFound() if left >= stripe_amount(instruction.money) else overtaken(ALREADY_REFUNDED)

    def _list_intents(self, params: Any) -> Mapping[str, Any]:
        return self._client.v1.payment_intents.list(params).to_dict()

    def _list_setups(self, params: Any) -> Mapping[str, Any]:
        return self._client.v1.setup_intents.list(params).to_dict()

    def _list_refunds(self, params: Any) -> Mapping[str, Any]:
        return self._client.v1.refunds.list(params).to_dict()

    def _scan(self, list_page: Callable[[Any], Mapping[str, Any]], filters: dict[str, Any]) -> list[StripeDocument]:
        """Return every object of a listing. Raises ``_TooManyError``."""
        found: list[StripeDocument] = []
        params = {**filters, "limit": PAGE_SIZE}
        while True:
            if self._pages_left == 0:
                raise _TooManyError
            self._pages_left -= 1
            page = list_page(params)
            rows = page["data"]
            found += rows
            if not page["has_more"]:
                return found
            params = {**params, "starting_after": rows[-1]["id"]}

    def _judge(self, instruction: Instruction, found: list[StripeDocument]) -> LookupOutcome:
        # Listings are newest first, with creation times in whole seconds: reversed, a stable sort keeps ties in order.
        by_age = found[::-1]
        by_age.sort(key=lambda row: int(row["created"]))
        read = read_setup if instruction.kind is OperationKind.SETUP else read_object
        outcomes = [read(instruction, row) for row in by_age]
        succeeded = [row for row, outcome in zip(by_age, outcomes, strict=True) if isinstance(outcome, Succeeded)]
        if len(succeeded) > 1:
            get_logger().error(
                "duplicate booking at gateway",
                extra={
                    "gateway": self._gateway,
                    "reference": instruction.gateway_reference,
                    "ids": [row.get("id") for row in succeeded],
                },
            )
        return choose(outcomes)


def _marked(instruction: Instruction, rows: list[StripeDocument]) -> list[StripeDocument]:
    return [row for row in rows if metadata_value(row, REFERENCE_KEY) == instruction.gateway_reference]
