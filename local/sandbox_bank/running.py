"""A bank in its own process, for tests and the demo."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class BankHandle:
    """A running bank's admin side."""

    url: str

    def base_url(self, bank: str) -> str:
        """Return where a gateway adapter reaches ``bank``."""
        return f"{self.url}/banks/{bank}"

    def books(self, **filters: str) -> list[dict[str, Any]]:
        """Return what was really booked."""
        rows: list[dict[str, Any]] = self._call("GET", f"/books?{urlencode(filters)}")["operations"]
        return rows

    def charges(self, **filters: str) -> list[dict[str, Any]]:
        """Return the payments really booked."""
        return self.books(kind="payment", status="succeeded", **filters)

    def configure(self, bank: str, **settings: Any) -> None:
        """Change a bank's settings."""
        self._call("PUT", f"/banks/{bank}/settings", settings)

    def scenario(self, bank: str, mode: str, **values: Any) -> None:
        """Make a bank misbehave."""
        self._call("PUT", f"/banks/{bank}/scenario", {"mode": mode, **values})

    def behave(self, bank: str) -> None:
        """Clear a bank's scenario."""
        self._call("DELETE", f"/banks/{bank}/scenario")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data=data, method=method)
        with urlopen(request, timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


@contextmanager
def running_bank(folder: Path, port: int = 0) -> Iterator[BankHandle]:
    """Run a bank with its books in ``folder``; it is stopped whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.sandbox_bank", "--port", str(port), "--books", str(folder / "books.sqlite")],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "http://" not in line:
            raise RuntimeError("the sandbox bank did not start")
        yield BankHandle(line.split()[-1])
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
