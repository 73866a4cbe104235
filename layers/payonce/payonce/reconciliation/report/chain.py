"""The manifests of runs as JSON lines in a file: a chain, of which none can be changed, moved or dropped unseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.manifest import Manifest, manifest_of, verify_chain

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.report.contents import Contents


def add_to_chain(file: Path, contents: Contents) -> str:
    """Add the run's manifest to the chain in ``file`` and return its hash.

    Raises ``BodyMalformed`` if a line does not follow from the one before, or the file can't be read or written.
    """
    try:
        chain = _manifests(file)
        manifest = manifest_of(
            contents.result,
            file_ids=[facts.file_id for facts in contents.intake.files],
            settings=contents.settings,
            previous=chain[-1] if chain else None,
        )
        with file.open("ab") as opened:
            opened.write(manifest.to_bytes() + b"\n")
    except OSError as error:
        raise BodyMalformed(f"{file} can't be read or written: {error.strerror}") from None
    return manifest.hash


def _manifests(file: Path) -> list[Manifest]:
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    chain: list[Manifest] = []
    for line in lines:
        try:
            manifest = Manifest(json.loads(line))
        except ValueError:
            break
        # Another spelling of the same content, or half a line, is not what was written.
        if not isinstance(manifest.document, dict) or manifest.to_bytes() + b"\n" != line:
            break
        chain.append(manifest)
    wrong = verify_chain(chain)
    if wrong is None and len(chain) < len(lines):
        wrong = len(chain)
    if wrong is not None:
        problem = "the manifest does not follow from the one before: the chain was changed, or lost a line"
        raise BodyMalformed(f"{file}: line {wrong + 1}: {problem}. Keep it as it is, and begin a new one.")
    return chain
