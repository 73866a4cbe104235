"""The compared policies: no protection, payonce, and what others document.

The latter are two circuit breakers, Envoy's outlier ejection, Thompson sampling, success-rate routing, and Gradient2
(exact and stale).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.policies.breaker import SlowCallBreaker
from laboratory.policies.ejector import Ejector
from laboratory.policies.failure_breaker import FailureRateBreaker
from laboratory.policies.gradient2 import ExactGradient2, StaleGradient2
from laboratory.policies.none import NoProtection
from laboratory.policies.predictive import Predictive
from laboratory.policies.success_rate import SuccessRate
from laboratory.policies.thompson import Thompson

if TYPE_CHECKING:
    from collections.abc import Callable

    from laboratory.simulation import Policy

POLICIES: dict[str, Callable[[], Policy]] = {
    "none": NoProtection,
    "breaker": SlowCallBreaker,
    "failure_breaker": FailureRateBreaker,
    "ejector": Ejector,
    "thompson": Thompson,
    "success_rate": SuccessRate,
    "gradient2": ExactGradient2,
    "gradient2_stale": StaleGradient2,
    "payonce": Predictive,
}
