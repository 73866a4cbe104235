"""The ports: what the use cases need from the outside, as Protocols.

Every adapter of a port passes that port's one contract suite (tests/contract).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from payonce.domain.delivery import Exchanged
    from payonce.domain.exchange import Exchange, Oversized
    from payonce.domain.gateway import (
        AwaitsPayer,
        ChargeOutcome,
        ChargeTold,
        GatewayCapabilities,
        Instruction,
        LookupOutcome,
        Notice,
        NoticeOutcome,
        SubmitOutcome,
        WithdrawOutcome,
    )


class Clock(Protocol):
    """The time of day, injected so that tests control it."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...


class IdSource(Protocol):
    """Makes fresh, unguessable, time-ordered identifiers. Injected, so that tests control them."""

    def new(self, prefix: str) -> str:
        """Return ``<prefix>_<26 characters of Crockford base32>``, never the same twice."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment, in epoch milliseconds, by which something has to be finished."""

    at_ms: int

    def remaining_seconds(self, clock: Clock) -> float:
        """Return the seconds left, never below zero."""
        return max(0, self.at_ms - clock.now_ms()) / 1000

    def earlier(self, at_ms: int) -> Deadline:
        """Return the earlier of this deadline and ``at_ms``."""
        return Deadline(min(self.at_ms, at_ms))


NO_HARD_END: Final = Deadline(253_402_300_799_999)  # the end of the year 9999: nothing stops the process by itself


class Gateway(Protocol):
    """A payment gateway. No method raises for what the gateway or the network does: each such end is an outcome.

    Every method returns by ``deadline``, which bounds the whole exchange, however slowly the gateway sends its answer.
    """

    @property
    def name(self) -> str:
        """The name under which the gateway is configured, and stored with each payment."""
        ...

    @property
    def capabilities(self) -> GatewayCapabilities:
        """What the gateway's adapter promises about it."""
        ...

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """Send the instruction at most once.

        Returns ``NeverSent`` only when it is certain that the gateway has not executed it and never will because of
        this call. Any doubt is ``Unknown``.
        """
        ...

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """Look the instruction up by its ``gateway_reference``, or by ``gateway_charge_id`` where the gateway holds it.

        This changes nothing at the gateway, except that it may close what has failed, so that ``Declined`` is for good.
        """
        ...

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """Cancel an instruction that awaits the payer, and return what has become of it. Idempotent.

        Returns ``Declined`` only when the gateway says that the instruction can't be executed any more, ``Succeeded``
        when the payer was faster, ``waiting`` itself when there is no answer, and ``NotWithdrawn`` when our credentials
        are refused.
        """
        ...

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """Hand the gateway the ``result`` with which the payer came back, and return what has become of the payment.

        Idempotent: the gateway executes a payment at most once, however often its payer's result is handed in. Returns
        ``waiting`` itself where the gateway needs no confirmation.
        """
        ...

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """Return the charge's state at the gateway, whoever made it; ``NotFound`` when the gateway does not know it."""
        ...


@runtime_checkable
class TellsAccount(Protocol):
    """A gateway that can be asked whose its key is. Its requests do not name their account, so that the key decides."""

    def account_of_key(self, deadline: Deadline) -> str:
        """Return the id of the account that the requests are made for. Raises ``GatewayUnavailable``."""
        ...


class NoticeReader(Protocol):
    """Reads the events that a gateway posts to us."""

    def read(self, body: bytes, headers: Mapping[str, str], *, now_ms: int) -> Sequence[Notice]:
        """Return the notices in ``body``. ``headers`` has lower-case names.

        Raises ``NoticeRefused`` for a signature that is missing, wrong or stale, and for a malformed body. The
        signature is checked over the exact bytes, in constant time, before anything of them is parsed.
        """
        ...


