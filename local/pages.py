"""The pages of docs/ as HTML, so that the links of problem documents lead somewhere on the local cloud too.

It renders what these pages have: headings, paragraphs, lists, tables and code as they are written, and links.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PREFIX = "/_docs/"
PROBLEMS = PREFIX + "problems"
_NAME = re.compile(r"[a-z0-9-]+", re.ASCII)
_LINK = re.compile(r"\[([^]]+)\]\(([^)\s]+)\)")
_PAGE = re.compile(r"(?<![\w/])([a-z0-9-]+)\.md(?=#|$)")


def page(path: str) -> bytes | None:
    """Return the HTML of ``/_docs/<name>``, or ``None`` where docs/ has no such page."""
    name = path.removeprefix(PREFIX)
    if not path.startswith(PREFIX) or not _NAME.fullmatch(name) or not (source := DOCS / f"{name}.md").exists():
        return None
    blocks = source.read_text().split("\n\n")
    body = "\n".join(_block(block.strip("\n")) for block in blocks)
    return f'<!doctype html><meta charset="utf-8"><title>{name}</title>\n{body}\n'.encode()


def anchor(heading: str) -> str:
    """Return the id of a heading: as GitHub makes it, lower case with hyphens."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _block(block: str) -> str:
    heading = re.fullmatch(r"(#{1,4}) (.+)", block)
    if heading:
        level, text = len(heading[1]), heading[2]
        return f'<h{level} id="{anchor(text)}">{_inline(text)}</h{level}>'
    as_written = block.startswith(("|", "```", "- ", "    "))
    return f"<pre>{_inline(block)}</pre>" if as_written else f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    escaped = html.escape(text, quote=False)
    linked = _LINK.sub(lambda link: f'<a href="{_PAGE.sub(r"\1", link[2])}">{link[1]}</a>', escaped)
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", linked))
