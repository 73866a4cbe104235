"""What the console keeps for itself: operators, sessions, tries to sign in, and what people did."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.console.audit import Acts
from payonce.console.guesses import Guesses
from payonce.console.operators import Operators
from payonce.console.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.wiring.application import Application


class Parts:
    """The console's own use cases over an application's database and clock."""

    def __init__(self, application: Application, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self.application = application
        self._random_bytes = random_bytes

    @cached_property
    def operators(self) -> Operators:
        """Return the use cases of operators."""
        application = self.application
        return Operators(database=application.database, clock=application.clock, random_bytes=self._random_bytes)

    @cached_property
    def sessions(self) -> Sessions:
        """Return the use cases of sessions."""
        application = self.application
        return Sessions(database=application.database, clock=application.clock, random_bytes=self._random_bytes)

    @cached_property
    def guesses(self) -> Guesses:
        """Return the counter of tries to sign in."""
        return Guesses(self.application.database, self.application.clock)

    @cached_property
    def acts(self) -> Acts:
        """Return the use cases of what people did."""
        application = self.application
        return Acts(
            database=application.database,
            trail=application.audit_trail,
            clock=application.clock,
            ids=application.ids,
            retention_seconds=application.settings.audit_retention_seconds,
        )

    def form_secret(self) -> str:
        """Return a fresh secret for a form that is sent before there is a session."""
        return self._random_bytes(32).hex()
