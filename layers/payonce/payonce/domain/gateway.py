"""What payonce asks a payment gateway, and how the gateway can answer.

::

    Succeeded      executed
      MethodSaved    and a payment method is saved, by a set-up or a payment
    Declined       refused for good
      Overtaken      because somebody else has changed the charge: its state has to be read
    NeverSent      this submission executes nothing, now or later
      CredentialsRefused  because the gateway refuses our credentials
    Pending        the gateway accepted it and has not decided yet: never send it again, only look it up
      AwaitsPayer    undecided until the payer acts, who is told how; it can be withdrawn
        NotWithdrawn   as before, because the gateway refuses our credentials
    Unknown        it may or may not have been executed; ``repeatable`` says whether sending it again can help
      NotAllowed     of a question that the gateway refuses for our credentials
    NotFound       the gateway does not know it at the moment
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.domain.money import Money


MAX_URL_CHARACTERS = 2_000  # browsers and gateways agree on this much; Stripe's return_url takes no more than 2,048
MAX_CLIENT_SECRET_CHARACTERS = 4_000  # of a NextAction: what Adyen's components are given is a document
CANCELED = "canceled"  # the code of a decline that somebody's cancellation at the gateway caused
PAYMENT_EXPIRED = "payment_expired"  # the code of a decline because the payer did not act in time


class OperationKind(StrEnum):
    """The operations at a gateway: four that move or free money, and two that move none.

    ``SETUP`` saves a payment method for later, by the payer's mandate, and ``REVOCATION`` ends that.
    """

    PAYMENT = "payment"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    SETUP = "setup"
    REVOCATION = "revocation"


MONEY_OPERATIONS = frozenset({OperationKind.PAYMENT, OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND})


class CaptureMethod(StrEnum):
    """Whether a payment is captured at once or later, by a capture of its own."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class PaymentMethodType(StrEnum):
    """How the payer pays, by rails that tend to fail together: a gateway may be healthy for cards alone."""

    CARD = "card"
    WALLET = "wallet"
    BANK_DEBIT = "bank_debit"
    BANK_TRANSFER = "bank_transfer"
    PAY_LATER = "pay_later"
    VOUCHER = "voucher"


class Payer(StrEnum):
    """Whether the payer can be asked to authenticate. An absent payer can't: the gateway then has to decline."""

    PRESENT = "present"
    ABSENT = "absent"


class ActionType(StrEnum):
    """What has to be done next.

    The payer visits an address (``REDIRECT``), is shown what to pay elsewhere (``DISPLAY``), or acts in the gateway's
    own SDK. ``CONFIRM``: the payer has acted, and what the payer came back with has to be confirmed.
    """

    REDIRECT = "redirect"
    DISPLAY = "display"
    GATEWAY_SDK = "gateway_sdk"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction:
    """What the payer has to do next. ``url`` is where to go, ``client_secret`` what the gateway's SDK is given.

    ``expires_at_ms`` (epoch milliseconds): when the gateway gives the payer up; ``None`` where it does not say.
    """

    type: ActionType
    url: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One operation for a gateway. The same instruction is used to submit it and to look it up later.

    ``gateway_reference`` is derived from our own ids and the attempt: at most 64 characters of ``[A-Za-z0-9_-]``. It is
    sent as the gateway's idempotency key, and stored at the gateway so that the instruction can be looked up.
    ``first_submitted_at_ms`` (epoch milliseconds) is no later than the first moment at which it can have been sent.
    ``gateway_charge_id`` is the gateway's id of the charge, present for captures, voids and refunds, and for a payment
    that the gateway holds as pending: such a payment is looked up by it.
    ``gateway_operation_id`` is the gateway's id of a capture, void or refund that the gateway holds as pending.
    The following matter to payments alone. ``return_url`` is where the payer is sent back to. ``customer`` is the
    payer's id at the gateway, to whom saved payment methods belong. ``saves_method``: the method is to be charged
    later, when the payer is absent. ``statement_descriptor`` is what the payer reads on a bank statement.
    A set-up has the ``customer``, and money of zero in the currency that is to be charged later; ``payment_id`` is the
    set-up's id, and ``gateway_charge_id`` the gateway's id of a set-up that it holds.
    A revocation's ``payment_method`` is the saved method's token at the gateway, and ``gateway_charge_id`` the
    gateway's id of its mandate, ``None`` where the gateway keeps none.
    """

    kind: OperationKind
    gateway_reference: str
    merchant_id: str
    payment_id: str
    money: Money
    capture_method: CaptureMethod
    payment_method: str
    first_submitted_at_ms: int
    gateway_charge_id: str | None = None
    gateway_operation_id: str | None = None
    payment_method_type: PaymentMethodType = PaymentMethodType.CARD
    payer: Payer = Payer.PRESENT
    return_url: str | None = None
    customer: str | None = None
    saves_method: bool = False
    description: str | None = None
    statement_descriptor: str | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The gateway has executed the instruction. The ids are the gateway's own."""

    gateway_charge_id: str
    gateway_operation_id: str


