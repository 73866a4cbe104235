"""Every kind of trouble. One kind is one function, which draws a scenario from ``Ranges`` by the seed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from laboratory.trouble import compositions, errors, harmless, load, one, slowness
from laboratory.trouble.ranges import NAMES, Ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from laboratory.scenarios import Scenario

__all__ = ["HARMLESS", "KINDS", "NAMES", "Ranges", "draw"]

KINDS: dict[str, Callable[[str, Ranges, int], Scenario]] = {
    function.__name__: function
    for module in (one, load, slowness, errors, harmless, compositions)
    for function in module.KINDS
}


HARMLESS = frozenset(
    function.__name__
    for function in (
        *harmless.KINDS,
        one.decline_surge,
        load.busy,
        load.rush,
        load.diurnal,
        load.peaks,
        slowness.late_all,
        slowness.late_method,
    )
)


def draw(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Return the scenario of one seed. Its kind is ``ranges.kind``, or else ``name``."""
    kind = ranges.kind or name
    drawn = KINDS[kind](name, ranges, seed)
    weights = ranges.neutral or (1 / ranges.gateways,) * ranges.gateways
    return replace(
        drawn,
        gateways=tuple(replace(spec, tail=ranges.tail) for spec in drawn.gateways),
        neutral=dict(zip(NAMES, weights, strict=False)),
        stream=replace(ranges.stream, seed=seed),
        harmless=kind in HARMLESS,
    )
