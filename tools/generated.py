"""The parts of a page that a command writes: what is between two markers of the page."""

from __future__ import annotations


def replaced(page: str, begin: str, end: str, body: str) -> str:
    """Return ``page`` with what is between its markers replaced by ``body``. Raises ``ValueError`` if it lacks them."""
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin} with {end} after it")
    return f"{head}{begin}\n{body}\n{end}{tail}"
