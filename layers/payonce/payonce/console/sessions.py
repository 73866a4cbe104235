"""Sessions of the console: kept by the server, so that they can be ended at any time.

The browser holds 256 random bits in a cookie, and the table their hash. A session ends 30 minutes after its last use, 8
hours after signing in, at sign-out, and when its operator is disabled or gets a new key (OWASP Session Management Cheat
Sheet: https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.operators import operator_from, operator_key, random_text
from payonce.domain.errors import WriteConflict
from payonce.ports import Adjust, Delete, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.console.operators import Operator
    from payonce.ports import Clock, Database, Key

IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 8 * 60 * 60
NOTED_AFTER_SECONDS = 60  # use within a minute of the last is not written: a page costs a read, not a write
_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,600})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session. ``token`` is what the cookie holds. Times are epoch milliseconds."""

    token: str
    operator: Operator
    created_at_ms: int
    seen_at_ms: int


class Sessions:
    """Starts, reads and ends sessions."""

    def __init__(self, *, database: Database, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    def start(self, operator: Operator) -> Session:
        """Start a session under a new token: whatever token the browser had is of no use."""
        named = base64.urlsafe_b64encode(operator.name.encode()).decode().rstrip("=")
        token = f"{named}.{random_text(self._random_bytes)}"
        now_ms = self._clock.now_ms()
        item = {
            **_key(token),
            "name": operator.name,
            "key_hash": operator.key_hash,
            "created_at_ms": now_ms,
            "seen_at_ms": now_ms,
            "purge_at": now_ms // 1000 + LONGEST_SECONDS,
        }
        self._database.write([Insert(Table.CONSOLE, item)])
        return Session(token=token, operator=operator, created_at_ms=now_ms, seen_at_ms=now_ms)

    def read(self, token: str) -> Session | None:
        """Return the open session of the token, or ``None``. Costs one round trip, which reads the operator as well."""
        name = _name_in(token)
        if name is None:
            return None
        key, of_operator = _key(token), operator_key(name)
        found = {(item["pk"], item["sk"]): item for item in self._database.get_many(Table.CONSOLE, [key, of_operator])}
        kept, known = found.get((key["pk"], key["sk"])), found.get((of_operator["pk"], of_operator["sk"]))
        if kept is None or known is None or kept["name"] != name:
            return None
        operator = operator_from(known)
        if operator.disabled_at_ms is not None or not hmac.compare_digest(operator.key_hash, kept["key_hash"]):
            return None
        now_ms = self._clock.now_ms()
        if (
            now_ms >= kept["seen_at_ms"] + IDLE_SECONDS * 1000
            or now_ms >= kept["created_at_ms"] + LONGEST_SECONDS * 1000
        ):
            return None
        return Session(
            token=token, operator=operator, created_at_ms=kept["created_at_ms"], seen_at_ms=kept["seen_at_ms"]
        )

    def use(self, session: Session) -> None:
        """Note that a person uses the session. A session that has ended meanwhile stays ended."""
        now_ms = self._clock.now_ms()
        if now_ms < session.seen_at_ms + NOTED_AFTER_SECONDS * 1000:
            return
        with suppress(WriteConflict):
            self._database.write([Adjust(table=Table.CONSOLE, key=_key(session.token), set={"seen_at_ms": now_ms})])

    def end(self, session: Session) -> None:
        """End the session. Idempotent."""
        with suppress(WriteConflict):
            self._database.write(
                [Delete(table=Table.CONSOLE, key=_key(session.token), require={"name": session.operator.name})]
            )


def _key(token: str) -> Key:
    return {"pk": f"SESSION#{hashlib.sha256(token.encode()).hexdigest()}", "sk": "SESSION"}


def _name_in(token: str) -> str | None:
    """Return the name in the token, by which the operator is read together with the session."""
    matched = _TOKEN.fullmatch(token)
    if matched is None:
        return None
    encoded = matched[1]
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode() or None
    except (binascii.Error, ValueError):
        return None
