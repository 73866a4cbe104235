"""The policy: which corrections need no second person. A setting that is not known stops the start."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.corrections.actions import ACTIONS
from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_APPROVAL_SECONDS = 72 * 3600  # a weekend and a working day
MAX_APPROVAL_SECONDS = 30 * 24 * 3600  # the evidence is old by then: propose again
# More than this is never given back without a person by a mere setting: 100.00 in most currencies.
MAX_AUTOMATIC_MINOR = 10_000
_NAMES = frozenset({"enabled", "approval_seconds", "automatic"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``enabled``: the kill switch; without it nothing is executed. ``automatic``: up to which amount, in minor units
    of the currency, a correction of (class, currency) is approved by itself; 0 where nothing is said.

    ``approval_seconds``: for how long a proposal waits for its approval.
    """

    enabled: bool = True
    approval_seconds: int = DEFAULT_APPROVAL_SECONDS
    automatic: Mapping[tuple[BreakClass, str], int] = field(default_factory=lambda: MappingProxyType({}))

    def is_automatic(self, break_class: BreakClass, currency: str, amount_minor: int) -> bool:
        """Return whether no person has to approve it."""
        return 0 < amount_minor <= self.automatic.get((break_class, currency), 0)


def parse_policy(text: str) -> Policy:
    """Return the policy of a TOML document. Raises ``MisconfiguredError`` naming the setting and what it needs.

    ::

        enabled = true
        approval_seconds = 259200
        [automatic.duplicate_capture]
        EUR = 5000
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
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
