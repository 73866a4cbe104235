"""How the fake behaves: the account's settings, and the scenarios that a test or a demo sets.

The scenarios are those of the sandbox bank, so that a suite can commit the same faults on both.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

from local.sandbox_bank.behaviour import MAGIC_TOKENS, Scenario
from local.sandbox_bank.behaviour import MODES as BANK_MODES

DAY_SECONDS = 24 * 3600
# Adyen's store of idempotency keys is out of reach: 503 with the code 703, marked as transient.
# `events_before_answer`: what the request causes is told before it is answered.
MODES = BANK_MODES | {"key_store_unavailable", "events_before_answer"}
# A `setup` is a payment of nothing, a `token` is stored without any, a `revocation` deletes one. A list is broken only
# by a scenario that names it, so that one which is to break a write is not used up by the question before it.
LIST = "stored_methods"
KINDS = frozenset({"payment", "setup", "details", "capture", "void", "refund", "reversal", "token", "revocation", LIST})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the account. README.md says which defaults are Adyen's and which are guesses.

    ``capture_delay_hours`` None captures on request alone. ``other_body`` says what a key answers to another body:
    ``replay`` the first answer, or ``refuse``. ``native_first`` is the first step of native authentication,
    ``challenge`` or ``fingerprint``. ``bank_delay_ms`` is how long a bank takes to decide on a debit.
    ``modification_reference`` is the ``merchantReference`` in a modification's notification: its ``own``, or the
    ``payment``'s; the public pages say both.
    ``recurring_contract`` enables that event of the standard webhook. ``token_in_answer`` names a card's token in the
    answer that authorises it and in its notification. ``token_delay_ms`` is how long after its authorisation a card's
    token comes into being: until then it is not listed, not told and can't be charged. ``tokens_fail``: the payment is
    authorised, and nothing is stored. ``needs_processing_model`` refuses tokens without ``recurringProcessingModel``.
    """

    key_retention_seconds: int = 7 * DAY_SECONDS
    other_body: str = "replay"
    in_progress_status: int = 422
    latency_ms: int = 0
    outcome_delay_ms: int = 0
    bank_delay_ms: int = 2 * DAY_SECONDS * 1000
    capture_delay_hours: int | None = 0
    multiple_partial_captures: bool = False
    notify_automatic_capture: bool = False
    offer_hours: int = 12
    voucher_hours: int = 72
    authorisation_days: int = 28
    native_first: str = "challenge"
    modification_reference: str = "own"
    recurring_contract: bool = False
    token_in_answer: bool = True
    token_delay_ms: int = 0
    tokens_fail: bool = False
    needs_processing_model: bool = True


@dataclass(slots=True)
class Behaviours:
    """The settings and the scenario. Thread-safe."""

    _settings: Settings = field(default_factory=Settings)
    _scenario: Scenario | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self) -> Settings:
        """Return the present settings."""
        with self._lock:
            return self._settings

    def configure(self, values: dict[str, Any]) -> None:
        """Change settings. Raises ``TypeError`` for an unknown setting."""
        with self._lock:
            self._settings = replace(self._settings, **values)

    def set_scenario(self, values: dict[str, Any]) -> None:
        """Set the scenario. Raises ``ValueError`` or ``TypeError`` for an unknown mode, kind or member."""
        if values.get("mode") not in MODES:
            raise ValueError(f"unknown mode; known are {', '.join(sorted(MODES))}")
        if unknown := set(values.get("kinds", ())) - KINDS:
            raise ValueError(f"unknown kinds {', '.join(sorted(unknown))}; known are {', '.join(sorted(KINDS))}")
        scenario = Scenario(**{**values, "kinds": tuple(values.get("kinds", ()))})
        with self._lock:
            self._scenario = scenario

    def clear_scenario(self) -> None:
        """End the scenario."""
        with self._lock:
            self._scenario = None

    def next_scenario(self, kind: str, stored_method: str) -> Scenario:
        """Return the scenario for one request, and count it against ``times``."""
        with self._lock:
            scenario = self._scenario
            if scenario is not None and (kind in scenario.kinds or (not scenario.kinds and kind != LIST)):
                if scenario.times is None:
                    return scenario
                if scenario.times > 0:
                    self._scenario = replace(scenario, times=scenario.times - 1)
                    return scenario
        return MAGIC_TOKENS.get(stored_method, Scenario())
