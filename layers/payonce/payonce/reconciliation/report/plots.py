"""The report's plots, as SVG inside the HTML. Equal runs give equal bytes.

Each plot gives its numbers as text, too, and distinguishes its parts by hatching as well as by colour.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.extras import needs
from payonce.reconciliation.matching.summary import SEVERITIES
from payonce.reconciliation.model import Outcome, Source
from payonce.reconciliation.readers.values import grouped, plain
from payonce.reconciliation.report.drawing import ROW_INCHES, STYLE, WIDTH_INCHES, Plot, day_text, label, svg_of, words
from payonce.reconciliation.report.windows_plot import windows_plot
from payonce.reconciliation.taxonomy import CLASSES, Severity

with needs("reconcile"):
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from payonce.reconciliation.report.contents import Contents

# The colours of Okabe and Ito, which can be told apart with any colour vision; the hatching needs no colour at all.
SEVERITY_STYLE: Mapping[Severity, tuple[str, str]] = {
    Severity.CRITICAL: ("#d55e00", ""),
    Severity.HIGH: ("#e69f00", "//"),
    Severity.MEDIUM: ("#56b4e9", ".."),
    Severity.LOW: ("#bbbbbb", "\\\\"),
}
OUTCOME_STYLE: Mapping[Outcome, tuple[str, str]] = {
    Outcome.MATCHED: ("#009e73", ""),
    Outcome.BREAK: ("#d55e00", "//"),
    Outcome.EXCLUDED: ("#cccccc", ".."),
}
GATEWAY_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
MAX_GATEWAYS = len(GATEWAY_COLOURS)  # more can't be told apart in one plot
MAX_CURRENCIES = 4  # more panels would be unreadable; the table has all currencies
MAX_DAYS = 92  # up to a quarter there is a bar per day, beyond it one per week
BINS = 40  # bins of a histogram


def plots_of(contents: Contents) -> list[Plot]:
    """Return the plots for which the run has data."""
    with mpl.rc_context(STYLE):
        drawn = (
            _by_class(contents),
            _at_stake(contents),
            _outcomes(contents),
            _over_time(contents),
            _distribution("fees", contents.intake.fees),
            _distribution("delays", contents.intake.delays),
            windows_plot(contents),
        )
        return [plot for plot in drawn if plot is not None]


def _by_class(contents: Contents) -> Plot | None:
    counts = Counter(found.break_class for found in contents.result.breaks)
    if not counts:
        return None
    names = sorted(counts, key=lambda name: (SEVERITIES.index(CLASSES[name].severity), -counts[name], name))
    figure = Figure(figsize=(WIDTH_INCHES, 1.1 + ROW_INCHES * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for place, name in enumerate(names):
        severity = CLASSES[name].severity
        colour, hatch = SEVERITY_STYLE[severity]
        axes.barh(place, counts[name], color=colour, hatch=hatch, edgecolor="#333333", linewidth=0.6)
        label(axes, counts[name], place, f"{counts[name]:,} {severity.value}")
    axes.set_yticks(range(len(names)), [words(name) for name in names])
    axes.invert_yaxis()
    axes.margins(x=0.16, y=0.02)
    axes.set_xlabel("breaks")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    named = ", ".join(f"{words(name)} {counts[name]:,}" for name in names)
    says = f"{sum(counts.values()):,} breaks of {len(counts)} classes: {named}."
    return Plot("by-class", "Breaks by class and severity", says, svg_of(figure, "by-class"))


def _at_stake(contents: Contents) -> Plot | None:
    amounts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in contents.classes:
        if one.amount_minor:
            amounts[one.currency][one.break_class.value] += one.amount_minor
    if not amounts:
        return None
    breaks = Counter(found.currency for found in contents.result.breaks)
    currencies = sorted(amounts, key=lambda currency: (-breaks[currency], currency))[:MAX_CURRENCIES]
    rows = sum(len(amounts[currency]) for currency in currencies)
    figure = Figure(figsize=(WIDTH_INCHES, 0.75 * len(currencies) + ROW_INCHES * rows), layout="constrained")
    # Amounts of different currencies can't share an axis.
    panels = figure.subplots(
        len(currencies), 1, squeeze=False, gridspec_kw={"height_ratios": [len(amounts[one]) + 1 for one in currencies]}
    )
    for axes, currency in zip(panels[:, 0], currencies, strict=True):
        largest_first = sorted(amounts[currency].items(), key=lambda item: (-item[1], item[0]))
        for place, (_, amount_minor) in enumerate(largest_first):
            axes.barh(place, amount_minor, color="#0072b2", edgecolor="#333333", linewidth=0.6)
            label(axes, amount_minor, place, f"{grouped(amount_minor, currency)} {currency}")
        axes.set_yticks(range(len(largest_first)), [words(name) for name, _ in largest_first])
        axes.invert_yaxis()
        axes.margins(x=0.2, y=0.02)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.set_title(currency, loc="left", fontsize=10, fontweight="bold")
    totals = ", ".join(f"{grouped(sum(amounts[one].values()), one)} {one}" for one in currencies)
    more = f" The {len(amounts) - len(currencies)} other currencies are in the table." if len(amounts) > 4 else ""
    return Plot("at-stake", "Amount at stake by class", f"In all {totals}.{more}", svg_of(figure, "at-stake"))


def _outcomes(contents: Contents) -> Plot | None:
    rows: dict[Source, Counter[Outcome]] = defaultdict(Counter)
    for tally in contents.result.tallies:
        rows[tally.source][tally.outcome] += tally.rows
    sources = [source for source in Source if rows[source].total()]
    if not sources:
        return None
    figure = Figure(figsize=(WIDTH_INCHES, 1.3 + 0.55 * len(sources)), layout="constrained")
    axes = figure.add_subplot()
    said = []
    for place, source in enumerate(sources):
        total, left = rows[source].total(), 0.0
        for outcome in Outcome:
            share = 100 * rows[source][outcome] / total
            colour, hatch = OUTCOME_STYLE[outcome]
            label = outcome.value if place == 0 else None
            axes.barh(
                place, share, left=left, color=colour, hatch=hatch, edgecolor="#333333", linewidth=0.6, label=label
            )
            left += share
        parts = ", ".join(f"{rows[source][outcome]:,} {outcome.value}" for outcome in Outcome)
        axes.text(0, place - 0.44, parts, va="bottom", fontsize=9)
        said.append(f"{source.value}: {parts}")
    axes.set_yticks(range(len(sources)), [source.value for source in sources])
    axes.set_ylim(len(sources) - 0.5, -0.75)
    axes.set_xlim(0, 100)
    for bar in axes.patches:
        bar.set_height(0.4)  # type: ignore[attr-defined]  # room for the numbers above it
    axes.set_xlabel("per cent of the source's rows")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return Plot("outcomes", "Where the rows of each source ended", "; ".join(said) + ".", svg_of(figure, "outcomes"))


def _over_time(contents: Contents) -> Plot | None:
    days = [(found.occurred_at_ms // DAY_MS, CLASSES[found.break_class].severity) for found in contents.result.breaks]
    if not days:
        return None
    first, last = min(day for day, _ in days), max(day for day, _ in days)
    step = 1 if last - first < MAX_DAYS else 7 * (1 + (last - first) // (7 * MAX_DAYS))
    counts = Counter(((day - first) // step, severity) for day, severity in days)
    bars = (last - first) // step + 1
    figure = Figure(figsize=(WIDTH_INCHES, 3.0), layout="constrained")
    axes = figure.add_subplot()
    below = [0] * bars
    for severity in SEVERITIES:
        heights = [counts[bar, severity] for bar in range(bars)]
        if any(heights):
            colour, hatch = SEVERITY_STYLE[severity]
            axes.bar(
                range(bars), heights, bottom=below, width=0.85, color=colour, hatch=hatch, edgecolor="#333333",
                linewidth=0.6, label=severity.value,
            )  # fmt: skip
            below = [under + more for under, more in zip(below, heights, strict=True)]
    ticks = range(0, bars, max(1, -(-bars // 10)))
    axes.set_xticks(list(ticks), [day_text(first + tick * step) for tick in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("breaks")
    axes.set_xlim(-0.6, max(bars, 7) - 0.4)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    period = "day" if step == 1 else f"{step} days"
    worst = max(range(bars), key=lambda bar: (below[bar], -bar))
    worst_day = day_text(first + worst * step)
    says = f"From {day_text(first)} to {day_text(last)}, UTC; most, {below[worst]:,}, in the {period} from {worst_day}."
    return Plot("over-time", f"Breaks per {period}, by the time of their latest row", says, svg_of(figure, "over-time"))


def _distribution(name: str, measured: Mapping[str, Counter[int]]) -> Plot | None:
    gateways = sorted(gateway for gateway in measured if measured[gateway])[:MAX_GATEWAYS]
    if not gateways:
        return None
    title, unit, scale = (
        ("Fee of each charge", "per cent of the charge", 100)
        if name == "fees"
        else ("From charge to availability", "days", 24)
    )
    figure = Figure(figsize=(WIDTH_INCHES, 0.7 + 1.5 * len(gateways)), layout="constrained")
    panels = figure.subplots(len(gateways), 1, squeeze=False, sharex=True)[:, 0]
    every = [value for gateway in gateways for value in measured[gateway]]
    low, high = min(every) / scale, max(every) / scale
    if high - low < 1:  # all values are equal: one bar in the middle
        low, high = low - 0.5, high + 0.5
    said = []
    for axes, gateway, colour in zip(panels, gateways, GATEWAY_COLOURS, strict=False):
        values = sorted(measured[gateway])
        _histogram(axes, [value / scale for value in values], [measured[gateway][value] for value in values], low, high)
        median = _median(measured[gateway]) / scale
        axes.patches[0].set_label(plain(gateway))
        for bar in axes.patches:
            bar.set_facecolor(colour)
        axes.axvline(median, color="#000000", linestyle="--", linewidth=1)
        axes.set_title(f"{plain(gateway)}: median {median:.2f} {unit} (dashed)", loc="left", fontsize=10)
        axes.set_ylabel("charges")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        said.append(
            f"{gateway}: {measured[gateway].total():,} charges, median {median:.2f}, from {values[0] / scale:.2f} "
            f"to {values[-1] / scale:.2f} {unit}"
        )
    panels[-1].set_xlabel(unit)
    return Plot(name, title, "; ".join(said) + ".", svg_of(figure, name))


def _histogram(axes: Axes, values: list[float], weights: list[int], low: float, high: float) -> None:
    axes.hist(values, bins=BINS, range=(low, high), weights=weights, edgecolor="#333333", linewidth=0.4)


def _median(counted: Counter[int]) -> int:
    half, passed = (counted.total() + 1) // 2, 0
    for value in sorted(counted):
        passed += counted[value]
        if passed >= half:
            return value
    return 0
