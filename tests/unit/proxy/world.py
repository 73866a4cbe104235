"""A proxy in memory: a clock that tests own, and an upstream that answers by a script."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.exchange import Answered, Exchange, Lost, Oversized
from payonce.domain.ids import UlidSource
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.proxy.messages import ProxyRequest, ProxyResponse
from payonce.proxy.service import ProxyService
from payonce.stores.memory import MemoryDatabase
from tests.support.proxy import TENANT, configuration, parsed
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.idempotency.claim_recovery import RecoveryReport
    from payonce.ports import Blobs, Deadline

KEY = "0123456789abcdef"
LINES = (("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
OK = Answered(201, {}, b'{"ok":1}', LINES)
LOST = Lost("no answer")


@dataclass(frozen=True)
class Sent:
    """A request that went out."""

    method: str
    url: str
    lines: tuple[tuple[str, str], ...]
    body: bytes | None

    def header(self, name: str) -> str | None:
        """Return a header's first value."""
        return next((value for found, value in self.lines if found.lower() == name.lower()), None)


@dataclass
class ScriptedUpstream:
    """Answers by a script; then with ``OK``. GET is answered by the script of inquiries, then with 404."""

    script: list[Exchange | Oversized] = field(default_factory=list)
    inquiries: list[Exchange | Oversized] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    asked: list[Sent] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)

    def forward(
        self,
        method: str,
        url: str,
        *,
        lines: Sequence[tuple[str, str]],
        body: bytes | None,
        deadline: Deadline,
        max_answer_bytes: int,
        unframed: bool = False,
    ) -> Exchange | Oversized:
        """See ``UpstreamTransport``."""
        assert deadline.at_ms > self.clock.now_ms()
        request = Sent(method, url, tuple(lines), body)
        if method == "GET":
            self.asked.append(request)
            return self.inquiries.pop(0) if self.inquiries else Answered(404, {}, b"")
        self.sent.append(request)
        outcome = self.script.pop(0) if self.script else OK
        if isinstance(outcome, Answered) and len(outcome.body) > max_answer_bytes:
            return Oversized(outcome.status, outcome.lines)
        return outcome


class World:
    """The service on a store in memory."""

    def __init__(
        self,
        *,
        blobs: Blobs | None = None,
        changes: dict[str, Any] | None = None,
        store: DatabaseIdempotencyStore | None = None,
        clock: ManualClock | None = None,
        **route: Any,
    ) -> None:
        self.clock = clock or ManualClock()
        self.upstream = ScriptedUpstream(clock=self.clock)
        self.store = store or DatabaseIdempotencyStore(MemoryDatabase())
        counter = itertools.count(1)
        self.errors: list[Exception] = []
        self.service = ProxyService(
            parsed(configuration("http://up:9", route_changes=route, **(changes or {}))),
            store=self.store,
            transports={"counter": self.upstream},
            clock=self.clock,
            ids=UlidSource(self.clock.now_ms, lambda size: next(counter).to_bytes(size, "big")),
            sleep=self.clock.sleep,
            blobs=blobs,
        )

    def post(
        self,
        body: bytes = b'{"a":1}',
        *,
        key: str | None = KEY,
        target: str = "/orders",
        method: str = "POST",
        tenant: str | None = "shop",
        more: Sequence[tuple[str, str]] = (),
        **claims: str,
    ) -> ProxyResponse:
        """Send a request through."""
        lines = [("Content-Type", "application/json"), *more]
        if key is not None:
            lines.append(("Idempotency-Key", key))
        if tenant is not None:
            lines.append((TENANT, tenant))
        return self.service.handle(
            ProxyRequest(method=method, target=target, lines=tuple(lines), body=body, claims=claims)
        )

    def recover(self) -> RecoveryReport:
        """Run recovery now."""
        return self.service.recover_all(lambda _id, error: self.errors.append(error))


def replayed(response: ProxyResponse) -> str | None:
    """Return the mark of a response."""
    return next((value for name, value in response.lines if name == "Idempotency-Replayed"), None)


def slug(response: ProxyResponse) -> str:
    """Return the last part of a problem's type."""
    return str(json.loads(response.body)["type"]).rsplit(":", 1)[1]
