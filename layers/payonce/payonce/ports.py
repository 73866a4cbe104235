"""The ports: what the use cases need from the outside, as Protocols.

Every adapter of a port passes that port's one contract suite (tests/contract).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from payonce.domain.delivery import Exchanged
    from payonce.domain.exchange import Exchange, Oversized
    from payonce.domain.gateway import (
        AwaitsPayer,
        ChargeOutcome,
        GatewayCapabilities,
        Instruction,
        LookupOutcome,
        SubmitOutcome,
        WithdrawOutcome,
    )


class Clock(Protocol):
    """The time of day. Injected, so that tests own it."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...


class IdSource(Protocol):
    """Fresh, unguessable, time-ordered identifiers. Injected, so that tests own them."""

    def new(self, prefix: str) -> str:
        """Return ``<prefix>_<26 characters of Crockford base32>``, never the same twice."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment, in epoch milliseconds, by which something has to be over."""

    at_ms: int

    def remaining_seconds(self, clock: Clock) -> float:
        """Seconds left, never below zero."""
        return max(0, self.at_ms - clock.now_ms()) / 1000

    def earlier(self, at_ms: int) -> Deadline:
        """Return the earlier of this deadline and ``at_ms``."""
        return Deadline(min(self.at_ms, at_ms))


class Gateway(Protocol):
    """A payment gateway. No method raises for anything the gateway or the network does: that is an outcome.

    All are over by ``deadline``, the whole exchange included, however slowly the gateway drips its answer.
    """

    @property
    def name(self) -> str:
        """The name under which the gateway is configured and stored."""
        ...

    @property
    def capabilities(self) -> GatewayCapabilities:
        """What the gateway promises."""
        ...

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """Send the instruction at most once.

        ``NeverSent`` only when it is certain that the gateway has not executed it and will not because of this call;
        every doubt is ``Unknown``.
        """
        ...

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """Ask what became of the instruction, by its ``gateway_reference``. Changes nothing at the gateway."""
        ...

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """Take back what waits for the payer, and return what has become of it.

        ``Declined`` only when the gateway says that it can't be executed any more, ``Succeeded`` when the payer was
        faster, ``waiting`` itself when there is no answer. Withdrawing twice is withdrawing once.
        """
        ...

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """Return what the gateway holds of a charge, whoever made it. ``NotFound`` when it knows no such charge."""
        ...


class WebhookTransport(Protocol):
    """Sends one webhook. Never raises for what the receiver, its name server or the network do: that is an outcome."""

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """Post ``body`` at most once, to a public address only. Over by ``deadline``, the whole exchange included.

        Raises ``ValueError`` for headers that are none or frame the request: the caller's mistake, before anything is
        sent.
        """
        ...


class UpstreamTransport(Protocol):
    """Sends one HTTP request to an upstream. Never raises for what the network does: that is an outcome."""

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
        """Send exactly these header lines, and what frames them; over by ``deadline``. Raises ``ValueError`` before."""
        ...


class Blobs(Protocol):
    """Bytes that are too large for a record, under names of visible ASCII without slashes."""

    def put(self, name: str, data: bytes) -> None:
        """Store ``data`` durably; the same again changes nothing. Raises ``StoreUnavailable``."""
        ...

    def get(self, name: str) -> bytes | None:
        """Return what is stored, or ``None``. Raises ``StoreUnavailable``."""
        ...


class FileStore(Protocol):
    """Files under names with slashes, such as a bucket's."""

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return the file, or ``None``. Raises ``FileRejected`` for a larger one and ``StoreUnavailable``."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Store the file durably, in place of one of that name. Raises ``StoreUnavailable``."""
        ...

    def fetch(self, name: str, to: Path) -> bool:
        """Bring the file to the local path ``to``, whatever its size; return whether there is one.

        Raises ``StoreUnavailable``.
        """
        ...

    def store(self, name: str, path: Path) -> None:
        """Store the local file at ``path`` under ``name``, as ``write``."""
        ...


class Cipher(Protocol):
    """Keeps secrets at rest. ``context`` binds a secret to its place: sealed for one, it opens for no other."""

    def seal(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Return ``plaintext`` sealed. Raises ``StoreUnavailable`` when the key service does not answer."""
        ...

    def open(self, sealed: bytes, context: Mapping[str, str]) -> bytes:
        """Return what was sealed. Raises ``SecretNotOpened`` for another context, a changed text or a lost key."""
        ...


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message to be queued: its ``body`` (text), and how long it stays unseen."""

    body: str
    delay_seconds: int = 0


class MessageQueue(Protocol):
    """A queue that delivers each message at least once, in no order."""

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """Queue all messages. Raises ``StoreUnavailable`` when that is not certain; some may have been queued."""
        ...


class CorrectionStarter(Protocol):
    """Starts the workflow that corrects a break."""

    def start(self, break_id: str, attempt: int) -> None:
        """Start it, under a name made of both: the same break and attempt again is a no-op, for 90 days at least.

        Raises ``StoreUnavailable`` when that is not certain. Start it again.
        """
        ...


class ApprovalNotifier(Protocol):
    """Wakes a workflow that waits for people."""

    def decided(self, task_token: str) -> None:
        """Say that a decision is stored. A workflow that waits no longer is none to be told: it has looked by itself.

        Raises ``OutcomeUnknown`` when that is not certain. Say it again.
        """
        ...


class Workflows(CorrectionStarter, ApprovalNotifier, Protocol):
    """Both."""


class Table(StrEnum):
    """Logical tables. template.yaml is the one truth for their keys and indexes."""

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


type Key = Mapping[str, str]
type Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Insert:
    """Put ``item`` on condition that nothing is stored under its key."""

    table: Table
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """Change one stored item in place, on conditions.

    ``require``: attribute values that must be stored; ``minimum``: stored numbers that must be at least so large;
    ``add``: integers added to stored numbers; ``set``: attributes overwritten; ``remove``: attributes dropped.
    With ``upsert`` a missing item starts empty (then ``require`` and ``minimum`` must be empty); without it a missing
    item is a conflict.
    """

    table: Table
    key: Key
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
    """One page of a query. ``next_key`` continues it; ``None`` at the end."""

    items: list[Item]
    next_key: Item | None


class Database(Protocol):
    """Conditional, transactional document storage. Strings, ints, bytes, bools, None, lists and dicts; no floats.

    Raises ``WriteConflict`` when a condition failed (nothing was written), ``StoreUnavailable`` when certainly nothing
    was written and nothing will be, ``OutcomeUnknown`` when it may have been written, or may be later, and
    ``StoreRequestInvalid`` for what can never be written or read.
    """

    def get(self, table: Table, key: Key) -> Item | None:
        """Return the item under ``key``, strongly consistent, or ``None``."""
        ...

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """Return the items stored under up to 100 different ``keys``, strongly consistent, in one round trip.

        The order is any. All that are stored are returned, or ``StoreUnavailable`` is raised.
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
        """Write a line."""
        ...

    def warning(self, message: str, /, *, extra: dict[str, Any]) -> None:
        """Write a line."""
        ...

    def error(self, message: str, /, *, extra: dict[str, Any]) -> None:
        """Write a line."""
        ...