class NoticeBook(Protocol):
    """What became of operations, by the verified events that were kept of gateways that can't be asked."""

    def outcomes(self, gateway: str, names: Sequence[str]) -> Sequence[NoticeOutcome]:
        """Return what the gateway's events have told of operations with one of ``names``, oldest first.

        A name is an operation's ``gateway_reference`` or its id at the gateway. The read is strongly consistent.
        Raises ``StoreUnavailable``.
        """
        ...

    def charge(self, gateway: str, gateway_charge_id: str) -> ChargeTold:
        """Return what the gateway's events have told of the charge, strongly consistent. See ``outcomes``."""
        ...


class WebhookTransport(Protocol):
    """Sends one webhook. It never raises for what the receiver, its DNS or the network does: that is an outcome."""

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """Post ``body`` at most once, to a public address only. ``deadline`` bounds the whole exchange.

        Raises ``ValueError``, before anything is sent, for a header that is invalid or that frames the request, such
        as Content-Length: that is the caller's mistake.
        """
        ...


class UpstreamTransport(Protocol):
    """Sends one HTTP request to an upstream. It never raises for what the network does: that is an outcome."""

    def forward(
        self,
        method: str,
        url: str,
        *,
        lines: Sequence[tuple[str, str]],
        body: bytes | None,
        deadline: Deadline,
        max_answer_bytes: int,
        unframed: bool = False,
    ) -> Exchange | Oversized:
        """Send exactly these header lines and those that frame the body. Raises ``ValueError`` before it sends."""
        ...


class Blobs(Protocol):
    """Stores bytes that are too large for a record, under names of visible ASCII without slashes."""

    def put(self, name: str, data: bytes) -> None:
        """Store ``data`` durably. Idempotent for the same data. Raises ``StoreUnavailable``."""
        ...

    def get(self, name: str) -> bytes | None:
        """Return the bytes stored under ``name``, or ``None``. Raises ``StoreUnavailable``."""
        ...


class FileStore(Protocol):
    """Stores files under names that may contain slashes, such as a bucket's keys."""

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return the file, or ``None``. Raises ``FileRejected`` when it is larger, and ``StoreUnavailable``."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Store the file durably, replacing any file of that name. Raises ``StoreUnavailable``."""
        ...

    def fetch(self, name: str, to: Path) -> bool:
        """Copy the file, of any size, to the local path ``to``; return whether the file exists.

        Raises ``StoreUnavailable``.
        """
        ...

    def store(self, name: str, path: Path) -> None:
        """Store the local file at ``path`` under ``name``, as ``write`` does."""
        ...


