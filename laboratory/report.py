"""Renders the report of a run as one HTML page with embedded plots; every figure in it was measured."""

from __future__ import annotations

import base64
import io
from html import escape
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from laboratory import targets
from laboratory.split import REPORT, REPORT_SEEDS, TUNING, TUNING_SEEDS

if TYPE_CHECKING:
    from laboratory.targets import Seeds, Verdict


COLOURS = {"none": "#999999", "payonce": "#b5343c"}
OTHERS = ("#c08a2e", "#3477b5", "#8ab4d8", "#2a7a3b", "#7b4fa3", "#c96f9d", "#5f6b2d", "#1f9e9e", "#7a4a2a")
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0}"
    "td,th{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.no{color:#b5343c;font-weight:600}.yes{color:#2a7a3b}"
    "img{max-width:100%}"
)


def render(group: str, results: dict[str, Seeds]) -> str:
    """Return the report of a group's results as HTML."""
    found = targets.verdicts(results)
    met = sum(verdict.met for verdict in found)
    parts = [
        f"<!doctype html><meta charset=utf-8><title>payonce laboratory</title><style>{STYLE}</style>",
        "<h1>payonce laboratory</h1>",
        f"<p>{_split_text(group, results)}</p>",
        f"<h2>Promises: {met} of {len(found)} kept</h2>{_verdict_table(found)}",
    ]
    for name, seeds in results.items():
        if not seeds:
            continue
        parts.append(f"<h2>{escape(name)}</h2>{_figures_table(seeds)}{_plot(name, seeds)}")
    return "\n".join(parts)


def _split_text(group: str, results: dict[str, Seeds]) -> str:
    counts = ", ".join(f"{name}: {len(seeds)}" for name, seeds in results.items())
    ranges = {"report": REPORT, "tuning": TUNING}[group]
    return (
        f"Scenarios and ranges of the group <b>{escape(group)}</b> ({len(ranges)} scenarios). "
        f"Seeds run: {escape(counts)}. "
        f"Constants were tuned on the other group's ranges with the seeds {TUNING_SEEDS[0]} to "
        f"{TUNING_SEEDS[-1]}; what is reported has the seeds {REPORT_SEEDS[0]} to {REPORT_SEEDS[-1]}."
    )


def _verdict_table(found: list[Verdict]) -> str:
    rows = [
        f"<tr><td>{escape(v.scenario)}<td>{escape(v.promise)}<td class=n>{escape(v.measured)}"
        f"<td class={'yes' if v.met else 'no'}>{'kept' if v.met else 'not kept'}"
        for v in found
    ]
    return f"<table><tr><th>scenario<th>promise<th>measured<th>{''.join(rows)}</table>"


def _figures_table(seeds: Seeds) -> str:
    rows = []
    for policy in seeds[0]["policies"]:
        each = [figures["policies"][policy] for figures in seeds]
        values = [one["goodput"] for one in each]
        spread = 1.96 * stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
        cells = [
            f"{mean(values):.4f} ± {spread:.4f}",
            f"{targets.average(seeds, policy, 'during'):.4f}",
            f"{mean(one['in_doubt'] for one in each):.1f}",
            f"{mean(one['refused'] for one in each):.0f}",
            f"{mean(one['refusals'] for one in each):.0f}",
            f"{mean(one['dearest_share'] for one in each):.1%}",
            f"{sum(one['double_charges'] for one in each)}",
        ]
        rows.append(f"<tr><td>{escape(policy)}" + "".join(f"<td class=n>{cell}" for cell in cells))
    head = (
        "<tr><th>policy<th>goodput (95 %)<th>during the trouble<th>in doubt<th>refused<th>refusals"
        "<th>on the dearest<th>double charges"
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _plot(name: str, seeds: Seeds) -> str:
    shown = next((figures for figures in seeds if "series" in figures["policies"]["payonce"]), None)
    if shown is None:
        return ""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    colours = iter(OTHERS * 2)
    for policy, measured in shown["policies"].items():
        colour = COLOURS.get(policy) or next(colours)
        series: dict[str, Any] = measured["series"]
        minutes = [at / 60 for at in series["at"]]
        upper.plot(minutes, series["goodput"], color=colour, label=policy, lw=1.3)
        lower.plot(minutes, series["share"], color=colour, lw=1.3)
    upper.set(ylabel="goodput", title=f"{name}, seed {shown['seed']}")
    upper.legend(fontsize=8, ncols=5, loc="lower center")
    lower.set(ylabel="share of the ailing gateway", xlabel="minutes", ylim=(0, 1))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}">'
