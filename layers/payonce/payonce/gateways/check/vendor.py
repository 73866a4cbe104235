"""What an author brings: a ``Vendor``, which is a server that behaves as the vendor's does, and its true books."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.gateway import PaymentMethodType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from payonce.domain.gateway import AwaitsPayer, Instruction, MethodSaved, OperationKind
    from payonce.ports import Clock, Gateway, NoticeReader


class NotBroughtError(Exception):
    """The author has not brought what a check needs. The check is then reported as not shown."""


class Token(StrEnum):
    """What a payment method does. Vendors publish such test tokens, test cards or test accounts."""

    OK = "ok"
    DECLINED = "declined"
    NEEDS_PAYER = "needs_payer"  # the payer is asked, and the payment goes on by itself
    NEEDS_CONFIRMATION = "needs_confirmation"  # the payer is asked, and what comes back has to be confirmed
    DEBIT = "debit"  # succeeds days later
    DEBIT_FAILS = "debit_fails"  # fails days later
    DECLINED_AT_SETUP = "declined_at_setup"  # can't be saved: elsewhere a method may be saved and declined later
    DECLINED_LATER = "declined_later"  # can be saved, and is declined when it is charged while the payer is absent


class VendorFault(StrEnum):
    """A fault that only the vendor's own server can have, because it is about what the server remembers or books."""

    THROTTLED = "throttled"  # refuses before it executes, in the vendor's own words
    FAILURE_KEPT = "failure_kept"  # fails before it executes, and answers the same for the same key
    BOOKED_LATE = "booked_late"  # executes a request whose connection is long gone


class SetupFault(StrEnum):
    """What a vendor's server may do with a set-up that it executes."""

    SAVED_LATE = "saved_late"  # the method is named or can be charged only after a while: ``settle`` lets it pass
    SAVED_NOTHING = "saved_nothing"  # the payer and the issuer agree, and no method is saved


class EventOrder(StrEnum):
    """When the vendor's events reach where the adapter looks, for a vendor whose lookups rest on them."""

    BEFORE_ANSWER = "before the answer to what caused them"
    TWICE = "twice"
    REVERSED = "the newest first"
    LATE = "only once the context has ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEvent:
    """An event as the vendor posts it. ``headers`` has lower-case names.

    ``signed``: whether the vendor signs its events at all, and ``signs_bytes``: whether the signature covers every byte
    of the body. ``stale_after_seconds``: after which time the signature has
    to be refused, ``None`` where it has no time.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = True
    signs_bytes: bool = True
    stale_after_seconds: int | None = None


class Vendor:
    """The vendor as the checks need it. An author overrides the first three, and of the rest what the vendor has.

    ``url`` is the base address that the adapter is given, plain HTTP on loopback. ``method_type``, ``currency`` and
    ``customer`` (whose the saved payment methods are) are those of the ordinary payments, and ``Token.OK`` pays them.
    ``other_customer`` is somebody else who can save methods, too.
    """

    url: str
    method_type: PaymentMethodType = PaymentMethodType.CARD
    currency: str = "EUR"
    customer: str | None = None
    other_customer: str | None = None

    def make_adapter(self, url: str, clock: Clock) -> Gateway:
        """Return the adapter under test, pointed at ``url``: the vendor's own, or the fault proxy before it."""
        raise NotImplementedError

    def count(self, instruction: Instruction) -> int:
        """Return how often the instruction was executed, from the server's books and never through the adapter.

        What took, holds or gave back money counts, and so does a payment that its payer can still pay, and a set-up
        that has saved a method or still may. What was declined or canceled does not. Two for one instruction are a
        double charge.
        """
        raise NotImplementedError

    def token(self, token: Token) -> str:
        """Return a fresh payment method that does what ``token`` says."""
        raise NotBroughtError(f"no payment method that is {token}")

    def method_token(self, method_type: PaymentMethodType) -> str:
        """Return a payment method of this type that is accepted."""
        raise NotBroughtError(f"no payment method of the type {method_type}")

    def answer_as_payer(self, waiting: AwaitsPayer, *, approve: bool) -> str | None:
        """Do what the payer does at the vendor. Return the result that the payer comes back with, if there is one."""
        raise NotBroughtError("no way to act as the payer")

    def settle(self) -> None:
        """Let all be decided that the vendor decides later: debits, captures, refunds. By default two weeks pass."""
        self.advance(14 * 86_400)

    def advance(self, seconds: float) -> None:
        """Move the server's clock. What is due by then has happened when this returns."""
        raise NotBroughtError("no server whose clock can be moved")

    def deliver(self) -> None:
        """Hand what the vendor has sent so far to where the adapter looks. Needed where lookups rest on events."""

    def act_by_hand(self, kind: OperationKind, gateway_charge_id: str, amount_minor: int) -> None:
        """Capture, void or refund as somebody does in the vendor's dashboard."""
        raise NotBroughtError("no dashboard")

    def give_back(self, gateway_refund_id: str) -> None:
        """Let a refund come back that has succeeded, as the payer's bank does whose account is closed."""
        raise NotBroughtError("no refund that comes back")

    def misbehave(self, fault: VendorFault) -> AbstractContextManager[None]:
        """Let the server have ``fault`` within the context."""
        raise NotBroughtError(f"no server that can be made {fault}")

    def misbehave_at_setup(self, fault: SetupFault) -> AbstractContextManager[None]:
        """Let the server have ``fault`` at set-ups within the context."""
        raise NotBroughtError(f"no set-ups that can be {fault}")

    def in_order(self, order: EventOrder) -> AbstractContextManager[None]:
        """Let the vendor's events come in this order within the context."""
        raise NotBroughtError("no events whose order can be chosen")

    def end_by_hand(self, saved: MethodSaved) -> None:
        """End a saved method as somebody in the vendor's dashboard, or the payer's bank, does."""
        raise NotBroughtError("no saved method that can be ended elsewhere")

    def notice_reader(self, *, trusted: bool = True) -> NoticeReader:
        """Return the reader of the vendor's events, with the secret that signs them, or with another one."""
        raise NotBroughtError("no reader of events")

    def event_about(self, instruction: Instruction, gateway_charge_id: str) -> SignedEvent:
        """Return an event about this executed payment, signed now."""
        raise NotBroughtError("no events")
