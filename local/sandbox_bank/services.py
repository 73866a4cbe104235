"""What the routes of the bank's server have in common: its parts, requests and replies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from local.sandbox_bank.back_office import BackOffice
from local.sandbox_bank.behaviour import Behaviours
from local.sandbox_bank.books import Books
from local.sandbox_bank.sender import Senders

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running bank."""

    books: Books
    behaviours: Behaviours
    back_office: BackOffice
    senders: Senders

    @classmethod
    def open(cls, path: Path | str) -> Services:
        """Open the books, and go on sending the events of its banks."""
        behaviours = Behaviours()
        books = Books(path, behaviours.settings)
        senders = Senders(books)
        for bank in books.banks_with_events():
            senders.start(bank)
        return cls(books, behaviours, BackOffice(books), senders)

    def close(self) -> None:
        """Stop sending, and close the books."""
        self.senders.close()
        self.books.close()


def json_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, empty without a body. Raises ``ValueError`` if it is none."""
    body = json.loads(raw or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body is no JSON object")
    return body


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a known route: the parts of its path, its query, its headers and its body as received."""

    parts: tuple[str, ...]
    query: dict[str, str]
    headers: Message
    raw: bytes

    @property
    def bank(self) -> str:
        """Return the name of the bank, which is the first part of the path."""
        return self.parts[0]

    def document(self) -> dict[str, Any]:
        """Return the body's JSON object, empty without a body. Raises ``ValueError`` if it is none."""
        return json_object(self.raw)

    def form(self) -> dict[str, str]:
        """Return the fields of a form."""
        return dict(parse_qsl(self.raw.decode()))


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; it is JSON unless its headers say otherwise."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, document: dict[str, Any]) -> Reply:
        """Return a JSON reply."""
        return cls(status, json.dumps(document).encode())


def is_authenticated(services: Services, bank: str, headers: Message) -> bool:
    """Return whether a merchant's request has a token, and the one that ``bank`` is configured with, if any."""
    token = services.behaviours.settings(bank).token
    given = str(headers.get("Authorization", ""))
    return given == f"Bearer {token}" if token else given.startswith("Bearer ")


type Route = tuple[str, re.Pattern[str], Callable[[Services, Asked], Reply]]


def route(method: str, path: str, serve: Callable[[Services, Asked], Reply]) -> Route:
    """Return a route; ``{bank}`` and ``{charge}`` in the path stand for their patterns."""
    pattern = path.replace("{bank}", "/banks/([a-z0-9_-]+)").replace("{charge}", "charges/([A-Za-z0-9_-]+)")
    return method, re.compile(pattern), serve
