"""The behaviour of a bank: its settings, and the scenarios that a test or a demo sets."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class BankSettings:
    """The settings of a bank. ``key_retention_seconds`` 0 ignores idempotency keys.

    Lookups find a booking only after ``visible_after_ms``. The fee of a charge is ``fee_fixed_minor`` plus
    ``fee_basis_points`` of the amount; the rest is available after ``settlement_delay_hours``. A change applies to
    later bookings. ``token`` is the only one that is taken, any where it is empty. What the other settings delay is in
    README.md; days may be fractions.
    """

    key_retention_seconds: int = 0
    visible_after_ms: int = 0
    latency_ms: int = 0
    fee_fixed_minor: int = 25
    fee_basis_points: int = 140
    settlement_delay_hours: int = 48
    debit_days: float = 2
    reversal_days: float = 5
    reversal_fee_minor: int = 0
    voucher_paid_days: float = 1
    voucher_expiry_days: float = 3
    authentication_expiry_seconds: float = 900
    late_answer_ms: int = 3_000
    evidence_days: float = 7
    event_retry_ms: int = 1_000
    event_timeout_ms: int = 5_000
    token: str = ""


PREDEFINED_BANKS = {
    "honouring": BankSettings(key_retention_seconds=24 * HOUR_SECONDS),
    "forgetful": BankSettings(),
    "late": BankSettings(visible_after_ms=2_000),
    "remembering": BankSettings(key_retention_seconds=24 * HOUR_SECONDS),
}
MODES = frozenset(
    {
        "ok",
        "decline",
        "throttle",
        "unavailable",
        "slow",
        "timeout_before_booking",
        "timeout_after_booking",
        "book_late",
        "drop_before_booking",
        "drop_after_booking",
        "error_after_booking",
        "error_kept",
        "garbage_body",
        "huge_body",
        "drip",
        "wrong_reference",
    }
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A misbehaviour of a bank. It affects ``times`` requests (None: all) for ``kinds`` of operations (empty: all).

    The mode ``error_kept`` executes nothing and stores its 500 under the idempotency key, as Stripe does, so that every
    retry gets it again. A bank that ignores keys answers an ordinary 500.
    """

    mode: str = "ok"
    times: int | None = None
    delay_ms: int = 30_000
    code: str = "declined"
    retry_after_seconds: int = 2
    kinds: tuple[str, ...] = ()


# Payment tokens that trigger a scenario without an admin call, for the demo and for curl.
MAGIC_TOKENS = {
    "pm_sandbox_declined": Scenario("decline"),
    "pm_sandbox_insufficient_funds": Scenario("decline", code="insufficient_funds"),
    "pm_sandbox_throttled": Scenario("throttle"),
    "pm_sandbox_unavailable": Scenario("unavailable"),
    "pm_sandbox_slow": Scenario("slow", delay_ms=2_000),
    "pm_sandbox_timeout_before_booking": Scenario("timeout_before_booking"),
    "pm_sandbox_timeout_after_booking": Scenario("timeout_after_booking"),
    "pm_sandbox_drop_before_booking": Scenario("drop_before_booking"),
    "pm_sandbox_drop_after_booking": Scenario("drop_after_booking"),
    "pm_sandbox_error_after_booking": Scenario("error_after_booking"),
    "pm_sandbox_error_kept": Scenario("error_kept"),
    "pm_sandbox_book_late": Scenario("book_late", delay_ms=3_000),
    "pm_sandbox_drip": Scenario("drip"),
}


@dataclass(slots=True)
class Behaviours:
    """The settings and scenarios of all banks. Thread-safe."""

    _settings: dict[str, BankSettings] = field(default_factory=lambda: dict(PREDEFINED_BANKS))
    _scenarios: dict[str, Scenario] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self, bank: str) -> BankSettings:
        """Return the settings of ``bank``; an unknown bank has those of ``forgetful``."""
        with self._lock:
            return self._settings.get(bank, BankSettings())

    def configure(self, bank: str, values: dict[str, Any]) -> None:
        """Change settings. Raises ``TypeError`` for an unknown setting."""
        with self._lock:
            self._settings[bank] = replace(self._settings.get(bank, BankSettings()), **values)

    def set_scenario(self, bank: str, values: dict[str, Any]) -> None:
        """Set the scenario of ``bank``. Raises ``ValueError`` or ``TypeError`` for an unknown mode or member."""
        if values.get("mode") not in MODES:
            raise ValueError(f"unknown mode; known are {', '.join(sorted(MODES))}")
        scenario = Scenario(**{**values, "kinds": tuple(values.get("kinds", ()))})
        with self._lock:
            self._scenarios[bank] = scenario

    def clear_scenario(self, bank: str) -> None:
        """End the scenario of ``bank``."""
        with self._lock:
            self._scenarios.pop(bank, None)

    def next_scenario(self, bank: str, kind: str, payment_method: str) -> Scenario:
        """Return the scenario for one request, and count it against ``times``."""
        with self._lock:
            scenario = self._scenarios.get(bank)
            if scenario is not None and (not scenario.kinds or kind in scenario.kinds):
                if scenario.times is None:
                    return scenario
                if scenario.times > 0:
                    self._scenarios[bank] = replace(scenario, times=scenario.times - 1)
                    return scenario
        return MAGIC_TOKENS.get(payment_method, Scenario())
