"""Measure the route watch beside other detectors: ``python -m benchmarks.route_watch [--fit]``.

Each detector has the threshold that is best for it on the series of each corpus that are fitted on; the watch ships
that of the latencies. ``--fit`` prints the figures on those alone. Without it the series that were set apart are scored
as well, and the figures are written to ``figures.json`` and docs/route-watch.md.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.route_watch import candidates, corpus, drawn
from benchmarks.route_watch.score import Recall, fit, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.route_watch.corpus import Series
    from benchmarks.route_watch.score import Detector

FIGURES = Path(__file__).with_name("figures.json")
DOCUMENT = Path(__file__).parents[2] / "docs" / "route-watch.md"
BEGIN, END = "<!-- figures: written by python -m benchmarks.route_watch -->", "<!-- end of figures -->"
STEPS = tuple(2 * 1.12**i for i in range(30))  # thresholds, in standard deviations or medians
EMPTINESS = tuple(8 + 0.5 * i for i in range(25))
PUBLISHED = tuple(1 - 10 ** (-i / 4) for i in range(33))  # of scores from 0 to 1
WATCH = "payonce's watch"
DETECTORS: dict[str, tuple[Callable[[Series, float], Detector], tuple[float, ...]]] = {
    WATCH: (lambda _, threshold: candidates.Shipped(threshold), STEPS),
    "k-nearest neighbours, plain": (candidates.once(candidates.PlainNeighbours), STEPS),
    "stand-in for CloudWatch, width fitted": (lambda *_: candidates.BandByHour(), STEPS),
    "stand-in for CloudWatch, its default of 2": (lambda *_: candidates.BandByHour(), (2.0,)),
    "windowed Gaussian": (lambda *_: candidates.WindowedGaussian(), STEPS),
    "matrix profile": (candidates.once(partial(candidates.PlainNeighbours, shapes=True)), STEPS),
    "half-space trees": (candidates.once(candidates.HalfSpaceTrees), EMPTINESS),
}
ON_NAB = {name: one for name, one in DETECTORS.items() if name not in {"matrix profile", "half-space trees"}}
ON_NAB[WATCH] = (DETECTORS[WATCH][0], STEPS[20::3])  # each takes minutes there, as what is unusual is not learned
BESIDE = ("ARTime", "randomCutForest", "contextOSE")  # whose scores NAB publishes


def published(name: str) -> Callable[[Series, float], Detector]:
    """Return the detector that says what NAB has published of it."""
    return lambda series, _: candidates.Replayed(corpus.read_published(name, series.name))


def figures_of(measured: Recall) -> dict[str, Any]:
    """Return the figures as they are stored."""
    return {
        "threshold": round(measured.threshold, 3),
        "found": measured.found,
        "events": measured.events,
        "false_alarms": measured.false_alarms,
        "per_day": round(measured.per_day, 3),
        "delay_hours": round(measured.delay_hours, 2),
    }


def compare(
    detectors: Mapping[str, tuple[Callable[[Series, float], Detector], tuple[float, ...]]],
    fitted: Sequence[Series],
    reported: Mapping[str, Sequence[Series]],
) -> dict[str, dict[str, Any]]:
    """Return each detector's figures on the series fitted on and, at the same threshold, on the reported ones."""
    rows = {}
    for name, (make, thresholds) in detectors.items():
        best = fit(fitted, make, thresholds)
        rows[name] = {"fitted": figures_of(best)}
        for key, series in reported.items():
            rows[name][key] = figures_of(measure(series, make, best.threshold))
        print(name, rows[name], flush=True)
    return rows


def render(figures: Mapping[str, Any]) -> str:
    """Return the tables."""
    parts = []
    for title, key in (("labelled latencies", "latencies"), ("NAB", "nab")):
        head = f"| {title} | found, fitted on | a day | found, set apart | a day | delay | gaps left in |"
        lines = [head, "|---|---:|---:|---:|---:|---:|---:|"]
        for name, row in figures[key].items():
            fitted, apart, gaps = row["fitted"], row["apart"], row["apart_with_gaps"]
            cells = [name, f"{fitted['found']} of {fitted['events']}", f"{fitted['per_day']:.3f}"]
            cells += [f"{apart['found']} of {apart['events']}", f"{apart['per_day']:.3f}"]
            cells += [f"{apart['delay_hours']:g} h", f"{gaps['found']} of {gaps['events']}"]
            lines.append("| " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    lines = ["| drawn routes | series | a day | first incident | second, hours later | delay |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    for key, rows in figures["drawn"].items():
        for name, one in rows.items():
            first, second = (f"{one[each]} of {one['incidents']}" for each in ("first", "second"))
            lines.append(
                f"| {key} | {name} | {one['per_day']:.3f} | {first} | {second} | {one['delay_quarters']:g} quarters |"
            )
    return "\n\n".join([*parts, "\n".join(lines)])


def insert(document: str, text: str) -> str:
    """Return the document with the tables between its marks. Raises ValueError when a mark is missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no place for the figures: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write."""
    apart = "--fit" not in arguments
    try:
        latencies, latencies_apart = corpus.latencies_split(corpus.read_latencies())
        nab, nab_apart = corpus.nab_split(corpus.read_nab())
        _, latencies_gaps = corpus.latencies_split(corpus.read_latencies(gaps=True))
        _, nab_gaps = corpus.nab_split(corpus.read_nab(gaps=True))
    except corpus.DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    figures = {
        "latencies": compare(
            DETECTORS, latencies, {"apart": latencies_apart, "apart_with_gaps": latencies_gaps} if apart else {}
        ),
        "nab": compare(
            ON_NAB | {name: (published(name), PUBLISHED) for name in BESIDE},
            nab,
            {"apart": nab_apart, "apart_with_gaps": nab_gaps} if apart else {},
        ),
        "drawn": drawn.measure(reported=apart),
    }
    if apart:
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
        DOCUMENT.write_text(insert(DOCUMENT.read_text(), render(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
