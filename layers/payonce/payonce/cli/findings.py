"""What ``doctor`` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """``note``: worth knowing, and no obstacle. ``problem``: something will fail."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ``name`` is a word for programs, ``detail`` says how it is, ``cure`` what to do about it."""

    name: str
    state: State
    detail: str
    cure: str = ""


def good(name: str, detail: str) -> Finding:
    """Return that all is well."""
    return Finding(name, State.OK, detail)


def note(name: str, detail: str, cure: str = "") -> Finding:
    """Return what is worth knowing."""
    return Finding(name, State.NOTE, detail, cure)


def problem(name: str, detail: str, cure: str) -> Finding:
    """Return what will fail, and what mends it."""
    return Finding(name, State.PROBLEM, detail, cure)
