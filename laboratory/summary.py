"""Renders a run's figures as a page of the documentation, so that none of them is typed by hand."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from laboratory import targets
from laboratory.split import TUNING_SEEDS

if TYPE_CHECKING:
    from laboratory.targets import Seeds

HEAD = """# What the laboratory measured

This page is written by `python -m laboratory summary` from the figures of `make lab`. The scenarios are in
`laboratory/trouble.py`, their ranges and seeds in `laboratory/split.py`. Nothing was tuned on these: constants and
coefficients come from other ranges and the seeds {first} to {last}. Figures are means over the seeds, whose number the
tables show. Goodput is the share of payments with a definite answer within 3 s of the first request. Ranges and seeds
were drawn anew after each earlier report, and reported once. Ranges of earlier reports (seeds 2001 to 2030, and one
trial of 3001 to 3030) were looked at besides the tuning ranges while the code was changed; some of them overlap with
these. The scenario `diurnal` is weeks without faults.
"""


def render(results: dict[str, Seeds]) -> str:
    """Return the page as Markdown."""
    found = targets.verdicts(results)
    lines = [HEAD.format(first=TUNING_SEEDS[0], last=TUNING_SEEDS[-1])]
    lines.append(f"## Promises: {sum(verdict.met for verdict in found)} of {len(found)} kept\n")
    lines += ["| scenario | promise | measured | kept |", "|---|---|---|---|"]
    lines += [f"| {v.scenario} | {v.promise} | {v.measured} | {'yes' if v.met else '**no**'} |" for v in found]
    policies = list(next(iter(results.values()))[0]["policies"])
    for figure, title, digits in (("goodput", "Goodput", 4), ("in_doubt", "Attempts in doubt", 1)):
        lines += [
            f"\n## {title}\n",
            f"| scenario | seeds | {' | '.join(policies)} |",
            "|---" * (len(policies) + 2) + "|",
        ]
        for name, seeds in results.items():
            values = [mean(figures["policies"][policy][figure] for figures in seeds) for policy in policies]
            lines.append(f"| {name} | {len(seeds)} | {' | '.join(f'{value:.{digits}f}' for value in values)} |")
    return "\n".join(lines) + "\n"