@dataclass(frozen=True, slots=True)
class MethodSaved(Succeeded):
    """Executed, and a payment method was saved: ``token`` is what can be charged from now on, with the payer absent.

    Every set-up that succeeds is this, and so is a payment with ``saves_method`` where the gateway names a token.

    ``mandate_id`` is the gateway's id of the payer's mandate, ``None`` where the gateway keeps none for this method.
    """

    token: str
    mandate_id: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The gateway or the issuer refused for good. ``code`` is payonce's own: see the adapters' DECLINE_CODES."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Overtaken(Declined):
    """Somebody else has changed the charge's state, for instance in a dashboard or by letting it expire."""


@dataclass(frozen=True, slots=True)
class ResultRefused(Declined):
    """The gateway did not issue the result that a payer is said to have come back with. The payment waits on."""


@dataclass(frozen=True, slots=True)
class NeverSent:
    """The instruction has certainly not been executed, and never will be because of this submission."""

    reason: str
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class CredentialsRefused(NeverSent):
    """The gateway refuses who we say to be, before it looks at anything else: the credentials are old or wrong."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The gateway may or may not have executed the instruction.

    ``repeatable`` is what this answer tells the adapter. True: the same reference, sent again, is executed, or answered
    with the first result. False: the gateway may have stored this failure under the reference, as Stripe's keys do, so
    that only another reference can succeed: https://docs.stripe.com/api/idempotent_requests.
    """

    reason: str
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class NotAllowed(Unknown):
    """A question was refused for our credentials. It proves nothing about what was asked, but the gateway answers."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The gateway holds the instruction as ``gateway_object_id`` and has not decided about it."""

    gateway_object_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AwaitsPayer(Pending):
    """The gateway waits for the payer. Once the payer acts it executes, whatever we have answered meanwhile.

    ``action`` is ``None`` where the gateway does not say how the payer can act: such an instruction is withdrawn.
    """

    action: NextAction | None = None


@dataclass(frozen=True, slots=True)
class NotWithdrawn(AwaitsPayer):
    """A withdrawal was refused for our credentials, and so has changed nothing: it awaits the payer as before."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The gateway knows no operation with this reference now. Its capabilities say when that is final."""


