"""The lists of the overview and the gateways as files: what these pages show, and all changes of the override.

Allowed: what ``overview``, ``gateways`` and ``decisions`` say.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from payonce.console.exports import MAX_ROWS, Instant, Sheet, saved
from payonce.console.plots.drawing import percent
from payonce.console.views.decisions import decision, decisions
from payonce.console.views.gateways import gateways, override_row
from payonce.console.views.overview import overview
from payonce.domain.errors import NotFound
from payonce.routing.control.override_desk import OverrideDesk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.console.page import Download, PageRequest, Services
    from payonce.console.plots.drawing import Plot

    type Saver = Callable[[Services, PageRequest], Download]

PLOT_COLUMN: Final = 16


def gateways_list(services: Services, request: PageRequest) -> Download:
    """Return how each gateway did in the last minutes as a file. Raises as ``gateways`` does."""
    columns = (
        ("gateway", 16), ("payments", 10), ("share", 10), ("half within ms", 12), ("95 % within ms", 12),
        ("approved", 10), ("bad", 10), ("weight", 10), ("configured", 10), ("limit", 10), ("overridden", 10),
    )  # fmt: skip
    rows = [
        (
            row.name, row.payments, percent(row.share), _whole(row.p50_ms), _whole(row.p95_ms), percent(row.approval),
            percent(row.bad), percent(row.weight), percent(row.static), _whole(row.limit), percent(row.overridden),
        )
        for row in gateways(services, request).context["rows"]
    ]  # fmt: skip
    return saved(request, Sheet("Gateways", columns, rows))


def overrides_list(services: Services, request: PageRequest) -> Download:
    """Return the changes of the override as a file, newest first, at most a thousand."""
    desk = OverrideDesk(services.database, services.clock, services.settings.routing.neutral)
    changes = map(override_row, islice(desk.history(), MAX_ROWS))
    columns = (("version", 8), ("when", 20), ("who", 24), ("what", 60), ("reason", 60))
    rows = [(one.version, Instant(one.at_ms), one.operator, one.says, one.reason) for one in changes]
    return saved(request, Sheet("Overrides", columns, rows))


def decisions_list(services: Services, request: PageRequest) -> Download:
    """Return the last decisions as a file. Raises as ``decisions`` does."""
    columns = (("decision", 12), ("when", 20), ("mode", 10), ("why", 80), ("hour", 14))
    rows = [
        (row.epoch, Instant(row.at_ms), row.mode, row.reason, row.hour)
        for row in decisions(services, request).context["rows"]
    ]
    return saved(request, Sheet("Decisions", columns, rows))


def forecasts_list(services: Services, request: PageRequest) -> Download:
    """Return what a decision expected of each route as a file. Raises as ``decision`` does."""
    columns = (
        ("gateway", 16), ("method", 16), ("bad", 10), ("best other", 10), ("trusted", 10), ("what made it worse", 60),
    )  # fmt: skip
    rows = [
        (one.gateway, one.method, percent(one.bad), percent(one.others), percent(one.trusted), one.drivers)
        for one in decision(services, request).context["forecasts"]
    ]
    return saved(request, Sheet("Forecasts", columns, rows))


def weights_list(services: Services, request: PageRequest) -> Download:
    """Return the weights of a decision as a file. Raises as ``decision`` does."""
    rows = [
        (method, gateway, percent(weight)) for method, gateway, weight in decision(services, request).context["weights"]
    ]
    return saved(request, Sheet("Weights", (("method", 16), ("gateway", 16), ("weight", 10)), rows))


def declines_list(services: Services, request: PageRequest) -> Download:
    """Return the last hour's declined payments by code as a file."""
    rows = overview(services, request).context["seen"].declined
    return saved(request, Sheet("Declined", (("code", 40), ("payments", 10)), rows))


def _plot(title: str, named: Callable[[Services, PageRequest], Plot]) -> Saver:
    def listed(services: Services, request: PageRequest) -> Download:
        plot = named(services, request)
        columns = tuple((name, PLOT_COLUMN) for name in plot.head)
        return saved(request, Sheet(title, columns, plot.rows))

    return listed


def _of_gateways(name: str) -> Saver:
    def plot(services: Services, request: PageRequest) -> Plot:
        plots: Mapping[str, Plot] = gateways(services, request).context["plots"]
        if name not in plots:
            raise NotFound("There are no numbers of this plot at the moment.")
        return plots[name]

    return _plot(name.capitalize(), plot)


heat_list = _of_gateways("heat")
forecast_list = _of_gateways("forecast")
shares_list = _of_gateways("shares")
plotted_weights_list = _of_gateways("weights")
limits_list = _of_gateways("limits")
doubt_ages_list = _plot(
    "Ages of doubts", lambda services, request: overview(services, request).context["seen"].doubt_ages
)
break_ages_list = _plot(
    "Ages of breaks", lambda services, request: overview(services, request).context["seen"].break_ages
)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
