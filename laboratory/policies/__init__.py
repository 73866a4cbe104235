"""The compared policies: no protection, a circuit breaker, Gradient2 (exact and stale), and payonce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.policies.breaker import SlowCallBreaker
from laboratory.policies.gradient2 import ExactGradient2, StaleGradient2
from laboratory.policies.none import NoProtection
from laboratory.policies.predictive import Predictive

if TYPE_CHECKING:
    from collections.abc import Callable

    from laboratory.simulation import Policy

POLICIES: dict[str, Callable[[], Policy]] = {
    "none": NoProtection,
    "breaker": SlowCallBreaker,
    "gradient2": ExactGradient2,
    "gradient2_stale": StaleGradient2,
    "payonce": Predictive,
}
