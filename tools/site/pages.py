"""Turns the repository's pages into pages of the site: every link leads to a page that the site has.

A page is written for who reads it in the repository, so it links to code and tests. On the site such a link leads to a
page that shows the file; a link to a folder becomes text.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

# A link or an image of Markdown, and what must be left alone: fenced blocks and code in a line.
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"(?P<mark>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)
LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".json": "json",
    ".sh": "bash",
    ".ts": "ts",
}
MAX_SOURCE_BYTES = 400_000  # openapi.json has more: what a browser shows at once is enough
HIDDEN = "---\nsearch:\n  exclude: true\n---\n\n"


class BrokenLinkError(Exception):
    """A page links to a file that is not there. The argument names page and link."""


@dataclass
class Site:
    """The pages by their path on the site. ``root`` is the repository, ``home`` the page that is the site's first."""

    root: Path
    home: str = "README.md"
    pages: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def add(self, path: str) -> None:
        """Add a page of the repository and what it links to. Raises ``BrokenLinkError``."""
        place = self.place_of(path)
        if place in self.pages:
            return
        self.pages[place] = ""
        self.pages[place] = self._linked((self.root / path).read_text(), path, place)

    def place_of(self, path: str) -> str:
        """Return where a file of the repository is on the site: docs/ is its root."""
        if path == self.home:
            return "index.md"
        if path.endswith(".md") and not (self.root / path).is_dir():
            return path.removeprefix("docs/")
        return path.removeprefix("docs/") if path.startswith("docs/images/") else f"source/{path}.md"

    def _linked(self, text: str, path: str, place: str) -> str:
        kept: list[str] = []

        def keep(found: re.Match[str]) -> str:
            kept.append(found[0])
            return f"\x00{len(kept) - 1}\x00"

        def restore(found: re.Match[str]) -> str:
            return kept[int(found[1])]

        def link(found: re.Match[str]) -> str:
            target = found["target"]
            if _EXTERNAL.match(target):
                return found[0]
            name, mark, anchor = target.partition("#")
            leads_to = self._leads_to(name, path)
            if leads_to is None:
                return found["text"]
            relative = os.path.relpath(leads_to, PurePosixPath(place).parent)
            return f"{found['mark']}[{found['text']}]({relative}{mark}{anchor})"

        plain = _CODE.sub(keep, _FENCE.sub(keep, text))
        linked = _LINK.sub(link, plain)
        while "\x00" in linked:  # code inside a link's text was kept first
            linked = re.sub(r"\x00(\d+)\x00", restore, linked)
        return linked

    def _leads_to(self, name: str, path: str) -> str | None:
        """Return the page or file that a page's link leads to, ``None`` for a folder."""
        target = os.path.normpath(PurePosixPath(path).parent / name)
        file = self.root / target
        if not file.exists() or target.startswith(".."):
            raise BrokenLinkError(f"{path} links to {name}, which is not there")
        if file.is_dir():
            return None
        place = self.place_of(target)
        if target.endswith(".md"):
            self.add(target)
        elif not place.startswith("source/"):
            self.files[place] = file
        elif place not in self.pages:
            self.pages[place] = _source_page(file, target)
        return place


def _source_page(file: Path, path: str) -> str:
    text = file.read_bytes()[:MAX_SOURCE_BYTES].decode(errors="ignore")
    fence = "`" * 4
    return f"{HIDDEN}# {path}\n\n{fence}{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
