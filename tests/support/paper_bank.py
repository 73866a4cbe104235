"""A sandbox bank on paper: it gives the answers that a test has written down, and keeps what it was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.exchange import Answered
from payonce.gateways.sandbox_bank import SandboxBankGateway
from payonce.ports import Deadline
from tests.support.world import HONOURING

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange

SOON = Deadline(2_000_000_000_000)


@dataclass
class PaperBank:
    """Gives its answers in order, the last one again and again."""

    answers: list[Exchange]
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    def send(self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, deadline: Deadline) -> Any:
        """See ``DeadlineExchange``."""
        assert deadline == SOON
        self.asked.append((method, url, headers, None if body is None else json.loads(body)))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def told(self) -> list[tuple[str, str, Any]]:
        """What was asked, without the headers: methods, paths and bodies."""
        return [(method, url.removeprefix("http://bank/v1"), body) for method, url, _, body in self.asked]

    @property
    def lines(self) -> list[str]:
        """What was asked, without headers and bodies."""
        return [f"{method} {path}" for method, path, _ in self.told]


def on(*answers: Exchange, base_url: str = "http://bank/v1/") -> tuple[SandboxBankGateway, PaperBank]:
    """Return an adapter of a bank that gives these answers, and the bank."""
    paper = PaperBank(list(answers))
    exchange: Any = paper
    gateway = SandboxBankGateway(
        name="banks-bank", base_url=base_url, token="token-1", capabilities=HONOURING, exchange=exchange
    )
    return gateway, paper


def answer(document: Any, status: int = 200) -> Answered:
    """Return an answer with a JSON document."""
    return Answered(status, {}, json.dumps(document).encode())