class DisputeStatus(StrEnum):
    """The states of a dispute. It is decided once it is won or lost."""

    OPENED = "opened"
    EVIDENCE_DUE = "evidence_due"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeState:
    """A dispute's current state at the gateway. ``withdrawn_minor``: what the gateway has taken of the charge for it.

    ``reason`` is the gateway's own word. ``evidence_due_at_ms`` (epoch milliseconds): until when the merchant can
    answer, ``None`` where nothing is asked. ``fee_minor`` is in the same currency as the amounts.
    """

    gateway_dispute_id: str
    status: DisputeStatus
    amount_minor: int
    withdrawn_minor: int
    currency: str
    reason: str
    evidence_due_at_ms: int | None = None
    fee_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeOutcome:
    """What a gateway's signed event says became of an operation, by a gateway that can't be asked about it.

    ``executed`` is false for what was refused, given up, or undone; ``code`` then says why, in payonce's own words.
    ``undone``: it had succeeded before. ``gateway_operation_id`` is the gateway's id of the operation. The amount is in
    minor units. ``token``: the payment method that it has saved, if the event names it in what is signed.
    ``gateway_reference``: the reference that the event names, ``None`` where it is none of ours.
    """

    kind: OperationKind
    executed: bool
    gateway_operation_id: str
    amount_minor: int
    currency: str
    code: str = ""
    undone: bool = False
    token: str | None = None
    gateway_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNotice:
    """What a gateway's signed event says of a dispute, by a gateway that can't be asked about it.

    ``stage`` orders a dispute's events, whenever they arrive: the highest tells how it stands. ``taken``: whether the
    gateway has taken the amount for it (True), given it back (False), or says nothing of the money (``None``).
    """

    gateway_dispute_id: str
    stage: int
    status: DisputeStatus
    taken: bool | None
    amount_minor: int
    currency: str
    reason: str = ""
    evidence_due_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a gateway's own event names. It is a hint to ask the gateway, and never the truth.

    ``notice_id`` is the gateway's id of the event, or is derived from its content. ``gateway_reference``,
    ``payment_id``, ``merchant_id`` and ``gateway_charge_id`` are ``None`` where the event does not name them.
    ``account`` is the account at the gateway that the event is about, ``None`` where it is the one whose secret has
    signed it.
    ``outcome`` and ``dispute`` are there only where the gateway offers no way to ask: kept, they are what is read.
    ``saved_method``: the gateway's token of a saved payment method, where the event is about one or its mandate.
    """

    notice_id: str
    type: str
    created_at_ms: int
    gateway_reference: str | None = None
    payment_id: str | None = None
    merchant_id: str | None = None
    gateway_charge_id: str | None = None
    account: str | None = None
    outcome: NoticeOutcome | None = None
    dispute: DisputeNotice | None = None
    saved_method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeTold:
    """What a gateway's events have told of a charge, oldest first; events may be missing.

    ``gateway_reference``: the reference of its payment, ``None`` where none was told.
    """

    gateway_reference: str | None = None
    outcomes: tuple[NoticeOutcome, ...] = ()
    disputes: tuple[DisputeNotice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRefund:
    """One refund for which the gateway says to have taken the amount, in minor units of the charge's currency.

    ``came_back``: it failed afterwards, and the gateway has given the amount back to the merchant. A refund that took
    nothing is none of these. ``gateway_reference`` is the reference that the gateway keeps with the refund, ``None``
    where it keeps none.
    """

    gateway_refund_id: str
    amount_minor: int
    gateway_reference: str | None = None
    came_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeState:
    """A charge's current state at the gateway. Amounts are integer minor units of ``currency`` (ISO 4217, upper case).

    ``captured_minor`` is 0 while the charge is only authorized, and stays 0 once it is ``voided``.
    ``reversed_minor``: what the payer's bank has taken back of a captured charge without a dispute, such as a debit
    that failed after it had succeeded. ``disputes``: all that were ever opened, oldest first.
    ``refunds``: each refund that was ever made, oldest first. Those that came back are no part of ``refunded_minor``,
    which is the sum of the others; a gateway that names none of its refunds tells that sum alone.
    ``gateway_reference``: the reference of the payment that the gateway keeps with the charge, ``None`` where it keeps
    none. It says whose the charge is, and is no part of its state.
    """

    captured_minor: int
    refunded_minor: int
    voided: bool
    currency: str
    reversed_minor: int = 0
    disputes: tuple[DisputeState, ...] = ()
    refunds: tuple[ChargeRefund, ...] = ()
    gateway_reference: str | None = field(default=None, compare=False)


type SubmitOutcome = Succeeded | Declined | Pending | NeverSent | Unknown
type LookupOutcome = Succeeded | Declined | Pending | NotFound | Unknown
type WithdrawOutcome = Succeeded | Declined | Pending
type ChargeOutcome = ChargeState | NotFound | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCapabilities:
    """What a gateway promises, declared by its adapter.

    ``key_retention_seconds``: how long a repeated idempotency key is answered with the first result; 0 when the gateway
    ignores keys. Recovery never relies on a key for longer.
    ``lookup_authoritative_after_seconds``: how long after the last moment at which the instruction can have been sent a
    "not found" becomes final; ``None`` when it never does, or when the gateway has no lookup.
    ``multiple_captures``: whether an authorization may be captured in several parts; if not, a partial capture releases
    the remainder.
    ``operations``: what the adapter can do; a set-up or revocation that is not among them is refused before its claim.
    ``setup_methods``: which payment methods can be set up without a payment, as a regular expression of their type, a
    colon and the token. What it does not match in full is refused before the claim, too.
    ``payment_method_types``: what the adapter can be paid by; anything else is refused before it is stored.
    ``reads_charges``: whether the gateway can be asked how a charge stands now. If not, ``read_charge`` is ``Unknown``,
    and nothing is ever ``Overtaken``: what somebody else does to a charge is not seen.
    """

    key_retention_seconds: int
    lookup_by_reference: bool
    lookup_authoritative_after_seconds: float | None
    multiple_captures: bool
    operations: frozenset[OperationKind]
    payment_method_types: frozenset[PaymentMethodType] = frozenset(PaymentMethodType)
    reads_charges: bool = True
    setup_methods: str = ".*"

    def sets_up(self, method_type: PaymentMethodType, payment_method: str) -> bool:
        """Return whether this payment method can be set up without a payment."""
        can = OperationKind.SETUP in self.operations and method_type in self.payment_method_types
        return can and re.fullmatch(self.setup_methods, f"{method_type}:{payment_method}") is not None
