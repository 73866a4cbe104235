"""Requests to Mollie's API v2, over HTTP of our own: https://docs.mollie.com/reference/common-data-types.

Mollie's Python library is not used: its timeouts count anew for each read, it repeats failed connections by itself, its
transport is made where it can't be replaced, and what it adds are classes around JSON
(https://github.com/mollie/mollie-api-python, ``mollie/api/client.py``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from payonce.domain.exchange import Answered
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.json_answers import document_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payonce.domain.exchange import Exchange
    from payonce.ports import Clock, Deadline

MAX_ANSWER_BYTES = 4 * 1024 * 1024  # a page of 250 payments, each with its description and at most a kilobyte of ours
PAGE_ROWS = 250  # Mollie's most
MAX_PAGES = 20

type Row = dict[str, Any]


def part(identity: str | None) -> str:
    """Return an id as one part of a path, whatever it holds."""
    return quote(identity or "", safe="")


class MollieHttp:
    """Sends one request at a time. Thread-safe."""

    def __init__(self, url: str, api_key: str, clock: Clock) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._exchange = DeadlineExchange(clock, max_answer_bytes=MAX_ANSWER_BYTES)

    def send(
        self, method: str, path: str, deadline: Deadline, body: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> Exchange:
        """Return the outcome of one request. ``key`` is the Idempotency-Key, of which Mollie heeds those of POSTs."""
        headers = {"authorization": f"Bearer {self._api_key}", "accept": "application/hal+json"}
        if body is not None:
            headers["content-type"] = "application/json"
        return self._exchange.send(
            method,
            self._url + path,
            headers=headers | ({"idempotency-key": key} if key else {}),
            body=None if body is None else json.dumps(body).encode(),
            deadline=deadline,
        )

    def read(self, path: str, deadline: Deadline) -> Row | None:
        """Return the object at ``path``, ``None`` unless it was answered whole."""
        answer = self.send("GET", path, deadline)
        return document_of(answer.body) or None if isinstance(answer, Answered) and answer.status == 200 else None

    def pages(self, path: str, name: str, deadline: Deadline) -> Iterator[list[Row] | None]:
        """Yield the pages of a listing, newest first, and ``None`` where it can't be read to its end.

        Of the link to the next page only the id is used: an answer does not decide to whom our key is sent.
        """
        query: dict[str, object] = {"limit": PAGE_ROWS}
        for _ in range(MAX_PAGES):
            document = self.read(f"{path}?{urlencode(query)}", deadline) or {}
            embedded, links = document.get("_embedded"), document.get("_links")
            rows = embedded.get(name) if isinstance(embedded, dict) else None
            if not isinstance(rows, list) or not isinstance(links, dict) or "next" not in links:
                break
            yield [row for row in rows if isinstance(row, dict)]
            if links["next"] is None:
                return
            href = links["next"].get("href") if isinstance(links["next"], dict) else None
            following = parse_qs(urlsplit(href).query).get("from") if isinstance(href, str) else None
            if not following:
                break
            query["from"] = following[0]
        yield None
