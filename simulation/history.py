"""The history of a run: who called which port when, what came of it, and what was reached."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

HEAD = f"{'seconds':>12}  {'actor':22} what happened"


@dataclass(slots=True)
class History:
    """Lines of (microseconds, actor, text), in order, and how often each goal was reached."""

    lines: list[tuple[int, str, str]] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)

    def add(self, at_us: int, actor: str, text: str) -> None:
        """Append a line."""
        self.lines.append((at_us, actor, text))

    def render(self) -> str:
        """Return the history for people, ending with what was violated, if anything was."""
        rows = [f"{at_us / 1e6:12.6f}  {actor:22} {text}" for at_us, actor, text in self.lines]
        return "\n".join([HEAD, *rows])

    def digest(self) -> str:
        """Return the SHA-256 of the rendered history: equal for equal runs."""
        return hashlib.sha256(self.render().encode()).hexdigest()
