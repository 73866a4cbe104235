"""The messages of the recovery queue: which claims to ask about, and what is known of their lanes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAIMS_PER_MESSAGE = 10  # one execution asks about all of them at the same time, in as many threads


@dataclass(frozen=True, slots=True, kw_only=True)
class AskMessage:
    """Asks to settle ``claims`` (record ids) of ``lane``.

    It decides nothing: a claim that is concluded or leased by now is left alone, so a copy, a late or a lost message
    does no harm. ``silent``: lanes that do not answer; a claim that turns out to be one of theirs is left alone too.
    ``answering_since_ms``: by lane, since when it is known to answer; lanes in an outage are missing.
    """

    lane: str
    claims: tuple[str, ...]
    silent: frozenset[str] = frozenset()
    answering_since_ms: Mapping[str, int] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the message's body."""
        return json.dumps(
            {
                "lane": self.lane,
                "claims": list(self.claims),
                "silent": sorted(self.silent),
                "answering_since_ms": dict(self.answering_since_ms),
            },
            separators=(",", ":"),
        )


def parse_ask(text: str) -> AskMessage:
    """Return the message. Raises ``BodyMalformed``: such a text is never valid; it belongs in the dead-letter queue."""
    try:
        value = json.loads(text)
        message = AskMessage(
            lane=value["lane"],
            claims=tuple(value["claims"]),
            silent=frozenset(value["silent"]),
            answering_since_ms=dict(value["answering_since_ms"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BodyMalformed("This is not a message of the recovery queue.") from error
    texts: list[Any] = [message.lane, *message.claims, *message.silent, *message.answering_since_ms]
    times = message.answering_since_ms.values()
    if not all(isinstance(text, str) for text in texts) or not all(type(time) is int for time in times):
        raise BodyMalformed("This is not a message of the recovery queue.")
    return message