class Cipher(Protocol):
    """Encrypts secrets at rest. ``context`` binds a secret to its place: sealed for one, it opens for no other."""

    def seal(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Return ``plaintext`` sealed. Raises ``StoreUnavailable`` when the key service does not answer."""
        ...

    def open(self, sealed: bytes, context: Mapping[str, str]) -> bytes:
        """Return what was sealed. Raises ``SecretNotOpened`` for another context, a changed text or a lost key."""
        ...


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message to be queued: its ``body`` (text), and for how many seconds it stays invisible to consumers."""

    body: str
    delay_seconds: int = 0


class MessageQueue(Protocol):
    """A queue that delivers each message at least once, in any order."""

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """Queue all messages. Raises ``StoreUnavailable`` when that is uncertain; some may have been queued then."""
        ...


class CorrectionStarter(Protocol):
    """Starts the workflow that corrects a break."""

    def start(self, break_id: str, attempt: int) -> None:
        """Start the workflow for this attempt. Idempotent for at least 90 days per break and attempt.

        Raises ``StoreUnavailable`` when it is uncertain whether it started; the caller may repeat the call.
        """
        ...


class ApprovalNotifier(Protocol):
    """Wakes a workflow that waits for people."""

    def decided(self, task_token: str) -> None:
        """Tell the workflow that a decision is stored. If it no longer waits, do nothing: it has read the decision.

        Raises ``OutcomeUnknown`` when the workflow may not have been told; the caller may repeat the call.
        """
        ...


class Workflows(CorrectionStarter, ApprovalNotifier, Protocol):
    """Both sides of the corrections' workflows: starting one, and waking one that waits."""


class Table(StrEnum):
    """The logical tables. template.yaml is the single source of their keys and indexes."""

    IDEMPOTENCY = "idempotency"
    PAYMENTS = "payments"
    LEDGER = "ledger"
    OUTBOX = "outbox"
    MERCHANTS = "merchants"
    ENDPOINTS = "endpoints"
    DELIVERIES = "deliveries"
    AUDIT = "audit"
    RECONCILIATION = "reconciliation"
    ROUTING = "routing"
    NOTICES = "notices"
    CREDENTIALS = "credentials"
    CONSOLE = "console"
    OVERVIEW = "overview"


type Key = Mapping[str, str]
type Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Insert:
    """Put ``item`` on condition that nothing is stored under its key."""

    table: Table
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Change one stored item in place, under conditions.

    ``require``: attribute values that must be stored; ``minimum``: the least value that each stored number must have;
    ``add``: integers added to stored numbers; ``set``: attributes overwritten; ``remove``: attributes deleted.
    With ``upsert`` a missing item is created (``require`` and ``minimum`` must then be empty); without it a missing
    item is a conflict. At ``spread_key`` the change is as good as at ``key``, and there are more of its kind: a store
    in which writes that meet on one item are refused chooses it once they have met.
    """

    table: Table
    key: Key
    spread_key: Key | None = None
    require: Mapping[str, Any] = field(default_factory=dict)
    minimum: Mapping[str, int] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    remove: Sequence[str] = ()
    upsert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete one stored item, on condition that ``require`` holds."""

    table: Table
    key: Key
    require: Mapping[str, Any]


type Write = Insert | Adjust | Delete


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query. ``next_key`` is where the next page starts, ``None`` on the last page."""

    items: list[Item]
    next_key: Item | None


class Database(Protocol):
    """Conditional, transactional document storage of strings, ints, bytes, bools, None, lists and dicts; no floats.

    Raises ``WriteConflict`` when a condition failed (nothing was written), ``StoreUnavailable`` when certainly nothing
    was or will be written, ``OutcomeUnknown`` when it may have been written or may be later, and
    ``StoreRequestInvalid`` for a request that can never succeed.
    """

    def get(self, table: Table, key: Key) -> Item | None:
        """Return the item under ``key``, or ``None``. The read is strongly consistent."""
        ...

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """Return the items stored under up to 100 distinct ``keys``, strongly consistent, in one round trip.

        The order is undefined. Either all stored items are returned or ``StoreUnavailable`` is raised.
        """
        ...

    def write(self, writes: Sequence[Write]) -> None:
        """Apply all writes or none, in one round trip; a single write costs no transaction.

        ``WriteConflict.index`` names the first refused write and ``current`` the item stored there.
        """
        ...

    def query(
        self,
        table: Table,
        *,
        partition: tuple[str, str],
        index: str | None = None,
        sort_prefix: tuple[str, str] | None = None,
        sort_at_least: tuple[str, int | str] | None = None,
        sort_at_most: tuple[str, int | str] | None = None,
        descending: bool = False,
        limit: int,
        start: Item | None = None,
    ) -> Page:
        """Return up to ``limit`` items of one partition in sort order; ``partition`` is (attribute, value).

        The sort attribute may be bounded by a prefix, or from below and above (both included).
        """
        ...


class Log(Protocol):
    """A structured log."""

    def info(self, message: str, /, *, extra: dict[str, Any]) -> None:
        """Write a line at level INFO."""
        ...

    def warning(self, message: str, /, *, extra: dict[str, Any]) -> None:
        """Write a line at level WARNING."""
        ...

    def error(self, message: str, /, *, extra: dict[str, Any]) -> None:
        """Write a line at level ERROR."""
        ...
