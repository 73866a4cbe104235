"""Renders a run's figures as a page of the documentation, so that none of them is typed by hand."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from laboratory import targets
from laboratory.policies import POLICIES
from laboratory.split import TUNING_SEEDS

if TYPE_CHECKING:
    from laboratory.targets import Seeds

HEAD = """# What the laboratory measured

This page is written by `python -m laboratory summary` from the figures of `make lab`. The kinds of trouble are in
`laboratory/trouble`, their ranges and seeds in `laboratory/split.py`. Nothing was tuned on these: constants come from
other ranges and the seeds {first} to {last}. Figures are means over the seeds, whose number the tables show. Goodput is
the share of payments with a definite answer within 3 s of the first request. The ranges were drawn by somebody who does
not read the rules. A report on twelve other seeds of theirs came before the rules of ADR 57; these seeds are reported
once. The rows `diurnal` and `peaks` are weeks without faults.
"""
ROUTING = (("actions", 1), ("flips_per_hour", 1), ("lead", 0), ("restored_after", 0))


def render(results: dict[str, Seeds]) -> str:
    """Return the page as Markdown."""
    found = targets.verdicts(results)
    lines = [HEAD.format(first=TUNING_SEEDS[0], last=TUNING_SEEDS[-1])]
    lines.append(f"## Promises: {sum(verdict.met for verdict in found)} of {len(found)} kept\n")
    lines += _table(
        ("scenario", "promise", "measured", "kept"),
        [(v.scenario, v.promise, v.measured, "yes" if v.met else "**no**") for v in found],
    )
    run = next(iter(results.values()))[0]["policies"]
    policies = [*(policy for policy in POLICIES if policy in run), *sorted(run.keys() - POLICIES.keys())]
    lines.append("\n## Goodput / attempts in doubt / payments refused\n")
    lines += _table(("scenario", "seeds", *policies), [_row(name, seeds, policies) for name, seeds in results.items()])
    lines.append("\n## Goodput during the trouble\n")
    lines += _table(
        ("scenario", *policies),
        [
            (name, *(f"{targets.average(seeds, policy, 'during'):.4f}" for policy in policies))
            for name, seeds in results.items()
        ],
    )
    lines.append("\n## What payonce did\n")
    lines += _table(
        ("scenario", "SLO holds unprotected", "harmless", "refusals", "on the dearest", *(name for name, _ in ROUTING)),
        [_deeds(name, seeds) for name, seeds in results.items()],
    )
    return "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _row(name: str, seeds: Seeds, policies: list[str]) -> tuple[str, ...]:
    cells = (
        f"{targets.average(seeds, policy):.4f} / {targets.average(seeds, policy, 'in_doubt'):.1f}"
        f" / {targets.average(seeds, policy, 'refused'):.1f}"
        for policy in policies
    )
    return (name, str(len(seeds)), *cells)


def _deeds(name: str, seeds: Seeds) -> tuple[str, ...]:
    cells = [
        "yes" if targets.within_slo(seeds) else "no",
        "yes" if targets.harmless(seeds) else "no",
        f"{targets.average(seeds, 'payonce', 'refusals'):.1f}",
        f"{targets.average(seeds, 'payonce', 'dearest_share'):.1%}",
    ]
    for figure, digits in ROUTING:
        known = [figures["policies"]["payonce"]["routing"].get(figure) for figures in seeds]
        values = [value for value in known if value is not None]
        cells.append(f"{mean(values):.{digits}f}" if values else "–")
    return (name, *cells)
