"""The manifest of a run: its inputs, its results, and the hash of the previous manifest, which makes a hash chain.

Whoever holds the last hash can detect any manifest that was changed, dropped, inserted or moved. ``payonce reconcile
--manifest`` appends the manifest as a line to a file; a run in the stack stores the same as ``runs/<hash>.json``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.matching.digest import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.reconciliation.manual import Match
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import RunSettings

MANIFEST_VERSION: Final = 2
FIRST: Final = "0" * 64  # the ``previous`` of the first manifest


@dataclass(frozen=True, slots=True)
class Manifest:
    """One run's manifest: its ``document`` (plain JSON) and the ``hash`` of the canonical form."""

    document: dict[str, Any]

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def previous(self) -> str:
        """Return the hash of the previous manifest, ``FIRST`` if there is none."""
        return str(self.document.get("previous"))

    def to_bytes(self) -> bytes:
        """Return the canonical JSON that is stored."""
        return canonical_json(self.document)


def manifest_from(data: bytes) -> Manifest | None:
    """Return the stored manifest, or ``None`` unless the bytes are the complete canonical JSON of one."""
    try:
        document = json.loads(data)
        whole = isinstance(document, dict) and Manifest(document).to_bytes() == data
    except (ValueError, RecursionError):  # also lone surrogates and bottomless nesting
        return None
    return Manifest(document) if whole else None


def manifest_of(
    result: RunResult,
    *,
    files: Iterable[tuple[str, str | None]],
    settings: RunSettings,
    run_id: str = "",
    policy_id: str = "",
    previous: str = FIRST,
) -> Manifest:
    """Return the manifest of a run over these (file id, gateway) pairs, in any order.

    ``policy_id`` is the SHA-256 of the policy's text, empty for the defaults; ``settings`` are the resulting settings,
    those of people's matches by their digest.
    """
    return Manifest(
        {
            "version": MANIFEST_VERSION,
            "run_id": run_id,
            "files": sorted([file_id, gateway or ""] for file_id, gateway in set(files)),
            "settings": settings_document(settings),
            "matches": matches_digest(settings.matches),
            "policy": policy_id,
            "rows": {source.value: rows for source, rows in result.rows.items()},
            "tallies": sorted(
                [t.source.value, t.currency, t.outcome.value, t.rows, t.amount_minor] for t in result.tallies
            ),
            "digest": result.digest,
            "breaks": len(result.breaks),
            "break_ids_digest": _digest_of_ids(result),
            "anomalies_digest": anomalies_digest(result),
            "previous": previous,
        }
    )


def settings_document(settings: RunSettings) -> dict[str, Any]:
    """Return the settings as plain JSON, without people's matches, which may be thousands."""
    document = asdict(replace(settings, matches=()))
    del document["matches"]
    return document


def matches_digest(matches: Iterable[Match]) -> str:
    """Return the SHA-256 of the matches in force, in whatever order, empty without any."""
    told = sorted(canonical_json(asdict(match)) for match in matches)
    return hashlib.sha256(b"\n".join(told)).hexdigest() if told else ""


def anomalies_document(result: RunResult) -> bytes:
    """Return the canonical JSON of the run's anomalies with all merchants' windows; empty if detection did not run."""
    return b"" if result.anomalies is None else canonical_json(result.anomalies.to_document())


def anomalies_digest(result: RunResult) -> str:
    """Return the SHA-256 of ``anomalies_document``."""
    return hashlib.sha256(anomalies_document(result)).hexdigest()


def verify_chain(manifests: Sequence[Manifest], *, last_hash: str | None = None) -> int | None:
    """Return the position of the first manifest that does not follow from its predecessor, ``None`` if all do.

    ``last_hash`` is the hash of the end, kept elsewhere: for a chain with another end its length is returned.
    """
    before = FIRST
    for position, manifest in enumerate(manifests):
        if manifest.previous != before:
            return position
        before = manifest.hash
    return len(manifests) if last_hash is not None and before != last_hash else None


def _digest_of_ids(result: RunResult) -> str:
    ids = sorted(found.break_id for found in result.breaks)
    return hashlib.sha256("".join(f"{break_id}\n" for break_id in ids).encode()).hexdigest()
