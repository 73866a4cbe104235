"""The figures as tables of text, and their place in the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN = "<!-- figures: written by python -m benchmarks.nab, not by hand -->"
END = "<!-- end of figures -->"
_PROFILES = ("standard", "reward_low_FP_rate", "reward_low_FN_rate")
_HEAD = "| {} | standard | low FP | low FN | found | false alarms |\n|---|---:|---:|---:|---:|---:|"


def _row(label: str, measured: Mapping[str, Any]) -> str:
    standard = measured["standard"]
    scores = " | ".join(f"{figures['score']:.1f}" for figures in (measured[name] for name in _PROFILES))
    return f"| {label} | {scores} | {standard['found']} of {standard['windows']} | {standard['false_alarms']} |"


def _published(figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(figures["published"].items(), key=lambda one: one[1]["all_best"]["standard"]["score"])


def _held_out(figures: Mapping[str, Any]) -> str:
    lines = [_HEAD.format(f"held out, {figures['series']['held_out']} files"), _row("payonce", figures["held_out"])]
    lines += [_row(name, one["held_out"]) for name, one in _published(figures)]
    return "\n".join(lines)


def _second_half(figures: Mapping[str, Any]) -> str:
    lines = [_HEAD.format("the first design's held-out files"), _row("payonce", figures["second_half"])]
    lines += [_row(name, one["second_half"]) for name, one in _published(figures)]
    return "\n".join(lines)


def _whole(figures: Mapping[str, Any]) -> str:
    lines = [_HEAD.format(f"all {figures['series']['all']} files")]
    if "leave_one_group_out" in figures:
        label = "payonce, each group scored with what was fitted on the others"
        lines.append(_row(label, figures["leave_one_group_out"]["scores"]))
    lines.append(_row("payonce, as shipped", figures["all_fixed"]))
    lines.append(_row("payonce, NAB's own rule", figures["all_best"]))
    lines += [_row(f"{name}, NAB's own rule", one["all_best"]) for name, one in _published(figures)]
    return "\n".join(lines)


def _groups(figures: Mapping[str, Any]) -> str:
    lines = ["| group, as shipped | standard | found | false alarms |\n|---|---:|---:|---:|"]
    for group, one in figures["per_group"].items():
        lines.append(f"| {group} | {one['score']:.1f} | {one['found']} of {one['windows']} | {one['false_alarms']} |")
    return "\n".join(lines)


def _latency(figures: Mapping[str, Any]) -> str:
    lines = ["| latencies | events found | recall | false alarms | per day and series |\n|---|---:|---:|---:|---:|"]
    labels = {
        "latency_reported_on": "latency constants, series not tuned on",
        "latency_tuned_on": "latency constants, series tuned on",
        "general_reported_on": "general constants, the same series as the first row",
    }
    for key, label in labels.items():
        one = figures["latency"][key]
        found = f"{one['found']} of {one['events']} | {one['recall']:.2f}"
        lines.append(f"| {label} | {found} | {one['false_alarms']} | {one['false_alarms_per_day']:.3f} |")
    return "\n".join(lines)


def render(figures: Mapping[str, Any]) -> str:
    """Return all tables."""
    parts = (_held_out, _second_half, _whole, _groups, _latency)
    return "\n\n".join(part(figures) for part in parts)


def insert(document: str, text: str) -> str:
    """Return the document with the tables between its marks. Raises ValueError when a mark is missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no place for the figures: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
