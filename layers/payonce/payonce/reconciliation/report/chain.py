"""Reads and appends the hash chain of run manifests, as the lines of a file or the files of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.runs.manifest import FIRST, Manifest, manifest_from, manifest_of, verify_chain

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.report.contents import Contents

BROKEN = "the manifest does not follow from the one before: the chain was changed, or lost a line"


def add_to_chain(file: Path, contents: Contents) -> str:
    """Add the run's manifest to the chain in ``file`` and return its hash.

    Raises ``BodyMalformed`` if a line does not follow from the one before, or the file can't be read or written.
    """
    try:
        chain = _manifests(file)
        manifest = manifest_of(
            contents.result,
            files=[(facts.file_id, facts.gateway) for facts in contents.intake.files],
            settings=contents.settings,
            previous=chain[-1].hash if chain else FIRST,
        )
        with file.open("ab") as opened:
            opened.write(manifest.to_bytes() + b"\n")
    except OSError as error:
        raise BodyMalformed(f"{file} can't be read or written: {error.strerror}") from None
    return manifest.hash


def _manifests(file: Path) -> list[Manifest]:
    chain = read_chain(file) if file.exists() else []
    wrong = verify_chain(chain)
    if wrong is not None:
        raise BodyMalformed(f"{file}: line {wrong + 1}: {BROKEN}. Keep it as it is, and begin a new one.")
    return chain


def read_chain(file: Path) -> list[Manifest]:
    """Return the manifests of a file of lines. Raises ``BodyMalformed`` for a malformed line, and ``OSError``."""
    chain: list[Manifest] = []
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True), start=1):
        manifest = manifest_from(line.removesuffix(b"\n")) if line.endswith(b"\n") else None
        if manifest is None:
            raise BodyMalformed(f"{file}: line {number}: {BROKEN}. Keep it as it is, and begin a new one.")
        chain.append(manifest)
    return chain


def read_folder(folder: Path, last_hash: str | None) -> tuple[list[Manifest], int]:
    """Return the chain that ends in ``last_hash`` from a folder of ``<hash>.json``, and the number of files outside it.

    A file outside the chain was never its head: its run lost a conflict and wrote its manifest again behind the other
    run's. Without ``last_hash`` the end is the manifest that no other names. Raises ``BodyMalformed`` and ``OSError``.
    """
    manifests: dict[str, Manifest] = {}
    for path in sorted(folder.glob("*.json")):
        manifest = manifest_from(path.read_bytes())
        if manifest is None or manifest.hash != path.stem:
            raise BodyMalformed(f"{path}: the content is not what its name is the hash of: it was changed.")
        manifests[manifest.hash] = manifest
    if last_hash is None:
        named = {manifest.previous for manifest in manifests.values()}
        ends = [each for each in manifests if each not in named]
        if len(ends) != 1:
            raise BodyMalformed(f"{folder}: {len(ends)} manifests could be the last one. Say which: --last HASH.")
        last_hash = ends[0]
    chain: list[Manifest] = []
    while last_hash != FIRST:
        if last_hash not in manifests:
            raise BodyMalformed(f"{folder}: {last_hash}.json is missing: {len(chain)} manifests come after it.")
        chain.append(manifests[last_hash])
        last_hash = chain[-1].previous
    return chain[::-1], len(manifests) - len(chain)
