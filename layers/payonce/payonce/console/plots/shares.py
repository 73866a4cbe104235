"""Which gateway had which share of the payments, a stacked column for each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.plots.drawing import (
    HALF_WIDTH,
    MOST_COLOURS,
    NOTHING,
    Box,
    Plot,
    clock,
    framed,
    levels,
    percent,
    rect,
    text,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEIGHT = 210
LABEL_WIDTH = 108
LABEL_HEIGHT = 16
OTHERS = "others"


def shares_plot(
    name: str, title: str, counts: Mapping[int, Mapping[str, int]], gateways: Sequence[str], first: int, last: int
) -> Plot:
    """Return the plot of the payments by minute (since 1970) and gateway.

    ``gateways`` are in a fixed order, which is that of the colours; from the sixth on they are one, ``others``.
    """
    shown = list(gateways) if len(gateways) <= MOST_COLOURS else [*gateways[: MOST_COLOURS - 1], OTHERS]
    box = Box(54, 12, HALF_WIDTH - LABEL_WIDTH, HEIGHT - 40)
    width = box.width / (last - first + 1)
    parts = levels(box, 1.0, [percent(step / 4) for step in range(5)])
    shares: dict[int, dict[str, float]] = {}
    for minute, by_gateway in sorted(counts.items()):
        total = sum(by_gateway.values())
        if not total or not first <= minute <= last:
            continue
        shares[minute] = _shares(by_gateway, shown, total)
        below, x = 0.0, box.left + (minute - first) * width
        for colour, gateway in enumerate(shown, 1):
            share = shares[minute][gateway]
            if share:
                top = box.y(below + share)
                parts.append(rect(x + 0.5, top + 0.5, width - 1, box.y(below) - top - 1, f"c{colour}"))
                below += share
    parts += times(box, first, last)
    newest = shares.get(max(shares, default=0), {})
    y = box.top + 6
    for colour, gateway in reversed(list(enumerate(shown, 1))):
        label = gateway if len(gateway) <= 9 else gateway[:8] + "…"
        parts.append(rect(box.right + 6, y - 5, 10, 10, f"c{colour}"))
        parts.append(text(box.right + 21, y + 4, f"{label} {percent(newest.get(gateway))}"))
        y += LABEL_HEIGHT
    total = sum(sum(by_gateway.values()) for by_gateway in counts.values())
    now = ", ".join(f"{gateway} {percent(share)}" for gateway, share in newest.items())
    description = f"{total} payments from {clock(first)} to {clock(last)} UTC. " + (
        f"In the last minute with payments: {now}." if newest else "No payments."
    )
    rows = tuple(
        (
            f"{clock(minute)} UTC",
            str(sum(counts[minute].values())),
            *(percent(shares[minute][gateway]) if shares[minute][gateway] else NOTHING for gateway in shown),
        )
        for minute in sorted(shares, reverse=True)
    )
    return Plot(
        framed(name, title, description, HEIGHT, parts, HALF_WIDTH), ("Minute", "Payments", *shown), rows, title
    )


def _shares(by_gateway: Mapping[str, int], shown: Sequence[str], total: int) -> dict[str, float]:
    found = {gateway: by_gateway.get(gateway, 0) / total for gateway in shown if gateway != OTHERS}
    if OTHERS in shown:
        found[OTHERS] = max(0.0, 1 - sum(found.values()))
    return found
