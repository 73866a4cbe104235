"""What tries to break each promise: the list from which ``tools/evidence.py`` makes its page. It holds no result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests of a suite: ``paths`` are files and folders, ``suite`` is the target of the Makefile that runs them."""

    what: str
    suite: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page with figures that ``command`` writes. ``pattern`` finds the lines to quote, the first ``at_most``.

    With ``counted`` the lines are counted, not quoted; it says what they are.
    """

    what: str
    command: str
    path: str
    pattern: str
    at_most: int = 1
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise of the design, and what tries to break it."""

    name: str
    text: str
    tried: tuple[Suite | Page, ...]


SIMULATION: Final = Page(
    "all actors under one scheduler, with faults", "make simulate-page", "docs/simulation.md", r"^[\d,]+ seeds, .*$"
)
HISTORIES: Final = Page(
    "histories of concurrent clients while servers are killed: linearizable, with so many requests",
    "make histories-page",
    "docs/histories.md",
    r"^\| ((?:api|gateway|sidecar|in_process) on \w+ \| [\d,]+) \|.*\| linearizable \|$",
    6,
)
SPECIFICATION: Final = Page(
    "the specification: every order of steps, for each kind of gateway; it holds in so many states",
    "make spec-page",
    "docs/specification.md",
    r"^\| ((?:ignores|late|honours|remembers), 1 key, 3 owners, 2 faults \| [\d,]+) \|.*holds \|$",
    4,
)
CRASHES: Final = Suite(
    "a process killed between any two steps", "crash-slice", ("tests/crash_matrix/test_crash_matrix.py",)
)
FAULTS: Final = Suite("DynamoDB fails at any request of any operation", "contract", ("tests/contract/faults",))
RACES: Final = Suite("copies at the same time, on DynamoDB Local", "contract", ("tests/contract/test_concurrency.py",))
STATE_MACHINES: Final = Suite("state machines and interleavings", "simulation", ("tests/simulation",))
END_TO_END: Final = Suite("real HTTP on the deployed stack", "e2e", ("tests/e2e/test_api.py",))


def _mechanisms(promise: str) -> Page:
    return Page(
        "mechanisms taken out, one after the other",
        "make mechanisms",
        "docs/mechanisms.md",
        rf"^\| [^|]+ \| {promise} \|.*$",
        at_most=1000,
        counted="planted faults, each seen by its test",
    )


PROMISES: Final = (
    Promise(
        "P1",
        "At most one charge per merchant, operation and key, whatever is killed, delayed, duplicated or reordered.",
        (SIMULATION, HISTORIES, SPECIFICATION, CRASHES, RACES, FAULTS, STATE_MACHINES, END_TO_END, _mechanisms("P1")),
    ),
    Promise(
        "P2",
        "Nothing acknowledged is lost: a 2xx means that the payment, its ledger entries and its event are committed.",
        (
            SIMULATION,
            FAULTS,
            CRASHES,
            Suite("answers that are lost after a commit", "unit", ("tests/unit/payments/test_lost_answers.py",)),
            _mechanisms("P2"),
        ),
    ),
    Promise(
        "P3",
        "A replay is the first response, byte for byte, and marked as one.",
        (
            HISTORIES,
            Suite(
                "one suite on every store",
                "contract",
                ("tests/contract/test_idempotency_store.py", "tests/contract/stores"),
            ),
            Suite("bodies, headers and edges", "unit", ("tests/unit/idempotency",)),
            END_TO_END,
            _mechanisms("P3"),
        ),
    ),
    Promise(
        "P4",
        "An unknown outcome is never treated as a failure: it is asked about, and never rerouted.",
        (
            SIMULATION,
            Suite(
                "every answer of a gateway, and what may follow",
                "unit",
                (
                    "tests/unit/payments/test_rules.py",
                    "tests/unit/payments/test_attempts.py",
                    "tests/unit/payments/test_recovery.py",
                ),
            ),
            Suite("gateways: sandbox bank and Stripe", "contract", ("tests/contract/gateways",)),
            _mechanisms("P4"),
        ),
    ),
    Promise(
        "P5",
        "A stale owner can change nothing.",
        (
            SIMULATION,
            RACES,
            Suite("fence and status in every write", "contract", ("tests/contract/test_idempotency_store.py",)),
            _mechanisms("P5"),
        ),
    ),
    Promise(
        "P6",
        "Every state change produces exactly one event with one stable id; redelivery repeats the id and the bytes.",
        (
            SIMULATION,
            Suite("the dispatcher killed at any step", "crash-slice", ("tests/crash_matrix/test_webhook_matrix.py",)),
            Suite(
                "deliveries at the same time, hostile receivers",
                "contract",
                ("tests/contract/webhooks", "tests/contract/test_webhook_concurrency.py"),
            ),
            Suite("ids, signatures, retries", "unit", ("tests/unit/webhooks",)),
            _mechanisms("P6"),
        ),
    ),
    Promise(
        "P7",
        "The ledger balances per currency at every moment; entries are only ever added.",
        (
            SIMULATION,
            STATE_MACHINES,
            Suite("no role may change an entry", "infrastructure", ("tests/infrastructure/test_template.py",)),
            _mechanisms("P7"),
        ),
    ),
    Promise(
        "P8",
        "One merchant never sees, replays or blocks another's keys.",
        (
            SIMULATION,
            Suite("another merchant's ids on every route", "unit", ("tests/unit/entrypoints/test_tenants.py",)),
            Suite("every role tried with what it must not do, IAM enforced", "e2e", ("tests/e2e/test_roles.py",)),
            _mechanisms("P8"),
        ),
    ),
    Promise(
        "P9",
        "Discrepancies are found, named from a closed list, and corrected at most once.",
        (
            SIMULATION,
            Suite(
                "months by a generator that knows no rule, and planted breaks",
                "recall-slice",
                ("tests/reconciliation", "tests/outside_month"),
            ),
            Suite(
                "the worker of corrections killed at any call",
                "crash-slice",
                ("tests/crash_matrix/test_correction_matrix.py",),
            ),
            _mechanisms("P9"),
        ),
    ),
    Promise(
        "P10",
        "A gateway that goes bad loses its traffic before requests time out, and routing never makes it worse.",
        (
            Page(
                "kinds of trouble on ranges that nobody tuned on, beside eight other policies",
                "make lab",
                "docs/routing-laboratory.md",
                r"^## (Promises: .* kept)$",
            ),
            Suite("a slice of the laboratory", "lab-slice", ("tests/laboratory",)),
            Suite("the rules on small shops", "unit", ("tests/unit/routing",)),
            _mechanisms("P10"),
        ),
    ),
)
