"""The corrections policy: which corrections need no approval. A malformed document stops all corrections."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.corrections.actions import ACTIONS
from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected, MisconfiguredError
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, FileStore

POLICY_FILE = "policy/corrections.toml"  # key in the reconciliation bucket
MAX_POLICY_BYTES = 64_000
# The longest delay of the kill switch. Every step reads the policy, but caching it for minutes would save only pennies.
CACHE_MS = 15_000
DEFAULT_APPROVAL_SECONDS = 72 * 3600  # a weekend and a working day
MAX_APPROVAL_SECONDS = 30 * 24 * 3600  # later the evidence is outdated, and a new proposal is needed
# No setting may allow more than this without a person's approval: 100.00 in most currencies.
MAX_AUTOMATIC_MINOR = 10_000
_NAMES = frozenset({"enabled", "approval_seconds", "automatic"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy. ``enabled=False`` is the kill switch: nothing is executed.

    ``automatic`` maps (class, currency) to the largest amount, in minor units, that is approved without a person; it is
    0 for pairs that are not listed. ``approval_seconds`` is how long a proposal waits for its approval.
    """

    enabled: bool = True
    approval_seconds: int = DEFAULT_APPROVAL_SECONDS
    automatic: Mapping[tuple[BreakClass, str], int] = field(default_factory=lambda: MappingProxyType({}))

    def is_automatic(self, break_class: BreakClass, currency: str, amount_minor: int) -> bool:
        """Return whether a correction of that amount needs no person's approval."""
        return 0 < amount_minor <= self.automatic.get((break_class, currency), 0)


def parse_policy(text: str) -> Policy:
    """Return the policy of a TOML document. Raises ``MisconfiguredError`` with the setting and what it needs.

    ::

        enabled = true
        approval_seconds = 259200
        [automatic.duplicate_capture]
        EUR = 5000
    """
    try:
        document = tomllib.loads(text)
    # As in run_policy: for a number of thousands of digits, tomllib raises a ValueError that is no TOMLDecodeError.
    except (ValueError, RecursionError) as error:
        raise MisconfiguredError(f"The corrections policy is no TOML: {error}.") from error
    unknown = sorted(set(document) - _NAMES)
    if unknown:
        raise MisconfiguredError(f"The corrections policy has unknown settings {unknown}; known are {sorted(_NAMES)}.")
    enabled = document.get("enabled", True)
    if not isinstance(enabled, bool):
        raise MisconfiguredError("The corrections policy's enabled must be true or false.")
    approval_seconds = _whole("approval_seconds", document.get("approval_seconds", DEFAULT_APPROVAL_SECONDS))
    if not 0 < approval_seconds <= MAX_APPROVAL_SECONDS:
        raise MisconfiguredError(f"The corrections policy's approval_seconds must be 1 to {MAX_APPROVAL_SECONDS}.")
    return Policy(
        enabled=enabled, approval_seconds=approval_seconds, automatic=_automatic(document.get("automatic", {}))
    )


def _automatic(table: Any) -> Mapping[tuple[BreakClass, str], int]:
    if not isinstance(table, dict):
        raise MisconfiguredError("The corrections policy's automatic must be a table of classes.")
    limits: dict[tuple[BreakClass, str], int] = {}
    for name, currencies in table.items():
        if name not in set(ACTIONS):
            raise MisconfiguredError(f"automatic.{name}: only {', '.join(ACTIONS)} can be corrected by a program.")
        if not isinstance(currencies, dict):
            raise MisconfiguredError(f"automatic.{name} must be a table of currencies.")
        for currency, limit in currencies.items():
            if currency not in MINOR_UNIT_EXPONENTS:
                raise MisconfiguredError(f"automatic.{name}.{currency} is no currency of ISO 4217.")
            amount_minor = _whole(f"automatic.{name}.{currency}", limit)
            if not 0 <= amount_minor <= MAX_AUTOMATIC_MINOR:
                raise MisconfiguredError(f"automatic.{name}.{currency} must be 0 to {MAX_AUTOMATIC_MINOR} minor units.")
            limits[BreakClass(name), currency] = amount_minor
    return MappingProxyType(limits)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisconfiguredError(f"The corrections policy's {name} must be a whole number.")
    return value


class PolicySource:
    """Reads the stored policy, cached for ``CACHE_MS``. Without a document nothing is approved automatically."""

    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._policy = Policy()
        self._read_at_ms: int | None = None

    def __call__(self) -> Policy:
        """Return the policy, at most ``CACHE_MS`` old.

        Raises ``MisconfiguredError`` for a malformed document, and ``StoreUnavailable``. The caller must then neither
        decide nor execute anything: an older policy could miss the kill switch.
        """
        now_ms = self._clock.now_ms()
        if self._read_at_ms is None or not 0 <= now_ms - self._read_at_ms < CACHE_MS:
            self._policy = self._read()
            self._read_at_ms = now_ms
        return self._policy

    def _read(self) -> Policy:
        try:
            data = self._files.read(POLICY_FILE, max_bytes=MAX_POLICY_BYTES)
        except FileRejected as error:
            raise MisconfiguredError(f"{POLICY_FILE} is too large for a policy: {error.detail}") from error
        if data is None:
            return Policy()
        try:
            return parse_policy(data.decode())
        except UnicodeDecodeError as error:
            raise MisconfiguredError(f"{POLICY_FILE} is no UTF-8 text.") from error
