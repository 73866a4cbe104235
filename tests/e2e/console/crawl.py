"""Goes through the console by what its pages link to and what forms they offer, without knowing its routes."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.e2e.console.raw import forms_of, links_of

if TYPE_CHECKING:
    from tests.e2e.console.raw import Answer, Form, Raw

# The pages that the issue names, by their navigation.
PAGES = {
    "Overview": "/",
    "Payments": "/payments",
    "Keys": "/keys",
    "Webhooks": "/webhooks",
    "Gateways": "/gateways",
    "Reconciliation": "/breaks",
    "Runs": "/runs",
    "Files": "/files",
    "Balances": "/balances",
    "Audit": "/audit",
}
LISTS = ("/payments", "/keys", "/webhooks", "/breaks", "/runs", "/balances", "/audit")
ID = re.compile(r"[a-z]{2,5}_[0-9A-Za-z]{8,}.*|[0-9a-f]{16,}.*|.*%.*|.{33,}")
FAMILIES = ("sandbox_bank", "honouring_bank", "late_bank")  # a gateway's name stands where an id does


@dataclass
class Crawl:
    """What was found: answers by address, addresses by pattern, and forms by method and pattern."""

    answers: dict[str, Answer] = field(default_factory=dict)
    patterns: dict[str, list[str]] = field(default_factory=dict)
    forms: dict[tuple[str, str], Form] = field(default_factory=dict)

    @property
    def actions(self) -> dict[str, Form]:
        """Return the forms that change something, by pattern."""
        return {pattern: form for (method, pattern), form in self.forms.items() if method == "post"}


def pattern_of(raw: Raw, address: str) -> str:
    """Return the path with its ids blanked, and the names of its parameters."""
    parts = urlsplit(address)
    path = parts.path.removeprefix(urlsplit(raw.base).path)
    blanked = "/".join(
        "{}" if ID.fullmatch(segment) or segment in FAMILIES else unquote(segment) for segment in path.split("/")
    )
    names = sorted({name for name, _ in parse_qsl(parts.query) if name != "merchant"})
    return f"{blanked or '/'}{'?' + '&'.join(names) if names else ''}"


def crawl(raw: Raw, *starts: str, merchant_id: str = "", each: int = 2, limit: int = 150) -> Crawl:
    """Follow the links of the console, at most ``each`` of a pattern, from the issue's pages (of a merchant) on."""
    found = Crawl()
    of_merchant = f"?merchant={merchant_id}" if merchant_id else ""
    waiting = deque(raw.url(path) for path in (*starts, *(f"{path}{of_merchant}" for path in PAGES.values())))
    # Each list is two files: they come after the pages, so that no page is left out for them.
    files: deque[str] = deque()
    while (waiting or files) and len(found.answers) < limit:
        address = urlsplit((waiting or files).popleft())._replace(fragment="").geturl()
        if address in found.answers or not address.startswith(raw.base):
            continue
        pattern = pattern_of(raw, address)
        known = found.patterns.setdefault(pattern, [])
        if len(known) >= each:
            continue
        known.append(address)
        answer = raw.ask("GET", address)
        found.answers[address] = answer
        if "html" not in answer.header("content-type"):
            continue
        for form in forms_of(answer.text, address):
            found.forms.setdefault((form.method, pattern_of(raw, form.action)), form)
        for link in links_of(answer.text, address):
            (files if "format=" in link else waiting).append(link)
    return found
