"""Errors: quick ones that leave the outcome unknown, and refusals, which certainly executed nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from laboratory.scenarios import Fault
from laboratory.trouble.ranges import drawn

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario
    from laboratory.trouble.ranges import Ranges

METHOD = "wallet"
BURST_SECONDS = (8.0, 15.0)
EVERY_SECONDS = (45.0, 90.0)  # from the beginning of a burst to that of the next
OUTAGE_SECONDS = (90.0, 240.0)
WELL_SECONDS = (40.0, 100.0)  # how long a relapsing gateway is well between two outages


def unknown(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of one gateway's attempts end in a quick 5xx, half of which were executed.

    Stripe calls the result of a 500 indeterminate (https://docs.stripe.com/error-low-level). Of Clearhaus' errors of
    25 April 2024 a significant amount had been approved (https://pingoru.io/providers/clearhaus/incidents/2304661).
    """
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, [Fault("unknown", draw.ailing, draw.start, draw.heals, draw.strength)])


def unknown_method(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of one gateway's attempts with one method end in a quick 5xx; its other method is healthy.

    Visa credits failed while other payments did not: https://pingoru.io/providers/clearhaus/incidents/2199938.
    """
    draw = drawn(ranges, seed)
    fault = Fault("unknown", draw.ailing, draw.start, draw.heals, draw.strength, methods=(METHOD,))
    return draw.scenario(name, ranges, [fault])


def unknown_ramp(name: str, ranges: Ranges, seed: int) -> Scenario:
    """The share of one gateway's quick 5xx grows from 0, as in a rollout that goes on although it is broken."""
    draw = drawn(ranges, seed)
    growing = (draw.heals - draw.start) * 0.8
    fault = Fault("unknown", draw.ailing, draw.start, draw.heals, draw.strength, "ramp", ramp_seconds=growing)
    return draw.scenario(name, ranges, [fault])


def unknown_all(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of the attempts at every gateway end in a quick 5xx, so that no route is better than another.

    At Visa on 1 June 2018 10 % of all transactions failed for ten hours, at the peak 35 %
    (http://www.cityam.com/287819/visa-hire-independent-experts-probe-cause-card-payments).
    """
    draw = drawn(ranges, seed)
    faults = [Fault("unknown", gateway, draw.start, draw.heals, draw.strength) for gateway in draw.names]
    return draw.scenario(name, ranges, faults, one=False)


def hang_all(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of the answers of every gateway never arrives, as when the acquirer behind all of them drops messages.

    On 2 March 2025 none of an upstream provider's data centres answered for eight minutes
    (https://statusfield.com/status/clearhaus/incidents).
    """
    draw = drawn(ranges, seed)
    faults = [Fault("hang", gateway, draw.start, draw.heals, draw.strength) for gateway in draw.names]
    return draw.scenario(name, ranges, faults, one=False)


def refusing(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway refuses a share of the connections at once. That is no answer, and its speed says nothing.

    A policy that took refusals for fast answers would prefer this gateway.
    """
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, [Fault("fail", draw.ailing, draw.start, draw.heals, draw.strength)])


def limiter(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway's own limiter refuses at once what exceeds a share of its even traffic; the rest is served well.

    Gateways do this, and may lower the limit: https://docs.stripe.com/rate-limits.
    """
    draw = drawn(ranges, seed)
    limit = draw.strength * ranges.rate / ranges.gateways
    return draw.scenario(name, ranges, [Fault("limit", draw.ailing, draw.start, draw.heals, limit)])


def bursts(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Quick 5xx of one gateway come in bursts of about 10 s, about one a minute; in between it is healthy.

    A query that a job starts every half a minute or minute exhausts the database's connections for as long as it runs.
    """
    draw = drawn(ranges, seed)
    period, on_seconds = draw.random.uniform(*EVERY_SECONDS), draw.random.uniform(*BURST_SECONDS)
    fault = Fault(
        "unknown", draw.ailing, draw.start, draw.heals, draw.strength, "square",
        period_seconds=period, on_seconds=on_seconds,
    )  # fmt: skip
    return draw.scenario(name, ranges, [fault])


def relapsing(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway stops answering, recovers for a minute and relapses, several times and at no regular interval.

    On 12 September 2024 a data centre behind Clearhaus processed transactions for ten minutes in the middle of an
    incident of eight hours, and then no more (https://status.clearhaus.com/incidents/hp85pwr0m3yp).
    """
    draw = drawn(ranges, seed)
    faults, at = [], draw.start
    while at < draw.heals:
        ends = at + draw.random.uniform(*OUTAGE_SECONDS)
        faults.append(Fault("hang", draw.ailing, at, ends, draw.strength))
        at = ends + draw.random.uniform(*WELL_SECONDS)
    return replace(draw, heals=faults[-1].end).scenario(name, ranges, faults)


KINDS = (unknown, unknown_method, unknown_ramp, unknown_all, hang_all, refusing, limiter, bursts, relapsing)
