"""What merchants want with saved payment methods in a run: one set-up, its second steps, charges, and a revocation.

It is drawn from a stream of its own, so that the payments of a seed are what they were without set-ups.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.drawing import Drawing, Operation

SETTING_UP = 0.4  # of runs
HELD = 0.7  # of their set-ups
CHARGES = (0, 1, 2)
SETUP_KINDS = frozenset({"setup", "setup_confirm", "setup_cancel", "charge", "revoke"})


def draw_setups(seed: int, drawing: Drawing) -> list[Operation]:
    """Return the operations of a seed about a set-up; none for most seeds."""
    chance = Random(f"setups/{seed}")
    if chance.random() >= SETTING_UP:
        return []
    own = replace(drawing, chance=chance)
    made = replace(own.create(1), name="setup-1", kind="setup", key="setup-of-a-method", hold=None, manual=False)
    if chance.random() < HELD:
        made = replace(made, hold=own.hold())
    began_ms = made.attempts[0].at_ms
    found = [made]
    hold = made.hold
    if hold is not None and hold.flow == "confirm":
        for number in range(chance.choice((1, 1, 2))):
            at_ms = int(hold.payer_seconds * 1000) + chance.randint(-500, 9_000)
            found.append(own.of(made, "setup_confirm", number, 0, max(at_ms, 1_000)))
    if hold is not None and chance.random() < 0.4:
        at_ms = chance.randint(6_000, 1000 * hold.expires_seconds)
        found.append(own.of(made, "setup_cancel", 0, 0, at_ms))
    saved_ms = began_ms + (int(hold.payer_seconds * 1000) if hold is not None else 0)
    charged_ms = [saved_ms + chance.randint(3_000, 90_000) for _ in range(chance.choice(CHARGES))]
    found += [own.of(made, "charge", number, 1000, at_ms) for number, at_ms in enumerate(charged_ms)]
    if chance.random() < 0.6:
        # As often as not while a charge is under way.
        near_ms = chance.choice([*charged_ms, saved_ms + 40_000])
        found.append(own.of(made, "revoke", 0, 0, max(1_000, near_ms + chance.randint(-2_000, 2_000))))
    return found
