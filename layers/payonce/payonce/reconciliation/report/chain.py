"""A chain of runs as JSON lines: each names the hash of the one before; none can be changed or dropped unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.digest import canonical_json

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.report.contents import Contents

VERSION = 1
FIRST = "0" * 64  # what the first run names as the one before it


def add_to_chain(chain: Path, contents: Contents) -> str:
    """Add the run to the chain and return its hash: the SHA-256 of its line. The order of the files is no part of it.

    Raises ``BodyMalformed`` if a line does not follow from the one before, or the file can't be written.
    """
    try:
        previous = _head(chain)
        line = canonical_json({**_document(contents), "previous": previous})
        with chain.open("ab") as file:
            file.write(line + b"\n")
    except OSError as error:
        raise BodyMalformed(f"{chain} can't be read or written: {error.strerror}") from None
    return hashlib.sha256(line).hexdigest()


def _head(chain: Path) -> str:
    previous = FIRST
    if not chain.exists():
        return previous
    with chain.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                follows = json.loads(line)["previous"] == previous and line.endswith(b"\n")
            except (ValueError, KeyError, TypeError):
                follows = False
            if not follows:
                problem = "the line does not follow from the one before: the chain was changed, or lost a line"
                raise BodyMalformed(f"{chain}: line {number}: {problem}. Keep it, and begin a new one.")
            previous = hashlib.sha256(line.removesuffix(b"\n")).hexdigest()
    return previous


def _document(contents: Contents) -> dict[str, Any]:
    result = contents.result
    return {
        "version": VERSION,
        "settings": asdict(contents.settings),
        "files": sorted([facts.file_id, facts.format, facts.gateway or ""] for facts in contents.intake.files),
        "tallies": sorted(
            [one.source.value, one.currency, one.outcome.value, one.rows, one.amount_minor] for one in result.tallies
        ),
        "breaks": sorted(found.break_id for found in result.breaks),
        "digest": result.digest,
    }
