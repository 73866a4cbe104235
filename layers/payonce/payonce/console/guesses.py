"""How often one address may try to sign in: ten keys in five minutes, of which those that are right do not count."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from payonce.domain.errors import Throttled, WriteConflict
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from payonce.ports import Clock, Database, Key

WINDOW_SECONDS = 300
GUESSES_IN_WINDOW = 10
_LEFT = "left"


class Guesses:
    """Counts tries before the key is looked at, so that tries at the same time are counted as well."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, address: str) -> None:
        """Take one try of the address. Raises ``Throttled`` when none is left in these five minutes."""
        key = self._key(address)
        take = Adjust(table=Table.CONSOLE, key=key, minimum={_LEFT: 1}, add={_LEFT: -1})
        try:
            self._database.write([take])
            return
        except WriteConflict as conflict:
            if conflict.current is not None:
                raise self._refusal() from None
        purge_at = self._clock.now_ms() // 1000 + 2 * WINDOW_SECONDS
        try:
            self._database.write([Insert(Table.CONSOLE, {**key, _LEFT: GUESSES_IN_WINDOW - 1, "purge_at": purge_at})])
        except WriteConflict:  # another try of the address came first
            try:
                self._database.write([take])
            except WriteConflict:
                raise self._refusal() from None

    def give_back(self, address: str) -> None:
        """Give the try back: the key was right."""
        with suppress(WriteConflict):  # the next five minutes have begun
            self._database.write([Adjust(table=Table.CONSOLE, key=self._key(address), add={_LEFT: 1})])

    def _refusal(self) -> Throttled:
        passed = self._clock.now_ms() // 1000 % WINDOW_SECONDS
        return Throttled(
            "Too many keys were tried from this address. Wait some minutes, and try again.",
            retry_after_seconds=WINDOW_SECONDS - passed,
        )

    def _key(self, address: str) -> Key:
        window = self._clock.now_ms() // 1000 // WINDOW_SECONDS
        return {"pk": f"GUESSES#{hashlib.sha256(address.encode()).hexdigest()[:32]}", "sk": f"{window}"}
