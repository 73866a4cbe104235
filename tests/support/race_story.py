"""What a seed draws for a race about a held payment: who takes part, which answers are lost, and who freezes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from payonce.domain.gateway import CaptureMethod


@dataclass(frozen=True, slots=True)
class Story:
    """What a seed has drawn. ``payer``: approves, declines or leaves."""

    flow: str
    capture: CaptureMethod
    payer: str
    cancels: int
    captures: bool
    refunds: bool
    voids: bool
    confirmation_keys: tuple[str, ...]
    payer_may_take_ms: int | None
    receives: bool
    voids_authorized: bool
    loss: float
    freezes: float
    spread_seconds: float
    events: int


def draw_story(seed: int) -> Story:
    """Return the story of a seed."""
    chance = Random(f"{seed}/story")
    flow = chance.choice(["3ds", "3ds", "confirm", "confirm", "process", "debit"])
    manual = flow != "debit" and chance.random() < 0.4
    return Story(
        flow=flow,
        capture=CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC,
        payer=chance.choice(["approves"] * 5 + ["declines", "leaves"]),
        cancels=chance.choice([0, 0, 1, 1, 2]),
        captures=manual and chance.random() < 0.7,
        refunds=chance.random() < 0.3,
        voids=manual and chance.random() < 0.4,
        confirmation_keys=chance.choice([("c-1", "c-1"), ("c-1", "c-2")]) if flow == "confirm" else (),
        payer_may_take_ms=chance.randrange(20, 200) if chance.random() < 0.35 else None,
        receives=chance.random() < 0.3,
        voids_authorized=chance.random() < 0.5,
        loss=chance.choice([0, 0, 0.1, 0.35]),
        freezes=chance.choice([0, 0, 0.03, 0.1]),
        spread_seconds=chance.choice([0.01, 0.04, 0.1]),
        events=chance.choice([0, 1, 1, 2, 3]),
    )
