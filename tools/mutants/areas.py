"""Which modules are mutated, and which tests may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PROTOCOL: Final = (
    "tests/unit/idempotency",
    "tests/unit/payments",
    "tests/unit/recovery",
    "tests/unit/domain",
    "tests/unit/stores",
    "tests/unit/entrypoints",
    "tests/contract/test_idempotency_store.py",
    "tests/contract/test_audit_trail.py",
    "tests/contract/test_operation_stores.py",
)
# Not what needs a server: its start would cost each fork more than its tests.
_NO_SERVER: Final = "not dynamodb_local and not redis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Modules of one folder, and what is collected for them: folders and files of tests, with a ``-k``."""

    folder: str
    names: tuple[str, ...]
    suites: tuple[str, ...]
    chosen: str = _NO_SERVER

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules' paths below the package."""
        return tuple(f"{self.folder}/{name}.py" for name in self.names)


# In the order of their weight for "never charged twice".
AREAS: Final = (
    Area(
        folder="idempotency",
        names=(
            *("conclude", "engine", "execution", "persistence", "transitions", "ownership", "record_store"),
            "claim_recovery",
            *(
                "record_items",
                "fingerprint",
                "keys",
                "release",
                "window",
                "waiting",
                "attempt",
                "nested",
                "handoff",
                "coroutines",
            ),
        ),
        suites=_PROTOCOL,
    ),
    Area(
        folder="payments",
        names=(
            *("payment_work", "rules", "create", "follow_up", "effects", "recovery_run"),
            *("corrective", "corrective_plan", "corrective_refund"),
        ),
        suites=(*_PROTOCOL, "tests/unit/corrections"),
    ),
    Area(
        folder="domain",
        names=("ids", "ledger", "money", "payment", "gateway"),
        suites=(*_PROTOCOL, "tests/unit/gateways"),
    ),
    Area(
        folder="stores",
        names=("dynamodb", "dynamodb_errors", "dynamodb_requests"),
        suites=(*_PROTOCOL, "tests/contract/test_database.py"),
    ),
    Area(
        folder="stores",
        names=("redis_scripts", "redis_transitions"),
        suites=("tests/contract/stores", "tests/contract/test_idempotency_store.py"),
        chosen="not dynamodb_local",
    ),
    Area(
        folder="recovery",
        names=("feeder", "lanes", "asker", "book", "backlog", "messages"),
        suites=(*_PROTOCOL, "tests/contract/test_recovery_book.py"),
    ),
    Area(folder="corrections", names=("execution", "policy", "approval"), suites=("tests/unit/corrections",)),
    Area(
        folder="gateways",
        names=("stripe_errors", "stripe_lookup", "sandbox_bank"),
        suites=("tests/unit/gateways", "tests/unit/payments"),
    ),
)
MODULES: Final = tuple(module for area in AREAS for module in area.modules)
