"""The manifest of a run: what went in, what came out, and the hash of the one before. A chain of them can't be edited.

Whoever holds the last hash can tell whether any manifest before it was changed, dropped, added or moved.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.digest import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.reconciliation.model import RunResult, RunSettings

MANIFEST_VERSION: Final = 1
FIRST: Final = "0" * 64  # what the first manifest names as the one before it


@dataclass(frozen=True, slots=True)
class Manifest:
    """One run's ``document`` (plain JSON) and the ``hash`` of its canonical spelling."""

    document: dict[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the canonical JSON that is stored."""
        return canonical_json(self.document)


def manifest_of(
    result: RunResult, *, file_ids: Iterable[str], settings: RunSettings, previous: Manifest | None = None
) -> Manifest:
    """Return the manifest of a run over these files. The order of the files is no part of it."""
    ids = hashlib.sha256("".join(f"{found.break_id}\n" for found in _by_id(result)).encode()).hexdigest()
    return Manifest(
        {
            "version": MANIFEST_VERSION,
            "files": sorted(set(file_ids)),
            "settings": asdict(settings),
            "rows": {source.value: rows for source, rows in result.rows.items()},
            "tallies": sorted(
                [t.source.value, t.currency, t.outcome.value, t.rows, t.amount_minor] for t in result.tallies
            ),
            "digest": result.digest,
            "breaks": len(result.breaks),
            "break_ids_digest": ids,
            "previous": previous.hash if previous else FIRST,
        }
    )


def verify_chain(manifests: Sequence[Manifest], *, last_hash: str | None = None) -> int | None:
    """Return the position of the first manifest that does not follow from the one before, ``None`` if all do.

    ``last_hash`` is what is known of the end, kept elsewhere; a chain that ends otherwise is wrong at its length.
    """
    before = FIRST
    for position, manifest in enumerate(manifests):
        if manifest.document.get("previous") != before:
            return position
        before = manifest.hash
    return len(manifests) if last_hash is not None and before != last_hash else None


def _by_id(result: RunResult) -> list[Any]:
    return sorted(result.breaks, key=lambda found: found.break_id)
