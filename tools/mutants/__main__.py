"""Changes one place of a safety-relevant module after the other, and shows what no test sees: ``make mutants``.

Exits with 1 when a mutant survives that ``equivalent.toml`` does not list, and when that list does not fit.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Final

from tools.mutants.areas import AREAS, MODULES
from tools.mutants.equivalent import EquivalentError, check, read_equivalents, refuted
from tools.mutants.kept import Kept
from tools.mutants.mutations import SOURCES, mutants_of
from tools.mutants.page import PAGE, counted, rendered, written
from tools.mutants.session import verdicts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.mutants.trial import Verdict

KEEP_SECONDS: Final = 30  # between two writes of what is kept for the next run


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mutants of the named modules, or of all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"paths below {SOURCES}, such as {MODULES[0]}; all if none is named")
    parser.add_argument("--write", action="store_true", help="write the rows of docs/mutants.md")
    parser.add_argument("--seconds", type=float, default=2, help="of tests for each mutant, the quickest first")
    parser.add_argument("--again", type=float, default=20, help="of tests for what survives those")
    parser.add_argument("--seeds", type=int, default=5, help="of the simulation for what survives the first tests")
    parser.add_argument(
        "--anew", action="store_true", help="try those again, too, that a test of today has killed before"
    )
    parser.add_argument("--all", action="store_true", help="print the killed, too")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.modules) - set(MODULES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not among the mutated modules: {', '.join(MODULES)}")
    rounds = [(chosen.seconds, 0), (chosen.again, chosen.seeds)]
    try:
        found = _try_all(chosen.modules or MODULES, rounds, anew=chosen.anew, show_killed=chosen.all)
        equivalents = [entry for entry in read_equivalents() if entry.module in found]
        wrong = refuted(equivalents, (verdict for verdicts in found.values() for verdict in verdicts))
    except EquivalentError as error:
        print(error, file=sys.stderr)
        return 1
    tried = {module: counted(verdicts, equivalents) for module, verdicts in found.items()}
    for module, counts in tried.items():
        print(
            f"{module}: {counts.mutants} mutants, {counts.killed} killed, {counts.equivalent} equivalent, "
            f"{len(counts.survivors)} survive; {counts.seconds:.0f} s"
        )
    for verdict in wrong:
        print(f"listed as equivalent, but {verdict.by} fails: {verdict.mutant}", file=sys.stderr)
    if chosen.write:
        page = PAGE.read_text("utf-8")
        tried_with = f"{chosen.seconds:g} s, then {chosen.again:g} s and {chosen.seeds} seeds"
        PAGE.write_text(
            written(page, rendered(tried, page, tried_with=tried_with, on=f"{datetime.now(UTC):%Y-%m-%d}")), "utf-8"
        )
    return 1 if wrong or any(counts.survivors for counts in tried.values()) else 0


def _try_all(
    modules: Sequence[str], rounds: list[tuple[float, int]], *, anew: bool, show_killed: bool
) -> dict[str, list[Verdict]]:
    """Return the verdicts by module. Raises ``EquivalentError`` before anything is run, if any."""
    mutants = {module: mutants_of(module) for module in modules}
    for module, found in mutants.items():
        check([entry for entry in read_equivalents() if entry.module == module], found)
    kept = Kept.read()
    verdicts: dict[str, list[Verdict]] = defaultdict(list)
    written = monotonic()
    for area in AREAS:
        here = [mutant for module in area.modules for mutant in mutants.get(module, [])]
        known = {} if anew else kept.killed(here)
        left = [mutant for mutant in here if mutant not in known]
        for verdict in known.values():
            verdicts[verdict.mutant.module].append(verdict)
        for verdict in verdicts_of(area, left, rounds, kept.tests) if left else ():
            if verdict is None:
                kept.write()
                continue
            verdicts[verdict.mutant.module].append(verdict)
            kept.add(verdict)
            if monotonic() - written > KEEP_SECONDS:  # a run may be ended at any time
                kept.write()
                written = monotonic()
            if show_killed or not verdict.by:
                print(f"{verdict.by or 'survives'}: {verdict.mutant}", flush=True)
        kept.write()
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
