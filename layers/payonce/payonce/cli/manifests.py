"""``verify-manifests``: verifies a chain of run manifests offline, from a file of lines or the bucket's ``runs/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from payonce.cli.output import tell
from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.report.chain import BROKEN, read_chain, read_folder
from payonce.reconciliation.runs.manifest import verify_chain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

WHOLE, BROKEN_CHAIN = 0, 1


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``verify-manifests``."""
    command = commands.add_parser("verify-manifests")
    command.add_argument("path", type=Path, metavar="PATH", help="chain.jsonl, or a folder with the bucket's runs/")
    command.add_argument("--last", metavar="HASH", help="the last hash, as you noted it: else a cut end can't be seen")


def run(options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Verify the chain; return 0 if it is intact, 1 if it is broken. Raises ``BodyMalformed`` if it can't be read."""
    path: Path = options.path
    apart = 0
    try:
        if path.is_dir():
            chain, apart = read_folder(path, options.last)
        else:
            chain = read_chain(path)
    except OSError as error:
        raise BodyMalformed(f"{path} can't be read: {error.strerror}") from None
    wrong = verify_chain(chain, last_hash=options.last)
    if wrong is not None:
        document = {"whole": False, "manifests": len(chain), "broken_at": wrong + 1, "reason": BROKEN}
        tell(options, document, f"{path}: manifest {wrong + 1} of {len(chain)}: {BROKEN}")
        return BROKEN_CHAIN
    last = chain[-1].hash if chain else "none"
    more = f", {apart} apart that another run overtook" if apart else ""
    document = {"whole": True, "manifests": len(chain), "apart": apart, "last": last if chain else None}
    tell(options, document, f"{len(chain)} manifests in one chain{more}\nlast {last}")
    return WHOLE
