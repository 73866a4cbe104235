"""How the results are told: a line for each check while they run, what was broken, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from payonce.gateways.check.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.gateways.check.verdicts import Result

AGAINST = frozenset({Verdict.BROKEN, Verdict.FAILED})
EXIT_HELD, EXIT_BROKEN, EXIT_NOT_RUN = 0, 1, 2


def line(result: Result, number: int, of: int) -> str:
    """Return the line of one check."""
    said = f": {result.happened}" if result.verdict in {Verdict.NOT_CLAIMED, Verdict.NOT_SHOWN} else ""
    return f"[{number:>3}/{of}] {result.verdict:<11} {result.check.name} ({result.seconds:.2f} s){said}"


def explained(result: Result) -> str:
    """Return what was expected, why, what happened, and where to read on."""
    return (
        f"\n{result.check.name}: {result.verdict}\n"
        f"  expected  {result.check.expected}\n"
        f"  because   payonce's {PROMISES[result.check.promise]}\n"
        f"  happened  {result.happened}\n"
        f"  read on   {result.check.read_on}"
    )


def summary(results: Sequence[Result]) -> str:
    """Return the table of what was held, by the first part of the checks' names."""
    groups: dict[str, Counter[Verdict]] = {}
    for result in results:
        groups.setdefault(result.check.name.split(".")[0], Counter())[result.verdict] += 1
    head = f"{'':<36}" + "".join(f"{verdict:>13}" for verdict in Verdict)
    rows = [f"{name:<36}" + "".join(f"{found[one] or '':>13}" for one in Verdict) for name, found in groups.items()]
    total: Counter[Verdict] = Counter(result.verdict for result in results)
    seconds = sum(result.seconds for result in results)
    end = f"{f'all ({seconds:.1f} s)':<36}" + "".join(f"{total[one]:>13}" for one in Verdict)
    return "\n".join(("", head, *rows, end))


def as_json(gateway: str, results: Iterable[Result]) -> str:
    """Return the results for a program."""
    rows = [
        {
            "check": one.check.name,
            "verdict": one.verdict.value,
            "promise": one.check.promise,
            "expected": one.check.expected,
            "happened": one.happened,
            "read_on": one.check.read_on,
            "seconds": round(one.seconds, 3),
        }
        for one in results
    ]
    return json.dumps({"gateway": gateway, "checks": rows}, indent=1)


def exit_code(results: Iterable[Result]) -> int:
    """Return 0 when every promise that could be tried was held, 1 when one is broken, 2 when a check could not run."""
    verdicts = {one.verdict for one in results}
    if Verdict.FAILED in verdicts or not verdicts:
        return EXIT_NOT_RUN
    return EXIT_BROKEN if Verdict.BROKEN in verdicts else EXIT_HELD


PROMISES = {
    "P1": "P1: one charge per key, whatever happens",
    "P4": "P4: an unknown outcome is never treated as a failure, and is resolved by asking the gateway",
    "P8": "P8: nobody acts in another's name",
    "P9": "P9: discrepancies against the gateway are found, and corrected at most once",
}
